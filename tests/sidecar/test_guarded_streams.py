"""Masked streams are the same however they are cut, and a large message does not stop everything else."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

import pytest

from tests.support.guarded_checks import TOKEN, between
from tests.support.guarded_messages import INJECTION, MAIL
from tests.support.guarded_ways import SSE, Server, event
from tests.support.loopback import call, client_of, json_answer, post, read_request, result

SIZE = 3 << 20
LONGEST = 5.0
"""Seconds for which a loop may stand still on a machine that does much else; it is a tenth of that alone."""


def progress(text: str) -> dict[str, Any]:
    params = {"progressToken": "t", "progress": 1, "message": text}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


EVENTS = b"".join(
    map(
        event,
        [
            progress("Asking jane.doe@exa"),
            progress("mple.com and others."),
            {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": MAIL}},
            result({"content": [{"type": "text", "text": f"{MAIL} {TOKEN} ann.lee@example.org"}]}),
        ],
    )
)


class Cut(Server):
    """Sends a stream in pieces that are cut anywhere."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self.draw = draw

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        places = sorted(self.draw.sample(range(1, len(EVENTS)), 30))
        writer.write(SSE + b"connection: close\r\n\r\n")
        for start, end in zip([0, *places], [*places, len(EVENTS)], strict=True):
            writer.write(EVENTS[start:end])
            await writer.drain()
            await asyncio.sleep(0)


async def stream_cut_by(seed: int) -> bytes:
    async with between("{pii: mask, secrets: mask}", Cut(random.Random(seed))) as (_, port, _):
        async with client_of(port) as client:
            await client.send(post(call("search")))
            _, _, body = await client.answer()
    return body


async def test_however_a_stream_is_cut_the_agent_gets_the_same_bytes() -> None:
    streams = {await stream_cut_by(seed) for seed in range(8)}
    assert len(streams) == 1
    (body,) = streams
    for part in (MAIL, TOKEN, "jane.doe", "mple.com", "ann.lee"):
        assert part.encode() not in body
    assert body.count(b"data: ") == 4


BIG = {
    "words": "nothing of note is in here " * (SIZE // 27),
    "addresses": "jane.doe@example.com " * (SIZE // 21),
    "one letter": "a" * SIZE,
    "beginnings": "ignore all previous " * (SIZE // 20),
}


class Ticker:
    """Remembers for how long nobody else had a turn."""

    longest = 0.0

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.longest, last = max(self.longest, now - last), now


@pytest.mark.parametrize("name", BIG)
@pytest.mark.parametrize("way", ["request", "answer"])
async def test_a_large_message_does_not_stop_the_others(way: str, name: str) -> None:
    guardrails = "{pii: mask, injection: block, budget: 100ms}"
    ticker = Ticker()
    async with between(guardrails) as (_, port, server), client_of(port) as client:
        text = {"request": "", "answer": "", way: BIG[name]}
        server.answer = json_answer(result({"content": [{"type": "text", "text": text["answer"]}]}))
        turning = asyncio.ensure_future(ticker.run())
        _, got = await client.rpc(call("search", q=text["request"]))
        turning.cancel()
    assert ticker.longest < LONGEST
    if "result" in got:
        assert MAIL not in json.dumps([got, [value for _, value in server.got]])
    else:
        assert got["error"]["data"]["reason"] == "guard_timeout"


async def test_what_comes_after_a_large_message_is_looked_at_in_full() -> None:
    async with between("{injection: block}") as (_, port, server), client_of(port) as client:
        server.answer = json_answer(result({"content": []}))
        await client.rpc(call("search", q=BIG["beginnings"]))
        _, got = await client.rpc(call("search", q=INJECTION))
    assert got["error"]["data"] == {"reason": "guard_injection"}
