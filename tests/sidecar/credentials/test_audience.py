"""Which destinations a token's audience names."""

from __future__ import annotations

import pytest

from sidecar.credentials.audience import is_for
from sidecar.proxy.plan import Routed, Treatment
from sidecar.proxy.pool import Destination
from tests.support.fakes import policy_of

ID = "spiffe://test.mesh/ns/tools/sa/github"
BACKEND = f"""
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {{name: github}}
spec: {{protocol: MCP, host: mcp.example.com, port: 8080, path: /mcp, tls: {{mode: Mesh, identity: "{ID}"}}}}
"""


def routed(host: str = "mcp.example.com", port: int = 8080, *, declared: bool = True) -> Routed:
    target = policy_of(BACKEND).backends[0] if declared else None
    return Routed("outbound", b"/", "/", b"x", Destination(host, port), target, "github", Treatment.MCP)


@pytest.mark.parametrize(
    "audience",
    [
        "http://mcp.example.com:8080/mcp",
        "https://mcp.example.com:8080",
        "http://MCP.example.com.:8080/other?x#y",
        "mcp.example.com",
        "MCP.example.com",
        "mcp.example.com:8080",
        "github",
        ID,
    ],
)
def test_a_destination_is_named_by_url_host_backend_or_identity(audience: str) -> None:
    assert is_for(("https://elsewhere.example.com", audience), routed())


@pytest.mark.parametrize(
    "audience",
    [
        "",
        "http://mcp.example.com/mcp",
        "http://mcp.example.com:8081/mcp",
        "http://mcp.example.com.evil.example:8080/",
        "http://mcp.example.com@evil.example:8080/",
        "http://evil.example:8080/mcp.example.com:8080",
        "http://mcp.example.com:99999/",
        "http://[mcp.example.com]:8080/",
        "http://:8080/",
        "mcp.example.com:8081",
        "example.com",
        "*.example.com",
        "*",
        "GitHub",
        "account",
        ID + "x",
    ],
)
def test_anything_else_is_another(audience: str) -> None:
    assert not is_for((audience,), routed())


def test_a_token_without_audience_is_for_nobody() -> None:
    assert not is_for((), routed())


def test_a_url_without_a_port_has_that_of_its_scheme() -> None:
    audience = ("https://mcp.example.com/mcp",)
    assert is_for(audience, routed(port=443))
    assert not is_for(audience, routed(port=80))


def test_names_of_backends_mean_backends_only() -> None:
    assert not is_for(("github",), routed("evil.example.com", declared=False))
    assert is_for(("evil.example.com",), routed("evil.example.com", declared=False))
