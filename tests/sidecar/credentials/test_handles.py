"""Handles: the same for a token while it lives, of nobody else, and nothing to guess or to push out."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mesh.policy.principal import User
from mesh.reasons import Reason
from sidecar.credentials.handles import LENGTH, MOST_OF_ONE, PREFIX, Handles, handles_in
from sidecar.credentials.verified import TokenRefused, Verified
from tests.support.fakes import Clock
from tests.support.fuzzing import examples

ISSUER = "https://idp.example.com"
NOW = 1_000_000.0


def token(text: str, subject: str = "alice", expires: float = NOW + 10_000.0) -> Verified:
    return Verified(User(ISSUER, subject), text, expires, hashlib.sha256(text.encode()).digest())


def refused(find: Callable[[], object]) -> Reason:
    with pytest.raises(TokenRefused) as caught:
        find()
    assert "orh_" not in str(caught.value)
    return caught.value.reason


def test_a_handle_is_32_random_bytes_that_say_nothing_of_the_token() -> None:
    handle = Handles().give(token("secret"))
    assert len(handle) == LENGTH
    assert re.fullmatch(rb"orh_[A-Za-z0-9_-]{43}", handle)
    assert Handles().give(token("secret")) != handle


def test_a_token_that_comes_again_has_the_same_handle_and_another_one_another() -> None:
    handles = Handles(now=Clock(NOW))
    handle = handles.give(token("one"))
    assert handles.give(token("one")) == handle
    assert handles.give(token("two")) != handle
    assert handles.find(handle).token == "one"


def test_a_handle_ends_some_time_after_its_token_was_last_brought() -> None:
    clock = Clock(NOW)
    handles = Handles(seconds=100.0, now=clock)
    handle = handles.give(token("one"))
    clock.now += 90
    assert handles.give(token("one")) == handle
    clock.now += 99
    assert handles.find(handle).token == "one"
    clock.now += 1
    assert refused(lambda: handles.find(handle)) is Reason.HANDLE_EXPIRED
    again = handles.give(token("one"))
    assert again != handle
    assert refused(lambda: handles.find(handle)) is Reason.HANDLE_EXPIRED
    assert handles.find(again).token == "one"


def test_a_handle_ends_with_its_token() -> None:
    clock = Clock(NOW)
    handles = Handles(now=clock)
    handle = handles.give(token("one", expires=NOW + 60))
    clock.now += 60
    assert refused(lambda: handles.find(handle)) is Reason.HANDLE_EXPIRED


def test_a_handle_ends_when_its_token_is_revoked() -> None:
    handles = Handles(now=Clock(NOW))
    handle = handles.give(token("one"))
    handles.revoke(token("one").key)
    handles.revoke(token("two").key)
    assert refused(lambda: handles.find(handle)) is Reason.HANDLE_EXPIRED
    assert len(handles) == 0


def test_what_the_issuer_says_anew_of_a_token_is_what_a_new_handle_stands_for() -> None:
    handles = Handles(now=Clock(NOW))
    handle = handles.give(token("one"))
    other = handles.give(token("one", "bob"))
    assert refused(lambda: handles.find(handle)) is Reason.HANDLE_EXPIRED
    assert handles.find(other).user.subject == "bob"


def test_that_a_handle_has_expired_is_remembered_for_a_while() -> None:
    clock = Clock(NOW)
    handles = Handles(seconds=100.0, now=clock)
    handle = handles.give(token("one"))
    clock.now += 100
    handles.give(token("two"))
    clock.now += 99
    assert refused(lambda: handles.find(handle)) is Reason.HANDLE_EXPIRED
    clock.now += 1
    assert refused(lambda: handles.find(handle)) is Reason.HANDLE_UNKNOWN


@pytest.mark.parametrize("value", [b"", b"orh_", b"orh_" + b"A" * 43, b"orh_" + b"A" * 10_000, b"\x00" * 47])
def test_a_guess_is_unknown(value: bytes) -> None:
    handles = Handles()
    handles.give(token("one"))
    assert refused(lambda: handles.find(value)) is Reason.HANDLE_UNKNOWN


def test_a_part_or_another_spelling_of_a_handle_is_unknown() -> None:
    handles = Handles()
    handle = handles.give(token("one"))
    for near in (handle[:-1], handle + b"=", handle.swapcase(), b" " + handle, handle[4:]):
        assert refused(lambda near=near: handles.find(near)) is Reason.HANDLE_UNKNOWN  # type: ignore[misc]


def test_the_least_recently_given_handle_gives_way() -> None:
    handles = Handles(limit=4, now=Clock(NOW))
    given = [handles.give(token(f"t{number}", f"user{number}")) for number in range(4)]
    handles.give(token("t0", "user0"))
    handles.give(token("new", "new"))
    assert refused(lambda: handles.find(given[1])) is Reason.HANDLE_EXPIRED
    assert handles.find(given[0]).token == "t0"
    assert len(handles) == 4


def test_a_user_with_many_tokens_pushes_out_its_own_handles_only() -> None:
    handles = Handles(limit=40, now=Clock(NOW))
    alices = handles.give(token("alices"))
    mallorys = [handles.give(token(f"m{number}", "mallory")) for number in range(100)]
    assert handles.find(alices).token == "alices"
    assert len(handles) == 11
    assert refused(lambda: handles.find(mallorys[89])) is Reason.HANDLE_EXPIRED
    assert handles.find(mallorys[90]).token == "m90"
    assert Handles(limit=1_000_000)._share == MOST_OF_ONE


def test_nothing_is_left_of_handles_whose_time_is_over() -> None:
    clock = Clock(NOW)
    handles = Handles(limit=100, seconds=100.0, now=clock)
    for number in range(50):
        handles.give(token(f"t{number}", f"user{number}"))
    clock.now += 1000
    handles.give(token("new", "new"))
    assert len(handles) == len(handles._by_digest) == len(handles._of_user) == 1
    assert len(handles._ended) == 50


HANDLE = PREFIX + b"aZ09-_" + b"x" * 37
OTHER = PREFIX + b"y" * 43


def basic(text: bytes) -> bytes:
    return b"Basic " + base64.b64encode(text)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (HANDLE, [HANDLE]),
        (b"Bearer " + HANDLE, [HANDLE]),
        (b"token=" + HANDLE + b"; other=" + OTHER, [HANDLE, OTHER]),
        (b'Custom a="' + HANDLE + b'",b=1', [HANDLE]),
        (b"x" + HANDLE + b"yz", [HANDLE]),
        (b"orh_orh_" + HANDLE[4:], [b"orh_orh_" + HANDLE[4:-4], HANDLE]),
        (basic(HANDLE + b":"), [HANDLE]),
        (basic(b"user:" + HANDLE), [HANDLE]),
        (basic(HANDLE + b":x-oauth-basic"), [HANDLE]),
        (basic(b"u:" + HANDLE).replace(b"Basic ", b"bAsIc \t "), [HANDLE]),
        (basic(b"u:" + HANDLE).rstrip(b"="), [HANDLE]),
        (b"Basic " + base64.urlsafe_b64encode(b"\xff\xfe~~:" + HANDLE), [HANDLE]),
        (b"Basic " + HANDLE, [HANDLE]),
    ],
)
def test_handles_are_found_wherever_a_field_holds_them(value: bytes, found: list[bytes]) -> None:
    assert handles_in(value) == found


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer secret",
        b"orh_",
        HANDLE[:-1],
        HANDLE.upper(),
        HANDLE[:-1] + b"=",
        basic(b"user:password"),
        b"Basic",
        b"Basic !!!",
        b"Basic A",
        b"basically " + base64.b64encode(HANDLE),
        b"Bearer " + base64.b64encode(HANDLE),
    ],
)
def test_what_holds_no_handle_has_none(value: bytes) -> None:
    assert handles_in(value) == []


@settings(max_examples=examples(200))
@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_handle_is_found_between_any_bytes(before: bytes, after: bytes) -> None:
    for value in (before + HANDLE + after, basic(before + HANDLE + after)):
        assert HANDLE in handles_in(value)
        assert all(len(handle) == LENGTH for handle in handles_in(value))
    assert all(handle in before for handle in handles_in(before))


def outcome(handles: Handles, handle: bytes) -> Verified | Reason:
    try:
        return handles.find(handle)
    except TokenRefused as error:
        return error.reason


class GivingAndFinding(RuleBasedStateMachine):
    """Against a model that forgets nothing: what is found is what was given for, and in time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(NOW)
        self.handles = Handles(limit=8, seconds=100.0, now=self.clock)
        self.others = Handles(limit=8, seconds=100.0, now=self.clock)
        self.given: dict[bytes, tuple[Verified, float]] = {}

    @rule(subject=st.integers(0, 3), number=st.integers(0, 3), life=st.sampled_from([30.0, 1000.0]))
    def give(self, subject: int, number: int, life: float) -> None:
        brought = token(f"{subject}-{number}-{life}", str(subject), NOW + life)
        handle = self.handles.give(brought)
        known = self.given.get(handle)
        assert known is None or known[0] == brought
        self.given[handle] = (brought, min(self.clock.now + 100.0, brought.expires))

    @rule(seconds=st.sampled_from([1.0, 40.0, 99.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(subject=st.integers(0, 3))
    def a_handle_of_another_pod_is_unknown(self, subject: int) -> None:
        foreign = self.others.give(token(f"{subject}-0-30.0", str(subject)))
        assert refused(lambda: self.handles.find(foreign)) is Reason.HANDLE_UNKNOWN

    @invariant()
    def only_what_was_given_is_found_and_only_in_time(self) -> None:
        found = 0
        for handle, (brought, until) in self.given.items():
            what = outcome(self.handles, handle)
            if what == brought:
                found += 1
                assert until > self.clock.now
            else:
                assert what in (Reason.HANDLE_EXPIRED, Reason.HANDLE_UNKNOWN)
        assert found <= len(self.handles) <= 8

    @invariant()
    def the_tables_agree(self) -> None:
        handles = self.handles
        assert len(handles._by_digest) == len(handles._by_token) == sum(map(len, handles._of_user.values()))
        assert all(0 < len(own) <= 2 for own in handles._of_user.values())
        assert len(handles._ended) <= 8


test_handles_given_and_found_in_any_order = GivingAndFinding.TestCase
GivingAndFinding.TestCase.settings = settings(
    max_examples=examples(60), stateful_step_count=30, deadline=None
)
