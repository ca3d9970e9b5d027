"""Routing: every target has one destination and one treatment."""

from __future__ import annotations

import pytest

from mesh.policy.boundary import Reach
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import Target, absolute_form
from mesh.reasons import Reason
from sidecar.proxy.plan import Routed, Treatment
from sidecar.proxy.pool import Destination, TlsMode
from sidecar.proxy.routing import UNDECLARED, Endpoints, authority_of, route_outbound
from tests.support.fakes import policy_of

ID = "spiffe://test.mesh/ns/tools/sa/github"


def backend(name: str, spec: str) -> str:
    return (
        f"apiVersion: outrider.dev/v1alpha1\nkind: Backend\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n"
    )


def policy(egress: str = "deny") -> str:
    return (
        backend(
            "github", "{protocol: MCP, host: github.tools.svc, port: 8080, path: /mcp, tls: {mode: None}}"
        )
        + backend(
            "admin",
            "{protocol: MCP, host: github.tools.svc, port: 8080, path: /mcp/admin, tls: {mode: None}}",
        )
        + backend(
            "oauth", "{protocol: HTTP, host: github.tools.svc, port: 8080, path: /oauth, tls: {mode: None}}"
        )
        + backend("plain", "{protocol: HTTP, host: plain.svc, port: 80, tls: {mode: None}}")
        + backend(
            "meshed",
            f'{{protocol: MCP, host: meshed.svc, port: 8080, tls: {{mode: Mesh, identity: "{ID}"}}}}',
        )
        + backend("public", "{protocol: MCP, host: api.example.com, port: 443, tls: {mode: Public}}")
        + backend("wild", '{protocol: HTTP, host: "*.wild.svc", port: 8080, path: /mcp, tls: {mode: None}}')
        + backend("tamed", "{protocol: HTTP, host: tame.wild.svc, port: 8080, tls: {mode: None}}")
        + backend("v6", '{protocol: MCP, host: "fd00::1", port: 8080, tls: {mode: None}}')
        + f"""apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: triage}}
spec:
  egress: {egress}
  outbound:
  - backend: "*"
    tools: {{allow: ["*"]}}
"""
    )


DENY, ALLOW = policy_of(policy()), policy_of(policy("allow"))


def route(url: str, learned: Endpoints | None = None) -> Routed:
    return route_outbound(DENY, absolute_form(url.encode()), learned or {})


@pytest.mark.parametrize(
    ("url", "name", "treatment"),
    [
        ("http://github.tools.svc:8080/mcp", "github", Treatment.MCP),
        ("http://GitHub.Tools.SVC.:8080/mcp", "github", Treatment.MCP),
        ("http://github.tools.svc:8080/mcp?session=1", "github", Treatment.MCP),
        ("http://github.tools.svc:8080/mcp/", "github", Treatment.MCP),
        ("http://github.tools.svc:8080/mcp/deeper", "github", Treatment.MCP),
        ("http://github.tools.svc:8080/mcp/admin", "admin", Treatment.MCP),
        ("http://github.tools.svc:8080/mcp/admin/x", "admin", Treatment.MCP),
        ("http://github.tools.svc:8080/mcp/administer", "github", Treatment.MCP),
        ("http://github.tools.svc:8080/oauth/token", "oauth", Treatment.SNIFF),
        ("http://plain.svc/", "plain", Treatment.HTTP),
        ("http://plain.svc:80/any/path", "plain", Treatment.HTTP),
        ("http://meshed.svc:8080/", "meshed", Treatment.MCP),
        ("http://a.wild.svc:8080/mcp", "wild", Treatment.HTTP),
        ("http://tame.wild.svc:8080/mcp", "tamed", Treatment.HTTP),
        ("http://[fd00:0::1]:8080/x", "v6", Treatment.MCP),
        ("https://api.example.com/x", "public", Treatment.MCP),
    ],
)
def test_a_declared_target_goes_to_its_backend(url: str, name: str, treatment: Treatment) -> None:
    routed = route(url)
    assert (routed.backend, routed.treatment, routed.refusal) == (name, treatment, None)
    assert routed.direction == "outbound"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://github.tools.svc:8080/", Reason.PATH_NOT_DECLARED),
        ("http://github.tools.svc:8080/mcpx", Reason.PATH_NOT_DECLARED),
        ("http://github.tools.svc:8080/MCP", Reason.PATH_NOT_DECLARED),
        ("http://a.wild.svc:8080/other", Reason.PATH_NOT_DECLARED),
        ("http://github.tools.svc/mcp", Reason.EGRESS_DENIED),
        ("http://github.tools.svc:8081/mcp", Reason.EGRESS_DENIED),
        ("http://wild.svc:8080/mcp", Reason.EGRESS_DENIED),
        ("http://a.b.wild.svc:8080/mcp", Reason.EGRESS_DENIED),
        ("http://evil-wild.svc:8080/mcp", Reason.EGRESS_DENIED),
        ("http://evil.example.com/", Reason.EGRESS_DENIED),
        ("http://127.0.0.1:8080/mcp", Reason.EGRESS_DENIED),
    ],
)
def test_what_is_not_declared_is_refused_with_its_name(url: str, reason: Reason) -> None:
    routed = route(url)
    target = absolute_form(url.encode())
    assert routed.refusal is not None
    assert routed.refusal[0] is reason
    assert f"{target.host}:{target.port}{target.path.decode()}" == routed.refusal[1]
    assert (routed.backend, routed.target, routed.treatment) == (UNDECLARED, None, Treatment.HTTP)


