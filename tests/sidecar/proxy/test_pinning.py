"""Pins through a whole sidecar: what changed is hidden and refused, on every way that lists come."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mesh.pins.book import MOST_HIDDEN, MOST_TOOLS, FirstUse
from mesh.pins.digest import set_digest, tool_digest
from mesh.policy.load import load_texts
from mesh.reasons import Reason
from sidecar.app import Sidecar
from sidecar.config import AgentSettings
from sidecar.control.saved import PINS_FILE
from sidecar.control.saved_pins import SavedPins
from sidecar.proxy.pinning import MOST_LINES, Pinning, PinStore
from sidecar.telemetry import names
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics
from tests.support.fakes import Lines
from tests.support.loopback import (
    POLICY,
    Client,
    call,
    client_of,
    json_answer,
    post,
    read_request,
    result,
    serving,
    sidecar_for,
)

FIRST_USE = "{mode: FirstUse}"
EVERY = POLICY.replace(
    '{allow: [search, "list_*"], deny: ["*delete*"]}', '{allow: ["*", "get_\u0456ssue", "取得"]}'
)


def pinned(pin: str, policy: str = EVERY) -> str:
    """The usual policy with every tool granted, and the github Backend pinned."""
    marker = "path: /mcp, tls: {mode: None}"
    assert marker in policy
    return policy.replace(marker, f"{marker}, pin: {pin}", 1)


def tool(name: str, description: str = "Does it.", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": {"type": "object"}, **more}


def approved(*tools: dict[str, Any]) -> str:
    return json.dumps({"mode": "Approved", "tools": {one["name"]: tool_digest(one) for one in tools}})


@dataclass
class World:
    """A server whose lists a test writes, a sidecar before it, and a client."""

    sidecar: Sidecar
    port: int
    client: Client
    pages: dict[str | None, dict[str, Any]]
    called: list[str]
    lines: Lines
    sse: list[bool]
    modern: bool = False
    ids: Iterator[int] = field(default_factory=lambda: iter(range(1, 100_000)))

    async def ask(self, method: str, params: dict[str, Any], **headers: str) -> Any:
        if self.modern:
            params = {
                **params,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientInfo": {"name": "a", "version": "1"},
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
            }
            headers |= {"mcp_protocol_version": "2026-07-28", "mcp_method": method}
            if "name" in params:
                headers["mcp_name"] = params["name"]
        message = {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}
        return await self.send(message, **headers)

    async def send(self, message: Any, **headers: str) -> Any:
        await self.client.send(post(message, **headers))
        _, fields, body = await self.client.answer()
        if fields["content-type"] == "text/event-stream":
            body = b"".join(one[6:] for one in body.splitlines() if one.startswith(b"data: "))
        return json.loads(body)

    async def page(self, cursor: str | None = None, **headers: str) -> dict[str, Any]:
        answer = await self.ask("tools/list", {} if cursor is None else {"cursor": cursor}, **headers)
        listed: dict[str, Any] = answer["result"]
        return listed

    async def names(self, cursor: str | None = None, **headers: str) -> list[str]:
        return [one["name"] for one in (await self.page(cursor, **headers))["tools"]]

    async def all(self, **headers: str) -> list[str]:
        found, cursor = [], None
        while True:
            page = await self.page(cursor, **headers)
            found += [one["name"] for one in page["tools"]]
            cursor = page.get("nextCursor")
            if cursor is None:
                return found

    async def refusal(self, name: str) -> str | None:
        """The reason why a call is refused; None where it reached the server."""
        before = len(self.called)
        answer = await self.ask("tools/call", {"name": name, "arguments": {}})
        if len(self.called) > before:
            assert "result" in answer
            return None
        return str(answer["error"]["data"]["reason"])

    def offer(self, *tools: dict[str, Any], **more: Any) -> None:
        self.pages.clear()
        self.pages[None] = {"tools": list(tools), **more}

    def told(self) -> list[tuple[str, str | None, str]]:
        return [
            (str(one["reason"]), one["tool"], one["what"]) for name, one in self.lines.lines if name == "pin"
        ]

    def counted(self, reason: Reason) -> int:
        return self.sidecar.metrics.value(names.PIN_FINDINGS, ("github", reason))


@asynccontextmanager
async def world(
    pin: str = FIRST_USE,
    *,
    policy: str = EVERY,
    store: PinStore | None = None,
    wall: Any = time.time,
    modern: bool = False,
) -> AsyncIterator[World]:
    pages: dict[str | None, dict[str, Any]] = {None: {"tools": []}}
    called: list[str] = []
    sse = [False]

    def answered(message: dict[str, Any]) -> dict[str, Any]:
        if message["method"] == "tools/list":
            return result(pages[message["params"].get("cursor")], message["id"])
        called.append(message["params"]["name"])
        return result({"content": []}, message["id"])

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            message = json.loads((await read_request(reader))[1])
            answer = [answered(m) for m in message] if isinstance(message, list) else answered(message)
            if sse[0]:
                data = b"data: " + json.dumps(answer).encode() + b"\n\n"
                head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
                writer.write(head % len(data) + data)
            else:
                writer.write(json_answer(answer))
            await writer.drain()

    text = pinned(pin, policy)
    async with serving(script) as backend, sidecar_for(backend.port, policy=text) as (sidecar, port):
        lines = Lines()
        sidecar.recorder.log = lines  # type: ignore[assignment]
        guard = sidecar.pipeline.answers.guard
        assert guard is not None
        guard.pinning = Pinning(sidecar.pipeline.policy, sidecar.recorder, store=store, wall=wall)
        async with client_of(port) as client:
            yield World(sidecar, port, client, pages, called, lines, sse, modern)


# First use.


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("sse", [False, True])
async def test_a_changed_tool_is_hidden_and_refused_until_it_is_as_it_was(modern: bool, sse: bool) -> None:
    async with world(modern=modern) as w:
        w.sse[0] = sse
        w.offer(tool("a"), tool("b"))
        assert await w.refusal("a") is None
        assert await w.names() == ["a", "b"]
        w.offer(tool("a", "Does more."), tool("b"))
        assert await w.names() == ["b"]
        assert await w.refusal("a") == "pin_changed"
        assert await w.refusal("b") is None
        w.offer(tool("a"), tool("b"))
        assert await w.names() == ["a", "b"]
        assert await w.refusal("a") is None
        assert w.told() == [("pin_changed", "a", 'description: "Does it." -> "Does more."')]


async def test_a_difference_is_told_once_and_counted_each_time() -> None:
    async with world() as w:
        w.offer(tool("a"))
        await w.all()
        for description in ("x", "x", "y"):
            w.offer(tool("a", description))
            await w.all()
        assert [what for _, _, what in w.told()] == [f'description: "Does it." -> "{x}"' for x in "xy"]
        assert w.counted(Reason.PIN_CHANGED) == 3


async def test_what_comes_later_is_hidden_and_said_what_it_is() -> None:
    async with world() as w:
        w.offer(tool("get_issue"), tool("pay", "Pays."))
        await w.all()
        w.offer(
            tool("get_issue"),
            tool("refund", "Other."),
            tool("transfer", "Pays."),
            tool("get_\u0456ssue"),
            tool("getIssue"),
            tool("get_issues", "Third."),
        )
        assert await w.names() == ["get_issue"]
        assert w.told() == [
            ("pin_added", "refund", "new"),
            ("pin_added", "transfer", '"pay" renamed: all but the name is the same'),
            ("pin_lookalike", "get_\u0456ssue", 'like "get_issue", but for letters that look like others'),
            ("pin_lookalike", "getIssue", 'like "get_issue", but for case or separators'),
            ("pin_lookalike", "get_issues", 'like "get_issue", but for one keystroke'),
            ("pin_removed", "pay", "the server no longer lists it"),
        ]
        assert await w.refusal("refund") == "pin_added"
        assert await w.refusal("get_\u0456ssue") == "pin_lookalike"
        assert await w.refusal("never_listed") == "pin_added"
        assert await w.refusal("pay") is None


async def test_a_disguise_is_hidden_in_the_first_list_already() -> None:
    async with world() as w:
        w.offer(tool("get_issue"), tool("get_issues"), tool("get_\u0456ssue"), tool("取得"))
        assert await w.names() == ["get_issue", "get_issues", "取得"]
        assert await w.refusal("get_\u0456ssue") == "pin_lookalike"


async def test_one_name_offered_twice_is_hidden_where_one_is_not_pinned() -> None:
    async with world() as w:
        w.offer(tool("a"), tool("b"))
        await w.all()
        w.offer(tool("a"), tool("a", "Other."), tool("b"))
        assert await w.names() == ["b"]
        assert await w.refusal("a") == "pin_changed"


async def test_meta_data_and_the_order_of_members_do_not_count() -> None:
    async with world() as w:
        w.offer(tool("a", _meta={"at": 1}))
        await w.all()
        w.offer(dict(reversed(tool("a", _meta={"at": 2}).items())))
        assert await w.names() == ["a"]
        w.offer(tool("a", _meta={"at": 2, "ui": {"resourceUri": "ui://x"}}))
        assert await w.names() == []


# Pages.


async def test_pages_are_never_merged_and_the_list_is_sealed_after_the_last() -> None:
    async with world() as w:
        w.pages.update({None: {"tools": [tool("a")], "nextCursor": ""}, "": {"tools": [tool("b")]}})
        assert await w.all() == ["a", "b"]
        assert await w.refusal("c") == "pin_added"
        w.pages.update(
            {
                None: {"tools": [tool("c")], "nextCursor": "", "ttlMs": 3600000, "cacheScope": "public"},
                "": {"tools": [tool("b"), tool("a")], "ttlMs": 3600000, "cacheScope": "public"},
            }
        )
        first = await w.page()
        assert first == {"tools": [], "nextCursor": "", "ttlMs": 60000, "cacheScope": "private"}
        assert [one["name"] for one in (await w.page(""))["tools"]] == ["b", "a"]


async def test_until_the_list_is_complete_tools_are_pinned_as_they_are_seen() -> None:
    async with world() as w:
        w.offer(tool("a"), nextCursor="x")
        await w.page()
        assert await w.refusal("b") is None
        w.offer(tool("a", "Other."), tool("b"), nextCursor="x")
        assert await w.names() == ["b"]
        w.offer(tool("a"), tool("b"))
        assert await w.names() == ["a", "b"]
        w.offer(tool("c"))
        assert await w.names() == []


async def test_a_list_that_never_ends_is_sealed_by_time() -> None:
    now = [1000.0]
    async with world(wall=lambda: now[0]) as w:
        for index in range(5):
            w.pages[None if not index else str(index)] = {
                "tools": [tool(f"t{index}")],
                "nextCursor": str(index + 1),
            }
        assert await w.names() == ["t0"]
        assert await w.names("1") == ["t1"]
        now[0] += FirstUse.WINDOW + 1
        assert await w.names("2") == []
        assert await w.names("1") == ["t1"]
        assert await w.refusal("t2") == "pin_added"


async def test_a_clock_that_is_set_back_ends_the_first_use() -> None:
    now = [1000.0]
    async with world(wall=lambda: now[0]) as w:
        w.offer(tool("a"), nextCursor="x")
        assert await w.names() == ["a"]
        now[0] = 0.0
        w.offer(tool("a"), tool("b"), nextCursor="x")
        assert await w.names() == ["a"]


async def test_clients_that_list_at_once_do_not_complete_each_others_lists() -> None:
    async with world() as w, client_of(w.port) as other:
        w.pages.update(
            {
                None: {"tools": [tool("a")], "nextCursor": "1"},
                "1": {"tools": [tool("b")], "nextCursor": "2"},
                "2": {"tools": [tool("c")]},
            }
        )
        await w.page(mcp_session_id="one")
        await w.page("1", mcp_session_id="one")
        first, w.client = w.client, other
        await w.page(mcp_session_id="two")
        # The last page of a list that this client did not begin.
        await w.page("2", mcp_session_id="two")
        assert await w.refusal("d") is None
        w.client = first
        await w.page("2", mcp_session_id="one")
        assert await w.refusal("d") == "pin_added"


# Other ways.


async def test_lists_in_a_batch_are_held_to_their_pins() -> None:
    async with world() as w:
        w.offer(tool("a"))
        await w.all()
        w.offer(tool("a", "Other."))
        ask = [{"jsonrpc": "2.0", "id": one, "method": "tools/list", "params": {}} for one in (1, 2)]
        assert [one["result"]["tools"] for one in await w.send(ask)] == [[], []]


async def test_a_call_of_a_hidden_tool_refuses_its_whole_batch() -> None:
    async with world() as w:
        w.offer(tool("a"))
        await w.all()
        answers = await w.send([call("a", 1), call("b", 2)])
        assert [one["error"]["data"]["reason"] for one in answers] == ["batch_refused", "pin_added"]
        assert w.called == []


async def test_what_the_policy_hides_is_pinned_like_the_rest() -> None:
    narrow = POLICY.replace('deny: ["*delete*"]', 'deny: ["list_delete"]')
    async with world(policy=narrow) as w:
        w.offer(tool("search"), tool("drop"))
        assert await w.names() == ["search"]
        w.offer(tool("search"), tool("drop", "Other."))
        assert await w.names() == ["search"]
        assert [(reason, name) for reason, name, _ in w.told()] == [("pin_changed", "drop")]


async def test_an_observed_pin_only_tells() -> None:
    async with world("{mode: FirstUse, observe: true}") as w:
        w.offer(tool("a"), cacheScope="public")
        await w.all()
        w.offer(tool("a", "Other."), tool("b"), cacheScope="public")
        assert await w.names() == ["a", "b"]
        assert await w.refusal("a") is None
        assert w.counted(Reason.PIN_CHANGED) == 2
        assert {one["observed"] for name, one in w.lines.lines if name == "pin"} == {True}


async def test_without_a_pin_nothing_is_looked_at() -> None:
    async with world("{mode: Off}") as w:
        w.offer(tool("a"))
        await w.all()
        w.offer(tool("a", "Other."), tool("b"))
        assert await w.names() == ["a", "b"]


# Approved.


async def test_only_what_was_approved_is_shown_and_called() -> None:
    async with world(approved(tool("a"), tool("get_issue"))) as w:
        assert await w.refusal("b") == "pin_not_approved"
        assert await w.refusal("a") is None
        w.offer(tool("a"), tool("b"), tool("get-issue"), tool("get_issue", "Other."))
        assert await w.names() == ["a"]
        assert await w.refusal("get_issue") == "pin_not_approved"
        assert await w.refusal("get-issue") == "pin_lookalike"
        assert [(reason, name) for reason, name, _ in w.told()] == [
            ("pin_not_approved", "b"),
            ("pin_lookalike", "get-issue"),
            ("pin_not_approved", "get_issue"),
        ]


async def test_an_approved_tool_that_changes_shows_the_difference_to_what_was_seen() -> None:
    async with world(approved(tool("a"))) as w:
        w.offer(tool("a"))
        await w.all()
        w.offer(tool("a", "Other."))
        await w.all()
        assert w.told() == [("pin_not_approved", "a", 'description: "Does it." -> "Other."')]


async def test_an_approved_set_is_shown_from_its_last_page_on() -> None:
    digest = set_digest([tool_digest(tool("a")), tool_digest(tool("b"))])
    async with world(f"{{mode: Approved, digest: '{digest}'}}") as w:
        w.offer(tool("b"), tool("a"))
        assert await w.refusal("a") == "pin_not_approved"
        assert await w.names() == ["b", "a"]
        assert await w.refusal("a") is None
        w.offer(tool("b"), tool("a"), tool("c"))
        assert await w.names() == ["b", "a"]
        assert [(reason, name) for reason, name, _ in w.told()] == [
            ("pin_not_approved", "c"),
            ("pin_not_approved", None),
        ]


async def test_an_approved_set_in_pages_is_shown_when_it_was_seen_whole() -> None:
    digest = set_digest([tool_digest(tool("a")), tool_digest(tool("b"))])
    async with world(f"{{mode: Approved, digest: '{digest}'}}") as w:
        w.pages.update({None: {"tools": [tool("a")], "nextCursor": "1"}, "1": {"tools": [tool("b")]}})
        assert await w.all() == ["b"]
        assert await w.all() == ["a", "b"]


async def test_another_set_than_the_approved_one_is_hidden_whole() -> None:
    digest = set_digest([tool_digest(tool("a"))])
    async with world(f"{{mode: Approved, digest: '{digest}'}}") as w:
        w.offer(tool("a"), tool("b"))
        assert await w.names() == []
        assert await w.refusal("a") == "pin_not_approved"


# What outlives the process, and what does not.


def kept_in(folder: Path, lines: Any = None, metrics: Metrics | None = None) -> SavedPins:
    return SavedPins(folder, AgentSettings("agents", "triage"), lines or Lines(), metrics or Metrics())


async def written(folder: Path, before: bytes = b"") -> bytes:
    path = folder / PINS_FILE
    async with asyncio.timeout(30):
        while not path.exists() or path.read_bytes() == before:
            await asyncio.sleep(0.005)
    return path.read_bytes()


@pytest.mark.parametrize("complete", [True, False])
async def test_pins_survive_the_process(tmp_path: Path, complete: bool) -> None:
    async with world(store=kept_in(tmp_path)) as w:
        w.offer(tool("a"), **({} if complete else {"nextCursor": "x"}))
        await w.page()
        await written(tmp_path)
    async with world(store=kept_in(tmp_path)) as w:
        assert await w.refusal("b") == ("pin_added" if complete else None)
        w.offer(tool("a", "Other."))
        assert await w.names() == []
        assert w.told() == [("pin_changed", "a", 'description: "Does it." -> "Other."')]


@pytest.mark.parametrize("pin", ["{mode: FirstUse, generation: 2}", approved(tool("a", "Other."))])
async def test_another_pin_begins_anew(tmp_path: Path, pin: str) -> None:
    async with world(store=kept_in(tmp_path)) as w:
        w.offer(tool("a"))
        await w.page()
        await written(tmp_path)
    async with world(pin, store=kept_in(tmp_path)) as w:
        w.offer(tool("a", "Other."))
        assert await w.names() == ["a"]


async def test_a_policy_in_force_later_keeps_the_pins_or_begins_anew() -> None:
    async with world() as w:
        guard = w.sidecar.pipeline.answers.guard
        assert guard is not None

        def use(pin: str) -> None:
            documents = load_texts([("policies.yaml", pinned(pin))])
            w.sidecar.pipeline.use(w.sidecar._compiled(documents, {}))

        w.offer(tool("a"))
        await w.page()
        w.offer(tool("a", "Other."))
        use("{mode: FirstUse, observe: true}")
        assert await w.names() == ["a"]
        use(FIRST_USE)
        assert await w.names() == []
        use("{mode: FirstUse, generation: 2}")
        assert await w.names() == ["a"]


async def test_a_damaged_file_is_told_and_not_used(tmp_path: Path) -> None:
    (tmp_path / PINS_FILE).write_bytes(b"outrider 1 0\n{}")
    lines = Lines()
    async with world(store=kept_in(tmp_path, lines)) as w:
        assert [name for name, _ in lines.lines] == ["saved_unusable"]
        w.offer(tool("a"))
        assert await w.names() == ["a"]


async def test_a_folder_that_cannot_be_written_takes_nothing_from_the_pins(tmp_path: Path) -> None:
    lines, metrics = Lines(), Metrics()
    async with world(store=kept_in(tmp_path / "gone", lines, metrics)) as w:
        w.offer(tool("a"))
        await w.page()
        async with asyncio.timeout(30):
            while not metrics.value(names.PIN_SAVE_FAILURES):
                await asyncio.sleep(0.005)
        assert [name for name, _ in lines.lines] == ["pins_not_saved"]
        w.offer(tool("a", "Other."))
        assert await w.names() == []


# Hostile servers.


async def test_ten_thousand_tools_are_pinned_up_to_a_bound() -> None:
    async with world() as w:
        w.offer(*[tool(f"tool_{index:05}") for index in range(10_000)])
        assert len(await w.names()) == MOST_TOOLS
        assert await w.names() == [f"tool_{index:05}" for index in range(MOST_TOOLS)]
        assert len([name for name, _ in w.lines.lines if name == "pin"]) <= 2 * (MOST_LINES + 1)
        assert w.counted(Reason.PIN_ADDED) == 2 * (10_000 - MOST_TOOLS)


async def test_other_tools_each_time_take_no_more_memory() -> None:
    async with world() as w:
        w.offer(tool("a"))
        await w.page()
        for turn in range(20):
            w.offer(tool("a"), *[tool(f"x{turn}_{index}") for index in range(500)])
            assert await w.names() == ["a"]
        guard = w.sidecar.pipeline.answers.guard
        assert guard is not None
        (entry,) = guard.pinning._open.values()
        assert len(entry.book.pins) == 1
        assert len(entry.book._others) <= MOST_HIDDEN
        assert len(guard.pinning._told) <= 4096
        assert len(guard.pinning._digests) <= 4096


@pytest.mark.parametrize("pin", [FIRST_USE, approved(tool("a"))])
async def test_a_crowd_of_new_tools_does_not_make_a_changed_one_forgotten(pin: str) -> None:
    async with world(pin) as w:
        w.offer(tool("a"))
        await w.page()
        w.offer(tool("a", "Other."), *[tool(f"x{index}") for index in range(3 * MOST_HIDDEN)])
        assert await w.names() == []
        assert await w.refusal("a") == ("pin_changed" if pin == FIRST_USE else "pin_not_approved")


async def test_a_list_of_nothing_is_no_use_yet() -> None:
    async with world() as w:
        w.offer()
        assert await w.names() == []
        w.offer(tool("a"))
        assert await w.names() == ["a"]
        w.offer(tool("a"), tool("b"))
        assert await w.names() == ["a"]


async def test_a_tool_that_is_too_large_is_hidden() -> None:
    async with world() as w:
        w.offer(tool("a"), tool("b", "x" * 300_000))
        assert await w.names() == ["a"]
        assert await w.refusal("b") == "pin_added"


async def test_a_large_definition_is_pinned_by_its_digest_alone() -> None:
    async with world() as w:
        w.offer(tool("a", "x" * 100_000))
        assert await w.names() == ["a"]
        w.offer(tool("a", "y" * 100_000))
        assert await w.names() == []
        assert w.told()[0][2].startswith("its digest is sha256:")


async def test_endless_pages_are_followed_to_a_bound() -> None:
    async with world() as w:
        w.offer(tool("a"), nextCursor="same")
        w.pages["same"] = {"tools": [tool("b")], "nextCursor": "same"}
        await w.page()
        for _ in range(300):
            assert await w.names("same") == ["b"]
        guard = w.sidecar.pipeline.answers.guard
        assert guard is not None
        (entry,) = guard.pinning._open.values()
        assert len(entry.listings._open) == 1


async def test_items_without_a_name_are_left_to_the_filter() -> None:
    async with world() as w:
        w.offer(tool("a"), {"Name": "b"}, {"name": 1})
        assert await w.names() == ["a"]
        w.offer(tool("a", "Other."), {"Name": "b"})
        assert await w.names() == []


def test_a_log_that_is_real_takes_what_is_written(tmp_path: Path) -> None:
    SavedPins(tmp_path, AgentSettings("agents", "triage"), Log(), Metrics()).load()


# Answers on another stream than the question's.


async def test_lists_on_the_stream_of_http_and_sse_are_followed_by_the_ids_of_their_questions() -> None:
    """HTTP+SSE (2024-11-05): each answer comes on the one GET stream."""
    streams: list[asyncio.StreamWriter] = []
    pages: dict[str | None, dict[str, Any]] = {
        None: {"tools": [tool("a")], "nextCursor": "2"},
        "2": {"tools": [tool("b")]},
    }

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            if head.startswith(b"GET"):
                streams.append(writer)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
                    b"event: endpoint\ndata: /mcp/messages?s=1\n\n"
                )
                continue
            message = json.loads(body)
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            answer = result(pages[message["params"].get("cursor")], str(message["id"]))
            streams[0].write(b"event: message\ndata: " + json.dumps(answer).encode() + b"\n\n")

    async def listed(stream: Client, client: Client, ident: int, cursor: str | None = None) -> list[str]:
        params = {} if cursor is None else {"cursor": cursor}
        message = {"jsonrpc": "2.0", "id": ident, "method": "tools/list", "params": params}
        await client.send(post(message, path="/mcp/messages?s=1"))
        assert (await client.answer())[0] == 202
        return [one["name"] for one in (await event(stream))["result"]["tools"]]

    async def event(stream: Client) -> Any:
        async with asyncio.timeout(30):
            while True:
                line = await stream.reader.readline()
                if line.startswith(b"data: {"):
                    return json.loads(line[6:])

    async with serving(script) as backend, sidecar_for(backend.port, policy=pinned(FIRST_USE)) as (_, port):
        async with client_of(port) as stream, client_of(port) as client:
            await stream.send(
                b"GET http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
                b"accept: text/event-stream\r\n\r\n"
            )
            assert (await stream.head())[0] == 200
            while b"data: /mcp/messages?s=1" not in await stream.reader.readline():
                pass
            assert await listed(stream, client, 1) == ["a"]
            assert await listed(stream, client, 2, "2") == ["b"]
            pages["2"] = {"tools": [tool("b"), tool("c")]}
            assert await listed(stream, client, 3, "2") == ["b"]
