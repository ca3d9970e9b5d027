"""The provider against a Workload API that misbehaves: each call gets the next behaviour of a script.

Whatever an agent does, the provider says it once, keeps what is in force, and takes the next good identity.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from spiffe._proto import workload_pb2 as messages

from mesh.identity.ca import Authority, make_authority
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from tests.support.watching import Watch, watching

NOW = datetime.now(UTC)
DAY = timedelta(days=1)  # outlasts a run of the suite
AUTHORITY = make_authority("a.example", NOW - 2 * DAY, 9 * DAY)
STRANGER = make_authority("a.example", NOW - 2 * DAY, 9 * DAY)
WORKLOAD = SpiffeId("a.example", "/ns/x/sa/y")
METHOD = "/SpiffeWorkloadAPI/FetchX509SVID"
Behaviour = Callable[[Any], AsyncIterator[Any]]


def response(
    *, issued: datetime = NOW, lifetime: timedelta = DAY, bundle: Authority = AUTHORITY
) -> messages.X509SVIDResponse:
    svid = new_svid(AUTHORITY, WORKLOAD, issued, lifetime)
    one = messages.X509SVID(
        spiffe_id=str(WORKLOAD),
        x509_svid=b"".join(svid.chain_der),
        x509_svid_key=svid.key_pkcs8_der,
        bundle=bundle.der,
    )
    return messages.X509SVIDResponse(svids=[one])


def sends(*answers: Any, then_hangs: bool = True) -> Behaviour:
    """Send these (messages, or bytes as they are), then stay silent or end the call."""

    async def behave(context: Any) -> AsyncIterator[Any]:
        for answer in answers:
            yield answer if isinstance(answer, bytes) else answer.SerializeToString()
        if then_hangs:
            await asyncio.Event().wait()

    return behave


def fails(code: grpc.StatusCode) -> Behaviour:
    async def behave(context: Any) -> AsyncIterator[Any]:
        await context.abort(code, "on purpose")
        yield b""

    return behave


def dies_after(answer: Any) -> Behaviour:
    async def behave(context: Any) -> AsyncIterator[Any]:
        yield answer.SerializeToString()
        raise RuntimeError("on purpose")

    return behave


class Script(grpc.GenericRpcHandler):
    """Answers each call with the next behaviour, and for ever with the last one."""

    def __init__(self, behaviours: tuple[Behaviour, ...]) -> None:
        self._behaviours = list(behaviours)
        self.calls = 0

    def service(self, details: Any) -> Any:
        if details.method != METHOD:
            return None
        return grpc.unary_stream_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: Any) -> AsyncIterator[Any]:
        self.calls += 1
        behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
        async for answer in behaviour(context):
            yield answer


@asynccontextmanager
async def agent(socket: Path, *behaviours: Behaviour) -> AsyncIterator[Script]:
    script = Script(behaviours)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((script,))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield script
    finally:
        await server.stop(None)


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "agent.sock"


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (fails(grpc.StatusCode.PERMISSION_DENIED), "PERMISSION_DENIED"),
        (fails(grpc.StatusCode.INVALID_ARGUMENT), "INVALID_ARGUMENT"),
        (fails(grpc.StatusCode.UNAVAILABLE), "UNAVAILABLE"),
        (fails(grpc.StatusCode.CANCELLED), "CANCELLED"),
        (sends(then_hangs=False), "ended the stream"),
        (sends(b"\xff\xff junk"), "gives no identity"),
        (sends(bytes(5 * 1024 * 1024)), "RESOURCE_EXHAUSTED"),
        (sends(messages.X509SVIDResponse(), then_hangs=False), "there are: none"),
        (sends(response(issued=NOW - 2 * DAY), then_hangs=False), "expired at"),
        (sends(response(issued=NOW + DAY), then_hangs=False), "not valid before"),
        (sends(response(bundle=STRANGER), then_hangs=False), "does not chain to the bundle"),
    ],
)
async def test_a_fault_is_told_and_the_next_good_identity_taken(
    socket: Path, behaviour: Behaviour, said: str
) -> None:
    async with agent(socket, behaviour, sends(response())), watching(socket) as watch:
        await watch.problem(said)
        assert (await watch.identities.get()).svid.spiffe_id == WORKLOAD
        assert watch.identities.empty()


@pytest.mark.parametrize(
    "bad",
    [messages.X509SVIDResponse(), response(issued=NOW - 2 * DAY), response(bundle=STRANGER)],
    ids=["redacted", "expired", "foreign"],
)
async def test_a_bad_update_leaves_what_is_in_force_and_the_stream_goes_on(socket: Path, bad: Any) -> None:
    async with agent(socket, sends(response(), bad, response())) as script, watching(socket) as watch:
        first = await watch.identities.get()
        second = await watch.identities.get()
        assert second != first
        assert script.calls == 1
        assert "cannot be used" in watch.problems.get_nowait()


async def test_an_agent_that_crashes_in_the_middle_is_asked_again(socket: Path) -> None:
    async with agent(socket, dies_after(response()), sends(response())), watching(socket) as watch:
        assert await watch.identities.get() != await watch.identities.get()


async def test_an_agent_that_does_not_answer_is_told_soon_and_given_up_late(socket: Path) -> None:
    async with agent(socket, sends(), sends(response())) as script:
        async with watching(socket, slow=0.05, silent=0.05) as watch:
            await watch.problem("has not answered for 0.05 s")
            assert (await watch.identities.get()).svid.spiffe_id == WORKLOAD
            assert script.calls == 2


async def test_an_agent_may_be_slow_to_answer(socket: Path) -> None:
    told = asyncio.Event()

    async def slow(context: Any) -> AsyncIterator[Any]:
        await told.wait()
        yield response().SerializeToString()
        await asyncio.Event().wait()

    async with agent(socket, slow) as script, watching(socket, slow=0.05) as watch:
        await watch.problem("has not answered")
        told.set()
        assert (await watch.identities.get()).svid.spiffe_id == WORKLOAD
        assert script.calls == 1


async def test_a_stream_that_fell_silent_is_renewed_before_the_svid_ends(socket: Path) -> None:
    short = timedelta(seconds=1)
    renewed = response()
    behaviours = (sends(response(issued=datetime.now(UTC), lifetime=short)), sends(renewed))
    async with agent(socket, *behaviours) as script, watching(socket, least=0.05) as watch:
        first = await watch.identities.get()
        second = await watch.identities.get()
        assert datetime.now(UTC) < first.svid.not_after + short
        assert second.svid.not_after > first.svid.not_after
        assert script.calls == 2
        assert watch.problems.empty()


async def test_an_unusable_first_identity_is_asked_for_again(socket: Path) -> None:
    """Nothing would be sent again by an agent for which nothing has changed."""
    async with agent(socket, sends(response(issued=NOW + DAY)), sends(response())) as script:
        async with watching(socket, least=0.05) as watch:
            await watch.problem("not valid before")
            await watch.identities.get()
            assert script.calls == 2


async def test_a_socket_that_is_another_file_by_now_is_found(socket: Path) -> None:
    async with watching(socket) as watch:
        for _ in range(3):
            async with agent(socket, sends(response())):
                await watch.identities.get()
            await watch.problem("gives no identity")


async def test_without_py_spiffe_it_is_said_what_to_install(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("spiffe"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    async with watching(socket) as watch:
        await watch.problem("add outrider[spire]")
        await watch.slept(2)


async def test_a_failure_nobody_foresaw_is_told_and_tried_again(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: str) -> Any:
        raise AssertionError("on purpose")

    monkeypatch.setattr("threading.excepthook", lambda details: None)
    with monkeypatch.context() as patched:
        patched.setattr("spiffe.WorkloadApiClient", broken)
        watch_task = watching(socket)
        watch: Watch = await watch_task.__aenter__()
        await watch.problem("the thread that reads from the Workload API failed")
    async with agent(socket, sends(response())):
        await watch.identities.get()
        await watch_task.__aexit__(None, None, None)
