from __future__ import annotations

import pytest

from mesh.policy.hosts import covers, folded_path, host_fault, normal_host, normal_path, path_fault


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("GitHub.Tools.SVC", "github.tools.svc"),
        ("github.tools.svc.", "github.tools.svc"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("*.Example.com", "*.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_hosts_have_one_spelling(written: str, normal: str) -> None:
    assert host_fault(written) is None
    assert normal_host(written) == normal


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "a..b",
        "-a.b",
        "a-.b",
        "a_b",
        "a" * 64,
        ".".join(["abcdefgh"] * 30),
        "http://a",
        "a/b",
        "a:80",
        "[::1]",
        "fe80::1%eth0",
        "127.1",
        "010.0.0.1",
        "1.2.3.4.5",
        "0x7f.1",
        "bücher.example",
        "a b",
        "*",
        "*.com",
        "*.*.example.com",
        "a.*.com",
        "*a.example.com",
        "a..",
    ],
)
def test_other_hosts_are_faults(host: str) -> None:
    assert host_fault(host) is not None


@pytest.mark.parametrize(
    ("path", "normal"), [("/", "/"), ("/mcp", "/mcp"), ("/mcp/", "/mcp"), ("/a/b.c/~d", "/a/b.c/~d")]
)
def test_paths_lose_their_trailing_slash(path: str, normal: str) -> None:
    assert path_fault(path) is None
    assert normal_path(path) == normal


@pytest.mark.parametrize(
    "path",
    ["", "mcp", "/a//b", "/a/../b", "/./a", "/..", "/a%2e", "/a?b", "/a#b", "/a b", "/\\", "/é", "/" * 2000],
)
def test_paths_that_could_be_read_otherwise_are_faults(path: str) -> None:
    assert path_fault(path) is not None


@pytest.mark.parametrize(
    ("prefix", "path", "covered"),
    [
        ("/mcp", "/mcp", True),
        ("/mcp", "/mcp/", True),
        ("/mcp", "/mcp/x", True),
        ("/mcp", "/mcpx", False),
        ("/mcp", "/mc", False),
        ("/mcp", "/MCP", False),
        ("/", "/", True),
        ("/", "/x", True),
        ("/", "*", False),
        ("/mcp", "", False),
    ],
)
def test_a_path_covers_itself_and_what_is_below(prefix: str, path: str, covered: bool) -> None:
    assert covers(prefix, path) is covered


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        ("/mcp", "/mcp"),
        ("/MCP/", "/mcp"),
        ("/mcp;v=1", "/mcp"),
        ("/a;b;c/D;/e", "/a/d/e"),
        ("/;x", "/"),
        ("/;x/mcp/;y", "/mcp"),
        ("/", "/"),
    ],
)
def test_a_path_is_folded_to_what_a_lenient_server_reads(path: str, folded: str) -> None:
    assert folded_path(path) == folded