def test_open_egress_opens_unknown_hosts_and_no_other_path_of_known_ones() -> None:
    unknown = route_outbound(ALLOW, absolute_form(b"http://evil.example.com/"), {})
    known = route_outbound(ALLOW, absolute_form(b"http://github.tools.svc:8080/admin"), {})
    assert unknown.refusal is None
    assert known.refusal is not None
    assert known.refusal[0] is Reason.PATH_NOT_DECLARED


@pytest.mark.parametrize(
    "path",
    [
        "/mcp/../admin",
        "/mcp/./x",
        "/mcp/%2e%2e/admin",
        "/mcp/.%2E/admin",
        "/mcp%2fadmin",
        "/mcp%2Fadmin",
        "/mcp%5cadmin",
        "/mcp//admin",
        "//mcp",
        "/mcp/%61dmin",
        "/%6dcp",
        "/mcp%00",
        "/mcp%0a",
        "/mcp/..;/admin",
        "/mcp%3fx",
        "/mcp%23x",
        "/mcp%25%32%65",
        "/mcp/%ff",
        "/mcp/%c0%ae",
        "/mcp/%",
        "/mcp%252fadmin",
    ],
)
def test_a_path_of_a_declared_host_that_could_be_read_as_another_is_refused(path: str) -> None:
    target = Target("http", "github.tools.svc", 8080, path.encode())
    with pytest.raises(HttpRefused) as refused:
        route_outbound(ALLOW, target, {})
    assert refused.value.reason is Reason.HTTP_BAD_TARGET


def test_paths_of_undeclared_hosts_are_their_own_affair() -> None:
    routed = route_outbound(ALLOW, absolute_form(b"http://other.example.com/a/../b"), {})
    assert (routed.refusal, routed.path) == (None, b"/a/../b")


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ],
)
def test_oauth_metadata_beside_an_mcp_endpoint_is_let_through_and_sniffed(path: str) -> None:
    routed = route(f"http://github.tools.svc:8080{path}")
    assert (routed.refusal, routed.treatment, routed.transport) == (None, Treatment.SNIFF, True)


@pytest.mark.parametrize(
    "url",
    [
        "http://github.tools.svc:8080/.well-known/security.txt",
        "http://github.tools.svc:8080/x/.well-known/oauth-protected-resource",
        "http://other.svc:8080/.well-known/oauth-protected-resource",
    ],
)
def test_other_well_known_paths_and_hosts_are_refused(url: str) -> None:
    assert route(url).refusal is not None


def test_well_known_paths_of_a_plain_host_belong_to_its_backend() -> None:
    routed = route("http://plain.svc/.well-known/oauth-protected-resource")
    assert (routed.backend, routed.treatment) == ("plain", Treatment.HTTP)


@pytest.mark.parametrize(
    ("path", "accepted"), [("/messages", True), ("/messages/x", False), ("/message", False)]
)
def test_an_announced_endpoint_is_treated_as_mcp_and_only_it(path: str, accepted: bool) -> None:
    learned = {"github.tools.svc:8080/messages": DENY.backends_at("github.tools.svc", 8080)[0]}
    routed = route(f"http://github.tools.svc:8080{path}?session=1", learned)
    assert (routed.refusal is None) is accepted
    assert (routed.treatment is Treatment.MCP) is accepted


def test_an_endpoint_announced_by_one_host_opens_nothing_on_another() -> None:
    learned = {"github.tools.svc:8080/messages": DENY.backends_at("github.tools.svc", 8080)[0]}
    assert route("http://a.wild.svc:8080/messages", learned).refusal is not None


@pytest.mark.parametrize(
    ("url", "destination", "authority"),
    [
        (
            "http://github.tools.svc:8080/mcp",
            Destination("github.tools.svc", 8080, reach=Reach.ROUTED),
            b"github.tools.svc:8080",
        ),
        (
            "http://a.wild.svc:8080/mcp",
            Destination("a.wild.svc", 8080, reach=Reach.ROUTED),
            b"a.wild.svc:8080",
        ),
        ("http://plain.svc/", Destination("plain.svc", 80, reach=Reach.ROUTED), b"plain.svc"),
        ("http://[fd00::1]:8080/", Destination("fd00::1", 8080), b"[fd00::1]:8080"),
        (
            "http://meshed.svc:8080/",
            Destination("meshed.svc", 8080, TlsMode.MESH, "", ID, reach=Reach.ROUTED),
            b"meshed.svc:8080",
        ),
        (
            "https://api.example.com/",
            Destination("api.example.com", 443, TlsMode.PUBLIC, "api.example.com", reach=Reach.ROUTED),
            b"api.example.com",
        ),
    ],
)
def test_the_destination_is_the_requests_host_with_what_its_backend_must_prove(
    url: str, destination: Destination, authority: bytes
) -> None:
    routed = route(url)
    assert routed.destination == destination
    assert routed.authority == authority


@pytest.mark.parametrize(
    ("url", "tls", "name"),
    [
        ("http://h.example.com/", TlsMode.NONE, ""),
        ("https://h.example.com/", TlsMode.PUBLIC, "h.example.com"),
    ],
)
def test_an_undeclared_https_target_is_reached_with_public_tls(url: str, tls: str, name: str) -> None:
    routed = route_outbound(ALLOW, absolute_form(url.encode()), {})
    assert (routed.destination.tls, routed.destination.server_name) == (tls, name)


@pytest.mark.parametrize(
    ("scheme", "host", "port", "authority"),
    [
        ("http", "a", 80, b"a"),
        ("http", "a", 443, b"a:443"),
        ("https", "a", 443, b"a"),
        ("https", "::1", 444, b"[::1]:444"),
    ],
)
def test_the_host_header_names_a_port_where_it_is_not_the_default(
    scheme: str, host: str, port: int, authority: bytes
) -> None:
    assert authority_of(Target(scheme, host, port, b"/")) == authority
