"""What an attacker in the same network gets from a pod with a sidecar in strict mode: refusals, on every port."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from e2e.attacks import says, says_in_tls, tool_call
from e2e.authority import TrustDomain, trust_domain
from e2e.meshed_pods import CLIENT_ID, SERVER_ID, STRANGER_ID, VERSIONS, MeshedPods, marker
from e2e.plugs import SIDECAR, Listener, dialled, listening
from sidecar.identity.provider import Identity
from tests.support.forge import forge

NOBODY, APPLICATION, ON_POD_ADDRESS, ON_EVERY_ADDRESS = 22, 9000, 9001, 9002
ANY = {"ipv4": "0.0.0.0", "ipv6": "::"}
MESH_PORT, TELEMETRY = 15443, 15020


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def address(pods: MeshedPods, version: str) -> str:
    return str(getattr(pods.net["server"], version))


@pytest.fixture
def debug_ports(pods: MeshedPods, version: str, address: str) -> Iterator[list[Listener]]:
    """Two ports that nobody declared: one on the pod's address, one on every address."""
    server = pods.net["server"]
    with (
        listening(server, address, ON_POD_ADDRESS) as one,
        listening(server, ANY[version], ON_EVERY_ADDRESS) as other,
    ):
        yield [one, other]


@pytest.fixture(scope="module")
def foreign() -> Iterator[TrustDomain]:
    with trust_domain("foreign.test") as domain:
        yield domain


def nobody_came(listeners: list[Listener]) -> bool:
    for listener in listeners:
        with contextlib.suppress(BlockingIOError):
            listener.accept(0).close()
            return False
    return True


@pytest.mark.parametrize("port", [NOBODY, APPLICATION, ON_POD_ADDRESS, ON_EVERY_ADDRESS])
def test_plain_http_is_refused_on_every_port(
    pods: MeshedPods, debug_ports: list[Listener], address: str, port: int
) -> None:
    words = marker("plain")
    answer = says(pods.net["attacker"], address, port, tool_call(words))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert json.loads(body)["reason"] == "plain_text_refused"
    assert nobody_came(debug_ports)
    assert words not in "".join(pods.application.executed())


@pytest.mark.parametrize("port", [NOBODY, APPLICATION, ON_POD_ADDRESS, ON_EVERY_ADDRESS])
@pytest.mark.parametrize(
    "opening",
    [b"\0\1\2\3", b"SSH-2.0-x\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x80\x2e\x01\x03\x01", b"\n"],
    ids=["binary", "ssh", "http2", "sslv2", "empty line"],
)
def test_whatever_else_is_plain_is_refused_on_every_port(
    pods: MeshedPods, debug_ports: list[Listener], address: str, port: int, opening: bytes
) -> None:
    answer = says(pods.net["attacker"], address, port, opening + tool_call("plain"))
    assert answer == b"" or b'"reason":"plain_text_refused"' in answer or answer.startswith(b"\x15\3")
    assert nobody_came(debug_ports)


def test_an_sdk_client_gets_nothing(pods: MeshedPods, version: str) -> None:
    words = marker("sdk")
    found = pods.agent("attacker").calls(f"http://server.{version}.test:9000/mcp", ("granted", words))
    assert "error" in found
    assert (found["tools"], found["calls"]) == ([], [])
    assert words not in "".join(pods.application.executed())


@pytest.mark.parametrize("port", [15001, 15002, 15006])
def test_the_sidecars_own_ports_do_not_exist_for_others(pods: MeshedPods, address: str, port: int) -> None:
    for uid in (0, SIDECAR):
        with pytest.raises(ConnectionRefusedError):
            with dialled(pods.net["attacker"], address, port, uid=uid, gid=uid):
                pass


