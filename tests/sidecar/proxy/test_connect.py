"""CONNECT: which tunnels are inspected, which pass as they are, which are refused."""

from __future__ import annotations

import json

import pytest

from mesh.policy.boundary import Reach
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead
from mesh.reasons import Reason
from sidecar.proxy.connect import tunnel_to
from sidecar.proxy.plan import Reply, Tunnel
from sidecar.proxy.pool import Destination, TlsMode
from sidecar.telemetry import names
from tests.support.fakes import outbound, policy_of, recorder, request_head

ID = "spiffe://test.mesh/ns/tools/sa/db"

BACKENDS = {
    "mcp": "{protocol: MCP, host: mcp.svc, port: 8080, path: /mcp, tls: {mode: None}}",
    "mcp-mesh": f'{{protocol: MCP, host: meshed.svc, port: 8080, tls: {{mode: Mesh, identity: "{ID}"}}}}',
    "mcp-public": "{protocol: MCP, host: mcp.example.com, port: 443, tls: {mode: Public}}",
    "http": "{protocol: HTTP, host: http.svc, port: 80, tls: {mode: None}}",
    "http-public": "{protocol: HTTP, host: api.example.com, port: 443, tls: {mode: Public}}",
    "http-part": "{protocol: HTTP, host: part.example.com, port: 443, path: /v1, tls: {mode: Public}}",
    "with-credential": (
        "{protocol: HTTP, host: code.example.com, port: 443, tls: {mode: Public},"
        " credential: {hidden: {variables: [TOKEN]}}}"
    ),
    "beside-it": "{protocol: HTTP, host: beside.example.com, port: 443, tls: {mode: Public}}",
    "beside-with-credential": (
        "{protocol: HTTP, host: beside.example.com, port: 443, path: /v1, tls: {mode: Public},"
        " credential: {hidden: {variables: [TOKEN]}}}"
    ),
    "tcp": "{protocol: TCP, host: db.svc, port: 5432, tls: {mode: None}}",
    "tcp-mesh": f'{{protocol: TCP, host: dbm.svc, port: 5432, tls: {{mode: Mesh, identity: "{ID}"}}}}',
    "wild": '{protocol: HTTP, host: "*.cdn.example.com", port: 443, tls: {mode: Public}}',
}


def documents(granted: str, egress: str) -> str:
    backends = "".join(
        f"apiVersion: outrider.dev/v1alpha1\nkind: Backend\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n"
        for name, spec in BACKENDS.items()
    )
    return (
        f"{backends}apiVersion: outrider.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {{name: triage}}\n"
        f"spec:\n  egress: {egress}\n  outbound: {granted}\n"
    )


GRANTED = policy_of(documents('[{backend: "*"}]', "deny"))
NOTHING_GRANTED = policy_of(documents("[]", "deny"))
OPEN = policy_of(documents("[]", "allow"))


def connect(target: str) -> RequestHead:
    return request_head(f"CONNECT {target}", host=target)


def refusal(target: str, policy: object = GRANTED) -> str:
    step = tunnel_to(connect(target), outbound(), policy, recorder()[0])  # type: ignore[arg-type]
    assert isinstance(step, Reply)
    assert step.status == 403
    reason: str = json.loads(step.body)["reason"]
    return reason


def granted(target: str, policy: object = GRANTED) -> Tunnel:
    step = tunnel_to(connect(target), outbound(), policy, recorder()[0])  # type: ignore[arg-type]
    assert isinstance(step, Tunnel)
    return step


@pytest.mark.parametrize(
    ("target", "backend"),
    [
        ("mcp.svc:8080", "mcp"),
        ("MCP.svc.:8080", "mcp"),
        ("meshed.svc:8080", "mcp-mesh"),
        ("http.svc:80", "http"),
    ],
)
def test_a_tunnel_to_a_backend_that_is_read_in_plain_is_inspected(target: str, backend: str) -> None:
    tunnel = granted(target)
    assert (tunnel.inspected, tunnel.backend) == (True, backend)
    assert f"{tunnel.host}:{tunnel.port}" == target.lower().replace(".:", ":")


