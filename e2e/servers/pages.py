"""A server of both eras that gives its tools page by page, with the cursors and caching hints that tempt a filter.

The first page holds only what the tests forbid, and its cursor is the empty string, which is a valid cursor: a
filter that takes an empty page or an empty cursor for the end loses the rest.
"""

from __future__ import annotations

import argparse
from typing import Any

import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from e2e.servers.serve import Executed, serve

ANY = {"type": "object"}
DAY_MILLISECONDS = 86_400_000
# cursor -> (names, next cursor); None is the first page and the end.
PAGES: dict[str | None, tuple[list[str], str | None]] = {
    None: (["delete_note"], ""),
    "": (["write_note", "read_note"], "last page/=?"),
    "last page/=?": (["delete_all"], None),
}


async def list_tools(ctx: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    names, after = PAGES[params.cursor if params else None]
    tools = [types.Tool(name=name, description=name, input_schema=ANY) for name in names]
    return types.ListToolsResult(tools=tools, next_cursor=after)


def build(executed: Executed) -> Server[Any]:
    async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        if not any(params.name in names for names, _ in PAGES.values()):
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        executed(params.name)
        return types.CallToolResult(content=[types.TextContent(text="note 1")])

    hints: dict[Any, CacheHint] = {"tools/list": CacheHint(ttl_ms=DAY_MILLISECONDS, scope="public")}
    return Server("pages", cache_hints=hints, on_list_tools=list_tools, on_call_tool=call_tool)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executed", help="file that gets the name of each tool that ran")
    serve(build(Executed(parser.parse_args().executed)).streamable_http_app())


if __name__ == "__main__":
    main()
