from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.reasons import Reason
from sidecar.external_auth import grpc_channels
from sidecar.external_auth.grpc_channels import CannotAsk, GrpcChannels
from sidecar.proxy.pool import Destination, TlsMode
from tests.support.authorizing import free_port, grpc_service, messages
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files

PLAIN = Destination("authz.tools.svc", 9191)


async def test_one_channel_serves_every_question_to_a_service() -> None:
    made = messages()
    async with grpc_service(lambda request: made["CheckResponse"](status=made["Status"]())) as port:
        channels = GrpcChannels()
        answers = [await channels.ask(PLAIN, f"127.0.0.1:{port}", b"", 5.0) for _ in range(2)]
        await channels.close()
    assert answers == [b"\x0a\x00", b"\x0a\x00"]


async def test_channels_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_channels, "MAX_CHANNELS", 2)
    made = messages()
    async with grpc_service(lambda request: made["CheckResponse"](status=made["Status"]())) as port:
        channels = GrpcChannels()
        for number in range(4):
            service = Destination(f"authz-{number}.tools.svc", 9191)
            assert await channels.ask(service, f"127.0.0.1:{port}", b"", 5.0)
        assert [key[0].host for key in channels._channels] == ["authz-2.tools.svc", "authz-3.tools.svc"]
        await channels.close()


async def test_a_service_that_is_away_cannot_be_asked() -> None:
    channels = GrpcChannels()
    with pytest.raises(CannotAsk, match="UNAVAILABLE"):
        await channels.ask(PLAIN, f"127.0.0.1:{free_port()}", b"", 5.0)
    await channels.close()


async def test_a_service_of_the_mesh_cannot_be_asked_over_grpc() -> None:
    with pytest.raises(CannotAsk) as caught:
        await GrpcChannels().ask(Destination("a", 1, TlsMode.MESH), "127.0.0.1:1", b"", 1.0)
    assert caught.value.refusal.reason is Reason.EXTERNAL_AUTH_FAILED


async def test_a_service_with_a_public_certificate_is_never_asked_in_plain_text() -> None:
    made = messages()
    async with grpc_service(lambda request: made["CheckResponse"](status=made["Status"]())) as port:
        channels = GrpcChannels()
        public = Destination("authz.tools.svc", 9191, TlsMode.PUBLIC, "authz.tools.svc")
        with pytest.raises(CannotAsk):
            await channels.ask(public, f"127.0.0.1:{port}", b"", 5.0)
        await channels.close()


async def test_a_service_of_a_private_authority_is_asked_where_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of the public roots, besides them, and besides what is in their place."""
    public = Destination("authz.tools.svc", 9191, TlsMode.PUBLIC, "authz.tools.svc")
    folders = [tmp_path / "ours", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        make_serving_files(folder, [public.server_name], datetime.now(UTC), timedelta(hours=1))
    ours, other = (folder / ROOT_FILE for folder in folders)
    serving = (folders[0] / KEY_FILE).read_bytes(), (folders[0] / CERT_FILE).read_bytes()
    made = messages()
    trusting = [
        (ours, "", None),
        (None, ours.read_text(), None),
        (ours, other.read_text(), None),
        (other, ours.read_text(), None),
        (None, other.read_text(), ours),
        (other, "", ours),
        (None, other.read_text(), other),
    ]
    async with grpc_service(lambda request: made["CheckResponse"](), serving) as port:
        answers = []
        for authorities, more, system in trusting:
            monkeypatch.setenv("SSL_CERT_FILE", str(system or other))
            channels = GrpcChannels(authorities, more)
            try:
                await channels.ask(public, f"127.0.0.1:{port}", b"", 2.0)
                answers.append(True)
            except CannotAsk:
                answers.append(False)
            await channels.close()
    assert answers == [True, True, True, True, True, False, False]
