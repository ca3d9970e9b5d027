"""A user's token from the caller to the Backend: the agent between them holds a handle, and no more."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from mesh.reasons import Reason
from sidecar.app import Sidecar
from sidecar.telemetry import names
from tests.support.fakes import Lines
from tests.support.idp import AGENT, Idp, idp
from tests.support.issuing import b64
from tests.support.loopback import Backend, Client, answering, call, client_of, json_answer, result, serving
from tests.support.meshed import TRIAGE, Published, new_mesh
from tests.support.peer import Peer, connect
from tests.support.running import running
from tests.support.slow import until

CALLER = "spiffe://test.mesh/ns/agents/sa/front"
OK = json_answer(result({"content": []}))
USERS = "{issuers: [{issuer: ISSUER, audiences: ['AGENT']}]}"
EXCHANGE = "{exchange: {issuer: ISSUER, audience: crm, client: {method: none, id: triage}}}"
POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: crm}
spec: {protocol: MCP, host: 127.0.0.1, port: PORT, path: /mcp, tls: {mode: None}, credential: CREDENTIAL}
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: other}
spec: {protocol: HTTP, host: 127.0.0.1, port: PORT, path: /other, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec:
  users: USERS
  outbound:
  - {backend: crm, tools: {allow: ["*"]}}
  - {backend: other}
  inbound:
  - from: ["*"]
    http: {allow: true}
"""


