from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from mesh.reasons import Reason
from sidecar.identity.refused import TlsRefused
from sidecar.interception import authority as module
from sidecar.interception.authority import RENEWED_BEFORE_END, InterceptionAuthority
from sidecar.interception.certificates import LEAF_LIFETIME
from sidecar.interception.declared import DeclaredHosts

HOSTS = DeclaredHosts(frozenset({"a.example", "192.0.2.1"}), frozenset({"wild.example"}))


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def handshake(
    authority: InterceptionAuthority, host: str, client: ssl.SSLContext | None = None
) -> ssl.SSLObject:
    """A client that trusts the authority connects to `host`; returns its end."""
    if client is None:
        client = ssl.create_default_context(cadata=authority.certificate_pem)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = authority.server_context(host).wrap_bio(to_server, to_client, server_side=True)
    waiting = [ours, theirs]
    while waiting:
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    with pytest.raises(ssl.SSLWantReadError):
        ours.read()  # what follows the handshake, such as tickets
    return ours


def end_of(connection: ssl.SSLObject) -> datetime:
    certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    return certificate.not_valid_after_utc


@pytest.mark.parametrize("host", ["a.example", "192.0.2.1", "x.wild.example"])
def test_a_client_that_trusts_the_authority_takes_us_for_each_declared_host(host: str) -> None:
    assert handshake(InterceptionAuthority(HOSTS), host).version() == "TLSv1.3"


@pytest.mark.parametrize("host", ["b.example", "x.a.example", "wild.example", "192.0.2.2"])
def test_for_other_hosts_there_is_no_context_and_the_reason_says_what_to_do(host: str) -> None:
    with pytest.raises(TlsRefused) as caught:
        InterceptionAuthority(HOSTS).server_context(host)
    assert caught.value.reason is Reason.INTERCEPTION_UNAVAILABLE
    assert host in caught.value.detail
    assert "restart the pod" in caught.value.detail
    assert not caught.value.by_peer


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), (["h2"], None), ([], None)],
)
def test_http_1_1_is_all_that_is_spoken(offered: list[str], chosen: str | None) -> None:
    authority = InterceptionAuthority(HOSTS)
    client = ssl.create_default_context(cadata=authority.certificate_pem)
    client.set_alpn_protocols(offered)
    assert handshake(authority, "a.example", client).selected_alpn_protocol() == chosen


def test_tls_1_2_is_spoken_and_nothing_older() -> None:
    authority = InterceptionAuthority(HOSTS)
    client = ssl.create_default_context(cadata=authority.certificate_pem)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(authority, "a.example", client).version() == "TLSv1.2"
    assert authority.server_context("a.example").minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_tickets_are_given_out(most: ssl.TLSVersion) -> None:
    authority = InterceptionAuthority(HOSTS)
    client = ssl.create_default_context(cadata=authority.certificate_pem)
    client.maximum_version = most
    session = handshake(authority, "a.example", client).session
    assert session is None or not session.has_ticket


def test_a_leaf_is_kept_and_renewed_well_before_its_end() -> None:
    clock = Clock()
    authority = InterceptionAuthority(HOSTS, clock=clock)
    first, first_end = authority.server_context("a.example"), end_of(handshake(authority, "a.example"))
    clock.now += LEAF_LIFETIME - RENEWED_BEFORE_END - timedelta(seconds=1)
    assert authority.server_context("a.example") is first
    clock.now += timedelta(seconds=1)
    assert authority.server_context("a.example") is not first
    credulous = ssl.create_default_context()  # its clock is the real one
    credulous.check_hostname, credulous.verify_mode = False, ssl.CERT_NONE
    assert end_of(handshake(authority, "a.example", credulous)) > first_end


def test_the_leaf_unused_for_longest_is_forgotten_first() -> None:
    authority = InterceptionAuthority(HOSTS, most_leaves=2)
    a, b = (authority.server_context(f"{label}.wild.example") for label in "ab")
    assert authority.server_context("a.wild.example") is a
    authority.server_context("c.wild.example")
    assert authority.server_context("a.wild.example") is a
    assert authority.server_context("b.wild.example") is not b


def test_a_context_is_not_used_for_ever_lest_it_fill_with_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_USES", 2)
    authority = InterceptionAuthority(HOSTS)
    first, second, third = (authority.server_context("a.example") for _ in range(3))
    assert first is second
    assert third is not second


def test_every_process_has_an_authority_of_its_own() -> None:
    one, other = InterceptionAuthority(HOSTS), InterceptionAuthority(HOSTS)
    client = ssl.create_default_context(cadata=other.certificate_pem)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(one, "a.example", client)
