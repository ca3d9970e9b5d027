"""Which URIs lead to a Workload API."""

from __future__ import annotations

import pytest

from sidecar.identity.endpoint import endpoint_fault


@pytest.mark.parametrize("uri", ["unix:///run/spire/agent.sock", "unix:/run/agent.sock", "unix:////a b"])
def test_an_absolute_path_of_a_unix_socket_is_taken(uri: str) -> None:
    assert endpoint_fault(uri) is None


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("/run/agent.sock", 'write "unix:///run/agent.sock"'),
        ("unix://run/agent.sock", "no absolute path"),
        ("unix:agent.sock", "no absolute path"),
        ("unix:", "no absolute path"),
        ("unix:///", "no absolute path"),
        ("unix:///a?b", "more than a path"),
        ("unix:///a#b", "more than a path"),
        ("unix:///a\x00b", "more than a path"),
        ("tcp://127.0.0.1:8000", "a Unix socket only, not through tcp"),
        ("tcp:127.0.0.1:8000", "a Unix socket only, not through tcp"),
        ("http://a/b", "is no SPIFFE endpoint"),
        ("agent.sock", "is no SPIFFE endpoint"),
        ("UNIX:///a", "is no SPIFFE endpoint"),
        ("", "is no SPIFFE endpoint"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(uri: str, told: str) -> None:
    fault = endpoint_fault(uri)
    assert fault is not None
    assert told in fault
    assert "\x00" not in fault
    assert "unix://" in fault
