from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.policy.compile import compile_policy
from mesh.policy.credentials import ClientAuth
from mesh.policy.documents import AgentPolicy, Documents, Mode
from mesh.policy.narrowing import Narrowing
from mesh.policy.united_users import united
from mesh.policy.user_auth import Correlation, Given, Introspection, Issuer, UserAuth

ONE = Issuer("https://i", ("a",))
AUTH = UserAuth((ONE,))


def both(one: UserAuth, other: UserAuth) -> UserAuth:
    found = united([(True, one), (True, other)])
    assert found is not None
    return found


def test_where_no_policy_speaks_of_users_there_is_nothing() -> None:
    assert united([]) is None
    assert united([(True, None)]) is None


def test_one_policy_means_what_it_says() -> None:
    auth = replace(AUTH, required=False, scopes=frozenset("s"), bypass=("/a", "/b/*"), resource="https://r")
    assert united([(True, None), (True, auth)]) == auth


def test_issuers_and_audiences_add_up() -> None:
    found = both(AUTH, UserAuth((Issuer("https://j", ("b",)), Issuer("https://i", ("c", "a")))))
    assert [(one.issuer, one.audiences) for one in found.issuers] == [
        ("https://i", ("a", "c")),
        ("https://j", ("b",)),
    ]


def test_a_token_is_checked_as_the_strictest_checks_it() -> None:
    asked = Introspection(ClientAuth(), "https://i/x", 60)
    strict = replace(ONE, algorithms=("ES256", "PS256"), skew_seconds=5, introspection=asked)
    other = replace(
        ONE,
        algorithms=("RS256", "ES256"),
        skew_seconds=9,
        introspection=replace(asked, endpoint=None, seconds=7),
    )
    (found,) = both(UserAuth((strict,)), UserAuth((other,))).issuers
    assert (found.algorithms, found.skew_seconds) == (("ES256",), 5)
    assert found.introspection == Introspection(ClientAuth(), "https://i/x", 7)
    (found,) = both(AUTH, UserAuth((other,))).issuers
    assert found.introspection == other.introspection


def test_nobody_can_put_other_keys_in_the_place_of_an_issuers() -> None:
    keys, others = replace(ONE, jwks_uri="https://i/keys"), replace(ONE, jwks_uri="https://evil/keys")
    assert both(AUTH, UserAuth((keys,))).issuers == (keys,)
    assert both(UserAuth((keys,)), UserAuth((others,))).issuers == ()


def test_the_door_is_as_narrow_as_the_narrowest() -> None:
    one = replace(AUTH, required=False, scopes=frozenset("a"), bypass=("/x/*", "/y", "/z"))
    other = replace(AUTH, scopes=frozenset("b"), bypass=("/x/1", "/x/y/*", "/x", "/z"), resource="https://r")
    found = both(one, other)
    assert (found.required, found.scopes) == (True, frozenset("ab"))
    assert found.bypass == ("/x/1", "/x/y/*", "/z")
    assert found.resource == "https://r"


@pytest.mark.parametrize(
    ("one", "other", "strictest"),
    [
        (Given.TOKEN, Given.HANDLE, Given.HANDLE),
        (Given.NOTHING, Given.HANDLE, Given.NOTHING),
        (Given.TOKEN, Given.NOTHING, Given.NOTHING),
        (Given.TOKEN, Given.TOKEN, Given.TOKEN),
    ],
)
def test_the_application_gets_the_least(one: Given, other: Given, strictest: Given) -> None:
    assert both(replace(AUTH, given=one), replace(AUTH, given=other)).given is strictest


def test_correlation_is_by_what_all_of_them_correlate_by() -> None:
    one = replace(AUTH, correlation=frozenset({Correlation.TRACE, Correlation.SOLE}))
    assert both(one, AUTH).correlation == {Correlation.TRACE}


def test_a_policy_in_observe_refuses_nobody_at_the_door() -> None:
    strict = replace(AUTH, scopes=frozenset("s"), bypass=())
    lenient = replace(AUTH, required=False, bypass=("/a",))
    alone = united([(False, strict)])
    assert alone is not None
    assert alone == replace(strict, given=Given.TOKEN, enforced=False)
    beside = united([(False, strict), (True, lenient)])
    assert beside is not None
    assert (beside.required, beside.scopes, beside.bypass) == (False, frozenset(), ("/a",))
    assert beside.enforced


def test_annotations_take_no_door_away() -> None:
    policies = (
        AgentPolicy("a", None, users=replace(AUTH, scopes=frozenset("s")), mode=Mode.OBSERVE),
        AgentPolicy("b", None),
    )

    def users(narrowing: Narrowing | None) -> UserAuth | None:
        documents = Documents(policies=policies)
        return compile_policy(documents, labels={}, namespace=None, narrowing=narrowing).users

    plain, left_out = users(None), users(Narrowing(frozenset({"b"}), enforce=True))
    assert plain is not None
    assert left_out is not None
    assert (plain.enforced, left_out.enforced) == (False, True)
    assert left_out.scopes == {"s"}


def test_policies_that_do_not_select_the_agent_say_nothing() -> None:
    policy = AgentPolicy("a", None, match_labels=(("app", "x"),), users=AUTH)
    documents = Documents(policies=(policy,))
    assert compile_policy(documents, labels={}, namespace=None).users is None
    assert compile_policy(documents, labels={"app": "x"}, namespace=None).users == AUTH
