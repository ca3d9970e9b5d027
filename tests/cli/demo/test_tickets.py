"""The MCP server of the demo of which not everything is what it seems, asked without any transport."""

from __future__ import annotations

import json

import pytest
from mcp import Client

from cli.demo.cast import ERAS
from cli.demo.content_judgements import CALL, EVERY_TOOL
from cli.demo.ticket_texts import CUSTOMER_MAIL, POISONED, QUEUE, QUEUE_LATER, TICKETS
from cli.demo.tickets import build, change


@pytest.mark.parametrize("era", ERAS)
async def test_it_has_what_the_story_tells_of_it(era: str) -> None:
    async with Client(build(), mode=era) as client:
        tools = {tool.name: tool.description for tool in (await client.list_tools()).tools}
    assert tuple(tools) == EVERY_TOOL
    assert tools["export_tickets"] == POISONED
    assert tools["count_tickets"] == QUEUE


async def test_it_answers() -> None:
    async with Client(build()) as client:
        assert TICKETS["7"] in str((await client.call_tool("read_ticket", {"number": "7"})).content)
        customer = await client.call_tool("find_customer", {"number": "7"})
        assert customer.structured_content == {"name": "Carol", "mail": CUSTOMER_MAIL, "open_tickets": 1}
        assert "paged" in str((await client.call_tool("page_oncall", {"reason": "smoke"})).content)


async def test_it_tells_what_reached_it(capsys: pytest.CaptureFixture[str]) -> None:
    async with Client(build()) as client:
        await client.call_tool("reply", {"number": "7", "text": "Hello."})
        await client.call_tool("search_orders", {"sql": "SELECT 1"})
        await client.call_tool("export_tickets", {"note": "none"})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"event": "reply", "text": "Hello."},
        {"event": "sql", "sql": "SELECT 1"},
        {"event": "export", "note": "none"},
    ]


async def test_a_tool_changes_and_goes_on_working() -> None:
    server = build()
    async with Client(server) as client:
        before = await client.call_tool(*CALL)
        change(server)
        tools = {tool.name: tool.description for tool in (await client.list_tools()).tools}
        assert set(tools) == set(EVERY_TOOL)
        assert tools["count_tickets"] == QUEUE_LATER
        assert (await client.call_tool(*CALL)).content == before.content
