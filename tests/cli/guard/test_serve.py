"""The detectors as a server: what callers of either API may rely on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from cli.guard.detector_server import DetectorServer, start
from cli.guard.examiner import DEFAULT, Examiner
from cli.guard.policy_file import NothingSaid, PolicyUnreadable
from cli.guard.serve import served
from cli.main import main
from mesh.policy import PolicyInvalid
from mesh.policy.guardrails import Action, DetectorKind
from sidecar.tasks import spawn
from tests.support.detectors import patient

POLICY = """
pii: {action: mask, kinds: [EMAIL], parts: [arguments, results], failureMode: open}
secrets: {action: block, direction: request}
shape: {action: block, characters: 1000}
terms: {action: flag, words: [heron]}
"""
MAIL = "ann@example.com"
KEY = "AKIAIOSFODNN7EXAMPL3"


@pytest.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(
        TestServer(DetectorServer(Examiner(patient(DEFAULT)), size=100_000).application())
    ) as made:
        yield made


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    file = tmp_path / "guardrails.yaml"
    file.write_text(POLICY, encoding="utf-8")
    async with TestClient(
        TestServer(DetectorServer(Examiner(patient(served(str(file))))).application())
    ) as made:
        yield made


async def ask(client: TestClient[Any, Any], path: str, body: Any) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(path, data=data, headers={"content-type": "application/json"}) as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


async def test_contents_are_answered_one_by_one_with_spans_in_code_points(
    client: TestClient[Any, Any],
) -> None:
    texts = [f"🎃 write to {MAIL}", "nothing", f"{MAIL} and {MAIL}"]
    status, rows = await ask(client, "/api/v1/text/contents", {"contents": texts, "detector_params": {}})
    assert (status, [len(row) for row in rows]) == (200, [1, 0, 2])
    (found,) = rows[0]
    assert found.keys() == {
        *("start", "end", "text", "detection", "detection_type", "score", "evidence", "metadata")
    }
    assert (found["start"], found["end"], found["text"]) == (11, 26, MAIL)
    assert (found["detection"], found["detection_type"]) == ("EMAIL", "pii")
    assert 0 < found["score"] <= 1
    assert [texts[2][one["start"] : one["end"]] for one in rows[2]] == [MAIL, MAIL]


@pytest.mark.parametrize(
    ("parameters", "kinds"),
    [
        (None, {"EMAIL", "AWS_ACCESS_KEY"}),
        ({"detectors": ["pii"]}, {"EMAIL"}),
        ({"detectors": ["sql"]}, set()),
        ({"detectors": ["pii", "secrets"], "kinds": ["EMAIL"]}, {"EMAIL"}),
        ({"kinds": ["IBAN"]}, set()),
        ({"threshold": 0.1}, {"EMAIL", "AWS_ACCESS_KEY"}),
    ],
)
async def test_callers_choose_detectors_and_kinds(
    client: TestClient[Any, Any], parameters: Any, kinds: set[str]
) -> None:
    question = {"contents": [f"{MAIL} {KEY}"], "detector_params": parameters}
    status, rows = await ask(client, "/api/v1/text/contents", question)
    assert (status, {one["detection"] for one in rows[0]}) == (200, kinds)


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        ("contents", b"{", 422, "the body is no JSON"),
        ("contents", b'{"contents":[NaN]}', 422, "the body is no JSON"),
        ("contents", [], 422, "the body: expected an object"),
        ("contents", {}, 422, "contents: expected an array"),
        ("contents", {"contents": "text"}, 422, "contents: expected an array"),
        ("contents", {"contents": ["a", None]}, 422, "contents[1]: expected a string"),
        ("contents", {"contents": [""] * 10_001}, 422, "contents: 10001 texts"),
        ("contents", {"contents": [], "detector_params": []}, 422, "detector_params: expected an object"),
        ("contents", {"contents": [], "detector_params": {"regex": ["email"]}}, 400, "'regex' is not known"),
        ("contents", {"contents": [], "detector_params": {"detectors": ["hap"]}}, 400, "'hap' is not served"),
        ("contents", {"contents": [], "detector_params": {"detectors": []}}, 422, "detectors: empty"),
        ("contents", {"contents": [], "detector_params": {"kinds": ["EMIAL"]}}, 400, "'EMIAL' is not served"),
        ("contents", {"contents": [], "detector_params": {"kinds": [1]}}, 422, "kinds: expected a string"),
        ("contents", {"contents": [], "detector_params": {"threshold": "1"}}, 422, "threshold"),
        ("contents", {"contents": [], "detector_params": {"threshold": True}}, 422, "threshold"),
        ("chat", {"messages": []}, 422, "messages: empty"),
        ("chat", {"messages": ["hi"]}, 422, "messages[0]: expected an object"),
        ("chat", {"messages": [{"role": "user", "content": "x"}], "tools": {}}, 422, "tools"),
        ("generation", {"generated_text": "x"}, 422, "prompt: expected a string"),
        ("generation", {"prompt": "x"}, 422, "generated_text: expected a string"),
        ("context/doc", {"content": "x"}, 404, "Not Found"),
        ("contents", b" " * 100_001, 413, "Maximum request body size"),
    ],
)
async def test_refusals_have_the_body_of_the_api(
    client: TestClient[Any, Any], path: str, body: Any, code: int, message: str
) -> None:
    status, answer = await ask(client, f"/api/v1/text/{path}", body)
    assert (status, answer["code"]) == (code, code)
    assert message in answer["message"]
    assert answer.keys() == {"code", "message"}


async def test_no_contents_have_no_findings(client: TestClient[Any, Any]) -> None:
    assert await ask(client, "/api/v1/text/contents", {"contents": []}) == (200, [])


async def test_a_chat_is_looked_at_in_every_place(client: TestClient[Any, Any]) -> None:
    messages = [
        {"role": "user", "content": f"I am {MAIL}, {MAIL}"},
        {"role": "user", "content": [{"type": "text", "text": KEY}]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": MAIL}}]},
    ]
    status, rows = await ask(client, "/api/v1/text/chat", {"messages": messages, "tools": []})
    assert status == 200
    places = {(one["detection_type"], one["metadata"]["where"]) for one in rows}
    assert ("pii", "messages.0.content") in places
    assert ("secrets", "messages.1.content.0.text") in places
    assert ("pii", "messages.2.tool_calls.0.function.arguments") in places
    assert not any("start" in one for one in rows)


async def test_of_a_generation_what_was_generated_is_looked_at(client: TestClient[Any, Any]) -> None:
    path = "/api/v1/text/generation"
    assert await ask(client, path, {"prompt": MAIL, "generated_text": "no"}) == (200, [])
    _, rows = await ask(client, path, {"prompt": "", "generated_text": MAIL})
    assert [one["detection"] for one in rows] == ["EMAIL"]


async def test_health_is_told(client: TestClient[Any, Any]) -> None:
    async with client.get("/health") as answer:
        assert answer.status == 200
    async with client.get("/request") as answer:
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_too_many_at_once_are_turned_away() -> None:
    server = DetectorServer(Examiner(), most=0)
    async with TestClient(TestServer(server.application())) as client:
        assert (await ask(client, "/request", {}))[0] == 503
        assert server.under_way == 0
        async with client.get("/health") as answer:
            assert answer.status == 200


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with TestServer(DetectorServer(Examiner(), body_seconds=0.05).application()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /request HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{")
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_detector_that_fails_is_no_answer() -> None:
    late = Examiner(replace(DEFAULT, budget=-1.0))
    async with TestClient(TestServer(DetectorServer(late).application())) as client:
        status, answer = await ask(client, "/api/v1/text/contents", {"contents": ["x"]})
    assert (status, answer["code"]) == (500, 500)
    assert "pii took too long" in answer["message"]


def asked(*contents: Any) -> dict[str, Any]:
    return {"body": {"messages": [{"role": "user", "content": one} for one in contents]}}


def answered(*contents: Any) -> dict[str, Any]:
    return {"body": {"choices": [{"message": {"role": "assistant", "content": one}} for one in contents]}}


async def test_a_gateway_is_told_to_pass(gateway: TestClient[Any, Any]) -> None:
    assert await ask(gateway, "/request", asked("hello")) == (200, {"action": {"reason": "nothing found"}})
    assert await ask(gateway, "/request", asked("a heron")) == (200, {"action": {"reason": "TERM"}})
    assert await ask(gateway, "/response", answered(KEY)) == (200, {"action": {"reason": "nothing found"}})


async def test_a_gateway_is_told_to_reject(gateway: TestClient[Any, Any]) -> None:
    for content in (KEY, "x" * 1001):
        _, answer = await ask(gateway, "/request", asked("hello", content))
        action = answer["action"]
        assert (type(action["body"]), action["status_code"]) == (str, 403)
        assert content not in json.dumps(answer)
    assert action["reason"] == "guard_shape"


@pytest.mark.parametrize(("path", "made"), [("/request", asked), ("/response", answered)])
async def test_a_gateway_gets_the_messages_masked(
    gateway: TestClient[Any, Any], path: str, made: Any
) -> None:
    question = made("hello", f"🎃 write to {MAIL}!", [{"type": "text", "text": MAIL}])
    status, answer = await ask(gateway, path, question)
    assert (status, answer["action"]["reason"]) == (200, "EMAIL")
    assert MAIL not in json.dumps(answer)
    (before,), (after,) = question["body"].values(), answer["action"]["body"].values()
    assert len(after) == 3
    assert after[0] == before[0]
    assert "🎃 write to " in json.dumps(after[1], ensure_ascii=False)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *(("/request", one) for one in ([], {}, {"body": {}}, {"body": {"messages": ["x"]}}, answered("x"))),
        *(("/response", one) for one in ({"body": {"choices": [{}]}}, {"body": []}, asked("x"))),
    ],
)
async def test_what_is_no_question_of_a_gateway_is_refused(
    gateway: TestClient[Any, Any], path: str, body: Any
) -> None:
    status, answer = await ask(gateway, path, body)
    assert (status, answer["code"]) == (422, 422)


def test_a_policy_is_the_section_or_stands_below_its_name(tmp_path: Path) -> None:
    file = tmp_path / "guardrails.yaml"
    for text in ("pii: mask\n", "guardrails:\n  pii: mask\n"):
        file.write_text(text, encoding="utf-8")
        (processor,) = served(str(file)).processors
        assert (processor.detector, processor.action) == (DetectorKind.PII, Action.MASK)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pii: mosk\n", "pii: "),
        ("", "no policy in there has a section guardrails"),
        ("pii: mask\n---\npii: mask\n", "no policy in there has a section guardrails"),
        ("pi: mask\n", "pi: unknown field, did you mean pii?"),
        (
            "processors:\n- {name: a, detector: external, action: block, external: {kind: nemo, url: 'https://a/'}}\n",
            "only a sidecar does",
        ),
    ],
)
def test_a_policy_that_cannot_be_used_is_told_with_its_place(
    tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "guardrails.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises((PolicyInvalid, NothingSaid)):
        served(str(file))
    assert main(["guard", "serve", "--policy", str(file)]) == 2
    assert told in capsys.readouterr().err


def test_a_policy_may_be_policy_documents_in_a_file_or_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "policies.yaml"
    file.write_text(
        "apiVersion: outrider.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: a}\n"
        "spec: {outbound: [{backend: '*', guardrails: {pii: mask, sql: 'off'}}]}\n",
        encoding="utf-8",
    )
    for path in (file, tmp_path):
        actions = {one.detector: one.action for one in served(str(path)).processors}
        assert actions[DetectorKind.PII] is Action.MASK
        assert DetectorKind.SQL not in actions
        assert actions[DetectorKind.SECRETS] is Action.FLAG


def test_a_policy_that_cannot_be_read_is_told_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["guard", "serve", "--policy", "nope.yaml"]) == 2
    assert capsys.readouterr().err == "outrider: nope.yaml: cannot be read: No such file or directory\n"
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(PolicyUnreadable, match="is not UTF-8 text"):
        served(str(tmp_path / "latin"))


def test_an_address_that_cannot_be_had_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--port", "70000"], ["--host", "203.0.113.1"], ["--policy", "/nonexistent.yaml"]):
        assert main(["guard", "serve", *options]) == 2
        assert "outrider: " in capsys.readouterr().err


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "cli.main", "guard", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split("/api/")[0].removeprefix("Detectors at ")
        body = json.dumps({"contents": [MAIL], "detector_params": {}}).encode()
        with urllib.request.urlopen(f"{url}/api/v1/text/contents", body, 10) as answer:  # noqa: S310
            rows = json.load(answer)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0
    assert rows[0][0]["detection"] == "EMAIL"


async def test_what_is_under_way_when_it_stops_is_answered() -> None:
    runner, url = await start(Examiner(patient(DEFAULT)), "127.0.0.1", 0)
    body = json.dumps({"contents": [MAIL]}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    head = f"POST /api/v1/text/contents HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n"
    writer.write(f"{head}expect: 100-continue\r\n\r\n".encode())
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 100 ")
    stopping = spawn(runner.cleanup(), name="stop")
    writer.write(body)
    answer = await asyncio.wait_for(reader.read(), 5)
    await asyncio.wait_for(stopping, 5)
    writer.close()
    assert b"HTTP/1.1 200 " in answer
    assert b'"EMAIL"' in answer