@dataclass
class Pod:
    """A sidecar with an application and a server behind it; `got` and `sent` are what these two saw."""

    sidecar: Sidecar
    idp: Idp
    caller: Peer
    agent: Client
    server: Backend
    got: list[tuple[bytes, bytes]]
    sent: list[tuple[bytes, bytes]]
    lines: Lines

    async def request(self, token: str | None, path: str = "/ask", **fields: str) -> bytes:
        """What a caller gets for a request to the agent."""
        if token is not None:
            fields["authorization"] = f"Bearer {token}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.caller.received = b""
        self.caller.transport.write(f"GET {path} HTTP/1.1\r\nhost: agent\r\n{lines}\r\n".encode())
        head = await self.caller.head()
        length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
        async with asyncio.timeout(60):
            while len(self.caller.received.partition(b"\r\n\r\n")[2]) < length:
                await asyncio.sleep(0.005)
        return self.caller.received

    @property
    def handle(self) -> str:
        """What the application got in the token's place, last."""
        found = re.search(rb"\r\nauthorization: Bearer (\S+)\r\n", self.got[-1][0])
        return found[1].decode() if found else ""

    async def call(self, bearer: str | None = None, path: str = "/mcp", **fields: str) -> tuple[int, Any]:
        """What the agent gets for a tool call at the server."""
        if bearer is not None:
            fields["authorization"] = f"Bearer {bearer}"
        body = json.dumps(call("search")).encode()
        fields = {
            "host": f"127.0.0.1:{self.server.port}",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "content-length": str(len(body)),
            **fields,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        url = f"http://127.0.0.1:{self.server.port}{path}"
        await self.agent.send(f"POST {url} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        status, _, answer = await self.agent.answer()
        return status, json.loads(answer) if answer else None

    def authorization(self) -> list[str]:
        """What the server saw in Authorization, in order."""
        found = [re.search(rb"\r\nauthorization: ([^\r]*)\r\n", head) for head, _ in self.sent]
        return [match[1].decode() if match else "" for match in found]


@asynccontextmanager
async def pod(
    *answers: bytes, users: str = USERS, credential: str = EXCHANGE, policy: str = POLICY
) -> AsyncIterator[Pod]:
    application, got = answering(json_answer({"said": "hello"}))
    script, sent = answering(*(answers or (OK,)))
    mesh = new_mesh()
    provider = Published(mesh.identity(TRIAGE))
    async with idp() as issuer, serving(application) as app, serving(script) as server:
        text = policy.replace("USERS", users).replace("CREDENTIAL", credential)
        text = (
            text.replace("ISSUER", f'"{issuer.issuer}"')
            .replace("AGENT", AGENT)
            .replace("PORT", str(server.port))
        )
        async with running(text, app.port, provider) as (sidecar, bound):
            lines = Lines()
            sidecar.recorder.log = lines  # type: ignore[assignment]
            caller = await connect(mesh, CALLER, bound["inbound"])
            async with client_of(bound["forward"]) as agent:
                yield Pod(sidecar, issuer, caller, agent, server, got, sent, lines)


async def test_the_agent_gets_a_handle_and_the_backend_a_token_of_its_own() -> None:
    async with pod() as p:
        token = p.idp.token()
        assert (await p.request(token)).startswith(b"HTTP/1.1 200")
        assert p.handle.startswith("orh_")
        assert token.encode() not in p.got[0][0]
        status, _ = await p.call(p.handle)
        assert status == 200
        assert p.authorization() == ["Bearer exchanged-token-1"]
        (form,) = p.idp.tokens
        assert form["subject_token"] == token
        assert form["audience"] == "crm"


async def test_a_token_is_exchanged_once_for_many_calls() -> None:
    async with pod() as p:
        await p.request(p.idp.token())
        for _ in range(5):
            assert (await p.call(p.handle))[0] == 200
        assert len(p.idp.tokens) == 1
        assert p.authorization() == ["Bearer exchanged-token-1"] * 5


async def test_who_forwards_only_a_trace_is_known_by_it() -> None:
    async with pod() as p:
        await p.request(p.idp.token())
        trace = re.search(rb"\r\ntraceparent: (\S+)\r\n", p.got[0][0])
        assert trace is not None
        assert (await p.call(traceparent=trace[1].decode()))[0] == 200
        assert p.authorization() == ["Bearer exchanged-token-1"]


async def test_a_call_for_nobody_is_refused_with_its_reason() -> None:
    async with pod() as p:
        await p.request(p.idp.token())
        status, answer = await p.call()
        assert status == 200
        assert answer["error"]["data"]["reason"] == "subject_missing"
        assert p.sent == []


async def test_two_users_of_one_trace_are_nobody() -> None:
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    async with pod() as p:
        await p.request(p.idp.token("alice"), traceparent=trace)
        await p.request(p.idp.token("mallory"), traceparent=trace)
        _, answer = await p.call(traceparent=trace)
        assert answer["error"]["data"]["reason"] == "subject_ambiguous"
        assert p.sent == []


@pytest.mark.parametrize("bearer", ["orh_" + "A" * 43, "orh_" + "b" * 43])
async def test_a_handle_that_was_guessed_is_nobodys(bearer: str) -> None:
    async with pod() as p:
        _, answer = await p.call(bearer)
        assert answer["error"]["data"]["reason"] == "handle_unknown"
        assert p.sent == []


async def test_a_handle_goes_to_nobody_else() -> None:
    async with pod() as p:
        await p.request(p.idp.token())
        assert (await p.call(p.handle, "/other"))[0] == 200
        assert p.authorization() == [""]
        assert b"orh_" not in p.sent[0][0]


@pytest.mark.parametrize(
    ("token", "reason", "status"),
    [
        (None, b"token_missing", 401),
        ("garbage", b"token_malformed", 401),
        ("{aud}", b"token_audience", 401),
        ("{exp}", b"token_expired", 401),
        ("{iss}", b"token_issuer", 401),
    ],
)
async def test_without_a_good_token_the_application_is_not_reached(
    token: str | None, reason: bytes, status: int
) -> None:
    async with pod() as p:
        made = {
            "{aud}": p.idp.token(aud="somebody else"),
            "{exp}": p.idp.token(exp=1_000_000_000),
            "{iss}": p.idp.token(iss="https://evil.example.com"),
        }
        answer = await p.request(None if token is None else made.get(token, token))
        assert answer.startswith(b"HTTP/1.1 %d" % status)
        assert reason in answer
        assert b"www-authenticate: Bearer" in answer
        assert b"resource_metadata=" in answer
        assert p.got == []


async def test_the_metadata_say_where_tokens_come_from() -> None:
    async with pod() as p:
        answer = await p.request(None, "/.well-known/oauth-protected-resource/ask")
        document = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert document["authorization_servers"] == [p.idp.issuer]
        assert document["resource"] == "http://agent/ask"


async def test_the_decision_line_tells_user_client_and_actors() -> None:
    async with pod() as p:
        token = p.idp.token(act={"sub": "spiffe://test.mesh/ns/agents/sa/front", "act": {"sub": "gateway"}})
        await p.request(token)
        await p.call(p.handle)
        lines = [json.loads(b"{" + line) if isinstance(line, bytes) else line for line in decisions(p)]
        assert {line["user"] for line in lines} == {f"{p.idp.issuer}#alice"}
        assert lines[-1]["actors"] == ["spiffe://test.mesh/ns/agents/sa/front", "gateway"]
        assert lines[-1]["client"] == "web"
        assert token not in repr(p.lines.lines)


def decisions(p: Pod) -> list[Any]:
    return [fields for event, fields in p.lines.lines if event == "decision"]


async def test_a_backend_that_says_401_once_gets_another_token() -> None:
    refused = json_answer({"error": "invalid_token"}, "401 Unauthorized", www_authenticate="Bearer")
    async with pod(refused, OK) as p:
        await p.request(p.idp.token())
        assert (await p.call(p.handle))[0] == 200
        assert p.authorization() == ["Bearer exchanged-token-1", "Bearer exchanged-token-2"]


async def test_a_backend_that_always_says_401_is_asked_twice_and_the_agent_sees_no_401() -> None:
    refused = json_answer({"error": "invalid_token"}, "401 Unauthorized", www_authenticate="Bearer x=secret")
    async with pod(refused) as p:
        await p.request(p.idp.token())
        status, answer = await p.call(p.handle)
        assert status == 502
        assert answer["error"]["data"]["reason"] == "credential_not_accepted"
        assert len(p.sent) == 2


async def test_a_token_that_is_echoed_does_not_reach_the_agent() -> None:
    echo = json_answer(
        result({"content": [{"type": "text", "text": "exchanged-token-1"}]}),
        set_cookie="session=abc",
        x_token="exchanged-token-1",
    )
    async with pod(echo) as p:
        await p.request(p.idp.token())
        await p.call(p.handle)
        await p.agent.send(b"")
        status, answer = await p.call(p.handle)
        assert status == 200
        assert "exchanged-token-1" not in json.dumps(answer)
        assert "[outrider:credential]" in json.dumps(answer)


async def test_nothing_that_the_agent_says_of_itself_reaches_the_backend() -> None:
    async with pod() as p:
        await p.request(p.idp.token())
        await p.call(p.handle, cookie="a=b")
        assert b"cookie" not in p.sent[0][0].lower()
        assert p.sent[0][0].lower().count(b"authorization") == 1


async def test_the_token_endpoint_is_down_the_cached_token_lasts_and_then_there_is_a_503() -> None:
    async with pod() as p:
        await p.request(p.idp.token("alice"))
        assert (await p.call(p.handle))[0] == 200
        p.idp.answer = lambda form: (503, {})
        assert (await p.call(p.handle))[0] == 200
        await p.request(p.idp.token("bob"))
        status, answer = await p.call(p.handle)
        assert status == 503
        assert answer["error"]["data"]["reason"] == "credential_unavailable"
        assert p.authorization() == ["Bearer exchanged-token-1"] * 2


async def test_a_body_that_comes_while_the_token_is_verified_arrives_whole() -> None:
    async with pod() as p:
        body = b"x" * 100_000
        p.caller.transport.write(
            b"POST /ask HTTP/1.1\r\nhost: agent\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n"
            % (p.idp.token().encode(), len(body))
            + body
        )
        await p.caller.head()
        assert p.got[0][1] == body


async def test_a_caller_that_leaves_while_its_token_is_verified_leaves_nothing_behind() -> None:
    async with pod() as p:
        p.caller.transport.write(
            b"GET /ask HTTP/1.1\r\nhost: agent\r\nauthorization: Bearer %b\r\n\r\n" % p.idp.token().encode()
        )
        p.caller.transport.abort()
        await until(lambda: not p.sidecar.pipeline.pool.counts()[("busy",)])
        assert p.got == []


async def test_users_that_a_rule_names_are_let_in_and_no_others() -> None:
    policy = POLICY.replace('  - from: ["*"]\n', '  - from: ["*"]\n    users: ["*#alice"]\n')
    async with pod(policy=policy) as p:
        assert (await p.request(p.idp.token("alice"))).startswith(b"HTTP/1.1 200")
        assert (await p.request(p.idp.token("bob"))).startswith(b"HTTP/1.1 403")
        assert len(p.got) == 1


async def test_a_missing_scope_is_told_with_what_to_ask_for() -> None:
    users = USERS.replace("}]}", "}], scopes: [agent.use]}")
    async with pod(users=users) as p:
        answer = await p.request(p.idp.token())
        assert answer.startswith(b"HTTP/1.1 403")
        assert b'error="insufficient_scope"' in answer
        assert b'scope="agent.use"' in answer
        assert (await p.request(p.idp.token(scope="agent.use x"))).startswith(b"HTTP/1.1 200")


async def test_the_issuer_is_down_and_was_never_reached() -> None:
    async with pod() as p:
        p.idp.down = True
        answer = await p.request(p.idp.token())
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"issuer_unavailable" in answer
        assert p.got == []


async def test_a_stream_of_another_backend_cannot_say_where_the_credential_goes() -> None:
    announced = b"event: endpoint\ndata: /stolen\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
    async with pod(head % len(announced) + announced, OK) as p:
        await p.request(p.idp.token())
        where = f"http://127.0.0.1:{p.server.port}/other"
        fields = f"host: 127.0.0.1:{p.server.port}\r\naccept: text/event-stream\r\ncontent-length: 0\r\n"
        await p.agent.send(f"GET {where} HTTP/1.1\r\n{fields}\r\n".encode())
        assert announced in (await p.agent.answer())[2]
        _, answer = await p.call(p.handle, "/stolen")
        assert answer["error"]["data"]["reason"] == "path_not_declared"
        assert len(p.sent) == 1


async def test_who_makes_up_tokens_is_heard_no_more_for_a_while_but_for_the_good_ones() -> None:
    async with pod() as p:
        good = p.idp.token()
        await p.request(good)
        rest = good.partition(".")[2]
        heads = [f'{{"alg":"RS256","kid":"made-up-{number}"}}' for number in range(200)]
        answers = [await p.request(f"{b64(head.encode())}.{rest}") for head in heads]
        assert b"token_key_unknown" in answers[0]
        late = next(answer for answer in answers if b"too_many_unknown_tokens" in answer)
        assert late.startswith(b"HTTP/1.1 503")
        assert b"retry-after" in late
        assert (await p.request(good)).startswith(b"HTTP/1.1 200")
        assert (await p.request(p.idp.token("bob"))).startswith(b"HTTP/1.1 200")


OBSERVED = POLICY.replace("spec:\n  users", "spec:\n  mode: observe\n  users").replace(
    "  outbound:\n", "  egress: allow\n  outbound:\n"
)


def observed(p: Pod) -> list[Reason]:
    """The reasons for which tokens would have been refused."""
    reasons = [fields["reason"] for event, fields in p.lines.lines if event == "observed_token"]
    value = p.sidecar.recorder.metrics.value
    for reason in {*reasons, Reason.TOKEN_MISSING, Reason.TOKEN_MALFORMED}:
        assert value(names.OBSERVED, ("inbound", "application", reason)) == reasons.count(reason)
    return reasons


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "token_missing"),
        ("opaque-token-of-another-issuer", "token_malformed"),
        ("{iss}", "token_issuer"),
        ("{exp}", "token_expired"),
    ],
)
async def test_where_every_policy_observes_a_token_that_is_none_passes_as_it_is(
    token: str | None, reason: str
) -> None:
    async with pod(policy=OBSERVED) as p:
        made = {"{exp}": p.idp.token(exp=1_000_000_000), "{iss}": p.idp.token(iss="https://b.example.com")}
        token = None if token is None else made.get(token, token)
        assert (await p.request(token)).startswith(b"HTTP/1.1 200")
        assert p.handle == (token or "")
        assert b"traceparent" not in p.got[0][0]
        assert observed(p) == [reason]
        assert decisions(p)[0].get("user") is None


