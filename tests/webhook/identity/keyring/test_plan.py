"""Whatever happens when, every certificate and every token verifies wherever it is shown while it lasts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.identity.bundle import TrustBundle
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.verify import verify_chain
from webhook.identity.keyring.plan import Act, Asked, Step, next_step, perform
from webhook.identity.keyring.stored import read_keyring, write_keyring
from webhook.identity.keyring.values import Keyring, Times

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
TIMES = Times()
SHORT = Times(
    root=timedelta(days=10),
    issuer=timedelta(days=3),
    token_key=timedelta(days=4),
    ahead=timedelta(hours=12),
)
TD = "a.example"
WORKLOAD = SpiffeId(TD, "/ns/agents/sa/triage")
NOTHING = Asked()


def advanced(keyring: Keyring | None, now: datetime, asked: Asked = NOTHING, times: Times = TIMES) -> Keyring:
    """Everything that is due at `now`, done."""
    while (step := next_step(keyring, asked, now, times)).act is not Act.REST:
        keyring = perform(step, keyring, TD, asked, now, times)
    assert keyring is not None
    return keyring


def founded() -> Keyring:
    return advanced(None, START)


def act(keyring: Keyring | None, after: timedelta = timedelta(), asked: Asked = NOTHING) -> Act:
    return next_step(keyring, asked, START + after, TIMES).act


def test_an_empty_secret_becomes_a_ca_that_signs_at_once() -> None:
    keyring = founded()
    svid = new_svid(keyring.issuer(START).authority, WORKLOAD, START, TIMES.svid)
    assert verify_chain(svid.chain_der, {TD: keyring.trust_bundle}, START).spiffe_id == WORKLOAD
    assert len(svid.chain_der) == 2
    assert keyring.bundle().jwt_keys.keys() == {keyring.token_key(START).key_id}
    assert next_step(keyring, NOTHING, START, TIMES).act is Act.REST


def test_roots_live_for_ten_years_and_issuers_for_thirty_days() -> None:
    keyring = founded()
    assert keyring.roots[0].certificate.not_valid_after_utc == START + timedelta(days=3650)
    issuer = keyring.issuers[0].authority.certificate
    assert issuer.not_valid_after_utc == START + timedelta(days=30)
    constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)


def test_an_issuer_is_renewed_at_half_of_its_life_below_the_same_root() -> None:
    keyring = founded()
    assert act(keyring, timedelta(days=14)) is Act.REST
    later = START + timedelta(days=15)
    renewed = advanced(keyring, later)
    assert renewed.trust_bundle == keyring.trust_bundle
    assert renewed.issuer(later) != keyring.issuer(later)
    renewed.issuer(later).authority.certificate.verify_directly_issued_by(keyring.roots[0].certificate)
    assert len(renewed.issuers) == 1


def test_a_new_root_is_published_long_before_it_is_used_and_the_old_one_as_long_as_it_is_needed() -> None:
    keyring = founded()
    announced = advanced(keyring, START, Asked("please"))
    new, old = announced.roots
    assert old.certificate == keyring.roots[0].certificate
    assert announced.issuer(START) == keyring.issuer(START)
    assert announced.token_key(START) == replace(
        keyring.token_key(START), until=announced.token_keys[1].until
    )
    assert next_step(announced, Asked("please"), START, TIMES).act is Act.REST
    begins = START + timedelta(hours=24)
    assert new.begins == begins == announced.issuer(begins).begins == announced.token_key(begins).begins
    used = advanced(announced, begins, Asked("please"))
    assert [one.key is None for one in used.roots] == [False, True]
    assert [one.key is None for one in used.token_keys] == [False, True]
    assert used.trust_bundle == announced.trust_bundle
    assert len(used.issuers) == 1
    withdrawn = advanced(used, begins + TIMES.svid + TIMES.margin, Asked("please"))
    assert withdrawn.trust_bundle.authorities_der == (new.der,)
    assert len(withdrawn.token_keys) == 1
    assert withdrawn.sequence > used.sequence


def test_a_wish_that_comes_while_a_root_is_announced_waits_for_it() -> None:
    announced = advanced(founded(), START, Asked("one"))
    assert act(announced, asked=Asked("two")) is Act.REST
    assert act(announced, timedelta(hours=23), Asked("two")) is Act.REST
    begun = advanced(announced, START + timedelta(hours=24), Asked("two"))
    assert begun.rotated == "two"
    assert len(begun.roots) == 3


def test_leaked_keys_go_at_once_and_the_control_port_is_vouched_for_by_the_old_root() -> None:
    keyring = advanced(founded(), START, Asked("one"))
    replaced = advanced(keyring, START, Asked("one", "leaked"))
    assert len(replaced.roots) == len(replaced.issuers) == len(replaced.token_keys) == 1
    assert not {one.der for one in keyring.roots} & {one.der for one in replaced.roots}
    assert replaced.sequence > keyring.sequence
    assert next_step(replaced, Asked("one", "leaked"), START, TIMES).act is Act.REST
    svid = new_svid(replaced.issuer(START).authority, WORKLOAD, START, TIMES.svid)
    for known in (founded_root(keyring), replaced.trust_bundle):
        verify_chain((*svid.chain_der, *replaced.bridges), {TD: known}, START)


def founded_root(keyring: Keyring) -> TrustBundle:
    return TrustBundle(TD, (min(keyring.roots, key=lambda one: one.begins).der,))


def test_who_knows_only_the_first_root_reaches_the_control_port_after_several_rotations() -> None:
    keyring, now = founded(), START
    first = founded_root(keyring)
    for wish in ("1", "2", "3"):
        keyring = advanced(keyring, now, Asked(wish))
        now += timedelta(days=2)
        keyring = advanced(keyring, now, Asked(wish))
    svid = new_svid(keyring.issuer(now).authority, WORKLOAD, now, TIMES.svid)
    assert first.authorities_der[0] not in keyring.trust_bundle.authorities_der
    assert verify_chain((*svid.chain_der, *keyring.bridges), {TD: first}, now).spiffe_id == WORKLOAD


def test_wishes_from_before_there_was_a_ca_are_fulfilled_by_making_it() -> None:
    keyring = advanced(None, START, Asked("a", "b"))
    assert len(keyring.roots) == 1
    assert (keyring.rotated, keyring.replaced) == ("a", "b")


def test_a_token_key_is_followed_by_another_that_is_published_first() -> None:
    keyring = founded()
    later = START + timedelta(days=15)
    announced = advanced(keyring, later)
    assert len(announced.token_keys) == 2
    assert announced.token_key(later).key_id == keyring.token_keys[0].key_id
    assert announced.token_key(later + timedelta(hours=24)).key_id != keyring.token_keys[0].key_id


def test_a_root_that_expired_while_nobody_ran_is_replaced() -> None:
    late = timedelta(days=4000)
    assert act(founded(), late) is Act.REPLACE
    keyring = advanced(founded(), START + late)
    assert keyring.bridges == ()
    assert len(keyring.roots) == 1


def test_a_clock_that_runs_behind_takes_what_there_is() -> None:
    keyring, early = founded(), START - timedelta(minutes=3)
    assert keyring.issuer(early) is keyring.issuers[0]
    assert keyring.root(early) is keyring.roots[0]


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ({"issuer": timedelta(hours=1)}, "issuer's life"),
        ({"token_key": timedelta(hours=30)}, "token key's"),
        ({"root": timedelta(days=50)}, "root's life"),
    ],
)
def test_times_that_leave_no_overlap_are_refused(times: dict[str, timedelta], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Times(**times)


@dataclass
class World:
    """A Secret with its versions, replicas that see it late, and everything that was published when."""

    now: datetime = START
    version: int = 0
    asked: Asked = NOTHING
    stored: list[tuple[datetime, Keyring | None]] = field(default_factory=lambda: [(START, None)])
    issued: list[tuple[datetime, datetime, bytes, str]] = field(default_factory=list)

    def seen(self, lag: timedelta) -> Keyring | None:
        """The Secret as it was `lag` ago."""
        return next((one for at, one in reversed(self.stored) if at <= self.now - lag), None)

    def lead(self, most: int, lag: timedelta, *, stale: bool) -> None:
        """A leader does up to `most` steps and dies; from an old view, its write is a conflict."""
        for _ in range(most):
            view = self.seen(lag) if stale else self.stored[-1][1]
            step = next_step(view, self.asked, self.now, SHORT)
            if step.act is Act.REST:
                return
            made = perform(step, view, TD, self.asked, self.now, SHORT)
            if view is not self.stored[-1][1]:
                return  # the resourceVersion is another one by now
            # What is read is what was written.
            self.stored.append((self.now, read_keyring(write_keyring(made), TD)))

    def sign(self, lag: timedelta) -> None:
        """A replica that sees the Secret `lag` late issues a certificate and a token."""
        view = self.seen(lag)
        if view is None:
            return
        issuer = view.issuer(self.now).authority
        if self.now >= issuer.certificate.not_valid_after_utc or view.token_key(self.now).key is None:
            return
        root = next(one.der for one in view.roots if one.certificate.subject == issuer.certificate.issuer)
        until = min(self.now + SHORT.svid, issuer.certificate.not_valid_after_utc)
        assert until <= x509.load_der_x509_certificate(root).not_valid_after_utc
        self.issued.append((self.now, until, root, view.token_key(self.now).key_id))

    def check(self, cached: timedelta) -> None:
        """Whoever verifies has a bundle that was published at most `cached` before, or during, the lifetime."""
        for begin, end, root, key_id in self.issued:
            before = [one for at, one in self.stored if at <= begin - cached]
            during = [one for at, one in self.stored if begin - cached < at <= end]
            for keyring in (*before[-1:], *during):
                if keyring is not None:
                    assert root in keyring.trust_bundle.authorities_der
            for at, keyring in self.stored:
                if keyring is not None and begin - cached < at <= begin + SHORT.jwt_svid:
                    assert key_id in keyring.bundle().jwt_keys


MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            [1, 60, 1800, 3600, 11 * 3600, 12 * 3600, 12 * 3600 + 1800, 13 * 3600, 86400, 2 * 86400]
        ),
        st.integers(0, 3),  # steps before the leader dies
        st.integers(0, 11),  # hours that a replica lags behind
        st.booleans(),  # does a second leader act on an old view?
        st.sampled_from(["", "", "", "rotate"]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(MOVES, st.integers(0, 11))
def test_every_svid_verifies_by_every_bundle_of_its_lifetime(
    moves: list[tuple[int, int, int, bool, str]], cached_hours: int
) -> None:
    world = World()
    world.lead(9, timedelta(), stale=False)
    for number, (seconds, steps, hours, racing, wish) in enumerate(moves):
        world.now += timedelta(seconds=seconds)
        if wish:
            world.asked = Asked(f"wish {number}")
        world.sign(timedelta(hours=hours))
        if racing:
            world.lead(2, timedelta(hours=hours), stale=True)
        world.lead(steps, timedelta(), stale=False)
        world.sign(timedelta(hours=hours))
        world.sign(timedelta())
    world.check(timedelta(hours=cached_hours))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 48), min_size=1, max_size=12), st.booleans())
def test_what_is_signed_really_verifies(hours: list[int], rotating: bool) -> None:
    keyring, now = advanced(None, START, times=SHORT), START
    for number, step in enumerate(hours):
        before = keyring.trust_bundle
        now += timedelta(hours=step)
        keyring = advanced(keyring, now, Asked(str(number // 3) if rotating else ""), SHORT)
        svid = new_svid(keyring.issuer(now).authority, WORKLOAD, now, SHORT.svid)
        verify_chain(svid.chain_der, {TD: keyring.trust_bundle}, now)
        if step < 12:
            verify_chain(svid.chain_der, {TD: before}, now)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 100_000), max_size=20))
def test_the_sequence_grows_with_each_change_of_the_bundle_and_only_then(seconds: list[int]) -> None:
    keyring, now = founded(), START
    for number, step in enumerate(seconds):
        now += timedelta(seconds=step)
        after = advanced(keyring, now, Asked(str(number // 4)))
        same = after.bundle() == replace_sequence(keyring, after).bundle()
        assert after.sequence > keyring.sequence or (same and after.sequence == keyring.sequence)
        keyring = after


def replace_sequence(keyring: Keyring, other: Keyring) -> Keyring:
    return replace(keyring, sequence=other.sequence)


def test_rest_ends_when_there_may_be_something_to_do() -> None:
    step = next_step(founded(), NOTHING, START, TIMES)
    assert step == Step(Act.REST, "", START + TIMES.margin)
