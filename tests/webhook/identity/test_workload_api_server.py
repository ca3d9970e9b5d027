"""The server against py-spiffe's own client and sources, which know nothing of us."""

from __future__ import annotations

import asyncio
import socket as sockets
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from spiffe import JwtSource, WorkloadApiClient, X509Source
from spiffe import SpiffeId as TheirSpiffeId
from spiffe._proto import workload_pb2 as messages
from spiffe._proto import workload_pb2_grpc as service
from spiffe.spiffe_id.spiffe_id import TrustDomain
from spiffe.svid.jwt_svid import JwtSvid
from spiffe.workloadapi.errors import (
    FetchJwtSvidError,
    FetchX509BundleError,
    FetchX509SvidError,
    ValidateJwtSvidError,
)

from mesh.identity.bundle_document import write_jwks
from mesh.identity.ca import make_authority
from mesh.identity.jwt_svid import issue_jwt_svid, make_jwt_key
from mesh.identity.spiffe_id import SpiffeId
from webhook.identity.registry import ForeignDomain, Registry
from webhook.identity.workload_api_server import WorkloadApiServer

WORKLOAD, SECOND = SpiffeId("a.example", "/x"), SpiffeId("a.example", "/y")
HEADER = (("workload.spiffe.io", "true"),)
SECONDS = 60.0


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "agent.sock"


@pytest.fixture
async def registry(socket: Path) -> AsyncIterator[Registry]:
    """A registry that is served, with one workload."""
    registry = Registry("a.example", lambda: datetime.now(UTC))
    registry.register(socket, WORKLOAD)
    server = WorkloadApiServer(registry)
    await server.serve(socket)
    yield registry
    await server.stop()


@pytest.fixture
async def client(registry: Registry, socket: Path) -> AsyncIterator[WorkloadApiClient]:
    with WorkloadApiClient(f"unix://{socket}", default_timeout=SECONDS) as client:
        yield client


@pytest.fixture
async def stub(registry: Registry, socket: Path) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        yield service.SpiffeWorkloadAPIStub(channel)


async def test_their_client_gets_the_svid_and_its_bundle(
    client: WorkloadApiClient, registry: Registry
) -> None:
    context = await asyncio.to_thread(client.fetch_x509_context)
    assert str(context.default_svid.spiffe_id) == str(WORKLOAD)
    bundle = context.x509_bundle_set.get_bundle_for_trust_domain(TrustDomain("a.example"))
    assert bundle is not None
    assert len(bundle.x509_authorities) == 1


async def test_their_client_gets_every_svid_and_bundle(
    client: WorkloadApiClient, registry: Registry, socket: Path
) -> None:
    foreign = make_authority("b.example", datetime.now(UTC), timedelta(hours=1))
    registry.register(socket, SECOND)
    registry.federate(ForeignDomain(foreign.bundle))
    svids = await asyncio.to_thread(client.fetch_x509_svids)
    assert [str(each.spiffe_id) for each in svids] == [str(WORKLOAD), str(SECOND)]
    bundles = await asyncio.to_thread(client.fetch_x509_bundles)
    assert {bundle.trust_domain.name for bundle in bundles.bundles} == {"a.example", "b.example"}


async def test_their_source_follows_a_rotation(registry: Registry, socket: Path) -> None:
    source = await asyncio.to_thread(X509Source, socket_path=f"unix://{socket}", timeout_in_seconds=SECONDS)
    loop, updated = asyncio.get_running_loop(), asyncio.Event()
    source.subscribe_for_updates(lambda: loop.call_soon_threadsafe(updated.set))
    first = source.get_x509_context().default_svid.leaf
    registry.rotate_authority()
    await asyncio.wait_for(updated.wait(), SECONDS)
    context = source.get_x509_context()
    (authority,) = context.x509_bundle_set.bundles.copy().pop().x509_authorities
    assert context.default_svid.leaf != first
    context.default_svid.leaf.verify_directly_issued_by(authority)
    source.close()


async def test_their_jwt_source_gets_a_token_that_validates(registry: Registry, socket: Path) -> None:
    source = await asyncio.to_thread(JwtSource, socket_path=f"unix://{socket}", timeout_in_seconds=SECONDS)
    svid = await asyncio.to_thread(source.fetch_svid, audience={"db"})
    bundle = source.get_bundle_for_trust_domain(TrustDomain("a.example"))
    assert bundle is not None
    assert str(JwtSvid.parse_and_validate(svid.token, bundle, {"db"}).spiffe_id) == str(WORKLOAD)
    source.close()


async def test_a_token_is_issued_for_the_identity_asked_for(
    client: WorkloadApiClient, registry: Registry, socket: Path
) -> None:
    registry.register(socket, SECOND)
    both = await asyncio.to_thread(client.fetch_jwt_svids, {"db"})
    assert [str(each.spiffe_id) for each in both] == [str(WORKLOAD), str(SECOND)]
    one = await asyncio.to_thread(client.fetch_jwt_svid, {"db"}, TheirSpiffeId(str(SECOND)))
    assert str(one.spiffe_id) == str(SECOND)
    with pytest.raises(FetchJwtSvidError, match="PERMISSION_DENIED"):
        await asyncio.to_thread(client.fetch_jwt_svid, {"db"}, TheirSpiffeId("spiffe://a.example/z"))


