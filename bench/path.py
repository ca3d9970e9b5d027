"""`python -m bench.path`: user CPU of the sidecar's own code, without kernel, sockets and event loop.

Where a machine is shared, differences of a microsecond drown in a benchmark over sockets. Here the real
connection, pipeline and pool run in one process on transports that only collect what is written, in short
batches of which the fastest counts: others can only slow one down. So two versions of the code can be compared
on any machine.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench import payloads
from bench.credentialed import ALICE, KINDS, desk, with_credential
from bench.proxies.base import AUTHORITY, absolute_form
from bench.proxies.outrider import documents
from mesh.policy.compile import Policy, compile_policy
from mesh.policy.load import load_texts
from mesh.policy.principal import Principal
from sidecar.capture.inbound import Application
from sidecar.limits import Limits
from sidecar.proxy.channel import Channel
from sidecar.proxy.downstream import Downstream
from sidecar.proxy.guard import Guard, Outside
from sidecar.proxy.listener import Listener
from sidecar.proxy.pipeline import Pipeline
from sidecar.proxy.pool import Destination, Pool
from sidecar.proxy.rated import Rates
from sidecar.proxy.ticker import Ticker
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.record import Recorder

BATCH = 200  # requests; short enough to fall between two interruptions
ANSWER_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 09:%02d:00 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n"
)
SHORT_ANSWER = payloads.call_answer(120)
"""So that what guardrails cost is what they cost for the arguments."""
CASES = {
    "call": (payloads.CALL_PATH, payloads.tools_call(500), payloads.call_answer()),
    "call-10k": (payloads.CALL_PATH, payloads.tools_call(10 * 1024), payloads.call_answer()),
    "list": (payloads.LIST_PATH, payloads.tools_list(), payloads.list_answer()),
    "call-authorized": (payloads.CALL_PATH, payloads.tools_call(500), payloads.call_answer()),
    "call-token": (payloads.CALL_PATH, payloads.tools_call(500), payloads.call_answer()),
    "call-user": (payloads.CALL_PATH, payloads.tools_call(500), payloads.call_answer()),
    "call-limited": (payloads.CALL_PATH, payloads.tools_call(500), payloads.call_answer()),
    "call-1k": (payloads.CALL_PATH, payloads.tools_call(1024), SHORT_ANSWER),
    "call-1k-guarded": (payloads.CALL_PATH, payloads.tools_call(1024), SHORT_ANSWER),
}
"""Of the credentials: with an Authorization of the agent's own, with a kept token of the sidecar's, and one for
the user whose handle the agent forwards. Heads with credentials are not remembered: the first shows what it costs.
The limited one takes from two buckets, of the rule and of the tool. The last two are with all local guardrails off
and on.
"""
LIMIT = {"requests": 1_000_000, "per": "second", "tools": {"*": {"requests": 1_000_000, "per": "second"}}}


class Collected:
    """A transport that keeps what is written and is never full."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write = self.written.append

    def get_extra_info(self, name: str) -> None:
        """There is no socket, no peer and no certificate."""

    def is_closing(self) -> bool:
        """Never."""
        return False

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""

    def abort(self) -> None:
        """End the measurement: the sidecar refuses what it is given."""
        raise RuntimeError(f"the sidecar aborts after {self.written[-1:]!r}")

    close = abort


class Dialer:
    """Connects to nowhere, and keeps the pool's ends of its connections."""

    generation = 0

    def __init__(self) -> None:
        self.connected: list[tuple[asyncio.Protocol, Collected]] = []

    async def dial(self, destination: Destination, protocol: asyncio.Protocol) -> None:
        """Hand the protocol a transport at once."""
        transport: Any = Collected()
        protocol.connection_made(transport)
        self.connected.append((protocol, transport))


@dataclass(frozen=True, slots=True)
class Path:
    """A client's connection and the backend's, joined by the pipeline."""

    client: Downstream
    to_client: Collected
    backend: asyncio.Protocol
    to_backend: Collected

    def batch(self, request: bytes, answer: bytes, count: int) -> None:
        """Pass a request and its answer so many times."""
        from_client, from_backend = self.client.data_received, self.backend.data_received
        for _ in range(count):
            from_client(request)
            from_backend(answer)
            self.to_client.written.clear()
            self.to_backend.written.clear()


