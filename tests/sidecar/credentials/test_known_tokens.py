"""Tokens that were looked at: bounded, the ones in use stay, and garbage pushes out nothing good."""

from __future__ import annotations

import hashlib

from mesh.policy.principal import User
from mesh.reasons import Reason
from sidecar.credentials.known_tokens import MOST_REFUSED, MOST_TOKEN_BYTES, KnownToken, KnownTokens
from sidecar.credentials.verified import TokenRefused, Verified

PLACE = ("https://idp", None)


def known(name: str, *, ends: float = 100.0, size: int = 10, thumbprint: bytes | None = b"k") -> KnownToken:
    key = hashlib.sha256(name.encode()).digest()
    return KnownToken(Verified(User("i", name), "t" * size, ends, key), ends, PLACE, thumbprint)


def has(tokens: KnownTokens, name: str, now: float = 0.0) -> bool:
    return isinstance(tokens.find(hashlib.sha256(name.encode()).digest(), now), Verified)


def test_the_oldest_gives_way() -> None:
    tokens = KnownTokens(2)
    for name in "abc":
        tokens.keep(known(name), 0.0)
    assert [has(tokens, name) for name in "abc"] == [False, True, True]


def test_one_in_use_stays() -> None:
    tokens = KnownTokens(2)
    tokens.keep(known("a"), 0.0)
    tokens.keep(known("b"), 0.0)
    assert has(tokens, "a")
    tokens.keep(known("c"), 0.0)
    assert [has(tokens, name) for name in "abc"] == [True, False, True]


def test_if_all_are_in_use_the_oldest_gives_way() -> None:
    tokens = KnownTokens(2)
    for name in "ab":
        tokens.keep(known(name), 0.0)
        assert has(tokens, name)
    tokens.keep(known("c"), 0.0)
    assert [has(tokens, name) for name in "abc"] == [False, True, True]


def test_one_in_use_that_ended_gives_way() -> None:
    tokens = KnownTokens(2)
    tokens.keep(known("a", ends=5.0), 0.0)
    assert has(tokens, "a")
    tokens.keep(known("b"), 0.0)
    tokens.keep(known("c"), 6.0)
    assert [has(tokens, name) for name in "abc"] == [False, True, True]


def test_all_together_have_a_size() -> None:
    tokens = KnownTokens()
    for number in range(5):
        tokens.keep(known(str(number), size=MOST_TOKEN_BYTES // 4), 0.0)
    assert len(tokens) == 4
    tokens.keep(known("4", size=1), 0.0)
    tokens.keep(known("5", size=1), 0.0)
    assert len(tokens) == 5


def test_what_has_ended_is_not_kept() -> None:
    tokens = KnownTokens()
    tokens.keep(known("a", ends=1.0), 1.0)
    assert len(tokens) == 0
    tokens.keep(known("a", ends=1.0), 0.0)
    assert not has(tokens, "a", 1.0)
    assert len(tokens) == 0


def test_garbage_pushes_out_nothing_good_and_is_bounded_itself() -> None:
    tokens = KnownTokens(2)
    tokens.keep(known("a"), 0.0)
    for number in range(MOST_REFUSED + 1):
        tokens.refuse(number.to_bytes(4), Reason.TOKEN_SIGNATURE, "", 0.0)
    assert has(tokens, "a")
    assert tokens.find((0).to_bytes(4), 0.0) is None
    assert isinstance(tokens.find((1).to_bytes(4), 0.0), TokenRefused)


def test_what_turned_out_good_is_not_refused_any_more() -> None:
    tokens = KnownTokens()
    good = known("a", ends=1.0)
    tokens.refuse(good.verified.key, Reason.TOKEN_KEY_UNKNOWN, "", 0.0)
    tokens.keep(good, 0.0)
    assert has(tokens, "a")
    assert tokens.find(good.verified.key, 2.0) is None


def test_tokens_of_a_withdrawn_key_are_forgotten_and_no_others() -> None:
    tokens = KnownTokens()
    withdrawn = known("a", thumbprint=b"old")
    for token in (withdrawn, known("b"), known("c", thumbprint=None)):
        tokens.keep(token, 0.0)
    assert tokens.forget_signed_by_others(("https://other", None), frozenset()) == []
    assert tokens.forget_signed_by_others(PLACE, frozenset({b"k"})) == [withdrawn.verified.key]
    assert [has(tokens, name) for name in "abc"] == [False, True, True]
