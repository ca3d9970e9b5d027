"""Attacks on users' tokens, handles and credentials of Backends, against a whole sidecar.

Of the agent, of callers, of servers and of authorization servers: 126 of them here. In
credentials/test_token_attacks.py are 111 tokens that nobody may get in with and 14 cases of misleading headers and
keys, in credentials/mint/test_lying_endpoints.py 45 answers of token endpoints. After each attack here no token,
signature or handle stands in the log, in the metrics or in /readyz, and the agent has been shown no token
(tests.support.attacked_pod).
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mesh.identity.jws import read_jws
from mesh.policy.principal import User
from mesh.policy.user_auth import DEFAULT_SKEW_SECONDS
from mesh.reasons import Reason
from sidecar.credentials import issuers, key_sets
from sidecar.credentials.fetch import Fetch
from sidecar.credentials.handles import Handles
from sidecar.credentials.verified import Verified
from sidecar.telemetry import names
from tests.support.attacked_pod import OK, USERS, AttackedPod, attacked_pod
from tests.support.idp import AGENT
from tests.support.issuing import EC_KEY, claims, header, token
from tests.support.loopback import call, json_answer, read_request, result

TOKEN = "exchanged-token-1"
FIRST = ["bearer exchanged-token-1"]


def basic(handle: str) -> str:
    return base64.b64encode(f"user:{handle}".encode()).decode()


def of_another_pod() -> str:
    verified = Verified(User("https://idp.example.com", "alice"), "x", 2e10, b"key")
    return Handles().give(verified).decode()


# What the agent sends, by a line or two of header; `{alice}` and `{bob}` are handles, `{basic}` one in base64.

REFUSED: dict[str, tuple[tuple[str, ...], Reason]] = {
    "a handle of another pod": (("authorization: Bearer {other}",), Reason.HANDLE_UNKNOWN),
    "a handle with one character changed": (("authorization: Bearer {changed}",), Reason.HANDLE_UNKNOWN),
    "a handle that was guessed": (("authorization: Bearer orh_" + "A" * 43,), Reason.HANDLE_UNKNOWN),
    "a handle cut short": (("authorization: Bearer {cut}",), Reason.HANDLE_UNKNOWN),
    "a handle in capitals": (("authorization: Bearer {capitals}",), Reason.SUBJECT_MISSING),
    "a handle with something behind it": (("authorization: bearer  {alice}x",), Reason.HANDLE_UNKNOWN),
    "a handle with another character": (
        ("authorization: Bearer orh_." + "A" * 42,),
        Reason.HANDLE_UNKNOWN,
    ),
    "the beginning of a handle": (("authorization: Bearer orh_",), Reason.HANDLE_UNKNOWN),
    "a handle cut short, and one in a cookie": (
        ("authorization: Bearer {cut}", "cookie: session={alice}"),
        Reason.HANDLE_UNKNOWN,
    ),
    "handles of two users in Authorization twice": (
        ("authorization: Bearer {alice}", "authorization: Bearer {bob}"),
        Reason.HTTP_BAD_HEADER,
    ),
    "one handle twice": (
        ("authorization: Bearer {alice}", "Authorization: Bearer {alice}"),
        Reason.HTTP_BAD_HEADER,
    ),
    "a handle behind what looks like one": (
        ("authorization: Bearer orh_orh_{alice}",),
        Reason.HANDLE_UNKNOWN,
    ),
    "handles of two users in two headers": (
        ("authorization: Bearer {alice}", "x-forwarded-authorization: Bearer {bob}"),
        Reason.SUBJECT_AMBIGUOUS,
    ),
    "handles of two users in one value": (
        ("authorization: Bearer {alice}, Bearer {bob}",),
        Reason.SUBJECT_AMBIGUOUS,
    ),
    "one user's in Basic, another's beside it": (
        ("authorization: Basic {basic}", "cookie: a={bob}"),
        Reason.SUBJECT_AMBIGUOUS,
    ),
    "a good handle and a made-up one": (
        ("authorization: Bearer {alice}", "x-handle: orh_" + "B" * 43),
        Reason.HANDLE_UNKNOWN,
    ),
    "the user's own token, stolen": (("authorization: Bearer {token}",), Reason.SUBJECT_MISSING),
    "a token of the agent's own": (("authorization: Bearer sk-live-0123456789",), Reason.SUBJECT_MISSING),
    "a password of the agent's own": (("authorization: Basic dXNlcjpwYXNz",), Reason.SUBJECT_MISSING),
    "a made-up trace": ((f"traceparent: 00-{'ab' * 16}-{'cd' * 8}-01",), Reason.SUBJECT_MISSING),
    "a made-up session": (("mcp-session-id: of-alice",), Reason.SESSION_OF_ANOTHER),
    "a user's name": (("x-forwarded-user: alice", "x-user: alice"), Reason.SUBJECT_MISSING),
}


@pytest.mark.parametrize(("fields", "reason"), REFUSED.values(), ids=REFUSED)
async def test_a_request_that_proves_no_user_never_leaves(fields: tuple[str, ...], reason: Reason) -> None:
    async with attacked_pod() as p:
        said = await handles(p)
        assert await p.reason(*(line.format(**said) for line in fields)) == reason
        assert p.sent == []
        assert p.idp.tokens == []


async def handles(p: AttackedPod) -> dict[str, str]:
    alice, bob = await p.ask("alice"), await p.ask("bob")
    return {
        "alice": alice,
        "bob": bob,
        "basic": basic(alice),
        "other": of_another_pod(),
        "changed": alice[:-1] + ("A" if alice[-1] != "A" else "B"),
        "cut": alice[:-1],
        "capitals": alice.upper(),
        "token": p.idp.made[0],
    }


# A handle is found wherever it stands, so that it leaves nowhere.

PLACES = {
    "in Authorization of other letters": "AuThOrIzAtIoN: bEaReR {alice}",
    "as password of Basic": "authorization: Basic {basic}",
    "in a header of its own": "x-token: {alice}",
    "in a cookie": "cookie: session={alice}; theme=dark",
    "in Proxy-Authorization": "proxy-authorization: Bearer {alice}",
    "without a scheme": "authorization: {alice}",
}


@pytest.mark.parametrize("line", PLACES.values(), ids=PLACES)
async def test_a_handle_is_taken_out_wherever_it_stands(line: str) -> None:
    async with attacked_pod() as p:
        said = await handles(p)
        assert await p.reason(line.format(**said)) is None
        assert p.authorizations == FIRST
        assert b"orh_" not in p.sent[0][0]
        assert basic(said["alice"]).encode() not in p.sent[0][0]


@pytest.mark.parametrize("line", PLACES.values(), ids=PLACES)
async def test_a_host_without_a_credential_gets_no_handle(line: str) -> None:
    async with attacked_pod() as p:
        said = await handles(p)
        assert (await p.send(line.format(**said), to=p.trap))[0] == 200
        assert b"orh_" not in p.trapped[0][0]
        assert basic(said["alice"]).encode() not in p.trapped[0][0]
        assert p.idp.tokens == []
        assert p.sidecar.metrics.value(names.HANDLES_STRIPPED, ("trap",)) >= 1


async def test_a_handle_in_the_query_tells_nobody_who_calls() -> None:
    async with attacked_pod() as p:
        said = await handles(p)
        assert await p.reason(path=f"/mcp?access_token={said['alice']}") == Reason.SUBJECT_MISSING
        assert p.sent == []


async def test_a_handle_to_a_host_that_nobody_declared_goes_nowhere() -> None:
    async with attacked_pod() as p:
        handle = await p.ask()
        assert await p.reason(f"authorization: Bearer {handle}", to="127.0.0.1:9") == Reason.EGRESS_DENIED
        assert p.idp.tokens == []


@pytest.mark.parametrize("own", ["Basic dXNlcjpwYXNz", "Bearer sk-live-0123456789", "Digest username=x"])
async def test_a_credential_of_the_agents_own_goes_beside_no_other(own: str) -> None:
    async with attacked_pod() as p:
        handle = await p.ask()
        assert await p.reason(f"authorization: {own}", f"x-handle: {handle}", "cookie: a=b") is None
        assert p.authorizations == FIRST
        assert own.encode() not in p.sent[0][0]
        assert b"\r\ncookie:" not in p.sent[0][0].lower()


async def test_a_handle_in_a_trailer_is_dropped_with_it() -> None:
    async with attacked_pod() as p:
        handle = await p.ask()
        await p.agent.send(
            f"POST http://{p.trap}/x HTTP/1.1\r\nhost: {p.trap}\r\ntransfer-encoding: chunked\r\n"
            f"trailer: authorization\r\n\r\n1\r\nx\r\n0\r\nauthorization: Bearer {handle}\r\n\r\n".encode()
        )
        await p.agent.head()
        assert b"orh_" not in p.trapped[0][0] + p.trapped[0][1]


async def test_a_handle_in_the_userinfo_of_a_url_is_refused_with_it() -> None:
    async with attacked_pod() as p:
        handle = await p.ask()
        where = f"user:{handle}@{p.trap}"
        await p.agent.send(f"GET http://{where}/x HTTP/1.1\r\nhost: {p.trap}\r\n\r\n".encode())
        assert (await p.agent.answer())[0] == 400
        assert p.trapped == []


async def test_calls_for_two_users_in_one_packet_carry_each_its_own() -> None:
    async with attacked_pod() as p:
        said = await handles(p)
        await p.agent.send(b"".join(request_of(p, said[user]) for user in ("alice", "bob", "alice", "bob")))
        for _ in range(4):
            assert (await p.agent.answer())[0] == 200
        assert [read_jws(form["subject_token"]).claims["sub"] for form in p.idp.tokens] == ["alice", "bob"]
        assert p.authorizations == [*FIRST, "bearer exchanged-token-2"] * 2


# Handles in time.


async def test_a_handle_ends_with_its_token() -> None:
    async with attacked_pod() as p:
        handle = await p.ask()
        assert await p.reason(f"authorization: Bearer {handle}") is None
        p.clock.seconds = 300 + DEFAULT_SKEW_SECONDS + 1
        assert await p.reason(f"authorization: Bearer {handle}") == Reason.HANDLE_EXPIRED
        assert len(p.sent) == 1


@pytest.mark.parametrize(
    "change",
    [
        ("audiences: [", "audiences: [https://b.example, "),
        ("application: handle", "application: token"),
        ("bypass: [/healthz", "bypass: [/ready"),
    ],
)
async def test_handles_end_with_the_policy_that_they_were_given_under(change: tuple[str, str]) -> None:
    users = USERS[:-1] + ", application: handle}"
    async with attacked_pod(users=users) as p:
        handle = await p.ask()
        p.use(change)
        assert await p.reason(f"authorization: Bearer {handle}") == Reason.HANDLE_EXPIRED
        assert p.sent == []


async def test_a_policy_that_takes_users_away_leaves_no_handle_and_no_token_behind() -> None:
    async with attacked_pod() as p:
        handle = await p.ask()
        assert await p.reason(f"authorization: Bearer {handle}") is None
        users = re.search(r"  users: .*\n", p.text)
        assert users is not None
        p.use((users[0], ""))
        assert await p.reason(f"authorization: Bearer {handle}") == Reason.HANDLE_EXPIRED
        assert p.authorizations == FIRST


async def test_a_token_of_an_issuer_that_counts_no_more_gets_nobody_in() -> None:
    async with attacked_pod() as p:
        bearer = f"authorization: Bearer {p.idp.token()}"
        assert (await p.knock("GET /ask", bearer)).startswith(b"HTTP/1.1 200")
        p.use((f'issuers: [{{issuer: "{p.idp.issuer}"', "issuers: [{issuer: https://idp.example.com"))
        answer = await p.knock("GET /ask", bearer)
        assert answer.startswith(b"HTTP/1.1 401")
        assert Reason.TOKEN_ISSUER.value.encode() in answer
        assert len(p.got) == 1


async def test_after_a_restart_handles_from_before_are_unknown_and_the_answer_says_so() -> None:
    async with attacked_pod() as before:
        handle = await before.ask()
        assert await before.reason(f"authorization: Bearer {handle}") is None
    async with attacked_pod() as p:
        _, _, answer = await p.send(f"authorization: Bearer {handle}", "mcp-session-id: from-before")
        assert answer["error"]["data"]["reason"] == Reason.HANDLE_UNKNOWN
        assert "before the sidecar was restarted" in answer["error"]["message"]
        assert p.sent == []
        assert await p.reason(f"authorization: Bearer {await p.ask()}") is None


# What callers try at the door.

DOORS: dict[str, tuple[str, tuple[str, ...], int, Reason]] = {
    "no token": ("GET /ask", (), 401, Reason.TOKEN_MISSING),
    "a token in the query": ("GET /ask?access_token={token}", (), 401, Reason.TOKEN_MISSING),
    "a token in a cookie": ("GET /ask", ("cookie: access_token={token}",), 401, Reason.TOKEN_MISSING),
    "a token in another header": (
        "GET /ask",
        ("x-forwarded-access-token: {token}", "x-authorization: Bearer {token}"),
        401,
        Reason.TOKEN_MISSING,
    ),
    "a token in Proxy-Authorization": (
        "GET /ask",
        ("proxy-authorization: Bearer {token}",),
        401,
        Reason.TOKEN_MISSING,
    ),
    "a token in Basic": ("GET /ask", ("authorization: Basic {basic}",), 401, Reason.TOKEN_MISSING),
    "a token after another scheme": ("GET /ask", ("authorization: DPoP {token}",), 401, Reason.TOKEN_MISSING),
    "two headers": (
        "GET /ask",
        ("authorization: Bearer {token}", "authorization: Bearer {token}"),
        400,
        Reason.HTTP_BAD_HEADER,
    ),
    "two headers in other letters": (
        "GET /ask",
        ("Authorization: Bearer {token}", "AUTHORIZATION: Bearer x"),
        400,
        Reason.HTTP_BAD_HEADER,
    ),
    "two tokens in one header": (
        "GET /ask",
        ("authorization: Bearer {token}, Bearer {token}",),
        401,
        Reason.TOKEN_MALFORMED,
    ),
    "a token of 20 KiB": ("GET /ask", ("authorization: Bearer {large}",), 401, Reason.TOKEN_TOO_LARGE),
    "a handle": ("GET /ask", ("authorization: Bearer {handle}",), 401, Reason.TOKEN_MALFORMED),
    "a token that was exchanged": (
        "GET /ask",
        ("authorization: Bearer exchanged-token-1",),
        401,
        Reason.TOKEN_MALFORMED,
    ),
    "the bypass in capitals": ("GET /HEALTHZ", (), 401, Reason.TOKEN_MISSING),
    "the bypass with a parameter": ("GET /healthz;x", (), 401, Reason.TOKEN_MISSING),
    "the bypass and more": ("GET /healthzz", (), 401, Reason.TOKEN_MISSING),
    "the bypass as a folder": ("GET /healthz/ask", (), 401, Reason.TOKEN_MISSING),
    "the bypass with a slash": ("GET /healthz/", (), 401, Reason.TOKEN_MISSING),
    "the bypass of a folder without it": ("GET /public", (), 401, Reason.TOKEN_MISSING),
    "two slashes": ("GET //healthz", (), 400, Reason.HTTP_BAD_TARGET),
    "dots behind the bypass": ("GET /healthz/../ask", (), 400, Reason.HTTP_BAD_TARGET),
    "dots in a bypassed folder": ("GET /public/../ask", (), 400, Reason.HTTP_BAD_TARGET),
    "encoded dots": ("GET /public/%2e%2e/ask", (), 400, Reason.HTTP_BAD_TARGET),
    "an encoded slash": ("GET /public/..%2fask", (), 400, Reason.HTTP_BAD_TARGET),
    "an encoded letter": ("GET /%68ealthz", (), 400, Reason.HTTP_BAD_TARGET),
    "a backslash": ("GET /public\\..\\ask", (), 400, Reason.HTTP_BAD_TARGET),
    "a NUL": ("GET /healthz%00/ask", (), 400, Reason.HTTP_BAD_TARGET),
    "a fragment": ("GET /public#/../ask", (), 400, Reason.HTTP_BAD_TARGET),
}


@pytest.mark.parametrize(("start", "fields", "status", "reason"), DOORS.values(), ids=DOORS)
async def test_nobody_gets_past_the_door(
    start: str, fields: tuple[str, ...], status: int, reason: Reason
) -> None:
    async with attacked_pod() as p:
        made = p.idp.token()
        said = {
            "token": made,
            "basic": base64.b64encode(f"x:{made}".encode()).decode(),
            "large": p.idp.token(pad="x" * 15_000),
            "handle": of_another_pod(),
        }
        answer = await p.knock(start.format(**said), *(line.format(**said) for line in fields))
        assert answer.startswith(b"HTTP/1.1 %d" % status)
        assert reason.value.encode() in answer
        assert made.encode() not in answer
        assert p.got == []


async def test_the_bypass_itself_is_open_and_gives_nobody_a_handle() -> None:
    async with attacked_pod() as p:
        for path in ("/healthz", "/healthz?x=/ask", "/public/a"):
            assert (await p.knock(f"GET {path}")).startswith(b"HTTP/1.1 200")
        assert (await p.knock("GET /healthz", "authorization: Bearer garbage")).startswith(b"HTTP/1.1 200")
        assert b"garbage" not in p.got[-1][0]
        assert not any(b"orh_" in head for head, _ in p.got)


async def test_requests_of_two_users_in_one_packet_stay_two_users() -> None:
    async with attacked_pod() as p:
        tokens = {user: p.idp.token(user).encode() for user in ("alice", "bob")}
        made = [tokens[user] for user in ("alice", "bob", "alice")]
        p.caller.transport.write(
            b"".join(
                b"GET /ask HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %b\r\n\r\n" % one for one in made
            )
        )
        async with asyncio.timeout(5):
            while p.caller.received.count(b'{"said":"hello"}') < 3:
                await asyncio.sleep(0.002)
        assert p.held(0) == p.held(2) != p.held(1)
        for number in (1, 0):
            assert await p.reason(f"authorization: Bearer {p.held(number)}") is None
        subjects = [read_jws(form["subject_token"]).claims for form in p.idp.tokens]
        assert [one["sub"] for one in subjects] == ["bob", "alice"]


async def test_two_users_with_one_trace_are_nobody() -> None:
    trace = f"traceparent: 00-{'ab' * 16}-{'cd' * 8}-01"
    async with attacked_pod() as p:
        await p.ask("alice", trace)
        await p.ask("mallory", trace)
        assert await p.reason(trace) == Reason.SUBJECT_AMBIGUOUS
        assert p.sent == []


async def test_a_user_in_the_session_of_another_does_not_become_the_other() -> None:
    said = json_answer({"said": "hello"}, mcp_session_id="of-alice")
    async with attacked_pod(said=said, users=USERS[:-1] + ", correlation: [session]}") as p:
        await p.ask("alice")
        await p.ask("mallory", "mcp-session-id: of-alice")
        assert await p.reason("mcp-session-id: of-alice") == Reason.SUBJECT_AMBIGUOUS
        assert p.sent == []


# What servers answer.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_credential_does_not_follow_a_redirect(status: int) -> None:
    async def redirects(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        place = f"location: http://localhost:1/steal?token={TOKEN}\r\nset-cookie: a=b\r\n"
        writer.write(f"HTTP/1.1 {status} Moved\r\n{place}content-length: 0\r\n\r\n".encode())
        await writer.drain()

    async with attacked_pod(script=redirects) as p:
        handle = await p.ask()
        answered, head, _ = await p.send(f"authorization: Bearer {handle}")
        assert answered in (status, 502)
        assert TOKEN.encode() not in head
        await p.send(f"authorization: Bearer {handle}", to=p.trap)
        assert b"authorization" not in p.trapped[0][0].lower()


async def test_where_a_server_says_that_tokens_come_from_is_never_asked() -> None:
    challenge = 'Bearer resource_metadata="http://localhost:{}/.well-known/x", error="invalid_token"'

    async def challenges(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            fields = {"www_authenticate": challenge.format(port[0])}
            writer.write(json_answer({"error": "x"}, "401 Unauthorized", **fields))

    port: list[str] = []
    async with attacked_pod(script=challenges) as p:
        port.append(p.trap.rpartition(":")[2])
        handle = await p.ask()
        assert await p.reason(f"authorization: Bearer {handle}") == Reason.CREDENTIAL_NOT_ACCEPTED
        assert p.trapped == []
        assert not any(b"www-authenticate" in one for one in p.shown)


async def test_401_for_ever_is_no_reason_to_exchange_for_ever() -> None:
    async with attacked_pod(json_answer({}, "401 Unauthorized")) as p:
        handle = await p.ask()
        for _ in range(10):
            assert await p.reason(f"authorization: Bearer {handle}") == Reason.CREDENTIAL_NOT_ACCEPTED
        assert len(p.idp.tokens) <= 3
        assert len(p.sent) <= 12


async def test_scopes_that_nobody_granted_are_not_asked_for() -> None:
    fields = {"www_authenticate": 'Bearer error="insufficient_scope", scope="admin"'}
    async with attacked_pod(json_answer({"error": "x"}, "403 Forbidden", **fields)) as p:
        handle = await p.ask()
        status, head, _ = await p.send(f"authorization: Bearer {handle}")
        assert status == 403
        assert b"www-authenticate" not in head
        assert [form.get("scope") for form in p.idp.tokens] == [None]


async def test_what_a_server_says_of_credentials_never_reaches_the_agent() -> None:
    about = {
        "set_cookie": "a=b",
        "www_authenticate": "Basic",
        "authentication_info": "x",
        "proxy_authenticate": "Basic",
    }
    async with attacked_pod(json_answer(result({}), **about)) as p:
        handle = await p.ask()
        status, head, _ = await p.send(f"authorization: Bearer {handle}")
        assert status == 200
        for name in about:
            assert name.replace("_", "-").encode() not in head


def chunked(head: bytes, *parts: bytes) -> list[bytes]:
    """A head and chunks, to be sent one by one."""
    return [
        head + b"transfer-encoding: chunked\r\n\r\n",
        *(b"%x\r\n%b\r\n" % (len(one), one) for one in parts),
        b"0\r\n\r\n",
    ]


JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
SAYS = json.dumps(result({"content": [{"type": "text", "text": TOKEN}]}), separators=(",", ":")).encode()
ENCODED = base64.b64encode(TOKEN.encode())
ECHOES: dict[str, list[bytes]] = {
    "in a header": [json_answer(result({}), x_token=TOKEN)],
    "in the name of a header": [json_answer(result({}), **{f"x-{TOKEN}": "a"})],
    "in the reason phrase": [json_answer(result({}), f"200 {TOKEN}")],
    "in JSON": [json_answer(SAYS)],
    "as a name in JSON": [json_answer(result({TOKEN: 1}))],
    "in JSON, in two chunks": chunked(JSON_HEAD, SAYS[:70], SAYS[70:]),
    "in JSON, byte by byte": chunked(JSON_HEAD, *(SAYS[i : i + 1] for i in range(len(SAYS)))),
    "in JSON, escaped": [json_answer(SAYS.replace(b"exchanged", b"\\u0065xchanged"))],
    "in base64": [json_answer(SAYS.replace(TOKEN.encode(), ENCODED))],
    "in base64 with a user's name": [
        json_answer(SAYS.replace(TOKEN.encode(), base64.b64encode(b"user:" + TOKEN.encode())))
    ],
    "in an event": chunked(SSE_HEAD, b"data: " + SAYS + b"\n\n"),
    "in an event, in pieces": chunked(SSE_HEAD, b"data: " + SAYS[:70], SAYS[70:] + b"\n", b"\n"),
    "in the id of an event": chunked(
        SSE_HEAD, b"id: " + TOKEN.encode() + b"\ndata: " + OK.partition(b"\r\n\r\n")[2] + b"\n\n"
    ),
    "in a comment of an event": chunked(
        SSE_HEAD, b": " + TOKEN.encode() + b"\n\n", b"data: " + SAYS + b"\n\n"
    ),
    "in an error": [json_answer({"error": TOKEN}, "500 Oh")],
    "in a page": [
        b"HTTP/1.1 502 Bad\r\ncontent-type: text/html\r\ncontent-length: 25\r\n\r\n<p>"
        + TOKEN.encode()
        + b"</p> "
    ],
}


@pytest.mark.parametrize("parts", ECHOES.values(), ids=ECHOES)
async def test_a_token_that_comes_back_is_blotted_out(parts: list[bytes]) -> None:
    async def echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)

    async with attacked_pod(script=echoes) as p:
        handle = await p.ask()
        await p.agent.send(request_of(p, handle))
        got = b""
        async with asyncio.timeout(5):
            while not over(got):
                part = await p.agent.reader.read(65536)
                if not part:
                    break
                got += part
        assert len(p.idp.tokens) == 1
        plain = got.replace(b"\\u0065", b"e")
        assert TOKEN.encode() not in plain
        assert ENCODED[:18] not in plain
        assert base64.b64encode(b"user:" + TOKEN.encode())[:24] not in plain


def over(answer: bytes) -> bool:
    """Whether a whole answer is there."""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    return body.endswith(b"0\r\n\r\n") if length is None else len(body) >= int(length[1])


def request_of(p: AttackedPod, handle: str) -> bytes:
    body = json.dumps(call("search"))
    where = f"127.0.0.1:{p.server.port}"
    lines = (
        f"POST http://{where}/mcp HTTP/1.1",
        f"host: {where}",
        f"authorization: Bearer {handle}",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        f"content-length: {len(body)}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def test_an_answer_that_cannot_be_searched_is_not_passed_on() -> None:
    async with attacked_pod(json_answer(result({}), content_encoding="gzip")) as p:
        handle = await p.ask()
        assert await p.reason(f"authorization: Bearer {handle}") == Reason.UPSTREAM_ENCODED


# What authorization servers do.

Raw = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def silent(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
        await writer.drain()


async def drips(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x-a: " + b"b" * 1000 + b"\r\n")
        await writer.drain()


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")


SERVERS: dict[str, Raw] = {
    "is silent": silent,
    "answers without end": endless,
    "drips": drips,
    "has a head without end": endless_head,
    "hangs up in the middle": hangs_up,
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a fifth of a second where it would be five or ten."""
    for module in (issuers, key_sets):
        monkeypatch.setattr(module, "FETCH_SECONDS", 0.2)
    monkeypatch.setitem(Fetch.__call__.__kwdefaults__, "seconds", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("raw", SERVERS.values(), ids=SERVERS)
async def test_a_token_endpoint_that_never_comes_to_an_end_is_given_up(raw: Raw) -> None:
    async with attacked_pod() as p:
        p.idp.raw["/token"] = raw
        handle = await p.ask()
        assert await p.reason(f"authorization: Bearer {handle}") == Reason.CREDENTIAL_UNAVAILABLE
        assert p.sent == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("raw", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize("end", ["/jwks", "/.well-known/oauth-authorization-server/realms/acme"])
async def test_keys_that_never_come_to_an_end_are_given_up(end: str, raw: Raw) -> None:
    async with attacked_pod() as p:
        p.idp.raw[end] = raw
        if end != "/jwks":
            p.idp.raw["/openid-configuration"] = p.idp.raw["/openid-configuration/realms/acme"] = raw
        answer = await p.knock("GET /ask", f"authorization: Bearer {p.idp.token()}")
        assert answer.startswith(b"HTTP/1.1 503")
        assert Reason.ISSUER_UNAVAILABLE.value.encode() in answer
        assert p.got == []


async def test_a_token_endpoint_cannot_send_us_elsewhere() -> None:
    async with attacked_pod() as p:

        async def redirects(writer: asyncio.StreamWriter) -> None:
            writer.write(
                f"HTTP/1.1 307 Go\r\nlocation: http://{p.trap}/token\r\ncontent-length: 0\r\n\r\n".encode()
            )

        p.idp.raw["/token"] = redirects
        handle = await p.ask()
        assert await p.reason(f"authorization: Bearer {handle}") == Reason.CREDENTIAL_ANSWER_INVALID
        assert p.trapped == []


METADATA: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://evil.example.com"},
    "an issuer with a slash more": {"issuer": "{issuer}/"},
    "keys in plain text at another host": {"jwks_uri": "http://keys.example.com/jwks"},
    "keys in a file": {"jwks_uri": "file:///etc/passwd"},
    "a token endpoint in a file": {"token_endpoint": "file:///token"},
    "keys at the node": {"jwks_uri": "http://169.254.169.254/latest"},
}


@pytest.mark.parametrize("said", METADATA.values(), ids=METADATA)
async def test_metadata_that_lead_elsewhere_are_not_followed(said: dict[str, str]) -> None:
    async with attacked_pod() as p:
        p.idp.metadata = {name: value.replace("{issuer}", p.idp.issuer) for name, value in said.items()}
        answer = await p.knock("GET /ask", f"authorization: Bearer {p.idp.token()}")
        assert answer.startswith(b"HTTP/1.1 503")
        assert Reason.ISSUER_UNAVAILABLE.value.encode() in answer
        assert not any(path.endswith("/jwks") for path in p.idp.asked)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("http://login.example.com/token", Reason.CREDENTIAL_PLAIN_TEXT),
        ("http://169.254.169.254/token", Reason.CREDENTIAL_PLAIN_TEXT),
    ],
)
async def test_a_token_endpoint_in_plain_text_elsewhere_gets_no_users_token(
    endpoint: str, reason: Reason
) -> None:
    async with attacked_pod() as p:
        p.idp.metadata = {"token_endpoint": endpoint}
        handle = await p.ask()
        assert await p.reason(f"authorization: Bearer {handle}") == reason
        assert p.idp.tokens == []


