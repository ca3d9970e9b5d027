"""Where a peer's request goes: one of the application's ports."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.errors import HttpRefused
from mesh.reasons import Reason
from sidecar.capture.inbound import Application, where_to
from sidecar.proxy.pool import Destination
from tests.support.fakes import request_head

TWO = Application("127.0.0.1", (9000, 9001))


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("github.tools.svc", 9000),
        ("github.tools.svc:8080", 9000),
        ("github.tools.svc:9000", 9000),
        ("github.tools.svc:9001", 9001),
        ("[::1]:9001", 9001),
    ],
)
def test_the_port_of_host_chooses_among_the_applications_ports(host: str, port: int) -> None:
    assert where_to(request_head("POST /mcp?x=1", host=host), TWO) == (
        Destination("127.0.0.1", port),
        b"/mcp?x=1",
    )


def test_without_a_host_the_first_port_is_taken() -> None:
    head = request_head("GET /x HTTP/1.0")
    assert where_to(head, TWO) == (Destination("127.0.0.1", 9000), b"/x")


@pytest.mark.parametrize(
    ("start", "path"),
    [
        ("POST http://github.tools.svc:9001/mcp?x=1", b"/mcp?x=1"),
        ("GET http://github.tools.svc:9001", b"/"),
        ("OPTIONS *", b"*"),
    ],
)
def test_every_form_of_target_is_brought_to_the_origin_form(start: str, path: bytes) -> None:
    assert where_to(request_head(start, host="github.tools.svc:9001"), TWO) == (
        Destination("127.0.0.1", 9001),
        path,
    )


def test_the_host_of_the_request_never_chooses_another_machine() -> None:
    destination, _ = where_to(request_head("GET /", host="169.254.169.254:80"), TWO)
    assert destination == ("127.0.0.1", 9000, *destination[2:])


@pytest.mark.parametrize(
    ("arrived", "host"),
    [
        (("10.1.2.3", 9000), "127.0.0.1"),
        (("10.1.2.3", 9002), "10.1.2.3"),
        (("fd00::3", 9002), "fd00::3"),
    ],
)
def test_where_a_connection_arrived_chooses_whatever_the_request_says(
    arrived: tuple[str, int], host: str
) -> None:
    destination, _ = where_to(request_head("GET /", host="x:9001"), TWO, arrived)
    assert (destination.host, destination.port) == (host, arrived[1])


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("127.0.0.1", ""),
        ("::1", ""),
        ("localhost", ""),
        ("10.1.2.3", "127.0.0.1"),
        ("::ffff:10.1.2.3", "127.0.0.1"),
        ("fd00::3", "::1"),
    ],
)
def test_what_would_come_back_by_redirection_is_dialled_from_loopback(host: str, source: str) -> None:
    assert Application(host, (9000,), redirected=True).reached(9000).source == source
    assert Application(host, (9000,)).reached(9000).source == ""


def test_without_an_application_nothing_is_taken_in() -> None:
    with pytest.raises(HttpRefused) as refused:
        where_to(request_head("GET /", host="x"), Application("127.0.0.1", ()))
    assert (refused.value.reason, refused.value.status) == (Reason.UPSTREAM_UNREACHABLE, 503)
