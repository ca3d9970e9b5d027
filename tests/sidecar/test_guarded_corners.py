"""Where looking at content could be got round: batches, other streams, lists, header fields, errors, sessions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.protocol.mcp.versions import Era
from sidecar.guardrails.surrogates import TOKENS
from tests.support.guarded_checks import TOKEN, between, reason_of
from tests.support.guarded_messages import INJECTION, MAIL
from tests.support.guarded_ways import ACCEPTED, Server, request_of
from tests.support.loopback import Client, call, client_of, json_answer, post, result


def said(text: str, ident: Any = 1) -> dict[str, Any]:
    return result({"content": [{"type": "text", "text": text}]}, ident)


def listed(kind: str, *items: dict[str, Any], ident: Any = 1) -> dict[str, Any]:
    return result({kind: list(items)}, ident)


async def ask(client: Client, server: Server, message: Any, answer: Any, **headers: str) -> Any:
    """The agent's message, what the server answers, and what the agent reads."""
    server.answer = answer if type(answer) is bytes else json_answer(answer)
    _, got = await client.rpc(message, **headers)
    return got


def told(server: Server) -> Any:
    """What the server got last."""
    return server.got[-1][1]


# Batches: each message is looked at as one of its own tool.

BY_TOOL = (
    "{processors: [{name: own, detector: injection, action: block, tools: [careful]}], injection: 'off'}"
)


@pytest.mark.parametrize("order", [["careful", "other"], ["other", "careful"]])
async def test_answers_of_a_batch_are_looked_at_as_those_of_their_tools(order: list[str]) -> None:
    batch = [call(tool, number) for number, tool in enumerate(order, 1)]
    async with between(BY_TOOL) as (_, port, server), client_of(port) as client:
        got = await ask(client, server, batch, [said(INJECTION, 1), said(INJECTION, 2)])
    shown = {tool: "result" in one for tool, one in zip(order, got, strict=True)}
    assert shown == {"careful": False, "other": True}


async def test_what_answers_nothing_of_its_stream_is_looked_at_by_all() -> None:
    batch = [call("other", 1), call("other", 2)]
    async with between(BY_TOOL) as (_, port, server), client_of(port) as client:
        got = await ask(client, server, batch, [said("well", 1), said("well", 2), said(INJECTION, 3)])
    assert ["error" in one for one in got] == [False, False, True]


# Lists: what is hidden is not to be had by its name.

HIDDEN = [
    ("tools", {"name": "bad"}, {"name": "good"}, "tools/call", {"name": "bad", "arguments": {}}),
    ("prompts", {"name": "bad"}, {"name": "good"}, "prompts/get", {"name": "bad"}),
    (
        "resources",
        {"uri": "repo://acme/bad", "name": "b"},
        {"uri": "repo://acme/good", "name": "g"},
        "resources/read",
        {"uri": "repo://acme/bad"},
    ),
]


@pytest.mark.parametrize(("kind", "bad", "good", "method", "params"), HIDDEN, ids=[one[0] for one in HIDDEN])
async def test_an_item_that_is_hidden_cannot_be_asked_for_until_it_is_clean(
    kind: str, bad: dict[str, Any], good: dict[str, Any], method: str, params: dict[str, Any]
) -> None:
    list_it, ask_it = (
        request_of(f"{kind}/list", {}, 1, Era.LEGACY)[0],
        request_of(method, params, 1, Era.LEGACY)[0],
    )
    poisoned = {**bad, "description": INJECTION}
    async with between("{injection: block}") as (_, port, server), client_of(port) as client:
        got = await ask(client, server, list_it, listed(kind, poisoned, good))
        assert got["result"][kind] == [good]
        refused = await ask(client, server, ask_it, said("well"))
        assert (reason_of([refused]), told(server)["method"]) == ("tool_poisoned", f"{kind}/list")
        await ask(client, server, list_it, listed(kind, {**bad, "description": "Fine"}, good))
        assert "result" in await ask(client, server, ask_it, said("well"))


