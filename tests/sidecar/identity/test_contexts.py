"""The table of facts about Python's TLS contexts that rotation relies on, without sockets."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import Authority, make_authority, make_intermediate
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from sidecar.identity.contexts import MESH_ALPN, client_context, server_context
from sidecar.identity.provider import Identity

NOW = datetime.now(UTC)
DAY = timedelta(days=1)  # OpenSSL reads the machine's clock: all of this outlasts a run of the suite
OLD = make_authority("a.example", NOW, DAY)
NEW = make_authority("a.example", NOW, DAY)


def identity(authority: Authority, *trusted: Authority) -> Identity:
    bundle = TrustBundle("a.example", tuple(each.der for each in trusted))
    return Identity(new_svid(authority, SpiffeId("a.example", "/x"), NOW, DAY), {"a.example": bundle})


class End:
    def __init__(
        self, context: ssl.SSLContext, *, server: bool, session: ssl.SSLSession | None = None
    ) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=server, session=session)

    def step(self) -> None:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[End, End]:
    ends = End(client, server=False, session=session), End(server, server=True)
    for _ in range(3):
        for end, other in (ends, ends[::-1]):
            end.step()
            other.incoming.write(end.outgoing.read())
    return ends


def test_the_mesh_speaks_tls_1_3_and_its_own_alpn() -> None:
    client, server = shake_hands(server_context(identity(OLD, OLD)), client_context(identity(OLD, OLD)))
    assert client.tls.version() == server.tls.version() == "TLSv1.3"
    assert client.tls.selected_alpn_protocol() == server.tls.selected_alpn_protocol() == MESH_ALPN


@pytest.mark.parametrize("make", [server_context, client_context])
def test_peers_must_always_show_a_certificate(make: type[ssl.SSLContext]) -> None:
    context = make(identity(OLD, OLD))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.check_hostname
    assert context.options & ssl.OP_NO_TICKET
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3


def test_a_dropped_authority_is_trusted_no_more() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server_context(identity(NEW, NEW)), client_context(identity(OLD, OLD, NEW)))


def test_no_session_survives_a_rotation() -> None:
    client = client_context(identity(OLD, OLD, NEW))
    server = server_context(identity(OLD, OLD))
    assert server.num_tickets == 0
    before, _ = shake_hands(server, client)
    session = before.tls.session
    assert session is None or not session.has_ticket
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server_context(identity(NEW, NEW)), client, session)


def test_no_session_is_resumed_even_without_a_rotation() -> None:
    client, server = client_context(identity(OLD, OLD)), server_context(identity(OLD, OLD))
    first, _ = shake_hands(server, client)
    second, accepted = shake_hands(server, client, first.tls.session)
    assert not second.tls.session_reused
    assert not accepted.tls.session_reused


def test_an_authority_that_is_not_self_signed_is_an_anchor_too() -> None:
    intermediate = make_intermediate(OLD, NOW, DAY)
    ours = identity(intermediate, intermediate)
    client, _ = shake_hands(server_context(ours), client_context(ours))
    assert client.tls.version() == "TLSv1.3"


def test_both_authorities_of_one_name_are_trusted_while_they_overlap() -> None:
    both = identity(NEW, OLD, NEW)
    for signer in (OLD, NEW):
        client, _ = shake_hands(server_context(both), client_context(identity(signer, OLD, NEW)))
        assert client.tls.version() == "TLSv1.3"


def test_an_identity_without_any_authority_trusts_nobody() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server_context(identity(OLD)), client_context(identity(OLD, OLD)))


def test_the_key_touches_no_disk_and_leaves_no_descriptor() -> None:
    ours = identity(OLD, OLD)
    before = os.listdir("/proc/self/fd")
    server_context(ours)
    assert os.listdir("/proc/self/fd") == before
    assert Path("/proc/self/fd").is_dir()
