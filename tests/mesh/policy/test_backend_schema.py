from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import BackendProtocol, BackendTls, Documents, TlsMode

Load = Callable[..., Documents]
Faults = Callable[..., list[str]]
Make = Callable[..., str]
PEER = "spiffe://cluster.local/ns/tools/sa/github"


def test_a_backend_is_read_and_normalised(load: Load, backend: Make) -> None:
    spec = f"{{protocol: MCP, host: GitHub.Tools., port: 8080, path: /mcp/, tls: {{identity: '{PEER}'}}}}"
    (found,) = load(backend("github", spec, "tools")).backends
    assert (found.name, found.namespace, found.protocol) == ("github", "tools", BackendProtocol.MCP)
    assert (found.host, found.port, found.path) == ("github.tools", 8080, "/mcp")
    assert found.tls == BackendTls(TlsMode.MESH, PEER)


def test_path_defaults_to_everything(load: Load, backend: Make) -> None:
    (found,) = load(backend(spec="{protocol: HTTP, host: a.b, port: 1, tls: {mode: Public}}")).backends
    assert found.path == "/"
    assert found.tls == BackendTls(TlsMode.PUBLIC)


@pytest.mark.parametrize("protocol", ["A2A", "LLM"])
def test_protocols_to_come_are_refused_with_that_sentence(
    faults: Faults, backend: Make, protocol: str
) -> None:
    spec = f"{{protocol: {protocol}, host: a.b, port: 1, tls: {{mode: None}}}}"
    assert faults(backend(spec=spec)) == [
        f"4: spec.protocol: {protocol} is not supported by this version; allowed: MCP, HTTP, TCP"
    ]


@pytest.mark.parametrize(
    ("tls", "fault"),
    [
        ("{}", "spec.tls.mode: missing; write {mode: Mesh"),
        ("{mode: Mesh}", "spec.tls.identity: missing; mode Mesh proves who the server is"),
        (f"{{mode: Public, identity: '{PEER}'}}", "spec.tls.identity: only mode Mesh proves a SPIFFE ID"),
        (f"{{mode: None, identity: '{PEER}'}}", "spec.tls.identity: only mode Mesh proves a SPIFFE ID"),
        (
            "{mode: mesh}",
            'spec.tls.mode: "mesh" is not allowed, did you mean Mesh?; allowed: Mesh, Public, None',
        ),
        ("{mode: null}", "spec.tls.mode: expected a string, found nothing"),
        ("{identity: 'spiffe://td'}", "spec.tls.identity: this names a whole trust domain"),
        ("{identity: 'spiffe://td/ns/*'}", "spec.tls.identity:"),
        ("{mode: None, verify: false}", "spec.tls.verify: unknown field; allowed: mode, identity"),
        ("None", 'spec.tls: expected a mapping, found "None"'),
    ],
)
def test_bad_tls_is_explained(faults: Faults, backend: Make, tls: str, fault: str) -> None:
    (found,) = faults(backend(spec=f"{{protocol: MCP, host: a.b, port: 1, tls: {tls}}}"))
    assert fault in found


def test_plain_text_is_never_a_default(faults: Faults, backend: Make) -> None:
    (fault,) = faults(backend(spec="{protocol: MCP, host: a.b, port: 1}"))
    assert "spec.tls: missing; write {mode: Mesh, identity: spiffe://...}" in fault


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_wildcard_hosts_are_for_http_and_tcp(load: Load, backend: Make, protocol: str) -> None:
    spec = f"{{protocol: {protocol}, host: '*.example.com', port: 443, tls: {{mode: Public}}}}"
    assert load(backend(spec=spec)).backends[0].host == "*.example.com"


def test_an_mcp_backend_has_one_exact_host(faults: Faults, backend: Make) -> None:
    (fault,) = faults(backend(spec="{protocol: MCP, host: '*.example.com', port: 443, tls: {mode: Public}}"))
    assert 'spec.host: "*.example.com": a wildcard is for HTTP and TCP only' in fault


def test_tcp_has_no_path(faults: Faults, backend: Make) -> None:
    (fault,) = faults(backend(spec="{protocol: TCP, host: a.b, port: 443, path: /x, tls: {mode: None}}"))
    assert "spec.path: protocol TCP has no paths" in fault


def test_every_fault_of_a_backend_is_told_at_once(faults: Faults, backend: Make) -> None:
    spec = "\n  protocol: MPC\n  host: a_b\n  port: '80'\n  path: mcp\n  tls: {mode: Pubic}\n  pth: /x"
    found = faults(backend(spec=spec))
    assert [fault.split(": ")[:2] for fault in found] == [
        ["5", "spec.protocol"],
        ["6", "spec.host"],
        ["7", "spec.port"],
        ["8", "spec.path"],
        ["9", "spec.tls.mode"],
        ["10", "spec.pth"],
    ]


@pytest.mark.parametrize("spec", ["[]", "a", "null", "{}"])
def test_a_spec_is_a_mapping_with_fields(faults: Faults, backend: Make, spec: str) -> None:
    assert faults(backend(spec=spec)) != []
