"""Users: verified once, known from then on, and forgotten when their reasons end."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from mesh.policy.credentials import ClientAuth, ClientMethod
from mesh.policy.user_auth import Introspection, UserAuth
from mesh.protocol.oauth.metadata import ServerMetadata
from mesh.reasons import Reason
from sidecar.credentials.client_proof import Proof
from sidecar.credentials.fetch import FetchFailed
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.users import LOOK_SECONDS, Users
from sidecar.credentials.verified import TokenRefused, Verified
from tests.support.fakes import Clock
from tests.support.issuing import (
    AUTH,
    EC_KEY,
    ENTRY,
    GOOD_JWKS,
    ISSUER,
    JWKS_URI,
    NOW,
    OTHER_RSA_KEY,
    Told,
    Web,
    claims,
    header,
    jwk,
    jwks,
    text_of,
    token,
)

GOOD = token().encode()
INTROSPECT = ISSUER + "/introspect"
ASKED = dataclasses.replace(
    ENTRY, introspection=Introspection(ClientAuth(ClientMethod.SECRET_BASIC), INTROSPECT, 60.0)
)
ASKING = UserAuth((ASKED,))


async def proof(*asked: Any) -> Proof:
    return Proof(headers=[(b"authorization", b"Basic eA==")], params=(("client_id", "me"),))


class World:
    def __init__(self, auth: UserAuth | None = AUTH) -> None:
        self.web, self.clock, self.told = Web(), Clock(NOW), Told()
        self.withdrawn: list[bytes] = []
        self.web.serve(JWKS_URI, GOOD_JWKS)
        self.users = Users(
            self.web,
            None,  # type: ignore[arg-type]
            proof,
            now=self.clock,
            tell=self.told,
            withdrawn=self.withdrawn.extend,
        )
        self.users.use(auth)

    async def refused(self, value: bytes, caller: str = "") -> Reason:
        with pytest.raises(TokenRefused) as refused:
            await self.users.verify(value, caller)
        return refused.value.reason

    def answers(self, **said: Any) -> None:
        self.web.serve(INTROSPECT, text_of({"active": True, **claims(**said)}))


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_token_is_unknown_then_verified_then_known() -> None:
    world = World()
    assert world.users.known(GOOD) is None
    verified = await world.users.verify(GOOD)
    assert world.users.known(GOOD) is verified
    assert (verified.user.subject, verified.token, verified.expires) == ("alice", GOOD.decode(), NOW + 330)
    assert GOOD.decode() not in repr(verified)


async def test_it_is_known_until_it_expires_with_leeway() -> None:
    world = World()
    await world.users.verify(GOOD)
    world.clock.now = NOW + 329
    assert isinstance(world.users.known(GOOD), Verified)
    world.clock.now = NOW + 330
    assert world.users.known(GOOD) is None
    assert await world.refused(GOOD) is Reason.TOKEN_EXPIRED


async def test_a_refusal_is_remembered_for_a_moment() -> None:
    world = World()
    bad = token(claims(aud="x")).encode()
    await world.refused(bad)
    first, second = world.users.known(bad), world.users.known(bad)
    assert isinstance(first, TokenRefused)
    assert first is not second
    assert first.reason is Reason.TOKEN_AUDIENCE
    world.clock.now += 5
    assert world.users.known(bad) is None


async def test_another_policy_forgets_everything_and_the_same_one_nothing() -> None:
    world = World()
    await world.users.verify(GOOD)
    world.users.use(dataclasses.replace(AUTH))
    assert isinstance(world.users.known(GOOD), Verified)
    world.users.use(UserAuth((dataclasses.replace(ENTRY, audiences=("other",)),)))
    assert world.users.known(GOOD) is None
    assert await world.refused(GOOD) is Reason.TOKEN_AUDIENCE
    world.users.use(None)
    assert await world.refused(GOOD) is Reason.TOKEN_ISSUER


async def test_a_policy_that_changes_during_a_verification_decides() -> None:
    world = World()
    world.web.gate = asyncio.Event()
    waiting = asyncio.ensure_future(world.users.verify(GOOD))
    await turns()
    world.users.use(UserAuth((dataclasses.replace(ENTRY, audiences=("other",)),)))
    world.web.gate.set()
    with pytest.raises(TokenRefused) as refused:
        await waiting
    assert refused.value.reason is Reason.TOKEN_AUDIENCE


async def test_a_token_ends_for_all_when_it_ends_here() -> None:
    world = World()
    late = token(claims(exp=int(NOW) - 1)).encode()
    verified = await world.users.verify(late)
    assert verified.expires == int(NOW) - 1 + ENTRY.skew_seconds
    world.clock.now = verified.expires - 0.1
    assert world.users.known(late) is verified
    world.clock.now = verified.expires
    assert world.users.known(late) is None
    assert await world.refused(late) is Reason.TOKEN_EXPIRED


async def test_a_token_that_its_issuer_calls_inactive_is_withdrawn() -> None:
    world = World(ASKING)
    world.answers()
    verified = await world.users.verify(b"opaque")
    world.web.serve(INTROSPECT, b'{"active": false}')
    assert world.withdrawn == []
    world.clock.now += 61
    assert await world.refused(b"opaque") is Reason.TOKEN_INACTIVE
    assert world.withdrawn == [verified.key]


@pytest.mark.parametrize("left", [jwks(), jwks(jwk(EC_KEY, kid="two")), jwks(jwk(OTHER_RSA_KEY))])
async def test_a_token_of_a_key_that_was_withdrawn_ends_within_a_refresh(left: bytes) -> None:
    world = World()
    long = token(claims(exp=int(NOW) + 9000)).encode()
    verified = await world.users.verify(long)
    world.web.serve(JWKS_URI, left)
    world.clock.now += 600 + LOOK_SECONDS
    world.users.known(long)
    await turns()
    assert world.users.known(long) is None
    assert world.withdrawn == [verified.key]
    assert await world.refused(long) in {Reason.TOKEN_KEY_UNKNOWN, Reason.TOKEN_SIGNATURE}


async def test_a_token_of_a_key_that_stays_is_known_on_though_it_be_renamed() -> None:
    world = World()
    await world.users.verify(GOOD)
    world.web.serve(JWKS_URI, jwks(jwk(kid="renamed"), jwk(OTHER_RSA_KEY, kid="new")))
    await world.users.verify(token(head=header(alg="ES256", kid="two"), key=EC_KEY).encode())
    world.clock.now += 20
    await world.users.verify(token(head=header(kid="new"), key=OTHER_RSA_KEY).encode())
    assert isinstance(world.users.known(GOOD), Verified)
    assert len(world.withdrawn) == 1


async def test_a_token_without_kid_makes_us_look_again_when_keys_rotate() -> None:
    world = World()
    new = token(head=header(kid=...), key=OTHER_RSA_KEY).encode()
    assert await world.refused(new) is Reason.TOKEN_SIGNATURE
    world.web.serve(JWKS_URI, jwks(jwk(OTHER_RSA_KEY, kid="new")))
    world.clock.now += 10
    assert (await world.users.verify(new)).user.subject == "alice"


async def test_an_issuer_that_is_silent_is_not_the_tokens_fault_and_not_remembered() -> None:
    world = World()
    world.web.fail(JWKS_URI)
    assert await world.refused(GOOD) is Reason.ISSUER_UNAVAILABLE
    assert world.users.known(GOOD) is None
    world.web.serve(JWKS_URI, GOOD_JWKS)
    assert await world.refused(GOOD) is Reason.ISSUER_UNAVAILABLE
    world.clock.now += 2
    assert isinstance(await world.users.verify(GOOD), Verified)


async def test_two_entries_of_one_issuer_are_tried_in_turn() -> None:
    world = World(UserAuth((dataclasses.replace(ENTRY, audiences=("other",)), ENTRY)))
    assert (await world.users.verify(GOOD)).user.subject == "alice"
    assert await world.refused(token(claims(aud="x")).encode()) is Reason.TOKEN_AUDIENCE


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/healthz", True),
        ("/healthz/x", False),
        ("/.well-known/a", True),
        ("/.well-known", False),
        ("/mcp", False),
    ],
)
def test_paths_that_nobody_needs_a_token_for(path: str, passes: bool) -> None:
    world = World(dataclasses.replace(AUTH, bypass=("/healthz", "/.well-known/*")))
    assert world.users.bypasses(path) is passes
    world.users.use(None)
    assert not world.users.bypasses(path)


async def test_scopes_that_each_token_needs() -> None:
    world = World(dataclasses.replace(AUTH, scopes=frozenset({"a", "b"})))
    verified = await world.users.verify(token(claims(scope="a c")).encode())
    assert world.users.missing_scopes(verified) == {"b"}
    world.users.use(None)
    assert world.users.missing_scopes(verified) == frozenset()


# Introspection.


async def test_an_opaque_token_is_asked_about() -> None:
    world = World(ASKING)
    world.answers(scope="a", client_id="app")
    verified = await world.users.verify(b"opaque")
    assert (str(verified.user), verified.user.scopes, verified.user.client) == (
        f"{ISSUER}#alice",
        {"a"},
        "app",
    )
    assert world.web.asked == [
        ("POST", INTROSPECT, b"token=opaque&token_type_hint=access_token&client_id=me")
    ]
    assert (b"authorization", b"Basic eA==") in world.web.headers[0]


async def test_a_jwt_of_an_issuer_with_introspection_is_asked_about_too() -> None:
    world = World(ASKING)
    world.web.serve(INTROSPECT, b'{"active": false}')
    assert await world.refused(GOOD) is Reason.TOKEN_INACTIVE
    assert world.web.count(JWKS_URI) == 0


@pytest.mark.parametrize(("expires", "until"), [(int(NOW) + 300, 60), (int(NOW) + 10, 40), (..., 60)])
async def test_an_answer_counts_for_its_seconds_and_not_beyond_the_token(expires: Any, until: float) -> None:
    world = World(ASKING)
    world.answers(exp=expires)
    await world.users.verify(b"opaque")
    world.clock.now = NOW + until - 0.1
    assert isinstance(world.users.known(b"opaque"), Verified)
    world.clock.now = NOW + until
    assert world.users.known(b"opaque") is None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"active": False}, Reason.TOKEN_INACTIVE),
        ({"aud": "x"}, Reason.TOKEN_AUDIENCE),
        ({"aud": ...}, Reason.TOKEN_AUDIENCE),
        ({"iss": "https://evil"}, Reason.TOKEN_ISSUER),
        ({"exp": 1}, Reason.TOKEN_EXPIRED),
        ({"nbf": int(NOW) + 99}, Reason.TOKEN_NOT_YET_VALID),
        ({"exp": ..., "nbf": int(NOW) + 99}, Reason.TOKEN_NOT_YET_VALID),
        ({"cnf": {}}, Reason.TOKEN_BOUND),
        ({"token_type": "DPoP"}, Reason.TOKEN_BOUND),
        ({"token_type": "refresh_token"}, Reason.TOKEN_MALFORMED),
        ({"sub": ...}, Reason.TOKEN_MALFORMED),
        ({"scope": 7}, Reason.TOKEN_MALFORMED),
        ({"active": "true"}, Reason.ISSUER_UNAVAILABLE),
        ({"active": 1}, Reason.ISSUER_UNAVAILABLE),
    ],
)
async def test_an_answer_is_checked_as_a_jwt_is(said: dict[str, Any], reason: Reason) -> None:
    world = World(ASKING)
    world.answers(**said)
    assert await world.refused(b"opaque") is reason


@pytest.mark.parametrize(
    "answer",
    [
        (b"", 200),
        (b"[]", 200),
        (b"{}", 200),
        (b'{"active":true,"active":false}', 200),
        (b"{}", 401),
        (b"{}", 302),
    ],
)
async def test_an_answer_that_is_none_says_nothing_of_the_token(answer: tuple[bytes, int]) -> None:
    world = World(ASKING)
    world.web.serve(INTROSPECT, *answer)
    assert await world.refused(b"opaque") is Reason.ISSUER_UNAVAILABLE
    assert world.told.keys[0][1]
    world.answers()
    assert isinstance(await world.users.verify(b"opaque"), Verified)


async def test_a_token_is_asked_about_once_for_all_who_bring_it() -> None:
    world = World(ASKING)
    world.answers()
    world.web.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(world.users.verify(b"opaque")) for _ in range(100)]
    await turns()
    world.web.gate.set()
    await asyncio.gather(*waiting)
    assert len(world.web.asked) == 1


async def outcomes(world: World, callers: list[str]) -> list[Verified | Reason]:
    """What becomes of a token of each caller, all of them brought at once."""
    world.web.gate = asyncio.Event()
    asked = [world.users.verify(b"opaque-%d" % n, caller) for n, caller in enumerate(callers)]
    waiting = [asyncio.ensure_future(one) for one in asked]
    await turns()
    world.web.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    return [one.reason if isinstance(one, TokenRefused) else one for one in found]  # type: ignore[misc]


async def test_too_many_questions_at_once_are_not_asked() -> None:
    world = World(ASKING)
    world.answers()
    found = await outcomes(world, [f"spiffe://a/{number % 7}" for number in range(70)])
    assert [isinstance(one, Verified) for one in found].count(True) == 64
    assert found.count(Reason.ISSUER_UNAVAILABLE) == 6


async def test_one_caller_cannot_take_the_questions_of_all() -> None:
    world = World(ASKING)
    world.answers()
    found = await outcomes(world, ["spiffe://a/bad"] * 64 + ["spiffe://a/good"])
    assert [isinstance(one, Verified) for one in found] == [True] * 16 + [False] * 48 + [True]
    assert found.count(Reason.TOO_MANY_UNKNOWN_TOKENS) == 48
    assert isinstance(await world.users.verify(b"another", "spiffe://a/bad"), Verified)


async def test_a_caller_that_makes_up_tokens_is_heard_no_more_for_a_while() -> None:
    world = World(ASKING)
    world.answers()
    known = await world.users.verify(b"good", "bad")
    world.web.serve(INTROSPECT, b'{"active": false}')
    reasons = [await world.refused(b"made-up-%d" % number, "bad") for number in range(150)]
    assert reasons == [Reason.TOKEN_INACTIVE] * 99 + [Reason.TOO_MANY_UNKNOWN_TOKENS] * 51
    assert world.users.known(b"good") is known
    assert world.users.known(b"made-up-149") is None
    assert await world.refused(b"other", "good") is Reason.TOKEN_INACTIVE
    world.clock.now += 1
    reasons = [await world.refused(b"again-%d" % number, "bad") for number in range(21)]
    assert reasons.count(Reason.TOKEN_INACTIVE) == 20


async def test_made_up_key_ids_count_and_good_tokens_are_heard_all_the_same() -> None:
    world = World()
    await world.users.verify(token(claims(sub="bob")).encode(), "bad")
    for number in range(100):
        made_up = token(head=header(kid=f"x{number}")).encode()
        assert await world.refused(made_up, "bad") is Reason.TOKEN_KEY_UNKNOWN
    assert await world.refused(token(head=header(kid="y")).encode(), "bad") is Reason.TOO_MANY_UNKNOWN_TOKENS
    unsigned = token(head=header(kid=...), key=OTHER_RSA_KEY).encode()
    assert await world.refused(unsigned, "bad") is Reason.TOO_MANY_UNKNOWN_TOKENS
    assert isinstance(await world.users.verify(GOOD, "bad"), Verified)


def cut(world: World) -> None:
    world.web.answers[INTROSPECT] = FetchFailed("connection closed", reached=True)


async def test_a_token_at_which_the_connection_is_cut_closes_the_door_for_nobody_else() -> None:
    world = World(ASKING)
    cut(world)
    for number in range(4):
        assert await world.refused(b"evil-%d" % number, "bad") is Reason.ISSUER_UNAVAILABLE
    world.answers()
    assert isinstance(await world.users.verify(b"good", "bad"), Verified)
    cut(world)
    assert await world.refused(b"evil", "bad") is Reason.ISSUER_UNAVAILABLE
    asked = len(world.web.asked)
    world.answers()
    assert await world.refused(b"evil", "other") is Reason.ISSUER_UNAVAILABLE
    assert len(world.web.asked) == asked, "it failed a moment ago"
    world.clock.now += 5
    assert isinstance(await world.users.verify(b"evil", "other"), Verified)


async def test_an_issuer_that_answers_nobody_is_left_alone() -> None:
    world = World(ASKING)
    cut(world)
    await world.refused(b"one", "a")
    world.answers()
    await world.users.verify(b"two", "a")
    cut(world)
    for caller in ("a", "b", "c", "d"):
        await world.refused(b"of-" + caller.encode(), caller)
    assert len(world.web.asked) == 4


async def test_an_issuer_that_does_not_answer_is_left_alone_for_a_while() -> None:
    world = World(ASKING)
    world.web.fail(INTROSPECT)
    for number in range(10):
        assert await world.refused(b"opaque-%d" % number) is Reason.ISSUER_UNAVAILABLE
    assert len(world.web.asked) == 1
    world.clock.now += 2
    await world.refused(b"opaque")
    world.answers()
    world.clock.now += 2
    assert await world.refused(b"opaque") is Reason.ISSUER_UNAVAILABLE
    world.clock.now += 2
    assert isinstance(await world.users.verify(b"opaque"), Verified)


async def test_an_opaque_token_is_shown_to_nobody_where_several_could_be_asked() -> None:
    other = dataclasses.replace(ASKED, issuer="https://other.example.com")
    world = World(UserAuth((ENTRY, ASKED, other)))
    world.answers()
    with pytest.raises(
        TokenRefused, match="names no issuer, and 2 of them are asked about tokens"
    ) as refused:
        await world.users.verify(b"opaque")
    assert refused.value.reason is Reason.TOKEN_ISSUER
    assert not world.web.asked
    world.users.use(UserAuth((dataclasses.replace(ENTRY, issuer="https://a"), ASKED)))
    assert isinstance(await world.users.verify(b"opaque"), Verified)


async def test_an_opaque_token_that_nobody_can_be_asked_about_is_none() -> None:
    assert await World().refused(b"opaque") is Reason.TOKEN_MALFORMED


async def test_made_up_tokens_do_not_fill_the_log_while_their_issuer_is_silent() -> None:
    world = World(ASKING)
    world.web.fail(INTROSPECT)
    for number in range(10):
        await world.refused(b"opaque-%d" % number)
    assert len(world.told.keys) == 1


@pytest.mark.parametrize(("endpoint", "reason"), [(INTROSPECT, None), (None, Reason.ISSUER_UNAVAILABLE)])
async def test_where_to_ask_is_what_the_metadata_say(endpoint: str | None, reason: Reason | None) -> None:
    class Metadata:
        async def metadata(self, issuer: str) -> ServerMetadata:
            return ServerMetadata(issuer, introspection_endpoint=endpoint)

    world = World(None)
    world.answers()
    users = Users(world.web, Metadata(), proof, now=world.clock, tell=world.told)
    users.use(UserAuth((dataclasses.replace(ENTRY, introspection=Introspection(ClientAuth())),)))
    if reason is None:
        assert (await users.verify(b"opaque")).user.subject == "alice"
        return
    with pytest.raises(TokenRefused) as refused:
        await users.verify(b"opaque")
    assert refused.value.reason is reason


async def test_who_cannot_prove_itself_cannot_ask() -> None:
    async def none(*asked: Any) -> Proof:
        raise CredentialRefused(Reason.CREDENTIAL_SECRET_MISSING, "Secret idp is not there")

    world = World(None)
    users = Users(world.web, None, none, now=world.clock, tell=world.told)  # type: ignore[arg-type]
    users.use(ASKING)
    with pytest.raises(TokenRefused, match="idp is not there"):
        await users.verify(b"opaque")
    assert not world.web.asked
