from datetime import UTC, datetime, timedelta

import pytest

from mesh.identity.ca import make_authority
from mesh.identity.errors import PeerRefused, SvidInvalid
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from mesh.reasons import Reason
from sidecar.identity.holder import IdentityHolder, utc_now
from sidecar.identity.provider import Identity
from sidecar.identity.refused import TlsRefused

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
AUTHORITY = make_authority("a.example", NOW, timedelta(days=1))
WORKLOAD = SpiffeId("a.example", "/x")


def identity() -> Identity:
    return Identity(new_svid(AUTHORITY, WORKLOAD, NOW, HOUR), {"a.example": AUTHORITY.bundle})


def test_before_the_first_identity_nothing_is_ready() -> None:
    holder = IdentityHolder()
    assert holder.current is None
    assert holder.generation == 0
    assert not holder.ready(NOW)
    assert holder.seconds_to_expiry(NOW) is None
    for ask in (lambda: holder.server_context, lambda: holder.client_context, lambda: holder.verify([])):
        with pytest.raises(TlsRefused) as refused:
            ask()
        assert refused.value.reason is Reason.NO_SVID


def test_an_identity_is_ready_until_it_expires() -> None:
    holder = IdentityHolder()
    holder.publish(identity())
    assert holder.ready(NOW)
    assert holder.ready(NOW + HOUR - timedelta(seconds=2))
    assert not holder.ready(NOW + HOUR)
    assert holder.seconds_to_expiry(NOW) == pytest.approx(3600, abs=1)
    assert holder.seconds_to_expiry(NOW + 2 * HOUR) == pytest.approx(-3600, abs=1)


def test_an_expired_identity_makes_no_connections() -> None:
    holder = IdentityHolder(clock=lambda: NOW + 2 * HOUR)
    holder.publish(identity())
    for ask in (lambda: holder.server_context, lambda: holder.client_context):
        with pytest.raises(TlsRefused) as refused:
            ask()
        assert refused.value.reason is Reason.SVID_EXPIRED
        assert str(WORKLOAD) in refused.value.detail


def test_each_rotation_brings_new_contexts_and_tells_the_subscribers() -> None:
    holder, told = IdentityHolder(clock=lambda: NOW), []
    first, second = identity(), identity()
    holder.subscribe(told.append)
    holder.publish(first)
    contexts = (holder.server_context, holder.client_context)
    assert holder.server_context is contexts[0]
    holder.publish(second)
    assert holder.server_context is not contexts[0]
    assert holder.client_context is not contexts[1]
    assert told == [first, second]
    assert holder.generation == 2
    assert holder.current is second


def test_the_same_identity_again_is_no_rotation() -> None:
    holder, told = IdentityHolder(), []
    holder.subscribe(told.append)
    same = identity()
    holder.publish(same)
    holder.publish(Identity(same.svid, {"a.example": AUTHORITY.bundle}))
    assert holder.generation == 1
    assert len(told) == 1


def test_a_change_of_bundles_alone_is_a_rotation() -> None:
    holder = IdentityHolder()
    first = identity()
    other = make_authority("b.example", NOW, HOUR)
    holder.publish(first)
    holder.publish(Identity(first.svid, {**first.bundles, "b.example": other.bundle}))
    assert holder.generation == 2


def test_who_unsubscribed_is_told_no_more() -> None:
    holder, told = IdentityHolder(), []
    end = holder.subscribe(told.append)
    end()
    holder.publish(identity())
    assert told == []


def test_an_identity_that_openssl_refuses_leaves_the_one_before_in_force() -> None:
    holder = IdentityHolder()
    good = identity()
    holder.publish(good)
    broken = X509Svid(WORKLOAD, (b"junk",), good.svid.key_pkcs8_der, good.svid.not_after)
    with pytest.raises(SvidInvalid, match="OpenSSL does not take the identity"):
        holder.publish(Identity(broken, good.bundles))
    assert holder.current is good
    assert holder.generation == 1


def test_peers_are_verified_with_the_bundles_in_force() -> None:
    holder = IdentityHolder(clock=lambda: NOW)
    ours = identity()
    holder.publish(ours)
    assert holder.verify(ours.svid.chain_der).spiffe_id == WORKLOAD
    holder.publish(Identity(ours.svid, {"a.example": make_authority("a.example", NOW, HOUR).bundle}))
    with pytest.raises(PeerRefused):
        holder.verify(ours.svid.chain_der)


def test_the_clock_is_aware_of_its_zone() -> None:
    assert utc_now().tzinfo is UTC
