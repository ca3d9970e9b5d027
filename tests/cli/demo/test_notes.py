"""The MCP server of the demo, asked without any transport."""

from __future__ import annotations

import pytest
from mcp import Client

from cli.demo.cast import ERAS
from cli.demo.judgements import EVERY_TOOL, PROMPT, RESOURCE
from cli.demo.notes import build


@pytest.mark.parametrize("era", ERAS)
async def test_it_has_what_the_story_tells_of_it(era: str) -> None:
    async with Client(build(), mode=era) as client:
        assert tuple(tool.name for tool in (await client.list_tools()).tools) == EVERY_TOOL
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == [PROMPT]
        assert [str(one.uri) for one in (await client.list_resources()).resources] == [RESOURCE]


async def test_notes_are_written_and_deleted() -> None:
    async with Client(build()) as client:
        await client.call_tool("write_note", {"name": "new", "text": "Hello."})
        assert "Hello." in str((await client.call_tool("read_note", {"name": "new"})).content)
        await client.call_tool("delete_note", {"name": "new"})
        assert "no such note" in str((await client.call_tool("read_note", {"name": "new"})).content)
        assert "new" not in str((await client.call_tool("list_notes", {})).content)


async def test_prompt_and_resource_answer() -> None:
    async with Client(build()) as client:
        assert "incident-42" in str(await client.get_prompt(PROMPT, {"name": "incident-42"}))
        assert "plant" in str(await client.read_resource(RESOURCE))
