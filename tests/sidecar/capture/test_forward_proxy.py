"""Where a proxy request goes: the absolute target, or the tunnel that it came through."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import Target
from mesh.reasons import Reason
from sidecar.capture.forward_proxy import where_to
from tests.support.fakes import request_head

TUNNEL = ("github.tools.svc", 8080)


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("http://a.svc:8080/mcp?x=1", Target("http", "a.svc", 8080, b"/mcp?x=1")),
        ("http://A.SVC./", Target("http", "a.svc", 80, b"/")),
        ("http://a.svc", Target("http", "a.svc", 80, b"/")),
        ("https://a.svc/x", Target("https", "a.svc", 443, b"/x")),
        ("http://[::1]:1/", Target("http", "::1", 1, b"/")),
    ],
)
def test_the_absolute_form_names_the_destination(target: str, found: Target) -> None:
    head = request_head(f"POST {target}", host=target.split("/")[2])
    assert where_to(head, None) == found


@pytest.mark.parametrize("start", ["GET /mcp", "OPTIONS *", "POST //a.svc/x"])
def test_origin_form_is_no_proxy_request(start: str) -> None:
    with pytest.raises(HttpRefused) as refused:
        where_to(request_head(start, host="a.svc"), None)
    assert refused.value.reason is Reason.NOT_A_PROXY_REQUEST


@pytest.mark.parametrize("host", ["github.tools.svc:8080", "GITHUB.tools.svc.:8080"])
def test_inside_a_tunnel_the_destination_is_the_tunnels(host: str) -> None:
    head = request_head("POST /mcp?x=1", host=host)
    assert where_to(head, TUNNEL) == Target("http", "github.tools.svc", 8080, b"/mcp?x=1")


def test_a_tunnel_to_port_80_may_leave_the_port_out_of_host() -> None:
    head = request_head("GET /x", host="a.svc")
    assert where_to(head, ("a.svc", 80)).port == 80


@pytest.mark.parametrize(
    "host", ["other.svc:8080", "github.tools.svc:8081", "github.tools.svc", "127.0.0.1:8080"]
)
def test_another_host_inside_a_tunnel_is_refused(host: str) -> None:
    with pytest.raises(HttpRefused) as refused:
        where_to(request_head("POST /mcp", host=host), TUNNEL)
    assert refused.value.reason is Reason.HTTP_BAD_HOST


@pytest.mark.parametrize(
    "start", ["POST http://github.tools.svc:8080/mcp", "OPTIONS *", "CONNECT github.tools.svc:8080"]
)
def test_only_origin_form_is_read_inside_a_tunnel(start: str) -> None:
    with pytest.raises(HttpRefused) as refused:
        where_to(request_head(start, host="github.tools.svc:8080"), TUNNEL)
    assert refused.value.reason is Reason.HTTP_BAD_TARGET
