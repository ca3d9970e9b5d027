"""Each user has a session of its own with a server, behind the one that the agent has: through a whole sidecar."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.proxy import sessions
from tests.support.loopback import Client, call, client_of, json_answer, result
from tests.support.meshed import new_mesh
from tests.support.session_server import STREAM, VERSION, SessionServer, token_for
from tests.support.slow import until
from tests.support.user_pod import EXCHANGE, FOR_NOBODY_TOO, UserPod, user_pod

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}},
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
TAKEN = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
MESH = new_mesh()


class NoBackends:
    """A policy without any."""

    backends = ()


NO_BACKENDS = NoBackends()


@dataclass
class World:
    """An agent with users, and the server."""

    pod: UserPod
    server: SessionServer

    async def begin(self, user: str | None) -> str:
        """The agent begins a session for a user; the id that it sees."""
        status, fields, _ = await self.pod.send(INITIALIZE, user=user)
        assert status == 200
        session = fields["mcp-session-id"]
        assert (await self.pod.send(INITIALIZED, user=user, mcp_session_id=session))[0] == 202
        return session

    async def call(
        self, user: str | None, session: str, client: Client | None = None
    ) -> tuple[int, dict[str, str], Any]:
        return await self.pod.send(call("search"), user=user, client=client, mcp_session_id=session)

    async def end(self, user: str | None, session: str) -> int:
        return (await self.pod.send(method="DELETE", user=user, mcp_session_id=session))[0]


@asynccontextmanager
async def world(
    *users: str, credential: str = EXCHANGE, secrets: Path | None = None, **server: Any
) -> AsyncIterator[World]:
    made = SessionServer(**server)
    async with user_pod(made.script, credential=credential, secrets=secrets, mesh=MESH) as pod:
        pod.idp.answer = token_for
        for user in users:
            await pod.ask(user)
        yield World(pod, made)
    assert made.crossed == []


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "idp").mkdir()
    (tmp_path / "idp" / "secret").write_text("a secret of the client")
    return tmp_path


async def test_two_users_in_one_session_of_the_agent_have_each_their_own() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        for user in ("alice", "bob", "alice", "bob"):
            status, fields, answer = await w.call(user, session)
            assert status == 200
            assert "result" in answer
            assert fields["mcp-session-id"] == session
        assert w.server.begun() == ["token-of-alice", "token-of-bob"]
        assert (
            w.server.told("tools/call")
            == [
                ("token-of-alice", "session-1"),
                ("token-of-bob", "session-2"),
            ]
            * 2
        )


async def test_a_users_session_is_begun_with_the_very_messages_of_the_agent() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        await w.call("bob", session)
        first, second = [seen for seen in w.server.seen if seen.what == "initialize"]
        assert first.fields["content-length"] == second.fields["content-length"]
        assert "mcp-session-id" not in second.fields
        told = [seen for seen in w.server.seen if seen.what == "notifications/initialized"]
        assert [seen.session for seen in told] == ["session-1", "session-2"]
        assert told[1].fields["mcp-protocol-version"] == VERSION


async def test_a_server_that_answers_initialize_with_a_stream_is_not_waited_for() -> None:
    async with world("alice", "bob", streams=True) as w:
        await w.pod.agent.send(w.pod.request(INITIALIZE, user="alice"))
        status, fields = await w.pod.agent.head()
        assert status == 200
        session = fields["mcp-session-id"]
        async with client_of(w.pod.forward) as client:
            assert (await w.call("bob", session, client))[0] == 200
        assert w.server.told("tools/call") == [("token-of-bob", "session-2")]


async def test_a_server_that_forgot_a_users_session_is_asked_for_another_one() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        await w.call("bob", session)
        w.server.restart()
        status, fields, answer = await w.call("bob", session)
        assert status == 200
        assert "result" in answer
        assert fields["mcp-session-id"] == session
        assert w.server.told("tools/call")[-2:] == [
            ("token-of-bob", "session-2"),
            ("token-of-bob", "session-3"),
        ]


async def test_the_agent_is_told_when_its_own_session_is_gone() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        w.server.restart()
        assert (await w.call("alice", session))[0] == 404
        assert w.server.begun() == ["token-of-alice"]
        assert await w.begin("alice") == "session-2"


async def test_a_server_that_knows_no_session_ever_is_asked_twice_for_a_request() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        w.server.notified = lambda seen: w.server.sessions.pop(seen.session) and TAKEN
        assert (await w.call("bob", session))[0] == 404
        assert len(w.server.told("tools/call")) == 2


async def test_first_requests_of_a_user_at_once_begin_one_session() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        w.server.gate = asyncio.Event()
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(client_of(w.pod.forward)) for _ in range(5)]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(w.call("bob", session, client)) for client in clients]
                await until(lambda: len(w.server.begun()) == 2)
                w.server.gate.set()
        assert [task.result()[0] for task in tasks] == [200] * 5
        assert w.server.begun() == ["token-of-alice", "token-of-bob"]


async def test_a_client_that_leaves_does_not_take_the_session_of_those_who_wait() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        w.server.gate = asyncio.Event()
        async with client_of(w.pod.forward) as first, client_of(w.pod.forward) as second:
            await first.send(w.pod.request(call("search"), user="bob", mcp_session_id=session))
            await until(lambda: len(w.server.begun()) == 2)
            await second.send(w.pod.request(call("search"), user="bob", mcp_session_id=session))
            first.writer.transport.abort()
            w.server.gate.set()
            assert (await second.answer())[0] == 200
        assert len(w.server.begun()) == 2


async def test_the_end_of_the_agents_session_is_the_end_of_all() -> None:
    async with world("alice", "bob", "carol") as w:
        session = await w.begin("alice")
        for user in ("bob", "carol"):
            await w.call(user, session)
        assert await w.end("alice", session) == 200
        await until(lambda: not w.server.sessions)
        assert sorted(w.server.told("DELETE")) == [
            ("token-of-alice", "session-1"),
            ("token-of-bob", "session-2"),
            ("token-of-carol", "session-3"),
        ]
        status, _, answer = await w.call("bob", session)
        assert status == 404
        assert answer["error"]["data"]["reason"] == "session_of_another"


async def test_the_agent_may_end_its_session_for_nobody() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        await w.call("bob", session)
        assert await w.end(None, session) == 200
        await until(lambda: not w.server.sessions)
        assert (await w.call("alice", session))[0] == 404


async def test_a_session_that_ends_while_a_users_is_begun_is_not_the_users() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        w.server.gate = asyncio.Event()
        async with client_of(w.pod.forward) as client:
            await client.send(w.pod.request(call("search"), user="bob", mcp_session_id=session))
            await until(lambda: len(w.server.begun()) == 2)
            assert await w.end("alice", session) == 200
            w.server.gate.set()
            assert (await client.answer())[0] == 404
        await until(lambda: not w.server.sessions)
        assert w.server.told("tools/call") == []


@pytest.mark.parametrize("session", ["session-1", "guessed"])
async def test_a_session_that_the_agent_did_not_begin_is_none(session: str) -> None:
    async with world("alice") as w:
        status, _, answer = await w.call("alice", session)
        assert status == 404
        assert answer["error"]["data"]["reason"] == "session_of_another"
        assert await w.end("alice", session) == 404
        assert w.server.seen == []


async def test_the_id_of_a_users_session_is_no_use_to_anybody() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        await w.call("bob", session)
        for user in ("alice", "bob"):
            assert (await w.call(user, "session-2"))[0] == 404


async def test_nobody_begins_no_session_where_a_user_is_wanted() -> None:
    async with world("alice") as w:
        status, fields, answer = await w.pod.send(INITIALIZE)
        assert status == 200
        assert answer["error"]["data"]["reason"] == "subject_missing"
        assert "mcp-session-id" not in fields
        assert w.server.seen == []


async def test_users_have_theirs_behind_the_one_that_the_agent_has_for_itself(secrets: Path) -> None:
    async with world("alice", credential=FOR_NOBODY_TOO, secrets=secrets) as w:
        session = await w.begin(None)
        assert (await w.call("alice", session))[0] == 200
        assert (await w.call(None, session))[0] == 200
        assert w.server.told("tools/call") == [
            ("token-of-alice", "session-2"),
            ("token-of-nobody", "session-1"),
        ]


async def test_what_the_agent_sends_for_nobody_in_a_session_of_users_is_nobodys() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        for user in ("alice", "bob"):
            assert (await w.call(user, session))[0] == 200
        _, _, answer = await w.call(None, session)
        assert answer["error"]["data"]["reason"] == "subject_missing"
        assert len(w.server.told("tools/call")) == 2


async def test_a_stream_is_opened_in_the_session_of_its_user() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        async with client_of(w.pod.forward) as client:
            request = w.pod.request(
                method="GET", user="bob", mcp_session_id=session, accept="text/event-stream"
            )
            await client.send(request)
            status, fields = await client.head()
            assert status == 200
            assert fields["mcp-session-id"] == session
            assert await anext(client.chunks()) == b": open\n\n"
        assert w.server.told("GET") == [("token-of-bob", "session-2")]


async def test_a_credential_that_is_refused_at_the_beginning_is_renewed_once() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        refusals = [json_answer({}, "401 Unauthorized", www_authenticate="Bearer")]
        w.server.initialize = lambda seen: refusals.pop() if refusals else None
        assert (await w.call("bob", session))[0] == 200
        assert w.server.begun() == ["token-of-alice", "token-of-bob", "token-of-bob"]
        assert len(w.pod.idp.tokens) == 3


NO_SESSION = json_answer(result({"protocolVersion": VERSION}, 0))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (json_answer({}, "503 Service Unavailable"), "session_unavailable"),
        (json_answer({}, "401 Unauthorized"), "credential_not_accepted"),
        (json_answer({}, "403 Forbidden"), "credential_not_accepted"),
        (NO_SESSION, "session_unavailable"),
        (json_answer(b"no JSON", mcp_session_id="x"), "session_unavailable"),
        (json_answer([], mcp_session_id="x"), "session_unavailable"),
        (json_answer({"id": 0, "error": {"code": 1}}, mcp_session_id="x"), "session_unavailable"),
        (json_answer(result({}, 0), mcp_session_id="x" * 5000), "session_unavailable"),
        (json_answer(result({}, 0), mcp_session_id="session-1"), "session_unavailable"),
        (json_answer(b"\xff\n\n" * 2, mcp_session_id="x"), "session_unavailable"),
        (STREAM + b"mcp-session-id: x\r\n\r\ndata: \xff\n\n" + b"x" * 2**18, "session_unavailable"),
        (STREAM + b"mcp-session-id: x\r\n\r\ndata: 1\n\ndata: {\n\n" + b"x" * 2**18, "session_unavailable"),
        (b"garbage\r\n\r\n", "session_unavailable"),
    ],
)
async def test_a_user_without_a_session_is_refused_and_the_others_go_on(answer: bytes, reason: str) -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        w.server.initialize = lambda seen: answer
        w.server.notified = lambda seen: TAKEN
        status, _, said = await w.call("bob", session)
        assert status == 502
        assert said["error"]["data"]["reason"] == reason
        assert (await w.call("alice", session))[0] == 200
        assert "token-of-bob" not in [bearer for bearer, _ in w.server.told("tools/call")]


async def test_a_session_that_the_server_gives_the_agent_twice_is_refused() -> None:
    async with world("alice", "bob") as w:
        await w.begin("alice")
        w.server.initialize = lambda seen: json_answer(result({}, 0), mcp_session_id="session-1")
        status, _, answer = await w.pod.send(INITIALIZE, user="bob")
        assert status == 502
        assert answer["error"]["data"]["reason"] == "session_unavailable"


async def test_a_session_that_was_not_begun_by_initialize_is_not_shown() -> None:
    async with world("alice") as w:
        w.server.initialize = lambda seen: json_answer({}, "400 Bad Request", mcp_session_id="odd")
        status, fields, _ = await w.pod.send(INITIALIZE, user="alice")
        assert status == 400
        assert "mcp-session-id" not in fields


async def test_a_server_without_sessions_is_left_alone() -> None:
    async with world("alice") as w:
        w.server.initialize = lambda seen: NO_SESSION
        status, fields, _ = await w.pod.send(INITIALIZE, user="alice")
        assert status == 200
        assert "mcp-session-id" not in fields


async def test_what_is_under_way_at_the_end_is_given_up() -> None:
    server = SessionServer()
    async with user_pod(server.script, mesh=MESH) as pod:
        pod.idp.answer = token_for
        for user in ("alice", "bob"):
            await pod.ask(user)
        w = World(pod, server)
        session = await w.begin("alice")
        server.gate = asyncio.Event()
        async with client_of(pod.forward) as client:
            await client.send(pod.request(call("search"), user="bob", mcp_session_id=session))
            await until(lambda: len(server.begun()) == 2)
    assert not [task for task in asyncio.all_tasks() if "session" in task.get_name()]


async def test_a_server_that_does_not_take_the_notification_gives_no_session() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        w.server.notified = lambda seen: json_answer({}, "500 Internal Server Error")
        status, _, answer = await w.call("bob", session)
        assert status == 502
        assert "HTTP 500" in answer["error"]["message"]


async def test_a_credential_that_is_refused_twice_at_the_beginning_is_not_renewed_again() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        w.server.initialize = lambda seen: json_answer({}, "401 Unauthorized", www_authenticate="Bearer")
        status, _, answer = await w.call("bob", session)
        assert status == 502
        assert answer["error"]["data"]["reason"] == "credential_not_accepted"
        assert w.server.begun() == ["token-of-alice", "token-of-bob", "token-of-bob"]


async def test_a_server_that_never_answers_initialize_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "OPENING_SECONDS", 0.05)
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        w.server.gate = asyncio.Event()
        status, _, answer = await w.call("bob", session)
        assert status == 502
        assert answer["error"]["data"]["reason"] == "session_unavailable"


async def test_no_session_is_begun_to_be_ended() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        await w.call("bob", session)
        w.server.restart()
        assert await w.end("bob", session) == 404
        assert w.server.begun() == ["token-of-alice", "token-of-bob"]
        assert (await w.call("alice", session))[0] == 404


async def test_a_session_whose_users_credential_is_gone_is_left_to_the_server() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        await w.call("bob", session)
        desk = w.pod.sidecar.pipeline.departure.desk
        assert desk is not None
        desk.sources.use(NO_BACKENDS)
        desk.sources.use(w.pod.sidecar.pipeline.policy)
        assert await w.end(None, session) == 200
        assert (await w.call("bob", session))[0] == 404
        assert w.server.told("DELETE") == []


async def test_no_more_ends_wait_to_be_told_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_ENDING", 1)
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        await w.call("bob", session)
        assert await w.end(None, session) == 200
        await until(lambda: len(w.server.told("DELETE")) == 1)
        await asyncio.sleep(0)
        assert len(w.server.told("DELETE")) == 1


async def test_a_server_that_is_gone_when_a_session_ends_harms_nobody() -> None:
    async with world("alice", "bob") as w:
        session = await w.begin("alice")
        await w.call("bob", session)
        w.server.broken = True
        assert await w.end(None, session) == 200
        await until(lambda: len(w.server.told("DELETE")) >= 2)
        w.server.broken = False
        assert await w.begin("bob") == "session-3"


async def test_the_agents_own_notification_is_repeated_for_its_users() -> None:
    async with world("alice", "bob") as w:
        _, fields, _ = await w.pod.send(INITIALIZE, user="alice")
        session = fields["mcp-session-id"]
        own = {**INITIALIZED, "params": {"_meta": {"own": True}}}
        assert (await w.pod.send(own, user="alice", mcp_session_id=session))[0] == 202
        await w.call("bob", session)
        first, second = [seen for seen in w.server.seen if seen.what == "notifications/initialized"]
        assert first.fields["content-length"] == second.fields["content-length"]
        assert (await w.pod.send([INITIALIZED], user="bob", mcp_session_id=session))[0] == 400


USERS = ("alice", "bob", "carol")
STEPS = st.one_of(
    st.tuples(st.just("call"), st.sampled_from(USERS)),
    st.tuples(st.just("begin"), st.sampled_from(USERS)),
    st.tuples(st.just("end"), st.sampled_from(USERS)),
    st.tuples(st.just("restart"), st.just("")),
)


async def _interleaved(rounds: list[list[tuple[str, str]]]) -> None:
    """Each round's steps at once, each on a connection of its own."""
    async with world(*USERS) as w:
        sessions = [await w.begin("alice")]

        async def step(what: str, user: str) -> None:
            session = sessions[-1]
            if what == "restart":
                w.server.restart()
                return
            async with client_of(w.pod.forward) as client:
                other = replace(w, pod=replace(w.pod, agent=client))
                if what == "begin":
                    status, fields, _ = await other.pod.send(INITIALIZE, user=user)
                    await other.pod.send(INITIALIZED, user=user, mcp_session_id=fields["mcp-session-id"])
                    sessions.append(fields["mcp-session-id"])
                elif what == "end":
                    await other.end(user, session)
                else:
                    status, fields, _ = await other.call(user, session)
                    assert status in (200, 404, 502)
                    if status == 200:
                        assert fields["mcp-session-id"] == session

        for one in rounds:
            await asyncio.gather(*(step(*what) for what in one))
        # Whatever was before: a new session serves everybody.
        last = await w.begin("bob")
        for user in USERS:
            assert (await w.call(user, last))[0] == 200
    await until(lambda: len(asyncio.all_tasks()) == 1)


@settings(max_examples=15)
@given(rounds=st.lists(st.lists(STEPS, min_size=1, max_size=5), min_size=1, max_size=5))
def test_no_request_comes_in_anothers_session_however_they_interleave(
    rounds: list[list[tuple[str, str]]],
) -> None:
    asyncio.run(_interleaved(rounds))
