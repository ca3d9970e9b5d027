"""What a server's challenge may add to a credential: scopes that the policy names, and nothing else."""

from __future__ import annotations

import pytest

from mesh.policy.credentials import (
    ClientAuth,
    ClientCredentials,
    Credential,
    Exchange,
    JwtBearer,
    SvidToken,
    TokenServer,
)
from mesh.protocol.http1.heads import ResponseHead
from sidecar.credentials.issued import Issued
from sidecar.credentials.step_up import Wider, challenged, more_scopes
from tests.support.credentials import Clock

SERVER = TokenServer("https://idp.example", None, ClientAuth())
NONE: frozenset[str] = frozenset()
WRITE = 'Bearer error="insufficient_scope", scope="write"'


def said(challenge: str, status: int = 403) -> ResponseHead:
    return ResponseHead(status, b"", [(b"www-authenticate", challenge.encode())], 0, True)


@pytest.mark.parametrize(
    ("credential", "more"),
    [
        (Exchange(SERVER, step_up=("write",)), {"write"}),
        (ClientCredentials(SERVER, step_up=("write",)), {"write"}),
        (JwtBearer(SERVER, step_up=("write",)), {"write"}),
        (Exchange(SERVER), None),
        (Exchange(SERVER, step_up=("writ*",)), None),
        (Exchange(SERVER, scopes=("write",), step_up=("write",)), None),
        (SvidToken("a"), None),
        (None, None),
    ],
)
def test_only_scopes_of_step_up_are_added(credential: Credential | None, more: set[str] | None) -> None:
    assert more_scopes(credential, NONE, said(WRITE)) == more


def test_what_was_added_before_stays() -> None:
    credential = Exchange(SERVER, step_up=("write", "admin"))
    assert more_scopes(credential, frozenset({"admin"}), said(WRITE)) == {"write", "admin"}
    assert more_scopes(credential, frozenset({"write"}), said(WRITE)) is None


def test_a_401_asks_for_no_scopes() -> None:
    assert challenged(said(WRITE, 401)) == NONE


def test_scopes_of_several_challenges_add_up() -> None:
    assert challenged(said(f'{WRITE}, Bearer error="insufficient_scope", scope="a  b"')) == {
        "write",
        "a",
        "b",
    }


def issued(seconds: float, scopes: frozenset[str] = NONE) -> Issued:
    return Issued([], (), Clock()() + seconds, scopes)


def test_scopes_that_were_issued_are_remembered_until_that_ends() -> None:
    clock = Clock()
    wider: Wider[str] = Wider(2, clock)
    assert wider.of("a") == NONE
    wider.remember("a", frozenset({"w"}), issued(10), float("inf"))
    wider.remember("a", frozenset({"x"}), issued(10, frozenset({"x", "r"})), float("inf"))
    assert wider.of("a") == {"w", "x"}
    clock.now += 10
    assert wider.of("a") == NONE
    assert len(wider) == 0


def test_they_do_not_outlive_the_users_token_and_give_way() -> None:
    clock = Clock()
    wider: Wider[str] = Wider(2, clock)
    wider.remember("a", frozenset({"w"}), issued(10), clock() + 1)
    clock.now += 1
    assert wider.of("a") == NONE
    for key in "abc":
        wider.remember(key, frozenset({"w"}), issued(10), float("inf"))
    assert [bool(wider.of(key)) for key in "abc"] == [False, True, True]
    wider.forget_where(lambda key: key == "b")
    wider.forget("c")
    wider.forget("c")
    assert len(wider) == 0


def test_what_was_asked_for_and_not_issued_is_not_remembered() -> None:
    wider: Wider[str] = Wider(2, Clock())
    wider.remember("a", frozenset({"w"}), issued(10, frozenset({"r"})), float("inf"))
    wider.remember("a", NONE, issued(10), float("inf"))
    assert len(wider) == 0