async def test_tokens_are_validated_for_their_audience(client: WorkloadApiClient) -> None:
    token = (await asyncio.to_thread(client.fetch_jwt_svid, {"db"})).token
    assert str((await asyncio.to_thread(client.validate_jwt_svid, token, "db")).spiffe_id) == str(WORKLOAD)
    with pytest.raises(ValidateJwtSvidError, match="not for the audience"):
        await asyncio.to_thread(client.validate_jwt_svid, token, "other")


async def test_tokens_of_a_federated_domain_are_validated_with_its_keys(
    client: WorkloadApiClient, registry: Registry, stub: Any
) -> None:
    now, key = datetime.now(UTC), make_jwt_key()
    foreign = make_authority("b.example", now, timedelta(hours=1))
    token = issue_jwt_svid(key, SpiffeId("b.example", "/x"), ["db"], now, timedelta(minutes=1))
    with pytest.raises(ValidateJwtSvidError):
        await asyncio.to_thread(client.validate_jwt_svid, token, "db")
    registry.federate(ForeignDomain(foreign.bundle, write_jwks({key.key_id: key.public})))
    answer = await stub.ValidateJWTSVID(
        messages.ValidateJWTSVIDRequest(audience="db", svid=token), metadata=HEADER
    )
    assert answer.spiffe_id == "spiffe://b.example/x"
    assert answer.claims["sub"] == "spiffe://b.example/x"
    bundles = await asyncio.to_thread(client.fetch_jwt_bundles)
    assert bundles.get_bundle_for_trust_domain(TrustDomain("b.example")) is not None


async def test_a_caller_without_identity_is_denied(
    client: WorkloadApiClient, registry: Registry, socket: Path
) -> None:
    registry.unregister(socket)
    for call, error in (
        (client.fetch_x509_svid, FetchX509SvidError),
        (client.fetch_x509_bundles, FetchX509BundleError),
        (lambda: client.fetch_jwt_svid({"db"}), FetchJwtSvidError),
    ):
        with pytest.raises(error, match="PERMISSION_DENIED"):
            await asyncio.to_thread(call)


async def test_a_server_that_is_not_ready_says_so(client: WorkloadApiClient, registry: Registry) -> None:
    registry.set_ready(False)
    with pytest.raises(FetchX509SvidError, match="UNAVAILABLE"):
        await asyncio.to_thread(client.fetch_x509_svid)


@pytest.mark.parametrize("metadata", [None, (("workload.spiffe.io", "false"),)])
async def test_calls_without_the_security_header_are_refused(stub: Any, metadata: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.FetchJWTSVID(messages.JWTSVIDRequest(audience=["db"]), metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    stream = stub.FetchX509SVID(messages.X509SVIDRequest(), metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stream.read()
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("method", "request_message"),
    [
        ("FetchJWTSVID", messages.JWTSVIDRequest()),
        ("FetchJWTSVID", messages.JWTSVIDRequest(audience=[""])),
        ("ValidateJWTSVID", messages.ValidateJWTSVIDRequest(audience="db")),
        ("ValidateJWTSVID", messages.ValidateJWTSVIDRequest(svid="token")),
        ("ValidateJWTSVID", messages.ValidateJWTSVIDRequest(audience="db", svid="junk")),
    ],
)
async def test_incomplete_requests_are_refused(stub: Any, method: str, request_message: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(stub, method)(request_message, metadata=HEADER)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_change_that_means_nothing_to_a_stream_is_not_sent(
    stub: Any, registry: Registry, socket: Path
) -> None:
    stream = stub.FetchX509Bundles(messages.X509BundlesRequest(), metadata=HEADER)
    first = await stream.read()
    registry.rotate()
    registry.rotate_authority()
    assert (await stream.read()).bundles != first.bundles
    registry.unregister(socket)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stream.read()
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_socket_is_for_its_owner_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    server, path = WorkloadApiServer(Registry("a.example", lambda: datetime.now(UTC))), tmp_path / "a.sock"
    await server.serve(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError, match="served by another process"):
        await server.serve(path)
    await server.stop()
    assert not path.exists()


async def test_a_socket_left_behind_is_replaced_but_nothing_else_is(tmp_path: Path) -> None:
    server, path = WorkloadApiServer(Registry("a.example", lambda: datetime.now(UTC))), tmp_path / "a.sock"
    with sockets.socket(sockets.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    await server.serve(path)
    await server.stop()
    path.write_text("precious", encoding="utf-8")
    with pytest.raises(FileExistsError, match="no socket"):
        await server.serve(path)


async def test_a_place_where_no_socket_can_be_is_an_error(tmp_path: Path) -> None:
    server = WorkloadApiServer(Registry("a.example", lambda: datetime.now(UTC)))
    with pytest.raises(OSError, match="cannot listen"):
        await server.serve(tmp_path / "no such folder" / "a.sock")