async def join(request: bytes, answer: bytes, decisions: str, kind: str = "") -> tuple[Path, bytes]:
    """Compose the data path as the sidecar does, and pass a first request to connect the backend.

    `kind` of credential, if any. Gives also the request as the agent sends it, with its handle.
    """
    declared = documents(tls_out=False)
    if kind == "limited":
        for rule in (rule for one in declared for rule in one["spec"].get("outbound", ())):
            rule["rateLimit"] = LIMIT
    policies = "\n---\n".join(map(json.dumps, declared))
    clock, limits, metrics, dialer = asyncio.get_running_loop().time, Limits(), Metrics(), Dialer()
    ticker = Ticker(1.0, clock)
    log, pool = Log(sys.stderr.fileno()), Pool(dialer, limits, ticker, clock)
    recorder = Recorder(metrics, log, agent="agents/triage", decisions=decisions)  # type: ignore[arg-type]
    loaded = load_texts([("policies.yaml", policies)])
    if kind in KINDS:
        loaded = with_credential(loaded, kind)

    def guard(policy: Policy) -> Guard:
        return Guard(policy, recorder, time.perf_counter, _nobody_outside)

    pipeline = Pipeline(
        compile_policy(loaded, labels={"app": "triage"}, namespace="agents"),
        limits=limits,
        pool=pool,
        desk=desk(pool, metrics, log),
        dialer=dialer,
        recorder=recorder,
        guard=guard if kind == "1k-guarded" else None,
        rates=lambda policy: Rates(policy, recorder, time.monotonic_ns),
        clock=clock,
        application=Application("127.0.0.1", ()),
    )
    listener = Listener("forward", lambda _: asyncio.Protocol(), ticker, limits.connections)
    client, to_client = (
        Downstream(pipeline, listener, Channel("outbound", Principal("agent"), "agent")),
        Collected(),
    )
    client.connection_made(to_client)
    if kind in ("authorized", "user"):
        desk_there = pipeline.departure.desk
        bearer = b"x" * 47 if desk_there is None else desk_there.handles.give(ALICE)
        field = b"authorization: Bearer %b\r\n" % bearer
        # Without a session, of which there would have to be one for each user.
        request = re.sub(rb"(?i)mcp-session-id: [^\r]*\r\n", b"", request)
        request = request.replace(b"\r\n", b"\r\n" + field, 1)
    client.data_received(request)
    for _ in range(50):  # the pool connects in a task, and tokens are minted in one
        await asyncio.sleep(0)
    if not dialer.connected:
        raise RuntimeError(f"the sidecar refuses: {to_client.written!r}")
    backend, to_backend = dialer.connected[0]
    backend.data_received(answer)
    if b'"result"' not in b"".join(to_client.written):
        raise RuntimeError(f"the sidecar refuses: {to_client.written!r}")
    return Path(client, to_client, backend, to_backend), request


def _nobody_outside() -> Outside:
    raise RuntimeError("the policies of the bench name no external detector")


async def measure(case: str, seconds: float, decisions: str, profile: int) -> str:
    """User CPU of one case in microseconds a request, and where it goes when `profile` lines are wanted."""
    where, body, answer = CASES[case]
    request = payloads.http_request(absolute_form(where), AUTHORITY, body)
    kind = case.removeprefix("call-")
    path, request = await join(request, ANSWER_HEAD % (0, len(answer)) + answer, decisions, kind)
    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        # The date changes now and then, as a server's does.
        received = ANSWER_HEAD % (len(times) % 60, len(answer)) + answer
        started = time.perf_counter()
        path.batch(request, received, BATCH)
        times.append((time.perf_counter() - started) / BATCH * 1e6)
        await asyncio.sleep(0)
    times.sort()
    line = f"{case:10} {times[0]:7.1f} us at best, {times[len(times) // 10]:7.1f} in the best tenth"
    return line + (_profiled(partial(path.batch, request, received, 2000), profile) if profile else "")


def _profiled(action: Callable[[], None], lines: int) -> str:
    profiler = cProfile.Profile()
    profiler.runcall(action)
    rows: dict[tuple[str, int, str], tuple[int, int, float, float, object]] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    calls = sum(row[1] for row in rows.values()) / 2000
    top = sorted(rows.items(), key=lambda row: -row[1][2])[:lines]
    shown = "".join(
        f"\n  {own / 2000 * 1e6:6.2f} us x{count / 2000:5.1f}  {file.rpartition('/')[2]}:{at} {name}"
        for (file, at, name), (_, count, own, _, _) in top
    )
    return f"\n  {calls:.0f} calls a request; under the profiler, which makes each of them dearer:{shown}"


def main() -> None:
    """Measure the cases asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.path", description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="which (default: all)")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case")
    parser.add_argument(
        "--decisions", choices=("all", "refused", "none"), default="none", help="what is logged"
    )
    parser.add_argument("--profile", type=int, default=0, metavar="LINES", help="show so many functions")
    arguments = parser.parse_args()
    for case in arguments.cases or CASES:
        print(asyncio.run(measure(case, min(arguments.seconds, 60), arguments.decisions, arguments.profile)))


if __name__ == "__main__":
    main()