async def test_where_every_policy_observes_a_good_token_reaches_the_application_as_it_came() -> None:
    async with pod(policy=OBSERVED) as p:
        token, trace = p.idp.token(), f"00-{'ab' * 16}-{'cd' * 8}-01"
        assert (await p.request(token)).startswith(b"HTTP/1.1 200")
        assert p.handle == token
        assert b"traceparent" not in p.got[0][0]
        assert (await p.call(token))[0] == 200
        await p.request(token, traceparent=trace)
        assert (await p.call(traceparent=trace))[0] == 200
        assert p.authorization() == ["Bearer exchanged-token-1"] * 2
        assert observed(p) == []


async def test_where_every_policy_observes_a_missing_scope_is_told_and_nothing_more() -> None:
    users = USERS.replace("}]}", "}], scopes: [agent.use], bypass: [/healthz]}")
    async with pod(policy=OBSERVED, users=users) as p:
        assert (await p.request(p.idp.token())).startswith(b"HTTP/1.1 200")
        assert (await p.request(None, "/healthz")).startswith(b"HTTP/1.1 200")
        assert (await p.request("garbage", "/healthz")).startswith(b"HTTP/1.1 200")
        assert p.handle == "garbage"
        assert observed(p) == [Reason.SCOPE_MISSING]


async def test_where_every_policy_observes_the_application_answers_for_itself() -> None:
    async with pod(policy=OBSERVED) as p:
        answer = await p.request(None, "/.well-known/oauth-protected-resource")
        assert b"hello" in answer


async def test_a_handle_that_comes_back_is_no_callers_token_that_strays() -> None:
    async with pod() as p:
        await p.request(p.idp.token(), cookie="session=a-cookie-of-the-caller")
        assert (await p.call(p.handle))[0] == 200
        assert [event for event, _ in p.lines.lines if event in ("caller_token", "handle")] == []
        await p.call(p.handle, **{"x-api-key": "a-cookie-of-the-caller"})
        assert [fields["headers"] for event, fields in p.lines.lines if event == "caller_token"] == [
            ["x-api-key"]
        ]
