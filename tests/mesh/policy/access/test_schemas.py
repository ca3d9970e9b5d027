"""What an XAccessPolicy or XBackend may say: the limits, enumerations and rules of their CRDs."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from mesh.policy import PolicyInvalid, read_object_alone
from mesh.policy.access.documents import (
    AccessPolicy,
    Action,
    Authorization,
    HeaderMatch,
    MatchType,
    MethodMatch,
    PathMatch,
    ServiceAccount,
    TargetRef,
    XBackend,
    XBackendTls,
)
from mesh.policy.decision import AuthProtocol
from tests.support.access_policies import GROUP, SOURCE, Object, access_policy, on

RULE: Object = {
    "name": "readers",
    "source": {"type": "ServiceAccount", "serviceAccount": {"name": "triage", "namespace": "agents"}},
    "authorization": {
        "type": "Inline",
        "mcp": {
            "methods": [{"name": "tools/call", "params": ["echo", "get-sum"]}, {"name": "prompts"}],
            "mcpBaseProtocolMethodsOption": "MATCH_BASE_PROTOCOL_METHODS",
        },
        "methods": ["POST"],
        "paths": [{"value": "/mcp"}, {"type": "RegularExpression", "value": "/v[0-9]+/mcp"}],
        "headers": [{"name": "X-Tenant", "value": "a"}],
        "hosts": ["*.tools.svc"],
        "ports": [8080],
    },
}
GRPC: Object = {"protocol": "GRPC", "backendRef": {"name": "authz", "port": 50051}, "grpc": {}}
HTTP: Object = {
    "protocol": "HTTP",
    "backendRef": {"group": "", "kind": "Service", "name": "authz", "namespace": "tools", "port": 80},
    "http": {"path": "/check", "allowedHeaders": ["X-A"], "allowedResponseHeaders": ["X-User"]},
    "forwardBody": {"maxSize": 1024},
}
ALLOW: Object = {"targetRefs": on(), "action": "Allow", "rules": [RULE]}


def read(spec: Object, version: str = "v1alpha1") -> AccessPolicy:
    value = read_object_alone(access_policy("a", spec, version=version))
    assert isinstance(value, AccessPolicy)
    return value


def faults(spec: Object, version: str = "v1alpha1") -> list[str]:
    try:
        read(spec, version)
    except PolicyInvalid as invalid:
        return [f"{error.path}: {error.message}" for error in invalid.errors]
    return []


def put(spec: Object, path: str, value: Any) -> Object:
    """A copy with a value put at a path like `rules.0.name`; ... takes it away."""
    made = deepcopy(spec)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = made
    for part in way:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return made


def test_a_policy_is_read_whole() -> None:
    policy = read(ALLOW)
    (rule,) = policy.rules
    assert (policy.label, policy.action) == ("XAccessPolicy/tools/a", Action.ALLOW)
    assert policy.targets == (TargetRef("outrider.dev", "Backend", "tools", "github"),)
    assert policy.created == "2026-01-01T00:00:00Z"
    assert rule.source == ServiceAccount("agents", "triage")
    assert rule.authorization == Authorization(
        methods=(MethodMatch("tools/call", ("echo", "get-sum")), MethodMatch("prompts")),
        base=True,
        http_methods=("POST",),
        paths=(
            PathMatch(MatchType.PATH_PREFIX, "/mcp"),
            PathMatch(MatchType.REGULAR_EXPRESSION, "/v[0-9]+/mcp"),
        ),
        headers=(HeaderMatch("x-tenant", MatchType.EXACT, "a"),),
        hosts=("*.tools.svc",),
        ports=(8080,),
    )


def test_an_external_authorization_is_read_whole() -> None:
    policy = read({"targetRefs": on(), "action": "ExternalAuth", "externalAuth": HTTP})
    auth = policy.external_auth
    assert auth is not None
    assert (auth.protocol, auth.namespace, auth.name, auth.port) == (AuthProtocol.HTTP, "tools", "authz", 80)
    assert (auth.path, auth.allowed_request_headers) == ("/check", ("x-a",))
    assert (auth.allowed_response_headers, auth.forward_body_bytes) == (("x-user",), 1024)


def test_no_headers_named_are_all_for_grpc_and_none_more_for_http() -> None:
    spec = {"targetRefs": on(), "action": "ExternalAuth"}
    grpc = read({**spec, "externalAuth": GRPC}).external_auth
    http = read({**spec, "externalAuth": {**HTTP, "http": {}}}).external_auth
    assert grpc is not None
    assert http is not None
    assert (grpc.allowed_request_headers, grpc.allowed_response_headers) == (None, None)
    assert (http.allowed_request_headers, http.allowed_response_headers) == ((), None)


M = "rules.0.authorization.mcp.methods"


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("targetRefs", ..., "spec.targetRefs"),
        ("targetRefs", [], "spec.targetRefs"),
        ("targetRefs", on() * 11, "spec.targetRefs"),
        ("targetRefs", on() + on("Gateway", "g"), "spec.targetRefs[1].kind"),
        ("targetRefs.0.group", ..., "spec.targetRefs[0].group"),
        ("targetRefs.0.group", "UPPER", "spec.targetRefs[0].group"),
        ("targetRefs.0.kind", "", "spec.targetRefs[0].kind"),
        ("targetRefs.0.name", "", "spec.targetRefs[0].name"),
        ("targetRefs.0.namespace", "x", "spec.targetRefs[0].namespace"),
        ("targetRefs.0.sectionName", "UPPER", "spec.targetRefs[0].sectionName"),
        ("action", ..., "spec.action"),
        ("action", "Deny", "spec.action"),
        ("action", "ExternalAuth", "spec.externalAuth"),
        ("externalAuth", {}, "spec.externalAuth.protocol"),
        ("rules", [{**RULE, "name": f"r{i}"} for i in range(11)], "spec.rules"),
        ("rules", [RULE, RULE], "spec.rules[1].name"),
        ("rules.0.name", ..., "spec.rules[0].name"),
        ("rules.0.name", "", "spec.rules[0].name"),
        ("rules.0.name", "A", "spec.rules[0].name"),
        ("rules.0.name", "a" * 64, "spec.rules[0].name"),
        ("rules.0.source.type", "User", "spec.rules[0].source.type"),
        ("rules.0.source.type", ..., "spec.rules[0].source.type"),
        ("rules.0.source.type", "SPIFFE", "spec.rules[0].source"),
        ("rules.0.source.spiffe", SOURCE, "spec.rules[0].source"),
        ("rules.0.source.serviceAccount.name", ..., "spec.rules[0].source.serviceAccount.name"),
        ("rules.0.source", {"type": "SPIFFE", "spiffe": "https://x"}, "spec.rules[0].source.spiffe"),
        ("rules.0.source", {"type": "SPIFFE", "spiffe": "spiffe://X/y"}, "spec.rules[0].source.spiffe"),
        ("rules.0.authorization.type", ..., "spec.rules[0].authorization.type"),
        ("rules.0.authorization.type", "InlineTools", "spec.rules[0].authorization.type"),
        ("rules.0.authorization.type", "CEL", "spec.rules[0].authorization.cel"),
        ("rules.0.authorization.cel", {"expression": "true"}, "spec.rules[0].authorization.cel"),
        ("rules.0.authorization.tools", ["x"], "spec.rules[0].authorization.tools"),
        (M, [{"name": "tools"}, {"name": "tools"}], "spec.rules[0].authorization.mcp.methods[1].name"),
        (M, [{"name": "initialize"}], "spec.rules[0].authorization.mcp.methods[0].name"),
        (M, [{"name": "tools"}] * 11, "spec.rules[0].authorization.mcp.methods"),
        (f"{M}.1.params", ["x"], "spec.rules[0].authorization.mcp.methods[1].params"),
        (M, [{"name": "tools/list", "params": ["x"]}], "spec.rules[0].authorization.mcp.methods[0].params"),
        (f"{M}.0.params", ["x" * 21], "spec.rules[0].authorization.mcp.methods[0].params[0]"),
        (f"{M}.0.params", ["x", "x"], "spec.rules[0].authorization.mcp.methods[0].params[1]"),
        (f"{M}.0.params", [str(i) for i in range(11)], "spec.rules[0].authorization.mcp.methods[0].params"),
        (
            "rules.0.authorization.mcp.mcpBaseProtocolMethodsOption",
            "MATCH",
            "spec.rules[0].authorization.mcp.mcpBaseProtocolMethodsOption",
        ),
        ("rules.0.authorization.methods", ["get"], "spec.rules[0].authorization.methods[0]"),
        ("rules.0.authorization.methods", ["GET", "GET"], "spec.rules[0].authorization.methods[1]"),
        ("rules.0.authorization.paths", [{}] * 11, "spec.rules[0].authorization.paths"),
        ("rules.0.authorization.paths.0.value", "x" * 1025, "spec.rules[0].authorization.paths[0].value"),
        ("rules.0.authorization.paths.1.value", "(", "spec.rules[0].authorization.paths[1].value"),
        ("rules.0.authorization.paths.0.type", "Prefix", "spec.rules[0].authorization.paths[0].type"),
        ("rules.0.authorization.headers.0.type", "PathPrefix", "spec.rules[0].authorization.headers[0].type"),
        ("rules.0.authorization.headers.0.name", "a b", "spec.rules[0].authorization.headers[0].name"),
        ("rules.0.authorization.headers.0.value", "", "spec.rules[0].authorization.headers[0].value"),
        ("rules.0.authorization.hosts", ["*"], "spec.rules[0].authorization.hosts[0]"),
        ("rules.0.authorization.hosts", ["A.b"], "spec.rules[0].authorization.hosts[0]"),
        ("rules.0.authorization.ports", [0], "spec.rules[0].authorization.ports[0]"),
        ("rules.0.authorization.ports", [65536], "spec.rules[0].authorization.ports[0]"),
        ("rules.0.authorization.ports", list(range(1, 12)), "spec.rules[0].authorization.ports"),
        ("unknown", 1, "spec.unknown"),
    ],
)
def test_what_the_crd_refuses_is_a_fault(path: str, value: Any, where: str) -> None:
    found = faults(put(ALLOW, path, value))
    assert any(fault.startswith(f"{where}: ") for fault in found), found


@pytest.mark.parametrize(
    ("auth", "where"),
    [
        (put(GRPC, "grpc", ...), "spec.externalAuth.grpc"),
        (put(HTTP, "http", ...), "spec.externalAuth.http"),
        ({**GRPC, "http": {}}, "spec.externalAuth.http"),
        ({**HTTP, "grpc": {}}, "spec.externalAuth.grpc"),
        (put(GRPC, "protocol", "TCP"), "spec.externalAuth.protocol"),
        (put(GRPC, "backendRef", ...), "spec.externalAuth.backendRef"),
        (put(GRPC, "backendRef.port", ...), "spec.externalAuth.backendRef.port"),
        (put(GRPC, "backendRef.kind", "XBackend"), "spec.externalAuth.backendRef"),
        (put(GRPC, "backendRef.namespace", "other"), "spec.externalAuth.backendRef.namespace"),
        (put(HTTP, "http.path", "/a b"), "spec.externalAuth.http.path"),
        (put(HTTP, "http.allowedHeaders", ["a"] * 2), "spec.externalAuth.http.allowedHeaders[1]"),
        (
            put(GRPC, "grpc.allowedHeaders", [f"h{i}" for i in range(65)]),
            "spec.externalAuth.grpc.allowedHeaders",
        ),
        (put(HTTP, "forwardBody.maxSize", -1), "spec.externalAuth.forwardBody.maxSize"),
    ],
)
def test_an_authorization_service_has_to_be_whole(auth: Object, where: str) -> None:
    found = faults({"targetRefs": on(), "action": "ExternalAuth", "externalAuth": auth})
    assert any(fault.startswith(f"{where}: ") for fault in found), found


def test_every_fault_is_told_at_once() -> None:
    spec = put(put(put(ALLOW, "action", "x"), "rules.0.name", "A"), "rules.0.authorization.ports", [0])
    assert len(faults(spec)) == 3


def test_an_authorization_beside_action_allow_has_no_effect() -> None:
    assert read({**ALLOW, "externalAuth": GRPC}).external_auth is None


def test_targets_of_kinds_that_nobody_here_knows_are_left_to_others() -> None:
    assert read(put(ALLOW, "targetRefs.0.kind", "HTTPRoute")).targets[0].kind == "HTTPRoute"


OLDER: Object = {
    "targetRefs": on("XBackend", "gh"),
    "rules": [
        {
            "name": "tools",
            "source": {"type": "SPIFFE", "spiffe": SOURCE},
            "authorization": {"type": "InlineTools", "tools": ["echo", "a_tool_with_a_name_of_more_than_20"]},
        },
        {"name": "all", "source": {"type": "ServiceAccount", "serviceAccount": {"name": "x"}}},
        {
            "name": "none",
            "source": {"type": "SPIFFE", "spiffe": SOURCE},
            "authorization": {"type": "InlineTools", "tools": []},
        },
        {
            "name": "cel",
            "source": {"type": "SPIFFE", "spiffe": SOURCE},
            "authorization": {"type": "CEL", "cel": {"expression": "true", "message": "no"}},
        },
        {
            "name": "asked",
            "source": {"type": "SPIFFE", "spiffe": SOURCE},
            "authorization": {"type": "ExternalAuth", "externalAuth": GRPC},
        },
    ],
}


def test_the_older_version_is_read_into_the_newer_ones_words() -> None:
    policy = read(OLDER, "v0alpha0")
    tools, everything, none, cel, asked = policy.rules
    assert policy.action is Action.ALLOW
    assert tools.authorization == Authorization(
        methods=(MethodMatch("tools/call", ("echo", "a_tool_with_a_name_of_more_than_20")),), base=True
    )
    assert (everything.authorization, everything.source) == (None, ServiceAccount("tools", "x"))
    assert none.authorization == Authorization(methods=(), base=True)
    assert cel.authorization == Authorization(base=True, cel="true", message="no")
    assert (asked.authorization, asked.delegated) == (None, True)
    assert policy.external_auth is not None


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("targetRefs", on("Service"), "spec.targetRefs[0]"),
        ("rules", ..., "spec.rules"),
        ("rules", [], "spec.rules"),
        ("rules.0.source", ..., "spec.rules[0].source"),
        ("rules.0.source", {}, "spec.rules[0].source.type"),
        ("rules.0.authorization.tools", ..., "spec.rules[0].authorization"),
        ("rules.0.authorization.cel", {"expression": "true"}, "spec.rules[0].authorization"),
        ("rules.0.authorization.type", "Inline", "spec.rules[0].authorization.type"),
        ("rules.3.authorization", OLDER["rules"][4]["authorization"], "spec.rules"),
        ("rules.1.name", "tools", "spec.rules[1].name"),
        ("action", "Allow", "spec.action"),
    ],
)
def test_what_the_older_crd_refuses_is_a_fault(path: str, value: Any, where: str) -> None:
    found = faults(put(OLDER, path, value), "v0alpha0")
    assert any(fault.startswith(f"{where}: ") for fault in found), found


EXTERNAL: Object = {
    "type": "ExternalHostname",
    "externalHostname": {"hostname": "mcp.example.com"},
    "port": {"number": 443},
    "protocol": "MCP",
    "tls": {"mode": "ServerOnly"},
}
SELECTED: Object = {
    "type": "EndpointSelector",
    "endpointSelector": {"matchLabels": {"app": "gh"}},
    "port": {"number": 8080},
}


def read_xbackend(spec: Object, api: str = "gateway.networking.x-k8s.io/v1alpha1") -> XBackend:
    metadata = {"name": "gh", "namespace": "tools", "creationTimestamp": "2026-01-01T00:00:00Z"}
    value = read_object_alone({"apiVersion": api, "kind": "XBackend", "metadata": metadata, "spec": spec})
    assert isinstance(value, XBackend)
    return value


def test_an_xbackend_of_gateway_api_is_read() -> None:
    external, selected = read_xbackend(EXTERNAL), read_xbackend(SELECTED)
    assert (external.hostname, external.port, external.protocol) == ("mcp.example.com", 443, "MCP")
    assert external.tls is XBackendTls.SERVER_ONLY
    assert external.ref == TargetRef("gateway.networking.x-k8s.io", "XBackend", "tools", "gh")
    assert (selected.match_labels, selected.protocol, selected.hostname) == ((("app", "gh"),), "", None)
    mutual = {
        "mode": "ClientAndServer",
        "clientCertificateRef": {"name": "c"},
        "validation": {"hostname": "x"},
    }
    assert read_xbackend({**EXTERNAL, "tls": mutual}).own_authorities


@pytest.mark.parametrize(
    ("base", "path", "value", "where"),
    [
        (EXTERNAL, "type", "Other", "spec.type"),
        (EXTERNAL, "externalHostname", ..., "spec.externalHostname"),
        (SELECTED, "externalHostname", {"hostname": "x.y"}, "spec.externalHostname"),
        (SELECTED, "endpointSelector", ..., "spec.endpointSelector"),
        (EXTERNAL, "endpointSelector", {"matchLabels": {"a": "b"}}, "spec.endpointSelector"),
        (EXTERNAL, "externalHostname.hostname", "10.0.0.1", "spec.externalHostname.hostname"),
        (EXTERNAL, "externalHostname.hostname", "::1", "spec.externalHostname.hostname"),
        (EXTERNAL, "externalHostname.hostname", "*.example.com", "spec.externalHostname.hostname"),
        (EXTERNAL, "externalHostname.hostname", "a.b.svc.cluster.local", "spec.externalHostname.hostname"),
        (EXTERNAL, "port", {}, "spec.port.number"),
        (EXTERNAL, "port.number", 0, "spec.port.number"),
        (EXTERNAL, "protocol", "A2A", "spec.protocol"),
        (EXTERNAL, "protocol", "H2C", "spec.tls"),
        (SELECTED, "protocol", "HTTP2", "spec.tls"),
        (SELECTED, "protocol", "WSS", "spec.tls"),
        (EXTERNAL, "tls", {"mode": "ClientAndServer"}, "spec.tls"),
        (EXTERNAL, "tls", {"mode": "None", "clientCertificateRef": {"name": "x"}}, "spec.tls"),
    ],
)
def test_what_an_xbackends_crd_refuses_is_a_fault(base: Object, path: str, value: Any, where: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        read_xbackend(put(base, path, value))
    assert any(error.path == where for error in caught.value.errors), caught.value


def test_an_xbackend_of_kube_agentic_networking_is_read() -> None:
    api = f"{GROUP}/v0alpha0"
    service = read_xbackend({"mcp": {"serviceName": "gh", "port": 80}}, api)
    assert (service.service, service.path, service.tls) == ("gh", "/mcp", XBackendTls.NONE)
    outside = read_xbackend({"mcp": {"hostname": "MCP.example.com", "port": 443, "path": "/x/"}}, api)
    assert (outside.hostname, outside.path, outside.tls) == ("mcp.example.com", "/x", XBackendTls.SERVER_ONLY)


@pytest.mark.parametrize(
    "mcp",
    [
        {"port": 80},
        {"serviceName": "a", "hostname": "b.c", "port": 80},
        {"serviceName": "a"},
        {"serviceName": "a", "port": 0},
        {"serviceName": "a", "port": 80, "path": "x"},
    ],
)
def test_an_xbackend_names_a_service_or_a_host(mcp: Object) -> None:
    with pytest.raises(PolicyInvalid):
        read_xbackend({"mcp": mcp}, f"{GROUP}/v0alpha0")