async def test_made_up_key_ids_do_not_have_the_issuer_asked_each_time() -> None:
    async with attacked_pod() as p:
        await p.ask()
        for number in range(20):
            said = {"iss": p.idp.issuer, "aud": AGENT, "exp": 2_000_000_000, "iat": ...}
            made = token(claims(**said), header(alg="ES256", kid=f"made-up-{number}"), EC_KEY)
            answer = await p.knock("GET /ask", f"authorization: Bearer {made}")
            assert Reason.TOKEN_KEY_UNKNOWN.value.encode() in answer
        assert sum(path.endswith("/jwks") for path in p.idp.asked) <= 2


async def test_keys_that_are_here_are_enough_while_the_issuer_is_down() -> None:
    async with attacked_pod() as p:
        await p.ask("alice")
        p.idp.down = True
        await p.ask("bob")
        p.clock.seconds = 900
        assert (
            await p.knock("GET /ask", f"authorization: Bearer {p.idp.token(exp=2_000_000_000)}")
        ).startswith(b"HTTP/1.1 200")


# What fails, as the design has it.


async def test_while_the_token_endpoint_is_down_the_token_lasts_and_never_is_the_users_sent() -> None:
    async with attacked_pod() as p:
        handle = await p.ask(exp=2_000_000_000)
        assert await p.reason(f"authorization: Bearer {handle}") is None
        p.idp.answer = lambda form: (503, {})
        p.clock.seconds = 250
        assert await p.reason(f"authorization: Bearer {handle}") is None
        p.clock.seconds = 320
        status, _, answer = await p.send(f"authorization: Bearer {handle}")
        assert (status, answer["error"]["data"]["reason"]) == (503, Reason.CREDENTIAL_UNAVAILABLE)
        assert p.authorizations == FIRST * 2
        assert p.idp.made[0].encode() not in b"".join(head + body for head, body in p.sent)


# And the search itself.


async def careless(*, tells: bool) -> None:
    """A sidecar that tells a token, or shows it to the agent."""
    async with attacked_pod() as p:
        await p.ask()
        if tells:
            p.lines.write("careless", detail=f"token {p.idp.made[0]}")
        else:
            p.shown.append(p.idp.made[0].encode())


@pytest.mark.parametrize("tells", [True, False])
async def test_a_secret_that_is_told_is_found(tells: bool) -> None:
    with pytest.raises(AssertionError):
        await careless(tells=tells)