async def test_a_list_that_was_not_read_to_its_end_does_not_pass_without_its_poisoned_items() -> None:
    tools = [{"name": "bad", "description": INJECTION}]
    tools += [{"name": f"t{number}", "description": f"word{number} " * 4000} for number in range(60)]
    guardrails = "{processors: [{name: all, detector: injection, action: block, timeout: 1ms}]}"
    async with between(guardrails) as (_, port, server), client_of(port) as client:
        got = await ask(
            client, server, request_of("tools/list", {}, 1, Era.LEGACY)[0], listed("tools", *tools)
        )
    assert "error" in got


# Header fields repeat what is in the body.


@pytest.mark.parametrize("era", list(Era))
async def test_header_fields_say_nothing_that_was_masked_in_arguments(era: Era) -> None:
    message, fields = request_of("tools/call", {"name": "search", "arguments": {"to": MAIL}}, 1, era)
    async with between("{pii: mask}") as (_, port, server), client_of(port) as client:
        await ask(client, server, message, said("well"), **fields, mcp_param_to=MAIL)
    head, body = server.got[-1]
    assert body["params"]["arguments"] == {"to": "<EMAIL_1>"}
    assert MAIL.encode() not in head
    assert b"<EMAIL_1>" in head


@pytest.mark.parametrize("era", list(Era))
async def test_the_name_field_follows_a_uri_that_was_masked(era: Era) -> None:
    uri = f"repo://acme/{MAIL}"
    message, fields = request_of("resources/read", {"uri": uri}, 1, era)
    async with between("{pii: mask}") as (_, port, server), client_of(port) as client:
        await ask(client, server, message, said("well"), **{**fields, "mcp_name": uri})
    head, body = server.got[-1]
    assert MAIL not in body["params"]["uri"]
    assert MAIL.encode() not in head


# Reversible masking.

REVERSIBLE = "{pii: mask, reversible: true}"


async def test_a_value_of_the_agents_comes_back_in_results_errors_and_numbers_of_the_same_session() -> None:
    async with between(REVERSIBLE) as (_, port, server), client_of(port) as client:
        got = await ask(client, server, call("search", q=MAIL), said("to <EMAIL_1>"), mcp_session_id="s1")
        assert told(server)["params"]["arguments"] == {"q": "<EMAIL_1>"}
        assert got["result"]["content"][0]["text"] == f"to {MAIL}"
        error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "no <EMAIL_1> here"}}
        got = await ask(client, server, call("search"), error, mcp_session_id="s1")
        assert got["error"]["message"] == f"no {MAIL} here"


async def test_a_value_of_the_servers_goes_back_to_it_in_a_later_call() -> None:
    async with between(REVERSIBLE) as (_, port, server), client_of(port) as client:
        got = await ask(client, server, call("search"), said(f"ask {MAIL}"), mcp_session_id="s1")
        assert got["result"]["content"][0]["text"] == "ask <EMAIL_1>"
        await ask(client, server, call("search", to="<EMAIL_1>"), said("well"), mcp_session_id="s1")
        assert told(server)["params"]["arguments"] == {"to": MAIL}


async def test_a_server_cannot_have_its_own_value_shown_nor_the_agent_have_its_own_sent() -> None:
    async with between(REVERSIBLE) as (_, port, server), client_of(port) as client:
        await ask(client, server, call("search"), said(f"ask {MAIL}"))
        got = await ask(client, server, call("search"), said("ask <EMAIL_1>"))
        assert got["result"]["content"][0]["text"] == "ask <EMAIL_1>"
        await ask(client, server, call("search", q="ann.lee@example.org"), said("well"))
        await ask(client, server, call("search", q="<EMAIL_2>"), said("well"))
        assert told(server)["params"]["arguments"] == {"q": "<EMAIL_2>"}


@pytest.mark.parametrize("session", [None, "s2"])
async def test_values_of_one_session_are_not_to_be_had_in_another(session: str | None) -> None:
    fields = {} if session is None else {"mcp_session_id": session}
    async with between(REVERSIBLE) as (_, port, server), client_of(port) as client:
        await ask(client, server, call("search", q=MAIL), said("well"), mcp_session_id="s1")
        guesses = " ".join(f"<EMAIL_{number}>" for number in range(20))
        got = await ask(client, server, call("search"), said(guesses), **fields)
        assert got["result"]["content"][0]["text"] == guesses
        await ask(client, server, call("search", q=guesses), said("well"), **fields)
        assert told(server)["params"]["arguments"] == {"q": guesses}


