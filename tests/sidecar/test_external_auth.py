"""Requests that have to be authorized elsewhere before they leave."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from mesh.protocol import jsonrpc
from mesh.reasons import Reason
from sidecar.app import Sidecar
from sidecar.external_auth.question import said_by
from sidecar.limits import Limits
from sidecar.telemetry import names
from tests.support.authorizing import NO, YES, free_port, grpc_service, http_service, messages
from tests.support.loopback import (
    POLICY,
    TOOLS,
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

GATE = """
---
apiVersion: agentic.networking.x-k8s.io/v1alpha1
kind: XAccessPolicy
metadata: {name: gate}
spec:
  targetRefs: [{group: outrider.dev, kind: Backend, name: %(target)s}]
  action: ExternalAuth
  externalAuth:
    protocol: %(protocol)s
    backendRef: {name: authz, port: 9191}
    %(settings)s
"""
OVER_HTTP = "http: {path: /check, allowedHeaders: [x-tenant], allowedResponseHeaders: [x-user]}"
WITH_BODY = OVER_HTTP + "\n    forwardBody: {maxSize: 200}"
LIMITS = replace(Limits(), drain_seconds=0.5, external_auth_seconds=5.0)


def policy(settings: str = OVER_HTTP, protocol: str = "HTTP", target: str = "github") -> str:
    return POLICY + GATE % {"settings": settings, "protocol": protocol, "target": target}


@asynccontextmanager
async def gated(
    backend_port: int, service_port: int, documents: str, limits: Limits = LIMITS
) -> AsyncIterator[tuple[Sidecar, Client]]:
    connect: Mapping[str, str] = {"authz:9191": f"127.0.0.1:{service_port}"}
    async with (
        sidecar_for(backend_port, policy=documents, limits=limits, connect=connect) as (sidecar, port),
        client_of(port) as client,
    ):
        yield sidecar, client


def asked(sidecar: Sidecar, outcome: str) -> int:
    return sidecar.metrics.value(names.EXTERNAL_AUTH, ("XAccessPolicy/gate", outcome))


def decided(sidecar: Sidecar, reason: str, method: str = "tools/call") -> int:
    return sidecar.metrics.value(names.REQUESTS, ("outbound", "github", method, reason))


async def test_a_call_leaves_once_the_service_said_yes_with_what_it_adds() -> None:
    script, seen = answering(json_answer(result({"content": []})))
    yes = b"HTTP/1.1 200 OK\r\nx-user: ann\r\nx-other: o\r\nmcp-name: evil\r\ncontent-length: 2\r\n\r\nok"
    async with (
        serving(script) as backend,
        http_service(lambda head, body: yes) as service,
        gated(backend.port, service.port, policy()) as (sidecar, client),
    ):
        answer = await client.rpc(call("search"), x_tenant="a", x_user="root", authorization="Bearer t")
        counts = asked(sidecar, "allowed"), decided(sidecar, "allowed")
    assert answer == (200, result({"content": []}))
    head, body = service.asked[0]
    assert head.startswith(b"POST /check/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n")
    assert b"x-tenant: a\r\n" in head
    assert b"authorization: Bearer t\r\n" in head
    assert b"content-length: 0\r\n" in head
    assert b"accept" not in head
    assert body == b""
    assert b"x-user: ann\r\n" in seen[0][0]
    assert b"root" not in seen[0][0]
    assert b"x-other" not in seen[0][0]
    assert b"evil" not in seen[0][0]
    assert counts == (1, 1)


@pytest.mark.parametrize(
    "said", [NO, NO.replace(b"401", b"500"), YES.replace(b"200", b"204"), b"nonsense\r\n\r\n"]
)
async def test_anything_but_200_is_a_no_that_tells_nothing_of_the_services_own_answer(said: bytes) -> None:
    script, seen = answering(json_answer(result({})))
    async with (
        serving(script) as backend,
        http_service(lambda head, body: said) as service,
        gated(backend.port, service.port, policy()) as (_, client),
    ):
        status, answer = await client.rpc(call("search", "seven"))
        again = await client.rpc(call("drop", 8))
    assert (status, answer["id"]) == (200, "seven")
    assert answer["error"]["code"] in (-31010, -31011)
    assert "details" not in json.dumps(answer)
    assert again[1]["error"]["message"] == "Unknown tool: drop"
    assert seen == []
    assert len(service.asked) == 1


async def test_refusals_are_counted_as_what_became_of_the_decision() -> None:
    async with (
        serving(answering(b"")[0]) as backend,
        http_service(lambda head, body: NO) as service,
        gated(backend.port, service.port, policy()) as (sidecar, client),
    ):
        await client.rpc(call("search"))
        assert asked(sidecar, Reason.EXTERNAL_AUTH_DENIED) == 1
        assert decided(sidecar, Reason.EXTERNAL_AUTH_DENIED) == 1
        assert decided(sidecar, "allowed") == 0


async def test_a_service_that_is_away_closes_the_way() -> None:
    script, seen = answering(json_answer(result({})))
    async with (
        serving(script) as backend,
        gated(backend.port, free_port(), policy()) as (sidecar, client),
    ):
        answer = await client.rpc(call("search"))
        assert answer[1]["error"]["data"] == {"reason": "external_auth_failed"}
        assert asked(sidecar, Reason.EXTERNAL_AUTH_FAILED) == 1
    assert seen == []


async def test_a_service_that_does_not_answer_in_time_closes_the_way() -> None:
    script, seen = answering(json_answer(result({})))
    async with (
        serving(script) as backend,
        http_service(lambda head, body: None) as service,
        gated(backend.port, service.port, policy(), replace(LIMITS, external_auth_seconds=0.1)) as (
            _,
            client,
        ),
    ):
        answer = await client.rpc(call("search"))
        await asyncio.wait_for(service.gone.wait(), 5)
    assert answer[1]["error"]["data"] == {"reason": "external_auth_failed"}
    assert seen == []


async def test_a_client_that_goes_away_takes_its_question_with_it() -> None:
    async with (
        serving(answering(b"")[0]) as backend,
        http_service(lambda head, body: None) as service,
        gated(backend.port, service.port, policy()) as (sidecar, client),
    ):
        await client.send(post(call("search")))
        await asyncio.wait_for(service.came.wait(), 5)
        client.writer.close()
        await asyncio.wait_for(service.gone.wait(), 5)
        assert sidecar.pipeline.authorizer.under_way == 0
    assert backend.connections == 0


async def test_more_questions_than_the_limit_are_refused_at_once() -> None:
    async with (
        serving(answering(b"")[0]) as backend,
        http_service(lambda head, body: None) as service,
        gated(backend.port, service.port, policy(), replace(LIMITS, external_auth_at_once=1)) as (
            sidecar,
            client,
        ),
    ):
        await client.send(post(call("search")))
        await asyncio.wait_for(service.came.wait(), 5)
        port = int(sidecar.addresses["forward"].rpartition(":")[2])
        async with client_of(port) as other:
            answer = await other.rpc(call("search"))
    assert answer[1]["error"]["data"] == {"reason": "external_auth_failed"}
    assert len(service.asked) == 1


async def test_a_batch_that_would_have_to_be_asked_about_is_refused_whole() -> None:
    batch = [call("search", 1), call("list_all", "two"), {"jsonrpc": "2.0", "method": "notifications/x"}]
    script, seen = answering(json_answer([result({}, 1), result({}, "two")]))
    async with (
        serving(script) as backend,
        http_service(lambda head, body: YES) as service,
        gated(backend.port, service.port, policy()) as (_, client),
    ):
        answer = (await client.rpc(batch))[1]
    assert [(one["id"], one["error"]["code"]) for one in answer] == [(1, -31013), ("two", -31013)]
    assert (service.asked, seen) == ([], [])


async def test_a_batch_of_one_is_asked_about_like_its_message() -> None:
    script, seen = answering(json_answer([result({}, 1)]))
    answers = [YES, NO]
    async with (
        serving(script) as backend,
        http_service(lambda head, body: answers.pop(0)) as service,
        gated(backend.port, service.port, policy()) as (_, client),
    ):
        first, second = [(await client.rpc([call("search", 1)]))[1] for _ in range(2)]
    assert first == [result({}, 1)]
    assert second[0]["error"]["code"] == -31010
    assert (len(service.asked), len(seen)) == (2, 1)


def test_services_are_told_of_the_one_message_of_a_batch() -> None:
    found, is_batch = jsonrpc.messages([call("danger", 1)])
    assert is_batch
    assert said_by(found) == {"method": "tools/call", "params": {"name": "danger"}}
    assert said_by(jsonrpc.messages([{"jsonrpc": "2.0", "id": 1, "result": {}}])[0]) is None


async def test_nothing_is_remembered_of_a_yes() -> None:
    script, seen = answering(json_answer(result({})))
    answers = [YES, NO, YES]
    async with (
        serving(script) as backend,
        http_service(lambda head, body: answers.pop(0)) as service,
        gated(backend.port, service.port, policy()) as (_, client),
    ):
        outcomes = ["result" in (await client.rpc(call("search")))[1] for _ in range(3)]
    assert outcomes == [True, False, True]
    assert len(seen) == 2


async def test_a_body_is_shown_whole_or_the_request_is_refused() -> None:
    script, seen = answering(json_answer(result({})))
    async with (
        serving(script) as backend,
        http_service(lambda head, body: YES) as service,
        gated(backend.port, service.port, policy(WITH_BODY)) as (_, client),
    ):
        short = await client.rpc(call("search", q="x"))
        long = await client.rpc(call("search", q="x" * 200))
    assert "result" in short[1]
    assert json.loads(service.asked[0][1])["params"]["arguments"] == {"q": "x"}
    assert b"x-envoy-auth-partial-body: false\r\n" in service.asked[0][0]
    assert long[1]["error"]["data"] == {"reason": "http_body_too_large"}
    assert (len(service.asked), len(seen)) == (1, 1)


@pytest.mark.parametrize(("verb", "headers"), [("GET", "accept: text/event-stream\r\n"), ("DELETE", "")])
async def test_streams_and_the_end_of_sessions_are_asked_about_too(verb: str, headers: str) -> None:
    async with (
        serving(answering(b"")[0]) as backend,
        http_service(lambda head, body: NO) as service,
        gated(backend.port, service.port, policy()) as (_, client),
    ):
        request = f"{verb} http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
        await client.send(f"{request}mcp-session-id: s\r\n{headers}\r\n".encode())
        status, _, body = await client.answer()
    assert (status, json.loads(body)["reason"]) == (403, "external_auth_denied")
    assert service.asked[0][0].startswith(f"{verb} /check/mcp ".encode())
    assert backend.connections == 0


def upload(body: bytes, *, chunked: bool) -> bytes:
    start = b"POST http://plain.tools.svc:8081/up HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n"
    if chunked:
        return b"%btransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (start, len(body), body)
    return b"%bcontent-length: %d\r\n\r\n%b" % (start, len(body), body)


@pytest.mark.parametrize("settings", [OVER_HTTP, WITH_BODY])
@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_waits_for_its_yes(settings: str, chunked: bool) -> None:
    got: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        whole = head + await reader.readuntil(b"data")
        got.append(whole)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with (
        serving(script) as backend,
        http_service(lambda head, body: YES) as service,
        gated(backend.port, service.port, policy(settings, target="plain")) as (_, client),
    ):
        await client.send(upload(b"some data", chunked=chunked))
        status, _ = await client.head()
    assert status == 204
    assert b"some data" in got[0]
    assert service.asked[0][1] == (b"some data" if settings is WITH_BODY else b"")


@pytest.mark.parametrize("settings", [OVER_HTTP, WITH_BODY])
async def test_a_refused_upload_never_leaves(settings: str) -> None:
    async with (
        serving(answering(b"")[0]) as backend,
        http_service(lambda head, body: NO) as service,
        gated(backend.port, service.port, policy(settings, target="plain")) as (_, client),
    ):
        await client.send(upload(b"x" * 150, chunked=False))
        status, _, body = await client.answer()
        assert (status, json.loads(body)["reason"]) == (403, "external_auth_denied")
        if settings is WITH_BODY:
            await client.send(upload(b"x" * 300, chunked=False))
            assert (await client.answer())[0] == 413
    assert backend.connections == 0
    assert len(service.asked) == 1


async def test_a_question_whose_idle_connection_was_closed_is_asked_once_more() -> None:
    script, seen = answering(json_answer(result({})))
    answers = [YES, b"", YES, b"", b""]
    async with (
        serving(script) as backend,
        http_service(lambda head, body: answers.pop(0)) as service,
        gated(backend.port, service.port, policy()) as (_, client),
    ):
        outcomes = ["result" in (await client.rpc(call("search")))[1] for _ in range(3)]
    assert outcomes == [True, True, False]
    assert (len(service.asked), len(seen)) == (5, 2)


async def test_an_answer_without_end_is_given_up() -> None:
    endless = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 100_000
    async with (
        serving(answering(b"")[0]) as backend,
        http_service(lambda head, body: endless) as service,
        gated(backend.port, service.port, policy()) as (_, client),
    ):
        answer = await client.rpc(call("search"))
        await asyncio.wait_for(service.gone.wait(), 5)
    assert answer[1]["error"]["data"] == {"reason": "external_auth_failed"}


async def test_lists_show_what_may_be_called_after_a_yes() -> None:
    script, _ = answering(json_answer(result({"tools": TOOLS})))
    async with (
        serving(script) as backend,
        http_service(lambda head, body: YES) as service,
        gated(backend.port, service.port, policy()) as (_, client),
    ):
        _, answer = await client.rpc({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["search", "list_all"]
    assert len(service.asked) == 1


# gRPC.


def verdict(allowed: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """Says yes to what `allowed` holds for, and adds who asks."""
    made = messages()

    def answer(request: Any) -> Any:
        if not allowed(request.attributes):
            return made["CheckResponse"](status=made["Status"](code=7))
        user = made["HeaderValueOption"](header=made["HeaderValue"](key="x-user", value="ann"))
        return made["CheckResponse"](
            status=made["Status"](), ok_response=made["OkHttpResponse"](headers=[user])
        )

    return answer


def is_search(attributes: Any) -> bool:
    said = attributes.metadata_context.filter_metadata["mcp_proxy"]
    return bool(said["method"] == "tools/call" and said["params"]["name"] == "search")


async def test_a_service_over_grpc_decides_by_what_the_body_says() -> None:
    script, seen = answering(json_answer(result({})))
    told: list[Any] = []

    def allowed(attributes: Any) -> bool:
        told.append(attributes)
        return is_search(attributes)

    async with (
        serving(script) as backend,
        grpc_service(verdict(allowed)) as port,
        gated(backend.port, port, policy("grpc: {}", "GRPC")) as (sidecar, client),
    ):
        yes = await client.rpc(call("search", 2**53 + 1), x_tenant="a")
        no = await client.rpc(call("list_all", "b"))
        assert (asked(sidecar, "allowed"), asked(sidecar, Reason.EXTERNAL_AUTH_DENIED)) == (1, 1)
    assert "result" in yes[1]
    assert (no[1]["id"], no[1]["error"]["code"]) == ("b", -31010)
    assert b"x-user: ann\r\n" in seen[0][0]
    http = told[0].request.http
    assert (http.method, http.path, http.host) == ("POST", "/mcp", "github.tools.svc:8080")
    assert http.headers["x-tenant"] == "a"
    assert http.headers[":authority"] == "github.tools.svc:8080"
    assert told[0].source.principal == "agent"


@pytest.mark.parametrize("said", [b"", b"\xff", None])
async def test_a_service_over_grpc_that_says_neither_closes_the_way(said: bytes | None) -> None:
    limits = replace(LIMITS, external_auth_seconds=0.5)
    async with (
        serving(answering(b"")[0]) as backend,
        grpc_service(lambda request: said) as port,
        gated(backend.port, port, policy("grpc: {}", "GRPC"), limits) as (_, client),
    ):
        answer = await client.rpc(call("search"))
    assert answer[1]["error"]["data"] == {"reason": "external_auth_failed"}
    assert backend.connections == 0


async def test_a_service_over_grpc_that_is_away_closes_the_way() -> None:
    async with (
        serving(answering(b"")[0]) as backend,
        gated(backend.port, free_port(), policy("grpc: {}", "GRPC")) as (_, client),
    ):
        answer = await client.rpc(call("search"))
    assert answer[1]["error"]["data"] == {"reason": "external_auth_failed"}


async def test_without_the_grpc_library_the_way_is_closed_and_the_reason_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "grpc.aio", None)
    async with (
        serving(answering(b"")[0]) as backend,
        gated(backend.port, free_port(), policy("grpc: {}", "GRPC")) as (sidecar, client),
    ):
        answer = await client.rpc(call("search"))
        assert asked(sidecar, Reason.EXTERNAL_AUTH_GRPC_MISSING) == 1
    assert "grpcio" in answer[1]["error"]["message"]
    assert backend.connections == 0


MESHED = """
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: authz}
spec: {protocol: HTTP, host: authz, port: 9191, tls: {mode: Mesh, identity: "spiffe://test.mesh/ns/t/sa/authz"}}
"""


@pytest.mark.parametrize(("settings", "protocol"), [(OVER_HTTP, "HTTP"), ("grpc: {}", "GRPC")])
async def test_a_service_that_is_declared_to_be_of_the_mesh_is_never_asked_in_plain_text(
    settings: str, protocol: str
) -> None:
    async with (
        serving(answering(b"")[0]) as backend,
        http_service(lambda head, body: YES) as service,
        gated(backend.port, service.port, policy(settings, protocol) + MESHED) as (_, client),
    ):
        answer = await client.rpc(call("search"))
    assert answer[1]["error"]["data"] == {"reason": "external_auth_failed"}
    assert service.asked == []
