"""A whole sidecar that asks detectors over HTTP about what passes through it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sidecar.app import Sidecar
from sidecar.telemetry import names
from tests.support import detectors as fakes
from tests.support.authorizing import free_port
from tests.support.detectors import NEEDLE, Detector, detector_service
from tests.support.loopback import (
    POLICY,
    Client,
    answering,
    call,
    client_of,
    json_answer,
    post,
    result,
    serving,
    sidecar_for,
)
from tests.support.meshed import GITHUB, TRIAGE, Published, new_mesh, server_side
from tests.support.running import running
from tests.support.slow import until

GUARDED = """    guardrails:
      processors:
      - name: judge
        detector: external
        action: %(action)s
        direction: %(direction)s
        parts: [arguments, results]
        timeout: 5s
        failureMode: %(failure)s
        external: {kind: %(kind)s, url: "http://127.0.0.1:%(port)s", model: m}
"""
OK = result({"content": [{"type": "text", "text": "well"}]})
BAD = result({"content": [{"type": "text", "text": f"see {NEEDLE}!"}]})


def policy(port: int, **more: str) -> str:
    said = {"action": "block", "direction": "both", "failure": "closed", "kind": "fms-contents", **more}
    place = '    resources: {allow: ["repo://acme/*"]}\n'
    assert place in POLICY
    return POLICY.replace(place, place + GUARDED % {**said, "port": port})


@asynccontextmanager
async def guarded(
    answer: bytes, documents: str
) -> AsyncIterator[tuple[Sidecar, Client, list[tuple[bytes, bytes]]]]:
    script, seen = answering(answer)
    async with (
        serving(script) as backend,
        sidecar_for(backend.port, policy=documents) as (sidecar, port),
        client_of(port) as client,
    ):
        yield sidecar, client, seen


async def test_a_request_is_blocked_before_it_leaves() -> None:
    async with detector_service(fakes.fms_contents) as judge:
        async with guarded(json_answer(OK), policy(judge.port)) as (sidecar, client, seen):
            status, refused = await client.rpc(call("search", query=f"where is {NEEDLE}?"))
            assert (status, refused["error"]["data"]) == (200, {"reason": "guard_external"})
            assert seen == []
            assert await client.rpc(call("search", query="anything else")) == (200, OK)
            assert sidecar.metrics.value(names.GUARD_EXTERNAL, ("judge", "found")) == 1
            assert "outrider_guard_external_seconds" in sidecar.metrics.exposition()
    assert len(seen) == 1
    assert NEEDLE not in json.dumps(refused, ensure_ascii=False)


@pytest.mark.parametrize(
    ("kind", "fake"), [("fms-contents", fakes.fms_contents), ("webhook", fakes.webhook_masking)]
)
async def test_a_span_of_a_request_is_masked(kind: str, fake: Detector) -> None:
    async with detector_service(fake) as judge:
        documents = policy(judge.port, action="mask", kind=kind, direction="request")
        async with guarded(json_answer(OK), documents) as (_, client, seen):
            assert await client.rpc(call("search", query=f"🎃 where is {NEEDLE}?")) == (200, OK)
    arguments = json.loads(seen[0][1])["params"]["arguments"]
    assert arguments["query"].startswith("🎃 where is ")
    assert arguments["query"].endswith("?")
    assert NEEDLE not in arguments["query"]


async def test_an_answer_is_blocked() -> None:
    async with detector_service(fakes.llama_guard) as judge:
        documents = policy(judge.port, kind="llama-guard", direction="response")
        async with guarded(json_answer(BAD), documents) as (_, client, seen):
            status, answer = await client.rpc(call("search", query=NEEDLE))
    assert (status, answer["id"], answer["error"]["data"]) == (200, 1, {"reason": "guard_external"})
    assert len(seen) == 1


def event(value: Any) -> bytes:
    data = b"data: %b\n\n" % json.dumps(value).encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def progress(text: str) -> dict[str, Any]:
    params = {"progressToken": 1, "progress": 1, "message": text}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


async def test_events_are_looked_at_one_after_the_other_and_stay_in_order() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    events = [progress("first"), progress(NEEDLE), progress("third"), BAD]
    stream = head + b"".join(map(event, events)) + b"0\r\n\r\n"
    async with detector_service(fakes.fms_contents) as judge:
        documents = policy(judge.port, direction="response").replace(
            "[arguments, results]", "[messages, results]"
        )
        async with guarded(stream, documents) as (_, client, _):
            await client.send(post(call("search")))
            status, fields, body = await client.answer()
    told = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    assert (status, fields["content-type"]) == (200, "text/event-stream")
    assert [one.get("params", {}).get("message") for one in told] == ["first", "third", None]
    assert told[-1]["error"]["data"] == {"reason": "guard_external"}
    assert NEEDLE not in body.decode()


@pytest.mark.parametrize(("failure", "passes"), [("closed", False), ("open", True)])
async def test_a_detector_that_is_down_closes_the_way_or_leaves_it_open(failure: str, passes: bool) -> None:
    async with guarded(json_answer(BAD), policy(free_port(), failure=failure)) as (sidecar, client, seen):
        status, answer = await client.rpc(call("search", query=NEEDLE))
        assert sidecar.metrics.value(names.GUARD_EXTERNAL, ("judge", "unreachable")) >= 1
    assert status == 200
    if passes:
        assert answer == BAD
    else:
        assert answer["error"]["data"] == {"reason": "guard_failed"}
        assert seen == []


async def test_a_detector_that_is_a_backend_is_reached_as_that_says() -> None:
    declared = """---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: judge}
