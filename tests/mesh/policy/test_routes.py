from __future__ import annotations

import pytest

from mesh.policy import Backend, BackendProtocol, BackendTls, TlsMode
from mesh.policy.routes import RouteTable


def made(name: str, host: str, port: int, path: str = "/") -> Backend:
    return Backend(name, None, BackendProtocol.HTTP, host, port, path, BackendTls(TlsMode.NONE))


TABLE = RouteTable(
    [
        made("root", "a.example.com", 80),
        made("mcp", "a.example.com", 80, "/mcp"),
        made("deep", "a.example.com", 80, "/mcp/deep"),
        made("only-path", "b.example.com", 80, "/mcp"),
        made("wild", "*.example.com", 80, "/w"),
        made("v6", "::1", 80),
    ]
)


@pytest.mark.parametrize(
    ("host", "port", "path", "name", "declared"),
    [
        ("a.example.com", 80, "/", "root", True),
        ("a.example.com", 80, "/mcpx", "root", True),
        ("a.example.com", 80, "/mcp", "mcp", True),
        ("a.example.com", 80, "/mcp/", "mcp", True),
        ("a.example.com", 80, "/mcp/x", "mcp", True),
        ("a.example.com", 80, "/mcp/deep", "deep", True),
        ("a.example.com", 80, "/mcp/deeper", "mcp", True),
        ("a.example.com", 80, "/MCP", "root", True),
        ("a.example.com", 81, "/mcp", None, False),
        ("b.example.com", 80, "/mcp", "only-path", True),
        ("b.example.com", 80, "/w", None, True),
        ("b.example.com", 80, "*", None, True),
        ("c.example.com", 80, "/w/x", "wild", True),
        ("c.example.com", 80, "/", None, True),
        ("d.c.example.com", 80, "/w", None, False),
        (".example.com", 80, "/w", None, False),
        ("example.com", 80, "/w", None, False),
        ("::1", 80, "/x", "v6", True),
        ("nowhere", 80, "/", None, False),
        ("a.example.com", 80, "*", None, True),
        ("a.example.com", 80, "", "root", True),
    ],
)
def test_the_longest_prefix_on_segment_boundaries_of_the_nearest_host_wins(
    host: str, port: int, path: str, name: str | None, declared: bool
) -> None:
    route = TABLE.find(host, port, path)
    assert (route.backend.name if route.backend else None) == name
    assert route.host_declared is declared


def test_backends_at_a_destination_are_listed_longest_path_first() -> None:
    assert [b.name for b in TABLE.backends_at("a.example.com", 80)] == ["deep", "mcp", "root"]
    assert [b.name for b in TABLE.backends_at("x.example.com", 80)] == ["wild"]
    assert TABLE.backends_at("nowhere", 80) == ()


def test_without_wildcards_an_unknown_host_is_undeclared() -> None:
    assert RouteTable([]).find("a.b", 80, "/").host_declared is False
