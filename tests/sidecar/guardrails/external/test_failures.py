"""Whatever a detector does instead of answering, nothing raises, and the failure mode decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mesh.policy.guardrails import Action, Direction, FailureMode
from mesh.reasons import Reason
from sidecar.guardrails.external.breaker import FAILURES, SECONDS
from sidecar.guardrails.external.detector import MOST_BYTES, MOST_KINDS
from sidecar.guardrails.verdict import NOTHING
from tests.support import detectors as fakes
from tests.support.authorizing import free_port, http_service
from tests.support.detectors import NEEDLE, asked_by, call_with, detector_service
from tests.support.loopback import json_answer

ROW = {"start": 0, "end": 1, "text": "w", "detection": "X", "detection_type": "t", "score": 0.9}


def rows(**changed: Any) -> bytes:
    return json_answer([[{**ROW, **changed}]])


def without(key: str) -> bytes:
    return json_answer([[{name: value for name, value in ROW.items() if name != key}]])


UNUSABLE = {
    "no JSON": json_answer(b"<html>"),
    "half of it": json_answer(b'[[{"start":0,'),
    "a repeated key": json_answer(b'[[{"start":0,"start":1}]]'),
    "NaN": json_answer(b'[[{"start":0,"end":1,"detection":"X","detection_type":"t","score":NaN}]]'),
    "an error that calls itself well": json_answer({"code": 500, "message": "out of memory"}),
    "null": json_answer(None),
    "nothing": json_answer(b""),
    "too few entries": json_answer([]),
    "too many": json_answer([[], []]),
    "no lists": json_answer([{}]),
    "no objects": json_answer([["unsafe"]]),
    "a score as text": rows(score="0.9"),
    "true as a score": rows(score=True),
    "no score": without("score"),
    "null as a score": rows(score=None),
    "a score beyond 1": rows(score=1e9),
    "a negative score": rows(score=-1),
    "a negative start": rows(start=-1),
    "an end before the start": rows(start=2, end=1),
    "an end beyond the text": rows(end=1000),
    "a fraction": rows(start=0.5),
    "a huge number": rows(end=10**400),
    "no end": without("end"),
    "no name": without("detection"),
    "a number for a name": rows(detection=1),
    "deep nesting": json_answer(b"[" * 100_000 + b"]" * 100_000),
}


@pytest.mark.parametrize("said", UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_an_answer_beside_the_format_is_a_failure_and_never_a_yes(desk: Any, said: bytes) -> None:
    async with http_service(lambda head, body: said) as service:
        verdict = await asked(desk, f"http://127.0.0.1:{service.port}")
    assert (verdict.action, verdict.reason) == (Action.BLOCK, Reason.GUARD_FAILED)
    assert verdict.failed == (("judge", Reason.GUARD_FAILED),)
    assert desk.counted("unusable") == 1
    assert "word" not in desk.told()


async def asked(desk: Any, url: str, **more: Any) -> Any:
    processor = asked_by(url, **more)
    return await desk.outside.examine([processor], call_with(a="word"), Direction.REQUEST, [])


@pytest.mark.parametrize(
    "status", ["202 Accepted", "301 Moved", "307 Moved", "403 No", "422 What", "429 Wait"]
)
async def test_only_200_is_an_answer_and_nobody_is_sent_elsewhere(desk: Any, status: str) -> None:
    async with detector_service(fakes.fms_contents) as other:
        location = f"http://127.0.0.1:{other.port}/api/v1/text/contents"
        said = json_answer([[]], status, location=location)
        async with http_service(lambda head, body: said) as service:
            verdict = await asked(desk, f"http://127.0.0.1:{service.port}")
    assert verdict.failed == (("judge", Reason.GUARD_FAILED),)
    assert other.asked == []
    assert desk.counted("refused") == 1


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (8 * MOST_BYTES),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n800000\r\n" + b" " * (2 * MOST_BYTES),
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n[]",
    ],
)
async def test_broken_cut_and_huge_answers_are_failures(desk: Any, said: bytes) -> None:
    async with once(lambda writer: writer.write(said)) as port:
        verdict = await asked(desk, f"http://127.0.0.1:{port}")
    assert verdict.failed == (("judge", Reason.GUARD_FAILED),)
    assert desk.counted("unreachable") == 1


@asynccontextmanager
async def once(act: Callable[[asyncio.StreamWriter], Any]) -> AsyncIterator[int]:
    """Acts on each connection and closes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        act(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_nobody_there_and_plain_text_to_strangers_are_failures(desk: Any) -> None:
    for url in (f"http://127.0.0.1:{free_port()}", "http://guard.example.com/", "http://[::1/"):
        verdict = await asked(desk, url)
        assert verdict.failed == (("judge", Reason.GUARD_FAILED),), url


async def test_who_hangs_or_drips_is_late_and_its_connection_is_given_up(desk: Any) -> None:
    async with http_service(lambda head, body: None) as service:
        verdict = await asked(desk, f"http://127.0.0.1:{service.port}", timeout=0.05)
        await asyncio.wait_for(service.gone.wait(), 5)
    assert (verdict.action, verdict.reason) == (Action.BLOCK, Reason.GUARD_TIMEOUT)
    assert verdict.failed == (("judge", Reason.GUARD_TIMEOUT),)
    assert desk.counted("late") == 1

    stop = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not stop.is_set() and not writer.is_closing():
            writer.write(b" ")
            try:
                await asyncio.wait_for(stop.wait(), 0.01)
            except TimeoutError:
                continue
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    verdict = await asked(desk, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=0.1)
    stop.set()
    server.close()
    assert verdict.failed == (("judge", Reason.GUARD_TIMEOUT),)


@pytest.mark.parametrize(
    ("more", "action", "reason"),
    [
        ({"failure": FailureMode.CLOSED}, Action.BLOCK, Reason.GUARD_FAILED),
        ({"failure": FailureMode.OPEN}, Action.OFF, None),
        ({"failure": FailureMode.CLOSED, "action": Action.MASK}, Action.BLOCK, Reason.GUARD_FAILED),
        ({"failure": FailureMode.CLOSED, "action": Action.FLAG}, Action.OFF, None),
        ({"failure": FailureMode.CLOSED, "observe": True}, Action.OFF, None),
    ],
)
async def test_the_failure_mode_decides_where_something_is_enforced(
    desk: Any, more: dict[str, Any], action: Action, reason: Reason | None
) -> None:
    verdict = await asked(desk, f"http://127.0.0.1:{free_port()}", **more)
    assert (verdict.action, verdict.reason) == (action, reason)
    assert verdict.failed == (("judge", Reason.GUARD_FAILED),)


@pytest.mark.parametrize(
    ("more", "action", "reason"),
    [
        ({"action": Action.FLAG}, Action.FLAG, None),
        ({"observe": True}, Action.OFF, None),
        ({"action": Action.MASK}, Action.BLOCK, Reason.GUARD_UNMASKABLE),
    ],
)
async def test_what_is_found_in_all_of_a_message_is_flagged_observed_or_blocked_but_not_masked(
    desk: Any, more: dict[str, Any], action: Action, reason: Reason | None
) -> None:
    async with detector_service(fakes.webhook_rejecting) as service:
        processor = asked_by(f"http://127.0.0.1:{service.port}", "webhook", **more)
        roots = call_with(a=NEEDLE, longest="the longest text of them all, by far")
        verdict = await desk.outside.examine([processor], roots, Direction.REQUEST, [])
    assert (verdict.action, verdict.reason) == (action, reason)
    assert [one.leaf.key for one in verdict.findings] == ["longest"]


async def test_one_that_fails_does_not_silence_the_others_and_none_waits_for_another(desk: Any) -> None:
    together = asyncio.Event()
    arrived: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.append("one")
        if len(arrived) == 2:
            together.set()
        await together.wait()
        writer.write(json_answer([[{**ROW, "detection": "X"}]]))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    down = f"http://127.0.0.1:{free_port()}"
    processors = [
        asked_by(url, name="first", action=Action.FLAG, cache_seconds=0),
        asked_by(down, name="second", failure=FailureMode.OPEN),
        asked_by(url, name="third", cache_seconds=0),
    ]
    verdict = await desk.outside.examine(processors, call_with(a="word"), Direction.REQUEST, [])
    server.close()
    assert (verdict.action, verdict.reason) == (Action.BLOCK, Reason.GUARD_EXTERNAL)
    assert [one.processor.name for one in verdict.findings] == ["first", "third"]
    assert verdict.failed == (("second", Reason.GUARD_FAILED),)


async def test_waiting_for_a_place_counts_against_the_time(desk: Any) -> None:
    async with http_service(lambda head, body: None) as service:
        url = f"http://127.0.0.1:{service.port}"
        processors = [asked_by(url, timeout=0.1, concurrency=1, model=str(n)) for n in range(3)]
        verdict = await desk.outside.examine(processors, call_with(a="word"), Direction.REQUEST, [])
        assert len(service.asked) == 1
    assert [reason for _, reason in verdict.failed] == [Reason.GUARD_TIMEOUT] * 3


async def test_who_goes_away_takes_its_questions_with_it(desk: Any) -> None:
    async with http_service(lambda head, body: None) as service:
        task = asyncio.get_running_loop().create_task(asked(desk, f"http://127.0.0.1:{service.port}"))
        await asyncio.wait_for(service.came.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(service.gone.wait(), 5)


async def test_a_detector_that_is_away_is_left_alone_until_it_answers_again(desk: Any) -> None:
    answers = [json_answer({}, "500 No")] * FAILURES
    async with http_service(lambda head, body: answers.pop() if answers else json_answer([[]])) as service:
        url = f"http://127.0.0.1:{service.port}"
        for _ in range(FAILURES + 3):
            verdict = await asked(desk, url)
            assert verdict.failed == (("judge", Reason.GUARD_FAILED),)
        assert (len(service.asked), desk.counted("open")) == (FAILURES, 3)
        desk.time += SECONDS
        assert await asked(desk, url) is NOTHING
        desk.time += 1000
        assert await asked(desk, url) is NOTHING
    assert desk.lines.events().count("guard_external_left_alone") == 1
    assert desk.lines.events()[-1] == "guard_external_back"


async def test_texts_that_a_detector_refuses_do_not_switch_it_off_for_others(desk: Any) -> None:
    said = [json_answer({}, "422 What")] * 2 * FAILURES + [json_answer(b"what")] * 2 * FAILURES
    async with http_service(lambda head, body: said.pop() if said else json_answer([[]])) as service:
        for _ in range(4 * FAILURES):
            await asked(desk, f"http://127.0.0.1:{service.port}")
        assert await asked(desk, f"http://127.0.0.1:{service.port}") is NOTHING
    assert desk.counted("open") == 0


async def test_the_same_text_is_asked_about_once_for_a_while(desk: Any) -> None:
    async with detector_service(fakes.fms_contents) as service:
        url = f"http://127.0.0.1:{service.port}"
        for _ in range(3):
            await desk.outside.examine([asked_by(url)], call_with(a=NEEDLE), Direction.REQUEST, [])
        assert (len(service.asked), desk.counted("cached"), desk.counted("found")) == (1, 2, 1)
        for different in (
            asked_by(url, threshold=0.9),
            asked_by(url, model="m"),
            asked_by(url, cache_seconds=0),
        ):
            await desk.outside.examine([different], call_with(a=NEEDLE), Direction.REQUEST, [])
        assert len(service.asked) == 4
        desk.time += 300
        await asked(desk, url)
        await desk.outside.examine([asked_by(url)], call_with(a=NEEDLE), Direction.REQUEST, [])
        assert len(service.asked) == 6


async def test_kinds_are_so_many_and_no_more(desk: Any) -> None:
    made = [{**ROW, "detection": f"kind{n}"} for n in range(1, MOST_KINDS + 10)]
    async with http_service(lambda head, body: json_answer([made])) as service:
        verdict = await asked(desk, f"http://127.0.0.1:{service.port}")
    kinds = [one.kind for one in verdict.findings]
    assert len(set(kinds)) == MOST_KINDS + 1
    assert kinds[-1] == "OTHER"