@pytest.mark.parametrize("policy", [NOTHING_GRANTED, OPEN])
def test_an_inspected_tunnel_opens_for_anybody_because_each_request_inside_is_decided(policy: object) -> None:
    assert granted("mcp.svc:8080", policy).inspected


@pytest.mark.parametrize(
    ("target", "backend", "destination"),
    [
        ("db.svc:5432", "tcp", Destination("db.svc", 5432, reach=Reach.ROUTED)),
        (
            "dbm.svc:5432",
            "tcp-mesh",
            Destination("dbm.svc", 5432, TlsMode.MESH, "", ID, reach=Reach.ROUTED),
        ),
        ("api.example.com:443", "http-public", Destination("api.example.com", 443, reach=Reach.ROUTED)),
        ("a.cdn.example.com:443", "wild", Destination("a.cdn.example.com", 443, reach=Reach.ROUTED)),
    ],
)
def test_a_tunnel_in_which_no_policy_has_a_say_passes_as_it_is(
    target: str, backend: str, destination: Destination
) -> None:
    tunnel = granted(target)
    assert (tunnel.inspected, tunnel.backend, tunnel.destination) == (False, backend, destination)


@pytest.mark.parametrize("target", ["db.svc:5432", "dbm.svc:5432", "api.example.com:443"])
@pytest.mark.parametrize("policy", [NOTHING_GRANTED, OPEN])
def test_such_a_tunnel_needs_a_grant_whatever_the_egress(target: str, policy: object) -> None:
    assert refusal(target, policy) == Reason.BACKEND_NOT_GRANTED


@pytest.mark.parametrize("target", ["mcp.example.com:443", "part.example.com:443"])
@pytest.mark.parametrize("policy", [GRANTED, OPEN])
def test_tls_around_what_a_policy_must_see_is_refused(target: str, policy: object) -> None:
    assert refusal(target, policy) == Reason.CONNECT_REFUSED


@pytest.mark.parametrize("host", ["code.example.com", "beside.example.com"])
def test_a_tunnel_to_who_gets_a_credential_is_looked_into_or_refused(host: str) -> None:
    assert refusal(f"{host}:443") == Reason.CONNECT_REFUSED
    step = tunnel_to(connect(f"{host}:443"), outbound(), GRANTED, recorder()[0], lambda *_: True)
    assert isinstance(step, Tunnel)
    assert step.inspected


@pytest.mark.parametrize(
    "target", ["evil.example.com:443", "mcp.svc:8081", "cdn.example.com:443", "[2600::1]:80"]
)
def test_a_tunnel_to_an_unknown_destination_follows_the_egress(target: str) -> None:
    assert refusal(target) == Reason.EGRESS_DENIED
    tunnel = granted(target, OPEN)
    assert (tunnel.inspected, tunnel.backend) == (False, "undeclared")


@pytest.mark.parametrize("target", ["mcp.svc", "mcp.svc:0", "mcp.svc:99999", "u@mcp.svc:8080", "a b:1"])
def test_a_target_that_is_no_host_and_port_is_refused_as_http(target: str) -> None:
    head = connect("mcp.svc:8080")
    head.target = target.encode()
    with pytest.raises(HttpRefused):
        tunnel_to(head, outbound(), GRANTED, recorder()[0])


@pytest.mark.parametrize(
    ("target", "backend", "reason"),
    [
        ("db.svc:5432", "tcp", Reason.ALLOWED),
        ("evil.example.com:443", "undeclared", Reason.EGRESS_DENIED),
    ],
)
def test_each_decision_on_a_tunnel_is_counted_and_logged(target: str, backend: str, reason: Reason) -> None:
    written, lines = recorder()
    tunnel_to(connect(target), outbound(), GRANTED, written)
    assert written.metrics.value(names.REQUESTS, ("outbound", backend, "connect", reason)) == 1
    assert [(event, fields["name"]) for event, fields in lines.lines] == [("decision", target)]


def test_a_refused_tunnel_is_counted_among_the_refused_messages() -> None:
    written, _ = recorder()
    tunnel_to(connect("mcp.example.com:443"), outbound(), GRANTED, written)
    assert written.metrics.value(names.REFUSED_MESSAGES, ("client", Reason.CONNECT_REFUSED)) == 1
