"""A client that is refused something keeps its session, and what passes the sidecar arrives as it was sent.

Real SDK clients of both eras, and raw requests where an SDK would hide the detail: the JSON type of an id, a
cursor that is the empty string, the caching hints.
"""

from __future__ import annotations

from typing import Any

import pytest

from e2e import sdk_clients, sidecars
from e2e.conftest import Sidecars, Subjects, skip
from e2e.environments import Unavailable
from e2e.probing import Probe
from e2e.raw import Answer, Route
from e2e.sdk_clients import CLIENTS, Client, Found
from e2e.subjects import KINDS, LEGACY, MODERN, Kind, Server

INVALID_PARAMS = -32602
NO_SUCH_TOOL = "no_such_tool"
CALLS = [
    ("delete_note", {"id": "1"}),
    ("read_note", {"id": "1"}),
    (NO_SUCH_TOOL, {}),
    ("read_note", {"id": "2"}),
]
PROGRAMS = ["v1", "v2", "ts1", "ts2"]
IDS = [7, "7", "", "a b\u00fc", 0, -1, 2**53 - 1]
NOTES = [kind for kind in KINDS if kind.records]
PAGES = [Kind(f"pages-{revision}", "pages", revision) for revision in (LEGACY, MODERN)]


def _documents(server: Server, *tools: str) -> list[Any]:
    rule = {"backend": "subject", "tools": {"allow": list(tools)}}
    return [sidecars.backend("subject", server.port), sidecars.policy(rule)]


def _probe(kind: Kind, subject: Subjects, sidecar: Sidecars, *tools: str) -> Probe:
    server = subject(kind.program)
    started = sidecar(f"{kind.program}-{'-'.join(tools)}", _documents(server, *tools))
    return Probe(kind, server, Route(server.port, server.path, started.forward))


@pytest.fixture(scope="module")
def played(subject: Subjects, sidecar: Sidecars) -> Found:
    """Every client against every server, with a refused call before and after an allowed one."""
    servers = {program: subject(program) for program in PROGRAMS}
    backends = [sidecars.backend(program, server.port) for program, server in servers.items()]
    rules = [{"backend": program, "tools": {"allow": ["read_note"]}} for program in servers]
    started = sidecar("sessions", [*backends, sidecars.policy(*rules)])
    urls = [(program, server.url) for program, server in servers.items()]
    try:
        return sdk_clients.play(urls, CALLS, started.proxy)
    except Unavailable as reason:
        skip("the SDK clients", reason)
        raise


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_client_keeps_its_session_through_denials(client: Client, program: str, played: Found) -> None:
    got = played[client.name, program]
    assert "error" not in got
    assert got["tools"] == ["read_note"]
    refused, first, unknown, second = got["calls"]
    assert first == {"text": "note 1", "isError": False}
    assert second == {"text": "note 2", "isError": False}
    assert refused["code"] == unknown["code"] == INVALID_PARAMS
    assert "Unknown tool: delete_note" in refused["message"]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_forbidden_tool_looks_like_one_that_does_not_exist(client: Client, played: Found) -> None:
    refused, _, unknown, _ = played[client.name, "v2"]["calls"]
    assert refused["message"].replace("delete_note", NO_SUCH_TOOL) == unknown["message"]


@pytest.mark.parametrize("identifier", IDS, ids=repr)
@pytest.mark.parametrize("kind", NOTES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("tool", ["read_note", "delete_note"])
def test_an_id_keeps_its_value_and_its_json_type(
    tool: str, kind: Kind, identifier: Any, subject: Subjects, sidecar: Sidecars
) -> None:
    probe = _probe(kind, subject, sidecar, "read_note")
    answer = probe.ask("tools/call", {"name": tool, "arguments": {"id": "1"}}, identifier)
    (message,) = [value for value in answer.messages() if "id" in value]
    assert message["id"] == identifier
    assert type(message["id"]) is type(identifier)
    assert ("error" in message) == (tool == "delete_note")


def _page(probe: Probe, cursor: str | None) -> dict[str, Any]:
    answer = probe.ask("tools/list", {} if cursor is None else {"cursor": cursor})
    (message,) = [value for value in answer.messages() if "id" in value]
    result: dict[str, Any] = message["result"]
    return result


@pytest.mark.parametrize("kind", PAGES, ids=lambda kind: kind.name)
def test_a_page_that_is_filtered_to_nothing_keeps_its_cursor(
    kind: Kind, subject: Subjects, sidecar: Sidecars
) -> None:
    probe = _probe(kind, subject, sidecar, "read_note")
    first = _page(probe, None)
    assert (first["tools"], first["nextCursor"]) == ([], "")
    second = _page(probe, first["nextCursor"])
    assert [tool["name"] for tool in second["tools"]] == ["read_note"]
    third = _page(probe, second["nextCursor"])
    assert third["tools"] == []
    assert third.get("nextCursor") is None


def test_a_filtered_list_may_not_be_shared_or_kept_for_long(subject: Subjects, sidecar: Sidecars) -> None:
    page = _page(_probe(PAGES[1], subject, sidecar, "read_note"), "")
    assert page["cacheScope"] == "private"
    assert page["ttlMs"] <= 60_000


def test_a_list_that_nothing_is_hidden_from_keeps_its_caching_hints(
    subject: Subjects, sidecar: Sidecars
) -> None:
    page = _page(_probe(PAGES[1], subject, sidecar, "*"), "")
    assert [tool["name"] for tool in page["tools"]] == ["write_note", "read_note"]
    assert (page["cacheScope"], page["ttlMs"]) == ("public", 86_400_000)


@pytest.mark.parametrize("kind", NOTES, ids=lambda kind: kind.name)
def test_a_denial_is_http_200_with_a_json_rpc_error(kind: Kind, subject: Subjects, sidecar: Sidecars) -> None:
    probe = _probe(kind, subject, sidecar, "read_note")
    answer: Answer = probe.ask("tools/call", {"name": "delete_note", "arguments": {}})
    assert answer.status == 200
    (message,) = answer.messages()
    assert message["error"] == {"code": INVALID_PARAMS, "message": "Unknown tool: delete_note"}
    probe.still_works()
