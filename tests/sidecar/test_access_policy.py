"""Access policies in the data path: at the agent's end, and at the server's behind mutual TLS."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sidecar.app import Sidecar
from tests.support.authorizing import NO, YES, http_service
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
from tests.support.meshed import CLIENT_POLICY, GITHUB, TRIAGE, Published, client_side, new_mesh, server_side

STANDING = """
apiVersion: outrider.dev/v1alpha1
kind: Standing
metadata: {name: here}
spec: {targets: [{group: "", kind: Service, name: github}]}
---
"""
ALLOW = """
apiVersion: agentic.networking.x-k8s.io/v1alpha1
kind: XAccessPolicy
metadata: {name: allow}
spec:
  targetRefs: [{group: %(group)s, kind: %(kind)s, name: github}]
  action: Allow
  rules:
  - name: only
    source: %(source)s
    authorization: %(authorization)s
"""
SPIFFE = f"{{type: SPIFFE, spiffe: '{TRIAGE}'}}"
ACCOUNT = "{type: ServiceAccount, serviceAccount: {name: triage, namespace: agents}}"
MATCH = "mcpBaseProtocolMethodsOption: MATCH_BASE_PROTOCOL_METHODS"
SEARCH = "methods: [{name: tools/call, params: [search]}]"
INLINE = f"{{type: Inline, mcp: {{{MATCH}, {SEARCH}}}}}"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}


def service(authorization: str, source: str = SPIFFE) -> str:
    return STANDING + ALLOW % {
        "group": '""',
        "kind": "Service",
        "source": source,
        "authorization": authorization,
    }


def backend_policy(authorization: str) -> str:
    made = ALLOW % {
        "group": "outrider.dev",
        "kind": "Backend",
        "source": SPIFFE,
        "authorization": authorization,
    }
    return "---\n" + made.replace(f"    source: {SPIFFE}\n", "")


@asynccontextmanager
async def behind(
    server_policy: str, answer: bytes, agent: str = TRIAGE
) -> AsyncIterator[tuple[Client, Any, Any]]:
    """An agent's client, what the server saw, and the server's sidecar, with mutual TLS in between."""
    mesh = new_mesh()
    script, seen = answering(answer)
    async with (
        serving(script) as backend,
        server_side(
            Published(mesh.identity(GITHUB)),
            backend.port,
            policy=server_policy.replace("APPLICATION", str(backend.port)),
        ) as (server, inbound),
        client_side(Published(mesh.identity(agent)), inbound) as (_, port),
        client_of(port) as client,
    ):
        yield client, seen, server


@pytest.mark.parametrize("source", [SPIFFE, ACCOUNT])
async def test_the_servers_end_grants_by_access_policies_alone(source: str) -> None:
    async with behind(service(INLINE, source), json_answer(result({"content": []}))) as (client, seen, _):
        allowed = await client.rpc(call("search"))
        refused = await client.rpc(call("drop", 2))
        begun = await client.rpc(INITIALIZE)
    assert allowed == (200, result({"content": []}))
    assert refused[1]["error"]["message"] == "Unknown tool: drop"
    assert "result" in begun[1]
    assert len(seen) == 2


async def test_a_list_is_filtered_by_access_policies_at_the_servers_end() -> None:
    async with behind(service(INLINE), json_answer(result({"tools": TOOLS}))) as (client, _, _):
        _, answer = await client.rpc(LIST)
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["search"]


async def test_another_source_is_turned_away() -> None:
    stranger = "spiffe://test.mesh/ns/agents/sa/stranger"
    async with behind(service(INLINE), json_answer(result({})), stranger) as (client, seen, _):
        status, _ = await client.rpc(call("search"))
    assert (status, seen) == (403, [])


async def test_without_the_option_not_even_initialize_passes() -> None:
    only = f"{{type: Inline, mcp: {{{SEARCH}}}}}"
    async with behind(service(only), json_answer(result({}))) as (client, _, _):
        begun = await client.rpc(INITIALIZE)
        called = await client.rpc(call("search"))
    assert begun[1]["error"]["data"] == {"reason": "access_policy_not_granted"}
    assert "result" in called[1]


FIELDS = "{type: Inline, mcp: {%s, methods: [{name: tools}]}, %s}"


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ("hosts: [github.tools.svc]", True),
        ("hosts: ['*.tools.svc']", True),
        ("hosts: [elsewhere.tools.svc]", False),
        ("ports: [APPLICATION]", True),
        ("ports: [8080]", False),
        ("paths: [{type: Exact, value: /mcp}]", True),
        ("paths: [{type: PathPrefix, value: /other}]", False),
        ("methods: [POST]", True),
        ("methods: [GET]", False),
        ("headers: [{name: X-Tenant, value: a}]", True),
        ("headers: [{name: X-Tenant, value: a}, {name: x-missing, value: b}]", False),
    ],
)
async def test_fields_of_http_count_at_the_servers_end(fields: str, passes: bool) -> None:
    async with behind(service(FIELDS % (MATCH, fields)), json_answer(result({"tools": TOOLS}))) as (
        client,
        seen,
        _,
    ):
        _, called = await client.rpc(call("search"), x_tenant="a")
        _, listed = await client.rpc(LIST, x_tenant="a")
    assert ("result" in called, "result" in listed) == (passes, passes)
    assert len(seen) == (2 if passes else 0)
    if passes:
        assert len(listed["result"]["tools"]) == len(TOOLS)


TRANSPORT = "http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"


@pytest.mark.parametrize("option", [MATCH, "mcpBaseProtocolMethodsOption: SKIP_BASE_PROTOCOL_METHODS"])
@pytest.mark.parametrize(
    "request_line",
    [f"GET {TRANSPORT}accept: text/event-stream\r\n\r\n", f"DELETE {TRANSPORT}mcp-session-id: s\r\n\r\n"],
)
async def test_streams_and_the_end_of_sessions_are_base_protocol(option: str, request_line: str) -> None:
    empty = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    inline = f"{{type: Inline, mcp: {{{option}, {SEARCH}}}}}"
    async with behind(service(inline), empty) as (client, _, _):
        script, seen = answering(empty)
        await client.send(request_line.encode())
        status, _, _ = await client.answer()
        async with (
            serving(script) as backend,
            sidecar_for(backend.port, policy=POLICY + backend_policy(inline)) as (_, port),
            client_of(port) as agent,
        ):
            await agent.send(request_line.encode())
            at_the_agents_end, _, _ = await agent.answer()
    expected = 200 if option is MATCH else 403
    assert (status, at_the_agents_end) == (expected, expected)
    assert len(seen) == (1 if expected == 200 else 0)


async def test_the_end_of_a_session_that_names_none_is_no_base_protocol() -> None:
    script, seen = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    async with (
        serving(script) as backend,
        sidecar_for(backend.port, policy=POLICY + backend_policy(INLINE)) as (_, port),
        client_of(port) as agent,
    ):
        await agent.send(f"DELETE {TRANSPORT}\r\n".encode())
        status, _, _ = await agent.answer()
    assert (status, seen) == (403, [])


async def test_plain_http_at_the_servers_end_needs_a_rule_without_restriction_of_mcp() -> None:
    wide = "{type: Inline, paths: [{type: PathPrefix, value: /mcp/files}], methods: [PUT]}"
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    mesh = new_mesh()
    script, seen = answering(answer)
    request = "%s http://github.tools.svc:8080/mcp/%s HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=service(wide)) as (_, inbound),
        client_side(
            Published(mesh.identity(TRIAGE)),
            inbound,
            policy=CLIENT_POLICY.replace("protocol: MCP", "protocol: HTTP").replace(
                '    tools: {allow: ["*"]}\n', ""
            ),
        ) as (_, port),
        client_of(port) as client,
    ):
        statuses = []
        for verb, path in (("PUT", "files/a"), ("PUT", "other"), ("GET", "files/a")):
            await client.send((request % (verb, path) + "content-length: 2\r\n\r\nab").encode())
            statuses.append((await client.answer())[0])
    assert statuses == [200, 403, 403]
    assert len(seen) == 1


FORBIDDEN = {"code": 403, "message": "Access to this tool is forbidden."}


@pytest.mark.parametrize("ident", [7, 2**53 + 1, -1, "seven", ""])
async def test_refusals_read_as_the_reference_implementation_words_them(ident: Any) -> None:
    async with behind(service(INLINE), json_answer(result({}))) as (client, seen, server):
        server.pipeline.forbidden = True
        await client.send(post(call("drop", ident)))
        status, headers, body = await client.answer()
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body) == {"jsonrpc": "2.0", "id": ident, "error": FORBIDDEN}
    assert type(json.loads(body)["id"]) is type(ident)
    assert seen == []


async def test_lists_are_filtered_where_refusals_read_as_forbidden() -> None:
    async with behind(service(INLINE), json_answer(result({"tools": TOOLS}))) as (client, _, server):
        server.pipeline.forbidden = True
        _, answer = await client.rpc(LIST)
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["search"]


@asynccontextmanager
async def agents_end(documents: str, answer: bytes) -> AsyncIterator[tuple[Sidecar, Client, Any]]:
    script, seen = answering(answer)
    async with (
        serving(script) as backend,
        sidecar_for(backend.port, policy=documents) as (sidecar, port),
        client_of(port) as client,
    ):
        yield sidecar, client, seen


@pytest.mark.parametrize("forbidden", [False, True])
async def test_a_destination_that_is_refused_reads_as_forbidden_too(forbidden: bool) -> None:
    async with agents_end(POLICY, b"") as (sidecar, client, _):
        sidecar.pipeline.forbidden = forbidden
        await client.send(post(call("search")).replace(b"github.tools.svc", b"nowhere.tools.svc"))
        _, _, body = await client.answer()
    assert (json.loads(body)["error"] == FORBIDDEN) is forbidden


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("request.mcp.tool_name.startsWith('sea')", True),
        ("request.mcp.tool_name == 'drop'", False),
        ("request.path == '/mcp?tenant=a' && request.url_path == '/mcp'", True),
        ("request.method == 'POST' && request.host == 'github.tools.svc'", True),
        ("request.headers['x-tenant'] == 'a'", True),
        ("request.headers['x-absent'] == 'a'", False),
        ("request.time.getFullYear() == 2001", True),
        ("request.time.getFullYear() == 2002", False),
    ],
)
async def test_expressions_see_the_request_at_the_agents_end(expression: str, passes: bool) -> None:
    documents = (
        POLICY
        + "---\n"
        + ALLOW
        % {
            "group": "outrider.dev",
            "kind": "Backend",
            "source": "{type: SPIFFE, spiffe: 'spiffe://x/y'}",
            "authorization": f"{{type: CEL, cel: {{expression: {json.dumps(expression)}}}}}",
        }
    )
    documents = documents.replace("    source: {type: SPIFFE, spiffe: 'spiffe://x/y'}\n", "")
    async with agents_end(documents, json_answer(result({"content": []}))) as (sidecar, client, _):
        sidecar.pipeline._wall = lambda: 1_000_000_000 * 10**9
        await client.send(post(call("search"), path="/mcp?tenant=a", x_tenant="a"))
        _, _, body = await client.answer()
    assert ("result" in json.loads(body)) is passes


async def test_both_levels_have_to_grant() -> None:
    drop = f"{{type: Inline, mcp: {{{MATCH}, methods: [{{name: tools/call, params: [search, drop]}}]}}}}"
    async with agents_end(POLICY + backend_policy(drop), json_answer(result({"tools": TOOLS}))) as (
        _,
        client,
        _,
    ):
        _, answer = await client.rpc(LIST)
        _, refused = await client.rpc(call("list_all"))
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["search"]
    assert "error" in refused


ARGUMENTS = POLICY.replace(
    "    prompts: {allow: [greet]}\n",
    "    arguments: [{tool: search, require: \"args.owner == 'acme'\", message: only repositories of acme}]\n",
)


async def test_arguments_that_a_policy_refuses_are_told_to_the_agent() -> None:
    async with agents_end(ARGUMENTS, json_answer(result({"content": []}))) as (_, client, seen):
        allowed = await client.rpc(call("search", owner="acme"))
        refused = await client.rpc(call("search", "b", owner="other"))
        none = await client.rpc(
            {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "search"}}
        )
    assert "result" in allowed[1]
    assert refused[1]["id"] == "b"
    assert refused[1]["error"]["message"] == "only repositories of acme"
    assert refused[1]["error"]["data"] == {"reason": "arguments_refused"}
    assert "error" in none[1]
    assert len(seen) == 1


async def test_a_tool_that_some_arguments_may_call_is_shown() -> None:
    async with agents_end(ARGUMENTS, json_answer(result({"tools": TOOLS}))) as (_, client, _):
        _, answer = await client.rpc(LIST)
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["search", "list_all"]


GATE = """---
apiVersion: agentic.networking.x-k8s.io/v1alpha1
kind: XAccessPolicy
metadata: {name: gate}
spec:
  targetRefs: [{group: outrider.dev, kind: Backend, name: github}]
  action: ExternalAuth
  externalAuth: {protocol: HTTP, backendRef: {name: authz, port: 9191}, http: {}}
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: authz}
spec: {protocol: HTTP, host: authz, port: 9191, tls: {mode: Mesh, identity: "%s"}}
"""
AUTHZ = "spiffe://test.mesh/ns/tools/sa/authz"
AUTHZ_POLICY = f"""
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: authz}}
spec: {{inbound: [{{from: ["{TRIAGE}"], http: {{allow: true}}}}]}}
"""


@pytest.mark.parametrize(
    ("said", "identity", "passes"), [(YES, AUTHZ, True), (NO, AUTHZ, False), (YES, GITHUB, False)]
)
async def test_a_service_of_the_mesh_is_asked_over_mutual_tls(
    said: bytes, identity: str, passes: bool
) -> None:
    mesh = new_mesh()
    script, seen = answering(json_answer(result({"content": []})))
    async with (
        serving(script) as backend,
        http_service(lambda head, body: said) as authz,
        server_side(Published(mesh.identity(GITHUB)), backend.port) as (_, inbound),
        server_side(Published(mesh.identity(identity)), authz.port, policy=AUTHZ_POLICY) as (_, gate),
        client_side(Published(mesh.identity(TRIAGE)), inbound, policy=CLIENT_POLICY + GATE % AUTHZ) as (
            sidecar,
            port,
        ),
        client_of(port) as client,
    ):
        sidecar._dialer._connect["authz", 9191] = ("127.0.0.1", gate)
        _, answer = await client.rpc(call("search"))
    assert ("result" in answer) is passes
    assert len(authz.asked) == (1 if identity is AUTHZ else 0)
    assert len(seen) == (1 if passes else 0)
