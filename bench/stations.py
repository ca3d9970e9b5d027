"""What is measured where: a station is a way to stand between client and upstream, with its jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import measure, payloads
from bench.measure import Figures, Subject
from bench.plan import Plan


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement at a station; `query` is what the event source is asked for, if it stands behind."""

    name: str
    path: str
    body: bytes
    action: Callable[[Subject, Path, Plan], Figures]
    repetitions: Callable[[Plan], int]
    query: Callable[[Plan], str] = lambda plan: ""
    without_proxy: bool = False  # also measured without any proxy, as what every latency contains
    fresh: bool = False  # on a process that has just been started
    variants: bool = False  # also with the sidecar's variants


@dataclass(frozen=True, slots=True)
class Station:
    """Which side speaks mutual TLS, what stands behind the proxy, and what is measured."""

    name: str
    jobs: tuple[Job, ...]
    tls_in: bool = False
    tls_out: bool = False
    events: bool = False
    intercepted: bool = False  # only what can end a client's TLS stands here


def _often(plan: Plan) -> int:
    return plan.repetitions


def _some(plan: Plan) -> int:
    return plan.latency_repetitions


def _once(plan: Plan) -> int:
    return 1


def _stream(plan: Plan) -> str:
    return f"?count={plan.stream_events}&gap_us=0"


def _paced(plan: Plan) -> str:
    return f"?count={plan.paced_events}&gap_us={plan.paced_gap_us}"


def _open(plan: Plan) -> str:
    return "?count=4&gap_us=1000000"


CALL = payloads.tools_call(500)
BIG_CALL = payloads.tools_call(10 * 1024)
LIST = payloads.tools_list()

BUSY_CALL = Job("call busy", payloads.CALL_PATH, CALL, measure.busy, _often)
ONE_CALL = Job("call one", payloads.CALL_PATH, CALL, measure.one, _some, without_proxy=True)
ONE_CALL_HERE = Job("call one", payloads.CALL_PATH, CALL, measure.one, _some)
MEMORY = Job("memory", payloads.CALL_PATH, CALL, measure.memory, _once, fresh=True)

PLAIN = Station(
    "plain",
    (
        MEMORY,
        Job("call busy", payloads.CALL_PATH, CALL, measure.busy, _often, variants=True),
        Job("call-10k busy", payloads.CALL_PATH, BIG_CALL, measure.busy, _often),
        Job("call wrk", payloads.CALL_PATH, CALL, measure.busy_by_wrk, _some),
        Job("list busy", payloads.LIST_PATH, LIST, measure.busy, _often),
        ONE_CALL,
        Job("call rate", payloads.CALL_PATH, CALL, measure.rate, _some, without_proxy=True),
    ),
)
ACCEPTED_ANEW = Job("call anew", payloads.CALL_PATH, CALL, measure.anew, _some)
DIALLED_ANEW = Job("call anew", payloads.LAST_CALL_PATH, CALL, measure.busy, _some)
MTLS_OUT = Station("mtls-out", (BUSY_CALL, DIALLED_ANEW, ONE_CALL), tls_out=True)
MTLS_IN = Station("mtls-in", (MEMORY, BUSY_CALL, ACCEPTED_ANEW, ONE_CALL), tls_in=True)
EVENTS = Station(
    "events",
    (
        Job("stream", payloads.EVENTS_PATH, CALL, measure.stream, _some, _stream),
        Job("paced", payloads.EVENTS_PATH, CALL, measure.paced, _some, _paced, without_proxy=True),
        Job("open streams", payloads.EVENTS_PATH, CALL, measure.open_streams, _once, _open),
    ),
    events=True,
)
INTERCEPTED = Station(
    "intercepted", (BUSY_CALL, ACCEPTED_ANEW, ONE_CALL_HERE), tls_out=True, intercepted=True
)
STATIONS = (PLAIN, MTLS_OUT, MTLS_IN, INTERCEPTED, EVENTS)