spec: {protocol: HTTP, host: judge.tools.svc, port: 8080, tls: {mode: None}}
"""
    async with detector_service(fakes.fms_contents) as judge:
        documents = policy(0).replace("http://127.0.0.1:0", "http://judge.tools.svc:8080") + declared
        script, seen = answering(json_answer(OK))
        connect = {"judge.tools.svc:8080": f"127.0.0.1:{judge.port}"}
        async with (
            serving(script) as backend,
            sidecar_for(backend.port, policy=documents, connect=connect) as (_, port),
            client_of(port) as client,
        ):
            _, refused = await client.rpc(call("search", query=NEEDLE))
    assert refused["error"]["data"] == {"reason": "guard_external"}
    assert seen == []
    assert b"host: judge.tools.svc:8080" in judge.asked[0][0]


JUDGE = "spiffe://test.mesh/ns/guards/sa/judge"
MESHED = f"""---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {{name: judge}}
spec: {{protocol: HTTP, host: judge.guards.svc, port: 8080, tls: {{mode: Mesh, identity: "{JUDGE}"}}}}
"""
ADMITTING = f"""
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: judge}}
spec:
  inbound:
  - from: ["{TRIAGE}"]
    http: {{allow: true}}
"""


@pytest.mark.parametrize(("proves", "reason"), [(JUDGE, "guard_external"), (GITHUB, "guard_failed")])
async def test_a_detector_of_the_mesh_is_asked_by_mutual_tls_and_has_to_be_who_it_should(
    proves: str, reason: str
) -> None:
    mesh = new_mesh()
    documents = policy(0).replace("http://127.0.0.1:0", "http://judge.guards.svc:8080") + MESHED
    script, seen = answering(json_answer(OK))
    async with (
        detector_service(fakes.fms_contents) as judge,
        serving(script) as backend,
        server_side(Published(mesh.identity(proves)), judge.port, policy=ADMITTING) as (_, inbound),
        running(
            documents,
            backend.port,
            Published(mesh.identity(TRIAGE)),
            connect={
                "github.tools.svc:8080": f"127.0.0.1:{backend.port}",
                "judge.guards.svc:8080": f"127.0.0.1:{inbound}",
            },
        ) as (_, ports),
        client_of(ports["forward"]) as client,
    ):
        _, refused = await client.rpc(call("search", query=NEEDLE))
    assert refused["error"]["data"] == {"reason": reason}
    assert seen == []
    assert len(judge.asked) == (proves == JUDGE)


async def test_what_an_agent_says_is_judged_by_what_it_has_read() -> None:
    async with detector_service(fakes.fms_adapter) as judge:
        documents = policy(judge.port, kind="fms-context")
        async with guarded(json_answer(OK), documents) as (_, client, seen):
            assert await client.rpc(call("search", query=NEEDLE)) == (200, OK)
            assert judge.asked == []
            _, refused = await client.rpc(call("search", query=NEEDLE))
    assert refused["error"]["data"] == {"reason": "guard_external"}
    assert json.loads(judge.asked[0][1])["context"] == ["well"]
    assert len(seen) == 1


async def test_a_server_whose_question_is_kept_back_gets_an_answer() -> None:
    asked = {"jsonrpc": "2.0", "id": "s-1", "method": "elicitation/create"}
    asked["params"] = {
        "message": f"what is {NEEDLE}?",
        "requestedSchema": {"type": "object", "properties": {}},
    }
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = head + event(asked) + event(OK) + b"0\r\n\r\n"
    async with detector_service(fakes.fms_contents) as judge:
        documents = policy(judge.port).replace("parts: [arguments, results]", "parts: [messages]")
        async with guarded(answer, documents) as (_, client, seen):
            await client.send(post(call("search")))
            _, _, body = await client.answer()
            await until(lambda: len(seen) == 2)
    assert NEEDLE.encode() not in body
    refused = json.loads(seen[1][1])
    assert (refused["id"], "error" in refused) == ("s-1", True)