def test_the_telemetry_port_leads_nowhere_else(pods: MeshedPods, version: str) -> None:
    attacker, address = pods.net["attacker"], getattr(pods.net["server"], version)
    words = marker("telemetry")

    def ask(request: str) -> bytes:
        return says(
            attacker, address, TELEMETRY, f"{request}\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )

    for path in ("/healthz", "/readyz", "/metrics"):
        assert ask(f"GET {path} HTTP/1.1").startswith(b"HTTP/1.1 200 ")
    for request in ("GET /mcp", "GET http://127.0.0.1:9000/mcp", "GET /healthz/../mcp"):
        assert ask(f"{request} HTTP/1.1").startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
    for request in ("POST /mcp", "CONNECT 127.0.0.1:9000"):
        assert ask(f"{request} HTTP/1.1").startswith((b"HTTP/1.1 405 ", b"HTTP/1.1 400 "))
    assert b"HTTP/1.1 200" not in says(attacker, address, TELEMETRY, tool_call(words))
    assert words not in "".join(pods.application.executed())


def test_the_mesh_port_speaks_to_nobody_in_plain_text(pods: MeshedPods, address: str) -> None:
    assert says(pods.net["attacker"], address, MESH_PORT, tool_call("plain"))[:5] in (b"", b"\x15\3\3\0\2")


# TLS.


@pytest.mark.parametrize("port", [NOBODY, APPLICATION, ON_POD_ADDRESS, ON_EVERY_ADDRESS])
@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("h2", "http/1.1")], ids=str)
def test_tls_of_ones_own_is_refused(
    pods: MeshedPods, debug_ports: list[Listener], address: str, port: int, alpn: tuple[str, ...]
) -> None:
    found = says_in_tls(pods.net["attacker"], address, port, tool_call("tls"), alpn=alpn)
    assert found == "TLSV1_ALERT_ACCESS_DENIED"
    assert nobody_came(debug_ports)


def impersonator(pods: MeshedPods, foreign: TrustDomain) -> Identity:
    """The granted ID of the mesh, signed by the other domain's authority."""
    honest = foreign.identity(CLIENT_ID)
    key = load_der_private_key(honest.svid.key_pkcs8_der, None)
    now = datetime.now(UTC)
    leaf = forge(foreign.registry.authorities[0], key.public_key(), now, uris=(pods.client.id,))
    return replace(honest, svid=replace(honest.svid, chain_der=(leaf,)))


@dataclass(frozen=True, slots=True)
class Claim:
    """Who somebody claims to be, and the reason for which the server's sidecar says no."""

    identity: Callable[[MeshedPods, TrustDomain], Identity | None]
    reason: str


CLAIMS = {
    "nobody": Claim(lambda pods, foreign: None, "peer_no_certificate"),
    "foreign domain": Claim(lambda pods, foreign: foreign.identity(CLIENT_ID), "peer_untrusted"),
    "impersonator": Claim(impersonator, "peer_untrusted"),
    "expired": Claim(lambda pods, foreign: pods.authority.identity(CLIENT_ID, expired=True), "peer_expired"),
    "not granted": Claim(lambda pods, foreign: pods.authority.identity(STRANGER_ID), "peer_not_allowed"),
    "the server itself": Claim(lambda pods, foreign: pods.authority.identity(SERVER_ID), "peer_not_allowed"),
}


@pytest.mark.parametrize("port", [APPLICATION, ON_EVERY_ADDRESS, MESH_PORT])
@pytest.mark.parametrize("who", CLAIMS)
def test_an_identity_that_is_not_granted_is_refused(
    pods: MeshedPods,
    foreign: TrustDomain,
    debug_ports: list[Listener],
    address: str,
    port: int,
    who: str,
) -> None:
    claim, words = CLAIMS[who], marker("identity")
    before = len(pods.server.lines("handshake", reason=claim.reason))
    identity = claim.identity(pods, foreign)
    found = says_in_tls(pods.net["attacker"], address, port, tool_call(words), identity=identity)
    if claim.reason == "peer_not_allowed":
        assert isinstance(found, bytes)
        assert found.startswith(b"HTTP/1.1 403 ")
    else:
        assert found in (
            b"",
            "TLSV13_ALERT_CERTIFICATE_REQUIRED",
            "TLSV1_ALERT_UNKNOWN_CA",
            "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        )
    assert pods.server.said("handshake", before, reason=claim.reason)["side"] == "inbound"
    assert nobody_came(debug_ports)
    assert words not in "".join(pods.application.executed())


def test_the_granted_identity_is_let_in(pods: MeshedPods, address: str) -> None:
    """What the attacker lacks is the key: with it, the very same bytes are answered."""
    words = marker("stolen")
    for port in (APPLICATION, MESH_PORT):
        identity = pods.authority.identity(CLIENT_ID)
        found = says_in_tls(pods.net["attacker"], address, port, tool_call(words), identity=identity)
        assert isinstance(found, bytes)
        assert words[::-1].encode() in found
