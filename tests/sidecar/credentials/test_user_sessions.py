"""Each user has a session of its own with a server, behind the one that the agent sees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mesh.policy.principal import User
from mesh.reasons import Reason
from sidecar.credentials import user_sessions
from sidecar.credentials.user_sessions import (
    LONGEST_BYTES,
    MOST_USERS,
    NeedsSession,
    Pass,
    UserSessions,
)
from sidecar.credentials.verified import TokenRefused, Verified
from tests.support.fakes import Clock
from tests.support.fuzzing import examples

INITIALIZE = b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}'
PLAIN = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
NEEDED = NeedsSession(INITIALIZE, PLAIN, "2025-11-25")
NOW = 1_000_000.0


def token(subject: str, text: str = "") -> Verified:
    key = hashlib.sha256(f"{subject} {text}".encode()).digest()
    return Verified(User("https://idp.example.com", subject), f"secret {subject} {text}", 1e12, key)


ALICE, BOB = token("alice"), token("bob")


def begun(user: Verified | None = None, **given: float) -> tuple[UserSessions, Clock]:
    """The agent has begun the session `s` with the Backend `crm` on behalf of `user`."""
    clock = Clock(NOW)
    sessions = UserSessions(now=clock, **given)  # type: ignore[arg-type]
    sessions.began("crm", b"s", user, INITIALIZE, "2025-11-25")
    return sessions, clock


def refused(act: Callable[[], object]) -> bool:
    with pytest.raises(TokenRefused) as caught:
        act()
    return caught.value.reason is Reason.SESSION_OF_ANOTHER and "secret" not in str(caught.value)


@pytest.mark.parametrize("user", [None, ALICE])
def test_whoever_began_a_session_goes_on_in_it(user: Verified | None) -> None:
    sessions, _ = begun(user)
    assert sessions.for_request("crm", b"s", user) == Pass(b"s")


def test_another_user_needs_a_session_begun_with_the_same_messages() -> None:
    sessions, _ = begun()
    assert sessions.for_request("crm", b"s", ALICE) == NEEDED
    assert sessions.opened("crm", b"s", ALICE, b"alices") == b"alices"
    assert sessions.for_request("crm", b"s", ALICE) == Pass(b"alices")
    assert sessions.for_request("crm", b"s", BOB) == NEEDED
    assert sessions.for_request("crm", b"s", None) == Pass(b"s")
    assert len(sessions) == 2


def test_the_agents_own_notification_is_repeated_where_it_sent_one() -> None:
    sessions, _ = begun()
    sessions.initialized("crm", b"s", b'{"own":1}')
    sessions.initialized("crm", b"s", b"x" * (LONGEST_BYTES + 1))
    sessions.initialized("crm", b"other", b"{}")
    assert sessions.for_request("crm", b"s", ALICE) == NeedsSession(INITIALIZE, b'{"own":1}', "2025-11-25")


def test_a_refreshed_token_stays_in_the_session_of_its_user() -> None:
    sessions, _ = begun(ALICE)
    renewed = token("alice", "renewed")
    assert sessions.for_request("crm", b"s", renewed) == Pass(b"s")
    assert sessions.ended("crm", b"s") == ((renewed, b"s"),)


def test_a_user_of_another_issuer_with_the_same_name_is_another_user() -> None:
    sessions, _ = begun(ALICE)
    assert sessions.for_request("crm", b"s", Verified(User("https://b", "alice"), "t", 1e12, b"")) == NEEDED


def test_a_session_that_was_not_begun_here_is_refused() -> None:
    sessions, _ = begun(ALICE)
    sessions.opened("crm", b"s", BOB, b"bobs")
    for backend, session in (("crm", b"t"), ("erp", b"s"), ("crm", b"bobs")):
        for user in (ALICE, BOB, None):
            assert refused(
                lambda backend=backend, session=session, user=user: sessions.for_request(  # type: ignore[misc]
                    backend, session, user
                )
            )


def test_what_was_begun_with_too_long_a_message_is_for_its_user_alone() -> None:
    sessions = UserSessions()
    sessions.began("crm", b"s", ALICE, b"x" * (LONGEST_BYTES + 1), None)
    sessions.initialized("crm", b"s", PLAIN)
    assert sessions.for_request("crm", b"s", ALICE) == Pass(b"s")
    assert refused(lambda: sessions.for_request("crm", b"s", BOB))


def test_of_two_sessions_opened_at_once_for_a_user_the_first_is_used() -> None:
    sessions, _ = begun()
    assert sessions.opened("crm", b"s", ALICE, b"first") == b"first"
    assert sessions.opened("crm", b"s", ALICE, b"second") == b"first"
    assert sessions.opened("crm", b"s", ALICE, b"first") == b"first"
    assert sessions.ended("crm", b"s") == ((None, b"s"), (ALICE, b"first"))


def test_a_session_that_a_server_gives_two_users_is_refused() -> None:
    sessions, _ = begun(ALICE)
    assert refused(lambda: sessions.opened("crm", b"s", BOB, b"s"))
    assert refused(lambda: sessions.began("crm", b"s", BOB, INITIALIZE, None))
    sessions.opened("crm", b"s", BOB, b"bobs")
    assert refused(lambda: sessions.began("crm", b"bobs", ALICE, INITIALIZE, None))
    assert refused(lambda: sessions.began("crm", b"bobs", BOB, INITIALIZE, None))
    assert refused(lambda: sessions.opened("crm", b"ended", ALICE, b"bobs"))
    sessions.began("erp", b"bobs", ALICE, INITIALIZE, None)
    assert sessions.for_request("crm", b"s", BOB) == Pass(b"bobs")
    assert sessions.for_request("erp", b"bobs", ALICE) == Pass(b"bobs")


def test_a_session_begun_again_under_its_name_begins_anew() -> None:
    sessions, _ = begun(ALICE)
    sessions.opened("crm", b"s", BOB, b"bobs")
    sessions.began("crm", b"s", ALICE, b"{}", None)
    assert sessions.for_request("crm", b"s", ALICE) == Pass(b"s")
    assert sessions.for_request("crm", b"s", BOB) == NeedsSession(b"{}", PLAIN, None)
    assert len(sessions) == 1


@pytest.mark.parametrize("owner", [ALICE, None])
def test_a_session_that_is_gone_upstream_is_replaced_and_the_agents_name_of_it_stays(
    owner: Verified | None,
) -> None:
    sessions, _ = begun(owner)
    sessions.gone("crm", b"s", owner, b"s")
    assert sessions.for_request("crm", b"s", owner) == NEEDED
    assert sessions.opened("crm", b"s", owner, b"new") == b"new"
    sessions.gone("crm", b"s", owner, b"s")
    assert sessions.for_request("crm", b"s", owner) == Pass(b"new")
    sessions.gone("crm", b"s", owner, b"new")
    assert sessions.for_request("crm", b"s", owner) == NEEDED


def test_what_is_gone_for_one_user_stays_for_the_others() -> None:
    sessions, _ = begun(ALICE)
    sessions.opened("crm", b"s", BOB, b"bobs")
    sessions.gone("crm", b"s", BOB, b"s")
    sessions.gone("crm", b"s", token("carol"), b"bobs")
    sessions.gone("crm", b"other", BOB, b"bobs")
    assert sessions.for_request("crm", b"s", BOB) == Pass(b"bobs")
    sessions.gone("crm", b"s", BOB, b"bobs")
    assert sessions.for_request("crm", b"s", ALICE) == Pass(b"s")


def test_the_end_of_the_agents_session_is_the_end_of_every_users() -> None:
    sessions, _ = begun()
    sessions.opened("crm", b"s", ALICE, b"alices")
    sessions.opened("crm", b"s", BOB, b"bobs")
    sessions.gone("crm", b"s", ALICE, b"alices")
    assert sessions.ended("crm", b"s") == ((None, b"s"), (BOB, b"bobs"))
    assert sessions.ended("crm", b"s") == ()
    assert sessions.opened("crm", b"s", ALICE, b"late") is None
    assert refused(lambda: sessions.for_request("crm", b"s", None))
    assert len(sessions) == 0


def test_a_session_that_nobody_uses_is_forgotten() -> None:
    sessions, clock = begun(ALICE, seconds=100.0)
    clock.now += 99
    sessions.for_request("crm", b"s", ALICE)
    clock.now += 99
    assert sessions.for_request("crm", b"s", ALICE) == Pass(b"s")
    clock.now += 100
    assert refused(lambda: sessions.for_request("crm", b"s", ALICE))
    sessions.began("crm", b"t", ALICE, INITIALIZE, None)
    assert len(sessions) == 1


def test_the_least_recently_used_session_gives_way() -> None:
    sessions, _ = begun(limit=2)
    sessions.began("crm", b"t", None, INITIALIZE, None)
    sessions.for_request("crm", b"s", None)
    sessions.began("crm", b"u", None, INITIALIZE, None)
    assert refused(lambda: sessions.for_request("crm", b"t", None))
    assert sessions.for_request("crm", b"s", None) == Pass(b"s")
    assert sessions.for_request("crm", b"u", None) == Pass(b"u")


def test_the_number_of_sessions_upstream_is_bounded() -> None:
    sessions, _ = begun(limit=2)
    sessions.began("crm", b"t", None, INITIALIZE, None)
    for number in range(7):
        sessions.opened("crm", b"s", token(f"u{number}"), b"s%d" % number)
    assert refused(lambda: sessions.for_request("crm", b"t", None))
    assert len(sessions) == 8
    sessions.opened("crm", b"s", ALICE, b"alices")
    assert len(sessions) == 8
    assert sessions.for_request("crm", b"s", None) == NEEDED
    assert sessions.for_request("crm", b"s", token("u0")) == Pass(b"s0")


def test_the_users_of_one_session_are_bounded() -> None:
    sessions, _ = begun()
    for number in range(MOST_USERS):
        sessions.opened("crm", b"s", token(f"u{number}"), b"s%d" % number)
    assert len(sessions) == MOST_USERS
    assert sessions.for_request("crm", b"s", None) == NEEDED


def test_what_sessions_began_with_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_sessions, "MOST_BYTES", 10_000)
    sessions = UserSessions(now=Clock(NOW))
    for number in range(4):
        sessions.began("crm", b"%d" % number, None, b"x" * 4000, None)
    assert len(sessions) == 2
    sessions.initialized("crm", b"2", b"x" * 4000)
    assert refused(lambda: sessions.for_request("crm", b"3", None))
    assert sessions.for_request("crm", b"2", None) == Pass(b"2")
    sessions.ended("crm", b"2")
    assert sessions._bytes == 0


USERS = st.sampled_from([None, *(token(f"u{number}") for number in range(3))])
BACKENDS = st.sampled_from(["crm", "erp"])


class Sessions(RuleBasedStateMachine):
    """An agent, users and a server that binds sessions; now and then it loses one, or gives one out twice."""

    limit = 1000

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(NOW)
        self.sessions = UserSessions(limit=self.limit, seconds=100.0, now=self.clock)
        self.server: dict[tuple[str, bytes], Verified | None] = {}
        """To whom the server gave each session."""
        self.agents: list[tuple[str, bytes]] = []
        self.counted = 0

    def new(self, backend: str, user: Verified | None) -> bytes:
        self.counted += 1
        session = b"%d" % self.counted
        self.server[backend, session] = user
        return session

    @rule(backend=BACKENDS, user=USERS)
    def the_agent_begins(self, backend: str, user: Verified | None) -> None:
        session = self.new(backend, user)
        self.sessions.began(backend, session, user, INITIALIZE, None)
        self.agents.append((backend, session))

    @precondition(lambda self: self.agents)
    @rule(data=st.data(), user=USERS, lost=st.booleans())
    def the_agent_calls(self, data: st.DataObject, user: Verified | None, lost: bool) -> None:
        backend, session = data.draw(st.sampled_from(self.agents))
        try:
            what = self.sessions.for_request(backend, session, user)
        except TokenRefused:
            return
        if isinstance(what, NeedsSession):
            opened = self.new(backend, user)
            assert self.sessions.opened(backend, session, user, opened) == opened
            what = self.sessions.for_request(backend, session, user)
            assert what == Pass(opened)
        assert isinstance(what, Pass)
        assert self.server[backend, what.session] == user
        if lost:
            self.sessions.gone(backend, session, user, what.session)
            assert isinstance(self.sessions.for_request(backend, session, user), NeedsSession)

    @precondition(lambda self: self.agents)
    @rule(data=st.data(), user=USERS)
    def the_server_gives_out_what_it_gave_before(self, data: st.DataObject, user: Verified | None) -> None:
        backend, session = data.draw(st.sampled_from(self.agents))
        given = data.draw(st.sampled_from([name for name in self.server if name[0] == backend]))[1]
        try:
            used = self.sessions.opened(backend, session, user, given)
        except TokenRefused:
            return
        if used == given:
            self.server[backend, given] = user

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def the_agent_ends(self, data: st.DataObject) -> None:
        backend, session = data.draw(st.sampled_from(self.agents))
        for user, upstream in self.sessions.ended(backend, session):
            assert self.server[backend, upstream] == user

    @rule(seconds=st.sampled_from([1.0, 60.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def two_users_never_share_a_session(self) -> None:
        used: dict[tuple[str, bytes], object] = {}
        for (backend, _), agents in self.sessions._sessions.items():
            for owner, upstream in agents.users.items():
                name = (backend, upstream.passing.session)
                assert used.setdefault(name, owner) == owner
                assert self.sessions._taken[name] == (agents, owner)
        assert len(used) == len(self.sessions._taken) == len(self.sessions)

    @invariant()
    def the_tables_are_bounded(self) -> None:
        sessions = self.sessions
        assert len(sessions._sessions) <= self.limit
        assert len(sessions) <= 4 * self.limit
        assert sessions._bytes == sum(agents.size for agents in sessions._sessions.values())


class SessionsInALittleRoom(Sessions):
    """The same with room for two sessions of the agent."""

    limit = 2


test_sessions_of_users_in_any_order = Sessions.TestCase
test_sessions_of_users_in_a_little_room = SessionsInALittleRoom.TestCase
for machine in (Sessions, SessionsInALittleRoom):
    machine.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=40, deadline=None)
