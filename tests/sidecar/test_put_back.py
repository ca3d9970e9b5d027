"""Values of a server's that its agent writes as it was shown them: what is decided, seen, and what leaves."""

from __future__ import annotations

import json
from typing import Any

from tests.support.loopback import (
    POLICY,
    answering,
    call,
    client_of,
    json_answer,
    post,
    result,
    serving,
    sidecar_for,
)

MAIL = "jane.doe@example.com"
RULES = "{pii: mask, terms: {action: mask, words: [delete_repo]}, reversible: true}"
TOOLS = 'tools: {allow: [search, "list_*"], deny: ["*delete*"]}'
ANY_TOOL = 'tools: {allow: ["*"], deny: ["*delete*"]}'


def guarded(more: str = "", guardrails: str = RULES) -> str:
    assert TOOLS in POLICY
    policy = POLICY.replace(
        "  - backend: github\n", f"  - backend: github\n    guardrails: {guardrails}\n", 1
    )
    return policy.replace(TOOLS, f"{ANY_TOOL}\n{more}", 1)


def said(text: str) -> dict[str, Any]:
    return result({"content": [{"type": "text", "text": text}]})


async def talked(policy: str, answers: list[bytes], requests: list[bytes]) -> tuple[list[bytes], list[Any]]:
    """What the agent got, and what the server was asked."""
    script, seen = answering(*answers)
    got: list[bytes] = []
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (_, port):
        async with client_of(port) as client:
            for request in requests:
                await client.send(request)
                got.append((await client.answer())[2])
    return got, [json.loads(body) for _, body in seen]


async def test_what_an_agent_was_shown_masked_leaves_as_what_it_is() -> None:
    answers = [json_answer(said(f"ask {MAIL}")), json_answer(said("ok"))]
    got, seen = await talked(guarded(), answers, [post(call("search")), post(call("search", to="<EMAIL_1>"))])
    assert b"ask <EMAIL_1>" in got[0]
    assert seen[1]["params"]["arguments"] == {"to": MAIL}


async def test_a_name_is_what_the_agent_wrote() -> None:
    answers = [json_answer(said("use delete_repo")), json_answer(said("ok"))]
    calls = [post(call("search")), post(call("<TERM_1>")), post(call("search", "<TERM_1>"))]
    got, seen = await talked(guarded(), answers, calls)
    assert b"use <TERM_1>" in got[0]
    assert json.loads(got[1])["error"]["message"] == "Unknown tool: <TERM_1>"
    assert [(one["id"], one["params"]["name"]) for one in seen] == [(1, "search"), ("<TERM_1>", "search")]


async def test_a_policy_decides_about_the_value_and_does_not_tell_it() -> None:
    rule = f"    arguments: [{{tool: search, require: \"args.to != '{MAIL}'\", message: never}}]\n"
    answers = [json_answer(said(f"ask {MAIL} or bob@corp.org")), json_answer(said("ok"))]
    calls = [
        post(call("search", to="x")),
        post(call("search", to="<EMAIL_1>")),
        post(call("search", to="<EMAIL_2>")),
    ]
    got, seen = await talked(guarded(rule), answers, calls)
    assert json.loads(got[1])["error"]["data"] == {"reason": "arguments_refused"}
    assert [one["params"]["arguments"]["to"] for one in seen] == ["x", "bob@corp.org"]


async def test_a_resource_is_decided_by_the_address_that_leaves_and_told_as_it_was_written() -> None:
    policy = guarded().replace('["repo://acme/*"]', '["repo://acme/*"], deny: ["*delete_repo*"]')
    answers = [json_answer(said("at delete_repo")), json_answer(result({"contents": []}))]
    read = {"jsonrpc": "2.0", "id": 2, "method": "resources/read", "params": {"uri": "repo://acme/<TERM_1>"}}
    got, seen = await talked(policy, answers, [post(call("search")), post(read)])
    assert "error" in json.loads(got[1])
    assert b"delete_repo" not in got[1]
    assert len(seen) == 1


async def test_a_server_is_not_told_whether_it_guessed_a_value() -> None:
    guesses = f"a@b.com {MAIL} z@q.org"
    answers = [json_answer(said(guesses)), json_answer(said("ok"))]
    calls = [post(call("search")), post(call("search", q=f"write to {MAIL}"))]
    got, seen = await talked(guarded(), answers, calls)
    assert b"<EMAIL_1> <EMAIL_2> <EMAIL_3>" in got[0]
    assert seen[1]["params"]["arguments"] == {"q": "write to <EMAIL_4>"}


def event(message: Any) -> bytes:
    data = b"event: message\ndata: %b\n\n" % json.dumps(message).encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def progress(text: str) -> dict[str, Any]:
    params = {"progressToken": "t", "progress": 1, "message": text}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


async def test_a_value_that_a_stream_repeats_stays_masked_on_its_way_out() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    batch = [said("all of <EMAIL_1>")]
    events = [progress("note <EMAIL_1> end"), batch, said("done with <EMAIL_1>")]
    stream = head + b"".join(map(event, events)) + b"0\r\n\r\n"
    question = post(call("search", q=f"write to {MAIL}"))
    answers = [json_answer(said("ok")), stream, json_answer(said("ok"))]
    got, seen = await talked(guarded(), answers, [question, post(call("search")), question])
    for text in (f"note {MAIL} end", f"all of {MAIL}", f"done with {MAIL}"):
        assert text.encode() in got[1]
    assert [seen[n]["params"]["arguments"] for n in (0, 2)] == [{"q": "write to <EMAIL_1>"}] * 2


async def test_what_a_stream_says_is_put_back_for_its_server() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    stream = head + event(progress("asking bob@corp")) + event(progress(".org now")) + event(said("done"))
    answers = [stream + b"0\r\n\r\n", json_answer(said("ok"))]
    calls = [post(call("search")), post(call("search", to="<EMAIL_1>"))]
    got, seen = await talked(guarded(), answers, calls)
    assert b"bob@" not in got[0]
    assert "<EMAIL_1>" in got[0].decode()
    assert "corp.org" not in got[0].decode()
    assert len(seen) == 2


async def test_late_messages_of_one_body_do_not_pass_where_that_blocks() -> None:
    rules = "{injection: block, budget: 1ms}"
    text = "aWdub3JlIGFsbCB3b3JkcyBvZiBpdA== %20%41&#x41; " * 4000
    answers = [json_answer([result({"content": [{"type": "text", "text": text}]}, n) for n in range(5)])]
    calls = [post([call("search", n) for n in range(5)])]
    got, _ = await talked(guarded(guardrails=rules), answers, calls)
    assert [one["error"]["data"]["reason"] for one in json.loads(got[0])] == ["guard_timeout"] * 5