async def test_what_is_never_turned_back_is_not_turned_back() -> None:
    guardrails = "{secrets: mask, reversible: true}"
    async with between(guardrails) as (_, port, server), client_of(port) as client:
        await ask(client, server, call("search", q=f"use {TOKEN}"), said("well"))
        (surrogate,) = TOKENS.pattern.findall(json.dumps(told(server)))
        got = await ask(client, server, call("search"), said(f"used {surrogate}"))
    assert got["result"]["content"][0]["text"] == f"used {surrogate}"


async def test_after_a_restart_surrogates_stay_as_they_are() -> None:
    async with between(REVERSIBLE) as (_, port, server), client_of(port) as client:
        await ask(client, server, call("search", q=MAIL), said("well"))
    async with between(REVERSIBLE) as (_, port, server), client_of(port) as client:
        got = await ask(client, server, call("search"), said("for <EMAIL_1>"))
        await ask(client, server, call("search", q="<EMAIL_1>"), said("well"))
        assert told(server)["params"]["arguments"] == {"q": "<EMAIL_1>"}
    assert got["result"]["content"][0]["text"] == "for <EMAIL_1>"


async def test_a_repeated_request_is_the_same_request() -> None:
    message = call("search", q=f"{MAIL} and ann.lee@example.org")
    async with between("{pii: mask}") as (_, port, server), client_of(port) as client:
        for _ in range(3):
            await ask(client, server, message, said("well"))
    assert len({json.dumps(value) for _, value in server.got}) == 1


# Who waits for an answer gets one.


async def test_an_answer_of_the_agents_that_is_kept_back_is_accepted_and_goes_nowhere() -> None:
    answer = {"jsonrpc": "2.0", "id": 7, "result": {"action": "accept", "content": {"a": TOKEN}}}
    async with between("{secrets: block}") as (_, port, server), client_of(port) as client:
        server.answer = ACCEPTED
        await client.send(post(answer))
        status, _, body = await client.answer()
    assert (status, body) == (202, b"")
    assert TOKEN not in json.dumps([value for _, value in server.got])


async def test_one_message_that_is_refused_refuses_its_batch() -> None:
    async with between("{secrets: block}") as (_, port, server), client_of(port) as client:
        got = await ask(client, server, [call("search", 1, q="x"), call("search", 2, q=TOKEN)], said("well"))
    assert [one["error"]["data"]["reason"] for one in got] == ["batch_refused", "guard_secret"]
    assert server.got == []


@pytest.mark.parametrize("limit", ["characters: 500", "bytes: 600", "items: 3"])
async def test_what_is_too_large_to_be_read_does_not_pass_in_part(limit: str) -> None:
    tools = [
        {"name": "large", "description": "x" * 600, "inputSchema": {"enum": ["a", "b", "c", "d"]}},
        {"name": "bad", "description": INJECTION},
    ]
    async with between(f"{{injection: block, shape: {{action: block, {limit}}}}}") as (_, port, server):
        async with client_of(port) as client:
            list_it = request_of("tools/list", {}, 1, Era.LEGACY)[0]
            got = await ask(client, server, list_it, listed("tools", *tools))
    assert reason_of([got]) == "guard_shape"


@pytest.mark.parametrize("place", ["id", "progressToken"])
async def test_a_card_number_as_a_number_of_the_protocol_does_not_leave(place: str) -> None:
    message: dict[str, Any] = call("search", q="x")
    if place == "id":
        message["id"] = 4111111111111111
    else:
        message["params"]["_meta"] = {place: 4111111111111111}
    async with between("{pii: mask}") as (_, port, server), client_of(port) as client:
        got = await ask(client, server, message, said("ok"))
    assert got["error"]["data"]["reason"] == "guard_unmaskable"
    assert server.got == []
