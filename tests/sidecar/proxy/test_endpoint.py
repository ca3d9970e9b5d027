"""The endpoint that an HTTP+SSE server announces: followed on its own origin only."""

from __future__ import annotations

import pytest

from mesh.policy.decision import INBOUND
from sidecar.proxy.endpoint import (
    MAX_ENDPOINT_CHARACTERS,
    MAX_ENDPOINTS,
    MAX_OF_ONE,
    Endpoints,
    announced_path,
)
from sidecar.proxy.plan import Plan, Routed, Treatment
from sidecar.proxy.pool import Destination
from tests.support.fakes import AGENT, request_head


def plan(host: str = "github.tools.svc", port: int = 8080, path: bytes = b"/mcp/sse?a=1") -> Plan:
    destination = Destination(host, port)
    routed = Routed("outbound", path, "/mcp/sse", b"x", destination, None, "github", Treatment.MCP)
    return Plan(request_head("GET http://x/sse", host="x"), AGENT, routed, Treatment.MCP, None)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ("/messages", "/messages"),
        ("/messages?session=1", "/messages"),
        ("messages", "/mcp/messages"),
        ("?session=1", "/mcp/sse"),
        ("http://github.tools.svc:8080/m", "/m"),
        ("HTTP://GITHUB.tools.svc:8080/m", "/m"),
        ("//github.tools.svc:8080/m", "/m"),
        ("../m", "/m"),
        ("http://github.tools.svc/m", None),
        ("http://github.tools.svc:8081/m", None),
        ("http://evil.example.com/m", None),
        ("//evil.example.com/m", None),
        ("https://github.tools.svc:8080/m", "/m"),
        ("http://user@github.tools.svc:8080/m", None),
        ("javascript:alert(1)", None),
        ("/a/%2e%2e/admin", None),
        ("/a%2fb", None),
        ("/a//b", None),
        ("/a b", None),
        ("/\u00e9", None),
        ("http://[::1", None),
        ("\ud800", None),
    ],
)
def test_an_endpoint_is_a_path_of_the_same_origin_that_reads_in_one_way(data: str, path: str | None) -> None:
    assert announced_path(data, plan()) == path


@pytest.mark.parametrize(
    ("data", "path"), [("/m", "/m"), ("http://[fd00::1]:8080/m", "/m"), ("http://[fd00::2]:8080/m", None)]
)
def test_a_server_may_be_an_ipv6_address(data: str, path: str | None) -> None:
    assert announced_path(data, plan("fd00::1")) == path


def test_no_data_is_the_stream_itself() -> None:
    assert announced_path("", plan()) == "/mcp/sse"


@pytest.mark.parametrize(
    ("authority", "data", "path"),
    [
        (b"app.tools.svc:8080", "http://app.tools.svc:8080/m", "/m"),
        (b"app.tools.svc:8080", "/m", "/m"),
        (b"app.tools.svc", "http://APP.tools.svc:80/m", "/m"),
        (b"[fd00:0::1]:9000", "http://[fd00::1]:9000/m", "/m"),
        (b"app.tools.svc:8080", "http://127.0.0.1:9000/m", None),
        (b"app.tools.svc:8080", "http://other.tools.svc:8080/m", None),
        (b"", "http://127.0.0.1:9000/m", "/m"),
    ],
)
def test_a_peer_knows_the_application_by_the_name_that_it_asked(
    authority: bytes, data: str, path: str | None
) -> None:
    application = Destination("127.0.0.1", 9000)
    routed = Routed("inbound", b"/sse", "/sse", authority, application, INBOUND, "application", Treatment.MCP)
    asked = Plan(request_head("GET /sse", host="x"), AGENT, routed, Treatment.MCP, INBOUND)
    assert announced_path(data, asked) == path


def test_an_endpoint_has_one_owner_or_none() -> None:
    endpoints: Endpoints[str] = Endpoints()
    assert endpoints.learn("/m", "a")
    assert not endpoints.learn("/m", "a")
    assert endpoints.owners == {"/m": "a"}
    assert endpoints.learn("/m", "b")
    assert not endpoints.learn("/m", "a")
    assert endpoints.owners == {"/m": None}


def test_endpoints_are_few_and_short() -> None:
    endpoints: Endpoints[str] = Endpoints()
    assert not endpoints.learn("x" * (MAX_ENDPOINT_CHARACTERS + 1), "a")
    for number in range(MAX_ENDPOINTS + 2):
        assert endpoints.learn(str(number), f"owner {number // MAX_OF_ONE}")
    assert len(endpoints.owners) == MAX_ENDPOINTS
    assert next(iter(endpoints.owners)) == "2"


def test_a_server_that_announces_without_end_makes_only_its_own_endpoints_forgotten() -> None:
    endpoints: Endpoints[str] = Endpoints()
    endpoints.learn("8080/messages", "github")
    for number in range(10 * MAX_OF_ONE):
        endpoints.learn(f"8080/{number}", "evil")
    assert endpoints.owners["8080/messages"] == "github"
    assert len(endpoints.owners) == MAX_OF_ONE + 1


def test_an_endpoint_that_two_claimed_is_not_freed_by_what_one_of_them_announces_later() -> None:
    endpoints: Endpoints[str] = Endpoints()
    endpoints.learn("8080/messages", "evil")
    endpoints.learn("8080/messages", "github")
    for number in range(2 * MAX_OF_ONE):
        endpoints.learn(f"8080/{number}", "evil")
    assert endpoints.owners["8080/messages"] is None


def test_what_others_than_those_kept_announced_is_forgotten() -> None:
    endpoints: Endpoints[str] = Endpoints()
    for key, owner in (("h:1/a", "one"), ("h:1/b", "two"), ("h:1/both", "one"), ("h:1/both", "two")):
        endpoints.learn(key, owner)
    endpoints.keep(["two"])
    assert endpoints.owners == {"h:1/b": "two", "h:1/both": None}
    assert endpoints.learn("h:1/a", "one")
