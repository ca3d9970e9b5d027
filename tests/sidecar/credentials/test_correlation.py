"""Whose an outbound request is: one user's by what its signs say, or nobody's; never by what another one did."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from mesh.policy.principal import User
from mesh.policy.user_auth import DEFAULT_CORRELATION, Correlation
from mesh.protocol.signs import NO_SIGNS, Signs
from mesh.reasons import Reason
from sidecar.credentials.correlation import MOST_OF_ONE, NOBODY, Belongings, Ticket
from sidecar.credentials.verified import TokenRefused, Verified
from tests.support.fakes import Clock
from tests.support.fuzzing import examples

ISSUER = "https://idp.example.com"
NOW = 1_000_000.0
WITH_SOLE = DEFAULT_CORRELATION | {Correlation.SOLE}


def token(subject: str, text: str = "", *, expires: float = 1e12, scopes: tuple[str, ...] = ()) -> Verified:
    key = hashlib.sha256(f"{subject} {text}".encode()).digest()
    return Verified(User(ISSUER, subject, frozenset(scopes)), f"secret {subject} {text}", expires, key)


ALICE, BOB, CAROL = token("alice"), token("bob"), token("carol")
TRACE = Signs(trace="4bf92f3577b34da6a3ce929d0e0e4736")
SESSION = Signs(session="session-1")
CONTEXT = Signs(contexts=("context-1",))


def table(**given: float) -> tuple[Belongings, Clock]:
    clock = Clock(NOW)
    return Belongings(now=clock, **given), clock  # type: ignore[arg-type]


def outcome(belongings: Belongings, signs: Signs) -> str | None:
    """The subject, or None, or `ambiguous`."""
    try:
        owner = belongings.owner(signs)
    except TokenRefused as error:
        text = str(error)
        if (
            error.reason is not Reason.SUBJECT_AMBIGUOUS
            or "secret" in text
            or "alice" in text
            or "-1" in text
        ):
            raise
        return "ambiguous"
    return None if owner is None else owner.user.subject


@pytest.mark.parametrize("over", [True, False])
@pytest.mark.parametrize("signs", [TRACE, SESSION, CONTEXT])
def test_a_token_that_counts_no_longer_ends_its_signs_and_leaves_them_to_nobody_else(
    signs: Signs, over: bool
) -> None:
    belongings, _ = table()
    ticket = belongings.begins(ALICE, signs)
    if over:
        belongings.ends(ticket)
    belongings.withdraw(BOB.key)
    assert outcome(belongings, signs) == "alice"
    belongings.withdraw(ALICE.key)
    assert outcome(belongings, signs) is None
    belongings.learns(ticket.verified, Signs(session="another"), ticket)
    assert outcome(belongings, Signs(session="another")) is None
    another = token("alice", "another")
    belongings.begins(another, signs)
    assert belongings.owner(signs) is another
    belongings.begins(BOB, signs)
    assert outcome(belongings, signs) == "ambiguous"


def test_another_token_of_the_user_counts_on() -> None:
    belongings, _ = table()
    belongings.use(WITH_SOLE)
    another = token("alice", "another")
    belongings.begins(another, SESSION)
    belongings.begins(ALICE, TRACE)
    belongings.withdraw(ALICE.key)
    assert belongings.owner(SESSION) is another
    assert belongings.owner(NO_SIGNS) is another
    belongings.withdraw(another.key)
    assert belongings.owner(NO_SIGNS) is None


def test_a_token_that_its_issuer_calls_another_users_is_not_the_first_ones_any_longer() -> None:
    belongings, _ = table()
    belongings.begins(ALICE, TRACE)
    narrower = replace(ALICE, user=User(ISSUER, "alice", frozenset({"less"})))
    belongings.begins(narrower, SESSION)
    assert belongings.owner(TRACE) is narrower
    belongings.begins(replace(BOB, key=ALICE.key), CONTEXT)
    assert outcome(belongings, TRACE) is None
    assert outcome(belongings, CONTEXT) == "bob"


def test_a_request_that_names_more_than_is_read_is_ambiguous() -> None:
    belongings, _ = table()
    belongings.begins(ALICE, CONTEXT)
    assert outcome(belongings, Signs(contexts=CONTEXT.contexts, more=True)) == "ambiguous"


@pytest.mark.parametrize("signs", [TRACE, SESSION, CONTEXT])
def test_what_came_without_a_user_is_no_users(signs: Signs) -> None:
    belongings, _ = table()
    ticket = belongings.begins_for_nobody(signs)
    assert ticket is not None
    assert outcome(belongings, signs) is None
    belongings.begins(ALICE, signs)
    assert outcome(belongings, signs) == "ambiguous"
    belongings.ends(ticket)
    assert outcome(belongings, signs) == "ambiguous"


def test_a_request_of_nobody_and_of_a_user_by_its_signs_is_ambiguous() -> None:
    belongings, _ = table()
    belongings.begins(ALICE, SESSION)
    belongings.begins_for_nobody(TRACE)
    both = Signs(trace=TRACE.trace, session=SESSION.session)
    assert outcome(belongings, both) == "ambiguous"


def test_nobody_under_way_leaves_no_user_alone() -> None:
    belongings, _ = table()
    belongings.use(WITH_SOLE)
    belongings.begins(ALICE, NO_SIGNS)
    ticket = belongings.begins_for_nobody(NO_SIGNS)
    assert ticket is not None
    assert outcome(belongings, NO_SIGNS) == "ambiguous"
    belongings.ends(ticket)
    assert outcome(belongings, NO_SIGNS) == "alice"


def test_nobody_alone_is_no_user() -> None:
    belongings, _ = table()
    belongings.use(WITH_SOLE)
    belongings.begins_for_nobody(NO_SIGNS)
    assert outcome(belongings, NO_SIGNS) is None


def test_a_request_of_nobody_without_signs_is_not_remembered() -> None:
    belongings, _ = table()
    assert belongings.begins_for_nobody(NO_SIGNS) is None


@pytest.mark.parametrize("signs", [TRACE, SESSION, CONTEXT, Signs(trace="a", other_traces=("b",))])
def test_a_request_with_the_sign_of_one_user_is_that_users(signs: Signs) -> None:
    belongings, _ = table()
    assert outcome(belongings, signs) is None
    ticket = belongings.begins(ALICE, signs)
    assert belongings.owner(signs) is ALICE
    belongings.ends(ticket)
    assert belongings.owner(signs) is ALICE


def test_a_request_without_signs_or_with_unknown_ones_is_nobodys() -> None:
    belongings, _ = table()
    belongings.begins(ALICE, TRACE)
    assert outcome(belongings, NO_SIGNS) is None
    assert outcome(belongings, Signs("other", "other", ("other",))) is None


def test_the_same_text_as_another_kind_of_sign_is_another_sign() -> None:
    belongings, _ = table()
    belongings.begins(ALICE, Signs(session="x"))
    assert outcome(belongings, Signs(contexts=("x",))) is None
    assert outcome(belongings, Signs(trace="x")) is None


def test_any_context_and_any_trace_of_several_tells_the_user() -> None:
    belongings, _ = table()
    belongings.begins(ALICE, Signs(trace="a", other_traces=("b",), contexts=("c", "d")))
    assert outcome(belongings, Signs(trace="b")) == "alice"
    assert outcome(belongings, Signs(trace="?", other_traces=("a",))) == "alice"
    assert outcome(belongings, Signs(contexts=("?", "d"))) == "alice"


@pytest.mark.parametrize("signs", [TRACE, SESSION, CONTEXT])
def test_a_sign_of_two_users_is_refused_in_either_order_and_after_both_have_ended(signs: Signs) -> None:
    for first, second in ((ALICE, BOB), (BOB, ALICE)):
        belongings, _ = table()
        tickets = [belongings.begins(first, signs), belongings.begins(second, signs)]
        assert outcome(belongings, signs) == "ambiguous"
        for ticket in tickets:
            belongings.ends(ticket)
            assert outcome(belongings, signs) == "ambiguous"
        belongings.begins(first, signs)
        assert outcome(belongings, signs) == "ambiguous"


def test_a_user_of_another_issuer_with_the_same_name_is_another_user() -> None:
    belongings, _ = table()
    belongings.begins(ALICE, TRACE)
    belongings.begins(Verified(User("https://other.example", "alice"), "t", 1e12, b"k"), TRACE)
    assert outcome(belongings, TRACE) == "ambiguous"


def test_signs_that_name_two_users_are_refused() -> None:
    belongings, _ = table()
    belongings.begins(ALICE, Signs(trace="a", contexts=("a",)))
    belongings.begins(BOB, Signs(session="b", contexts=("b",)))
    assert outcome(belongings, Signs(trace="a", session="b")) == "ambiguous"
    assert outcome(belongings, Signs(contexts=("a", "b"))) == "ambiguous"
    assert outcome(belongings, Signs(trace="a", session="?", contexts=("a",))) == "alice"


def test_one_contested_sign_is_enough_for_a_refusal() -> None:
    belongings, _ = table()
    belongings.begins(ALICE, Signs(trace="a", session="s"))
    belongings.begins(BOB, Signs(trace="b", session="s"))
    assert outcome(belongings, Signs(trace="a", session="s")) == "ambiguous"
    assert outcome(belongings, Signs(trace="a")) == "alice"


def test_whoever_copies_a_trace_gets_neither_the_other_ones_rights_nor_lends_own_ones() -> None:
    belongings, clock = table()
    belongings.ends(belongings.begins(ALICE, TRACE))
    clock.now += 599
    belongings.ends(belongings.begins(BOB, TRACE))
    clock.now += 3599
    assert outcome(belongings, TRACE) == "ambiguous"
    clock.now += 1
    assert outcome(belongings, TRACE) is None


def test_a_trace_counts_for_ten_minutes_and_the_rest_for_an_hour_after_the_last_request() -> None:
    belongings, clock = table()
    signs = Signs(TRACE.trace, SESSION.session, CONTEXT.contexts)
    first, second = belongings.begins(ALICE, signs), belongings.begins(ALICE, signs)
    belongings.ends(first)
    clock.now += 100_000
    assert outcome(belongings, TRACE) == "alice"
    belongings.ends(second)
    clock.now += 599
    assert outcome(belongings, TRACE) == "alice"
    clock.now += 1
    assert outcome(belongings, TRACE) is None
    clock.now += 2999
    assert outcome(belongings, SESSION) == outcome(belongings, CONTEXT) == "alice"
    clock.now += 1
    assert outcome(belongings, SESSION) is outcome(belongings, CONTEXT) is None


def test_a_sign_that_has_ended_may_become_anothers() -> None:
    belongings, clock = table()
    belongings.ends(belongings.begins(ALICE, TRACE))
    clock.now += 600
    belongings.begins(BOB, TRACE)
    assert outcome(belongings, TRACE) == "bob"


def test_to_end_a_ticket_twice_changes_nothing() -> None:
    belongings, _ = table()
    first, _second = belongings.begins(ALICE, TRACE), belongings.begins(ALICE, TRACE)
    belongings.ends(first)
    belongings.ends(first)
    assert next(iter(belongings._signs.values())).under_way == 1


def test_a_sign_brings_the_newest_valid_token_that_came_with_it_and_no_other_of_the_user() -> None:
    belongings, clock = table()
    narrow = token("alice", "narrow", expires=NOW + 100)
    wide = token("alice", "wide", scopes=("all",))
    renewed = token("alice", "renewed", expires=NOW + 200)
    belongings.begins(narrow, Signs(trace="n", session="s"))
    belongings.begins(wide, Signs(trace="w"))
    assert belongings.owner(Signs(trace="n")) is narrow
    belongings.begins(renewed, Signs(trace="r", session="s"))
    assert belongings.owner(Signs(session="s")) is renewed
    assert belongings.owner(Signs(trace="n", session="s")) is narrow
    clock.now += 100
    assert belongings.owner(Signs(trace="n", session="s")) is renewed
    assert belongings.owner(Signs(trace="n")) is None
    clock.now += 100
    assert belongings.owner(Signs(session="s")) is None
    belongings.begins(renewed, Signs(trace="w"))
    assert belongings.owner(Signs(trace="w")) is wide


def test_an_expired_token_keeps_a_sign_contested() -> None:
    belongings, clock = table()
    belongings.begins(token("alice", expires=NOW + 1), TRACE)
    clock.now += 1
    belongings.begins(BOB, TRACE)
    assert outcome(belongings, TRACE) == "ambiguous"


def test_what_an_answer_tells_is_learnt() -> None:
    belongings, clock = table()
    ticket = belongings.begins(ALICE, TRACE)
    belongings.learns(ALICE, CONTEXT)
    belongings.learns(ALICE, CONTEXT)
    assert outcome(belongings, CONTEXT) == "alice"
    belongings.ends(ticket)
    clock.now += 3599
    belongings.learns(ALICE, CONTEXT)
    clock.now += 3599
    assert outcome(belongings, CONTEXT) == "alice"
    clock.now += 1
    assert outcome(belongings, CONTEXT) is None


def test_what_a_long_answer_tells_counts_until_it_has_ended() -> None:
    belongings, clock = table()
    ticket = belongings.begins(ALICE, TRACE)
    for _ in range(3):
        belongings.learns(ALICE, CONTEXT, ticket)
    clock.now += 100_000
    assert outcome(belongings, CONTEXT) == "alice"
    belongings.ends(ticket)
    clock.now += 3599
    assert outcome(belongings, CONTEXT) == "alice"
    belongings.learns(ALICE, SESSION, ticket)
    clock.now += 3600
    assert outcome(belongings, SESSION) is None


def test_a_ticket_of_another_user_holds_nothing() -> None:
    belongings, clock = table()
    ticket = belongings.begins(ALICE, NO_SIGNS)
    belongings.learns(BOB, CONTEXT, ticket)
    clock.now += 3600
    assert outcome(belongings, CONTEXT) is None


def test_what_an_answer_tells_two_users_is_contested() -> None:
    belongings, _ = table()
    ticket = belongings.begins(ALICE, CONTEXT)
    belongings.learns(BOB, CONTEXT)
    assert outcome(belongings, CONTEXT) == "ambiguous"
    belongings.ends(ticket)
    belongings.learns(ALICE, SESSION)
    belongings.learns(BOB, SESSION)
    assert outcome(belongings, SESSION) == "ambiguous"


@pytest.mark.parametrize("kind", [Correlation.TRACE, Correlation.SESSION, Correlation.CONTEXT])
def test_a_kind_of_sign_that_is_not_enabled_says_nothing(kind: Correlation) -> None:
    every = Signs(TRACE.trace, SESSION.session, CONTEXT.contexts)
    own = {Correlation.TRACE: TRACE, Correlation.SESSION: SESSION, Correlation.CONTEXT: CONTEXT}
    belongings, _ = table()
    ticket = belongings.begins(ALICE, every)
    belongings.use(frozenset({kind}))
    for other, signs in own.items():
        assert outcome(belongings, signs) == ("alice" if other is kind else None)
    belongings.begins(BOB, every)
    belongings.use(DEFAULT_CORRELATION)
    for other, signs in own.items():
        assert outcome(belongings, signs) == ("ambiguous" if other is kind else None)
    belongings.ends(ticket)
    belongings.use(frozenset())
    assert outcome(belongings, every) is None
    assert not belongings._signs


def test_a_request_may_end_after_its_signs_were_forgotten() -> None:
    belongings, clock = table()
    old = belongings.begins(ALICE, SESSION)
    belongings.use(frozenset())
    belongings.use(DEFAULT_CORRELATION)
    new = belongings.begins(BOB, SESSION)
    belongings.ends(old)
    assert outcome(belongings, SESSION) == "bob"
    clock.now += 10_000
    belongings.ends(new)
    assert outcome(belongings, SESSION) == "bob"
    assert len(belongings._signs) == sum(map(len, belongings._queues)) == 1


def test_sole_counts_only_where_it_is_enabled() -> None:
    belongings, _ = table()
    belongings.begins(ALICE, TRACE)
    assert outcome(belongings, NO_SIGNS) is None
    belongings.use(WITH_SOLE)
    assert outcome(belongings, NO_SIGNS) == "alice"
    assert belongings.said(NO_SIGNS) is None
    assert belongings.said(TRACE) is ALICE


def test_sole_is_whoever_alone_has_requests_under_way() -> None:
    belongings, _ = table()
    belongings.use(WITH_SOLE)
    assert outcome(belongings, NO_SIGNS) is None
    alices = [belongings.begins(ALICE, TRACE), belongings.begins(ALICE, NO_SIGNS)]
    assert outcome(belongings, Signs(trace="unknown")) == "alice"
    bobs = belongings.begins(BOB, NO_SIGNS)
    assert outcome(belongings, NO_SIGNS) == "ambiguous"
    for ticket in alices:
        belongings.ends(ticket)
    assert outcome(belongings, NO_SIGNS) == "bob"
    assert outcome(belongings, TRACE) == "alice"
    belongings.ends(bobs)
    assert outcome(belongings, NO_SIGNS) is None


def test_sole_says_nothing_where_a_sign_does() -> None:
    belongings, clock = table()
    belongings.use(WITH_SOLE)
    belongings.begins(token("alice", expires=NOW + 1), TRACE)
    clock.now += 1
    assert outcome(belongings, TRACE) is None
    belongings.begins(BOB, SESSION)
    assert outcome(belongings, TRACE) is None


def test_sole_lends_no_scopes_of_another_token_of_the_same_user() -> None:
    belongings, clock = table()
    belongings.use(WITH_SOLE)
    belongings.begins(token("alice", "old", expires=NOW + 100), NO_SIGNS)
    new = token("alice", "new")
    belongings.begins(new, NO_SIGNS)
    assert belongings.owner(NO_SIGNS) is new
    wide = belongings.begins(token("alice", "wide", expires=NOW + 100, scopes=("all",)), NO_SIGNS)
    assert outcome(belongings, NO_SIGNS) == "ambiguous"
    clock.now += 100
    assert belongings.owner(NO_SIGNS) is new
    belongings.ends(wide)


def test_a_user_with_many_signs_loses_its_own_oldest() -> None:
    belongings, _ = table(limit=40)
    belongings.ends(belongings.begins(ALICE, TRACE))
    for number in range(20):
        belongings.ends(belongings.begins(BOB, Signs(contexts=(f"c{number}",))))
    assert outcome(belongings, TRACE) == "alice"
    assert outcome(belongings, Signs(contexts=("c9",))) is None
    assert outcome(belongings, Signs(contexts=("c10",))) == "bob"
    assert len(belongings._signs) == 11
    assert Belongings()._share == MOST_OF_ONE


def test_what_is_under_way_does_not_give_way() -> None:
    belongings, _ = table(limit=8)
    tickets = [belongings.begins(ALICE, Signs(trace=f"t{number}")) for number in range(3)]
    assert [outcome(belongings, Signs(trace=f"t{number}")) for number in range(3)] == ["alice", "alice", None]
    assert belongings.unrecorded == 1
    for ticket in tickets:
        belongings.ends(ticket)
    belongings.begins(ALICE, Signs(trace="t3"))
    assert [outcome(belongings, Signs(trace=f"t{number}")) for number in range(4)] == [
        None,
        "alice",
        None,
        "alice",
    ]


def test_a_contested_sign_does_not_give_way_to_its_users_others() -> None:
    belongings, _ = table(limit=8)
    for verified in (BOB, ALICE):
        belongings.ends(belongings.begins(verified, TRACE))
    for number in range(9):
        belongings.ends(belongings.begins(BOB, Signs(trace=f"t{number}")))
    assert outcome(belongings, TRACE) == "ambiguous"
    assert outcome(belongings, Signs(trace="t8")) == "bob"
    assert len(belongings._signs) == 2


def test_where_the_table_is_full_the_oldest_that_rests_gives_way_traces_first() -> None:
    belongings, _ = table(limit=4)
    for number, signs in enumerate([SESSION, TRACE, Signs(trace="b"), CONTEXT]):
        belongings.ends(belongings.begins(token(f"user{number}"), signs))
    held = belongings.begins(token("new"), Signs(trace="n"))
    assert outcome(belongings, TRACE) is None
    assert outcome(belongings, SESSION) == "user0"
    belongings.begins(token("newer"), Signs(trace="m"))
    belongings.begins(token("newest"), Signs(trace="l"))
    assert outcome(belongings, SESSION) is None
    assert outcome(belongings, CONTEXT) == "user3"
    belongings.begins(token("last"), Signs(trace="k"))
    belongings.begins(token("too-late"), Signs(trace="j"))
    assert outcome(belongings, Signs(trace="j")) is None
    assert (len(belongings._signs), belongings.unrecorded) == (4, 1)
    belongings.ends(held)


def test_a_contested_sign_gives_way_to_nobody_in_a_full_table() -> None:
    belongings, _ = table(limit=4)
    for number in range(4):
        belongings.learns(token(f"u{number}"), Signs(trace=f"t{number}"))
        belongings.learns(token(f"v{number}"), Signs(trace=f"t{number}"))
    belongings.learns(ALICE, TRACE)
    assert outcome(belongings, TRACE) is None
    assert [outcome(belongings, Signs(trace=f"t{number}")) for number in range(4)] == ["ambiguous"] * 4
    assert belongings.unrecorded == 1


def test_nothing_is_left_of_users_whose_time_is_over() -> None:
    belongings, clock = table()
    for number in range(20):
        belongings.ends(belongings.begins(token(f"u{number}"), Signs(f"t{number % 7}", f"s{number}", ("c",))))
    belongings.learns(CAROL, NO_SIGNS)
    clock.now += 3601
    belongings.ends(belongings.begins(ALICE, NO_SIGNS))
    assert not belongings._signs
    assert not belongings._users
    assert not any(belongings._queues)


def test_a_user_whose_last_sign_is_replaced_by_another_one_stays_one_user() -> None:
    belongings, clock = table(limit=4)
    belongings.learns(ALICE, TRACE)
    belongings.learns(ALICE, SESSION)
    belongings.learns(ALICE, CONTEXT)
    assert outcome(belongings, Signs(TRACE.trace, SESSION.session, CONTEXT.contexts)) == "alice"
    clock.now += 10_000
    belongings.learns(ALICE, CONTEXT)
    belongings.begins(ALICE, CONTEXT)
    assert outcome(belongings, CONTEXT) == "alice"


TEXTS = st.sampled_from(["1", "2", "3"])
SIGNS = st.builds(
    Signs,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.lists(TEXTS, max_size=2, unique=True).map(tuple),
)
EVERY = [
    Signs(trace, session, contexts)
    for trace in (None, "1", "2")
    for session in (None, "1", "2")
    for contexts in ((), ("1",), ("2", "3"))
]


def parts(signs: Signs) -> set[tuple[str, str]]:
    found = {("context", context) for context in signs.contexts}
    if signs.trace is not None:
        found.add(("trace", signs.trace))
    if signs.session is not None:
        found.add(("session", signs.session))
    return found


class Correlating(RuleBasedStateMachine):
    """A few users, and nobody, share a few signs, in a table with room for all of them or hardly any."""

    limit = 1000
    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(NOW)
        self.belongings = Belongings(limit=self.limit, now=self.clock)
        self.seen: dict[tuple[str, str], set[str]] = {}
        self.tokens: dict[tuple[str, str], set[bytes]] = {}

    def note(self, verified: Verified, signs: Signs) -> None:
        for part in parts(signs):
            self.seen.setdefault(part, set()).add(verified.user.subject)
            self.tokens.setdefault(part, set()).add(verified.key)

    def refused(self) -> list[Signs]:
        return [signs for signs in EVERY if outcome(self.belongings, signs) == "ambiguous"]

    @rule(target=tickets, user=st.integers(0, 4), text=TEXTS, life=st.sampled_from([500.0, 1e9]), signs=SIGNS)
    def begins(self, user: int, text: str, life: float, signs: Signs) -> Ticket:
        before = self.refused()
        verified = NOBODY if user == 4 else token(f"u{user}", text, expires=self.clock.now + life)
        ticket = self.belongings.begins(verified, signs)
        self.note(verified, signs)
        self.still_refused(before)
        return ticket

    @rule(user=st.integers(0, 4), signs=SIGNS)
    def learns(self, user: int, signs: Signs) -> None:
        before = self.refused()
        verified = NOBODY if user == 4 else token(f"u{user}", "learnt")
        self.belongings.learns(verified, signs)
        self.note(verified, signs)
        self.still_refused(before)

    @rule(ticket=tickets, signs=SIGNS)
    def learns_while_under_way(self, ticket: Ticket, signs: Signs) -> None:
        before = self.refused()
        self.belongings.learns(ticket.verified, signs, ticket)
        self.note(ticket.verified, signs)
        self.still_refused(before)

    @rule(user=st.integers(0, 3), text=TEXTS)
    def is_withdrawn(self, user: int, text: str) -> None:
        before, gone = self.refused(), token(f"u{user}", text).key
        self.belongings.withdraw(gone)
        for keys in self.tokens.values():
            keys.discard(gone)
        self.still_refused(before)

    @rule(ticket=consumes(tickets))
    def ends(self, ticket: Ticket) -> None:
        before = [outcome(self.belongings, signs) for signs in EVERY]
        self.belongings.ends(ticket)
        assert [outcome(self.belongings, signs) for signs in EVERY] == before

    @rule(seconds=st.sampled_from([1.0, 300.0, 601.0, 3601.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    def still_refused(self, before: list[Signs]) -> None:
        """Whatever a user does, what is refused stays so. For want of room a sign may be forgotten that was one
        user's, as it is after its time, but none of two users'."""
        for signs in before:
            alone = len(parts(signs)) == 1
            assert outcome(self.belongings, signs) == "ambiguous" or (self.limit < 1000 and not alone)

    @invariant()
    def an_owner_began_a_request_with_one_of_the_signs_and_this_token(self) -> None:
        for signs in EVERY:
            try:
                owner = self.belongings.owner(signs)
            except TokenRefused:
                continue
            if owner is not None:
                assert owner.expires > self.clock.now
                known = [part for part in parts(signs) if owner.key in self.tokens.get(part, ())]
                assert any(owner.user.subject in self.seen[part] for part in known)

    @invariant()
    def the_table_is_bounded_and_its_parts_agree(self) -> None:
        belongings = self.belongings
        resting = [sign for queue in belongings._queues for sign in queue]
        held = [sign for sign in belongings._signs.values() if sign.under_way]
        assert len(resting) + len(held) == len(belongings._signs) <= self.limit
        assert not set(resting) & set(held)
        for user in belongings._users.values():
            owned = [sign for sign in belongings._signs.values() if sign.owner is user]
            assert len(owned) == user.signs <= belongings._share
            assert set(user.resting) == {s for s in owned if not s.under_way and not s.contested}
        assert all(sign.owner.name in belongings._users for sign in belongings._signs.values())


class CorrelatingInALittleRoom(Correlating):
    """The same with room for eight signs, two of each user."""

    limit = 8


test_requests_of_users_in_any_order = Correlating.TestCase
test_requests_of_users_in_a_little_room = CorrelatingInALittleRoom.TestCase
for machine in (Correlating, CorrelatingInALittleRoom):
    machine.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30, deadline=None)
