"""JWT-SVIDs of the Workload API, from the embedded server and from one that misbehaves."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from spiffe._proto import workload_pb2 as messages
from spiffe._proto import workload_pb2_grpc as service

from mesh.identity.jwt_svid import issue_jwt_svid, make_jwt_key
from mesh.identity.spiffe_id import SpiffeId
from sidecar.identity.jwt_source import JwtSource, JwtUnavailable
from sidecar.identity.workload_api import WorkloadApiProvider
from tests.support.watching import watching
from webhook.identity.registry import Registry
from webhook.identity.workload_api_server import WorkloadApiServer

FIRST, SECOND = SpiffeId("a.example", "/first"), SpiffeId("a.example", "/second")


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "agent.sock"


@pytest.fixture
def registry() -> Registry:
    return Registry("a.example", lambda: datetime.now(UTC))


@pytest.fixture
async def server(registry: Registry, socket: Path) -> AsyncIterator[WorkloadApiServer]:
    server = WorkloadApiServer(registry)
    await server.serve(socket)
    yield server
    await server.stop()


def provider(socket: Path, choose: str | None = None) -> WorkloadApiProvider:
    return WorkloadApiProvider(f"unix://{socket}", spiffe_id=choose)


def test_the_provider_is_a_source_of_tokens(socket: Path) -> None:
    assert isinstance(provider(socket), JwtSource)


@pytest.mark.parametrize(("choose", "expected"), [(None, FIRST), (str(SECOND), SECOND)])
async def test_a_token_is_for_us_and_for_the_whole_audience(
    registry: Registry, server: WorkloadApiServer, socket: Path, choose: str | None, expected: SpiffeId
) -> None:
    registry.register(socket, FIRST)
    registry.register(socket, SECOND)
    svid = await provider(socket, choose).jwt_svid(("https://idp.example", "other"))
    assert svid.spiffe_id == expected
    assert svid.audience == ("https://idp.example", "other")
    assert svid.expires_at > datetime.now(UTC)


async def test_a_hint_chooses_once_the_identity_has_come(
    registry: Registry, server: WorkloadApiServer, socket: Path
) -> None:
    registry.register(socket, FIRST, "the first")
    registry.register(socket, SECOND, "the second")
    with pytest.raises(JwtUnavailable, match="hint 'the second' has come yet"):
        await provider(socket, "the second").jwt_svid(("x",))
    async with watching(socket, "the second") as watch:
        await watch.identities.get()
        assert (await watch.provider.jwt_svid(("x",))).spiffe_id == SECOND


async def test_no_entry_and_no_agent_are_told_as_such(server: WorkloadApiServer, socket: Path) -> None:
    with pytest.raises(JwtUnavailable, match="PERMISSION_DENIED"):
        await provider(socket).jwt_svid(("x",))
    await server.stop()
    with pytest.raises(JwtUnavailable, match="gives no token"):
        await provider(socket).jwt_svid(("x",))


class Liar(service.SpiffeWorkloadAPIServicer):
    def __init__(self, *tokens: str) -> None:
        self._tokens = tokens

    async def FetchJWTSVID(self, request: Any, context: Any) -> Any:
        return messages.JWTSVIDResponse(svids=[messages.JWTSVID(svid=token) for token in self._tokens])


def token(spiffe_id: SpiffeId = FIRST, audience: str = "x", age: timedelta = timedelta()) -> str:
    issued = datetime.now(UTC) - age
    return issue_jwt_svid(make_jwt_key(), spiffe_id, [audience], issued, timedelta(minutes=5))


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (list, "empty answer"),
        (lambda: ["junk"], "cannot be used"),
        (lambda: [token(SECOND)], f"that of {SECOND}, and we are {FIRST}"),
        (lambda: [token(audience="y")], "is for y, not for x"),
        (lambda: [token(age=timedelta(hours=1))], "expired at"),
    ],
)
async def test_a_token_that_its_reader_would_refuse_is_not_handed_on(
    socket: Path, answer: Callable[[], list[str]], complaint: str
) -> None:
    server = grpc.aio.server()
    service.add_SpiffeWorkloadAPIServicer_to_server(Liar(*answer()), server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    with pytest.raises(JwtUnavailable, match=complaint):
        await provider(socket, str(FIRST)).jwt_svid(("x",))
    await server.stop(None)


async def test_without_py_spiffe_it_is_said_what_to_install(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("spiffe"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(JwtUnavailable, match=r"add outrider\[spire\]"):
        await provider(socket).jwt_svid(("x",))
