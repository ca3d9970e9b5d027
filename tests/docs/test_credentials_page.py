"""docs/credentials.md: its documents do what it says, and its tables are those of the code."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml

from mesh.policy import load_texts
from mesh.policy.credentials import Hidden
from mesh.policy.principal import User
from mesh.policy.user_auth import Issuer, UserAuth
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import RequestReader
from mesh.reasons import SENTENCES, Reason
from mesh.settings.placeholders import PLACEHOLDER
from mesh.settings.table import ANNOTATIONS
from sidecar.app import Sidecar
from sidecar.config import (
    AgentSettings,
    ApplicationSettings,
    Decisions,
    IdentitySettings,
    ListenSettings,
    Provider,
    SidecarConfig,
)
from sidecar.credentials import cache, correlation, handles, key_sets, known_tokens, refusals, user_sessions
from sidecar.credentials.challenges import unauthorized
from sidecar.credentials.kinds import NAMES
from sidecar.credentials.rejections import RENEW_SECONDS
from sidecar.credentials.sources import Sources
from sidecar.credentials.verified import TokenRefused, Verified
from sidecar.limits import Limits
from sidecar.proxy.replies import _NO_CREDENTIAL_STATUS
from sidecar.telemetry.names import METRICS
from tests.support.authorizing import YES, http_service
from tests.support.fakes import Lines
from tests.support.idp import AGENT, Idp, idp
from tests.support.loopback import Client, answering, call, client_of, json_answer, result, serving
from tests.support.meshed import TRIAGE, Published, new_mesh
from tests.support.peer import Peer, connect

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "credentials.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ISSUER = "https://idp.example.com/realms/acme"
FRONT = "spiffe://test.mesh/ns/agents/sa/front"


def section(title: str) -> str:
    found = PAGE.partition(f"\n## {title}\n")[2]
    assert found, title
    return found.partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of its tables, without their heads."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# What is written.


def test_the_documents_load() -> None:
    for block in BLOCKS:
        if "apiVersion" in block:
            load_texts([("docs/credentials.md", block)])
        else:
            assert set(yaml.safe_load(block)["metadata"]["annotations"]) <= set(ANNOTATIONS)


def test_every_kind_of_credential_has_a_row() -> None:
    assert sorted(codes(row[0])[0] for row in rows("What a Backend gets")) == sorted(NAMES.values())


FAILURES = [
    (code, int(row[1]))
    for row in rows("What fails, and what then")
    if row[1].isdigit()
    for code in codes(row[2])
]


@pytest.mark.parametrize(("code", "status"), FAILURES)
def test_failures_have_the_status_that_the_page_says(code: str, status: int) -> None:
    reason = Reason(code)
    at_the_door = (Reason.SCOPE_MISSING, Reason.ISSUER_UNAVAILABLE, Reason.TOO_MANY_UNKNOWN_TOKENS)
    if code.startswith("token_") or reason in at_the_door:
        auth = UserAuth((Issuer(ISSUER, (AGENT,)),))
        head = RequestHead("GET", b"/", [(b"host", b"a")], 0, True, False, False)
        refused = TokenRefused(reason, "x")
        assert unauthorized(refused, auth, head, "/", scheme="http").status == status
    elif not code.startswith(("placeholder_", "http_")):
        assert _NO_CREDENTIAL_STATUS.get(reason, 403) == status


def test_every_reason_about_credentials_has_a_row() -> None:
    said = {code for code, _ in FAILURES}
    own = {
        code
        for code in SENTENCES
        if re.match(
            r"(token|issuer|subject|credential|placeholder)_|scope_missing|handle_|session_(of|un)", code
        )
    }
    assert own - said == {"handle_stripped", "token_repeated"}  # the second: such heads do not get that far


def test_two_authorization_headers_are_refused_as_the_page_says() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"
    with pytest.raises(HttpRefused) as refused:
        RequestReader(MagicMock(), HttpLimits()).feed(head)
    assert (str(refused.value.reason), refused.value.status) in FAILURES


def test_the_metrics_of_the_page_exist() -> None:
    assert set(re.findall(r"`(outrider_\w+)`", PAGE)) <= {metric.name for metric in METRICS}


def default(of: Callable[..., Any], name: str) -> Any:
    return inspect.signature(of).parameters[name].default


def test_what_is_kept_is_kept_as_long_as_the_page_says() -> None:
    kept = {row[0]: row for row in rows("How long things are kept")}
    assert kept["credential"][3] == f"{default(Sources, 'limit'):,}" == kept["refusal"][3]
    assert (refusals.REFUSED_SECONDS, refusals.FIRST_SECONDS, refusals.LONGEST_SECONDS) == (5, 1, 30)
    assert (refusals.RETRY_AFTER_SECONDS, default(Sources, "at_once"), RENEW_SECONDS) == (300, 64, 10)
    assert cache.EARLY - cache.JITTER < 2 / 3 < cache.EARLY
    assert kept["verified token"][3] == f"{known_tokens.MOST_TOKENS:,} tokens, 16 MiB"
    assert known_tokens.MOST_TOKEN_BYTES == 16 * 1024 * 1024
    assert (kept["refused token"][3], known_tokens.REFUSED_SECONDS) == (f"{known_tokens.MOST_REFUSED:,}", 5)
    assert (key_sets.FRESH_SECONDS, key_sets.STALE_SECONDS, key_sets.APART_SECONDS) == (600, 86400, 10)
    share = handles.MOST_OF_ONE
    assert kept["handle"][3] == f"{default(handles.Handles, 'limit'):,}, {share} of one user"
    assert default(handles.Handles, "seconds") == 3600
    signs = correlation.Belongings
    assert kept["sign"][3] == f"{default(signs, 'limit'):,}, {correlation.MOST_OF_ONE:,} of one user"
    assert (default(signs, "trace_seconds"), default(signs, "seconds")) == (600, 3600)
    sessions = user_sessions.UserSessions
    told = f"{default(sessions, 'limit'):,} sessions, {user_sessions.MOST_USERS} users of each"
    assert (kept["sessions behind a session of the agent"][3], default(sessions, "seconds")) == (told, 86400)


def test_words_of_the_page_are_those_of_the_code() -> None:
    verified = Verified(User(ISSUER, "alice"), "x", float("inf"), b"x")
    assert handles.Handles().give(verified).startswith(b"orh_")
    assert PLACEHOLDER == "outrider-hidden-"
    assert Limits().body_bytes == 4 * 1024 * 1024


# What is done: the page's first documents, with the addresses of this machine.


class Pod:
    def __init__(self, issuer: Idp, caller: Peer, agent: Client, port: int, lines: Lines) -> None:
        self.idp = issuer
        self.caller = caller
        self.agent = agent
        self.port = port
        self.lines = lines
        self.got: list[tuple[bytes, bytes]] = []
        self.sent: list[tuple[bytes, bytes]] = []
        self.shown: dict[str, str] = {}

    async def ask(self, path: str = "/ask", **fields: str) -> bytes:
        """What a caller gets."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.caller.received = b""
        self.caller.transport.write(f"GET {path} HTTP/1.1\r\nhost: agent\r\n{lines}\r\n".encode())
        head = await self.caller.head()
        (length,) = re.findall(rb"content-length: (\d+)", head)
        async with asyncio.timeout(60):
            while len(self.caller.received.partition(b"\r\n\r\n")[2]) < int(length):
                await asyncio.sleep(0.005)
        return self.caller.received

    def field(self, name: str) -> str:
        """Of the last request that the application got."""
        return re.findall(rf"\r\n{name}: ([^\r]+)", self.got[-1][0].decode())[0]

    async def call(self, tool: str = "get_order", **fields: str) -> tuple[int, Any]:
        """What the agent gets."""
        body = json.dumps(call(tool)).encode()
        fields |= {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        host = f"127.0.0.1:{self.port}"
        head = (
            f"POST http://{host}/mcp HTTP/1.1\r\nhost: {host}\r\n{lines}content-length: {len(body)}\r\n\r\n"
        )
        await self.agent.send(head.encode() + body)
        status, self.shown, answer = await self.agent.answer()
        return status, json.loads(answer)

    def told(self, event: str) -> list[dict[str, Any]]:
        found = [fields for name, fields in self.lines.lines if name == event]
        return [json.loads(b"{" + one) if isinstance(one, bytes) else one for one in found]


@asynccontextmanager
async def pod(
    *answers: bytes, protocol: str = "MCP", step_up: str = "", more: str = "", connect_to: int = 0
) -> AsyncIterator[Pod]:
    application, got = answering(json_answer({"said": "hello"}))
    script, sent = answering(*(answers or (json_answer(result({"content": []})),)))
    mesh = new_mesh()
    async with idp() as issuer, serving(application) as app, serving(script) as server:
        text = BLOCKS[0].replace(ISSUER, issuer.issuer).replace("https://triage.agents.example.com", AGENT)
        text = text.replace("cluster.local", "test.mesh").replace("host: crm.example.com", "host: 127.0.0.1")
        text = text.replace("port: 443", f"port: {server.port}").replace("mode: Public", "mode: None")
        # The certificate authority of this test issues no JWT-SVIDs.
        text += "      client: {method: none, id: triage}\n"
        if step_up:
            text += f"      stepUp: [{step_up}]\n"
        if protocol == "HTTP":
            text = text.replace("protocol: MCP", "protocol: HTTP")
            text = text.replace('    tools: {allow: ["get_*"]}\n', "")
        text += more
        config = SidecarConfig(
            AgentSettings("agents", "triage", {"app": "triage"}),
            IdentitySettings(Provider.WORKLOAD_API),
            ListenSettings(("127.0.0.1", 0), ("127.0.0.1", 0), ("127.0.0.1", 0)),
            ApplicationSettings("127.0.0.1", (app.port,)),
            (Path("policies.yaml"),),
            dict.fromkeys(("authz:9191", "authz.agents.svc.cluster.local:9191"), f"127.0.0.1:{connect_to}"),
            replace(Limits(), drain_seconds=0.2),
            Decisions.ALL,
        )
        sidecar = Sidecar(config, load_texts([("policies.yaml", text)]), Published(mesh.identity(TRIAGE)))
        lines = Lines()
        sidecar.recorder.log = lines  # type: ignore[assignment]
        bound = {name: int(address.rpartition(":")[2]) for name, address in (await sidecar.start()).items()}
        try:
            caller = await connect(mesh, FRONT, bound["inbound"])
            async with client_of(bound["forward"]) as agent:
                one = Pod(issuer, caller, agent, server.port, lines)
                one.got, one.sent = got, sent
                yield one
        finally:
            sidecar.stop()
            await sidecar.drain()


async def test_the_life_of_a_token_is_as_drawn() -> None:
    async with pod() as p:
        token = p.idp.token()
        await p.ask(authorization=f"Bearer {token}")
        handle = p.field("authorization")
        assert handle.startswith("Bearer orh_")
        assert p.field("traceparent")
        status, answer = await p.call(authorization=handle, cookie="a=b")
        assert (status, "error" in answer) == (200, False)
        ((head, body),) = p.sent
        assert b"authorization: Bearer exchanged-token-1\r\n" in head
        assert token.encode() not in head + body
        assert b"orh_" not in head + body
        assert b"cookie" not in head
        (form,) = p.idp.tokens
        assert (form["subject_token"], form["audience"]) == (token, "crm")
        said = repr(p.lines.lines)
        assert token not in said
        assert handle.removeprefix("Bearer ") not in said
        assert "exchanged-token-1" not in said


async def test_no_token_is_needed_where_it_is_bypassed() -> None:
    async with pod() as p:
        assert (await p.ask("/healthz")).startswith(b"HTTP/1.1 200")
        assert (await p.ask()).startswith(b"HTTP/1.1 401")
        assert (await p.ask("/healthz", authorization="Bearer garbage")).startswith(b"HTTP/1.1 200")
        assert b"authorization" not in p.got[-1][0]


async def test_the_metadata_are_the_sidecars() -> None:
    async with pod() as p:
        for path in ("", "/mcp"):
            answer = await p.ask(f"/.well-known/oauth-protected-resource{path}")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["authorization_servers"] == [p.idp.issuer]
        assert p.got == []


async def test_a_trace_is_enough_and_an_unknown_handle_is_not_overruled_by_it() -> None:
    async with pod() as p:
        await p.ask(authorization=f"Bearer {p.idp.token()}")
        trace = p.field("traceparent")
        assert "result" in (await p.call(traceparent=trace))[1]
        _, answer = await p.call(traceparent=trace, authorization="Bearer orh_" + "a" * 43)
        assert answer["error"]["data"]["reason"] == "handle_unknown"
        _, answer = await p.call()
        assert answer["error"]["data"]["reason"] == "subject_missing"


async def test_two_handles_are_nobodys() -> None:
    async with pod() as p:
        await p.ask(authorization=f"Bearer {p.idp.token('alice')}")
        first = p.field("authorization")
        await p.ask(authorization=f"Bearer {p.idp.token('bob')}")
        second = p.field("authorization").removeprefix("Bearer ")
        _, answer = await p.call(authorization=first, **{"x-other": second})
        assert answer["error"]["data"]["reason"] == "subject_ambiguous"


async def test_the_agent_has_nobody_to_log_in() -> None:
    async with pod() as p:
        host = f"127.0.0.1:{p.port}"
        path = f"http://{host}/.well-known/oauth-protected-resource/mcp"
        await p.agent.send(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        status, _, _ = await p.agent.answer()
        assert status == 404
        assert p.sent == []


async def test_an_echo_does_not_come_back() -> None:
    echo = json_answer(result({"content": [{"type": "text", "text": "exchanged-token-1"}]}))
    async with pod(echo) as p:
        await p.ask(authorization=f"Bearer {p.idp.token()}")
        _, answer = await p.call(authorization=p.field("authorization"))
        assert answer["result"]["content"][0]["text"] == "[outrider:credential]"


async def test_lines_have_the_fields_that_the_page_names() -> None:
    async with pod() as p:
        await p.ask()
        await p.ask(authorization=f"Bearer {p.idp.token(act={'sub': 'gateway'})}")
        await p.call(authorization=p.field("authorization"))
        refused, decided = p.told("refused_message")[0], p.told("decision")[-1]
        assert (refused["side"], refused["reason"]) == ("client", "token_missing")
        assert {"peer", "detail"} <= set(refused)
        assert decided["user"] == f"{p.idp.issuer}#alice"
        assert (decided["client"], decided["actors"]) == ("web", ["gateway"])


async def test_words_about_credentials_do_not_come_back() -> None:
    told = json_answer({"a": 1}, "403 Forbidden", www_authenticate='Bearer error="insufficient_scope"')
    told = told.replace(b"\r\n\r\n", b"\r\nset-cookie: a=b\r\nauthentication-info: x\r\n\r\n", 1)
    async with pod(told) as p:
        await p.ask(authorization=f"Bearer {p.idp.token()}")
        await p.call(authorization=p.field("authorization"))
        assert not {"set-cookie", "www-authenticate", "authentication-info"} & set(p.shown)


async def test_an_answer_that_is_compressed_is_refused() -> None:
    async with pod(json_answer({"a": 1}, content_encoding="gzip")) as p:
        await p.ask(authorization=f"Bearer {p.idp.token()}")
        status, _ = await p.call(authorization=p.field("authorization"))
        assert status == 502
        assert b"accept-encoding: identity" in p.sent[0][0]


REFUSED = json_answer({"error": "invalid_token"}, "401 Unauthorized", www_authenticate="Bearer")
FINE = json_answer(result({"content": []}))


async def test_a_body_that_is_held_is_sent_again_after_a_401_with_another_credential() -> None:
    async with pod(REFUSED, FINE) as p:
        await p.ask(authorization=f"Bearer {p.idp.token()}")
        assert (await p.call(authorization=p.field("authorization")))[0] == 200
        assert [f"exchanged-token-{n}".encode() in p.sent[n - 1][0] for n in (1, 2)] == [True, True]


async def test_a_body_that_streams_is_sent_once_and_the_next_goes_with_another_credential() -> None:
    async with pod(REFUSED, FINE, protocol="HTTP") as p:
        await p.ask(authorization=f"Bearer {p.idp.token()}")
        status, answer = await p.call(authorization=p.field("authorization"))
        assert (status, answer["reason"]) == (502, "credential_not_accepted")
        assert "HTTP 401: The Backend" in answer["detail"]
        assert (await p.call(authorization=p.field("authorization")))[0] == 200
        assert [f"exchanged-token-{n}".encode() in p.sent[n - 1][0] for n in (1, 2)] == [True, True]


@pytest.mark.parametrize(("step_up", "status"), [("orders.write", 200), ("orders.read", 403)])
async def test_more_scopes_are_asked_for_where_the_policy_says_so(step_up: str, status: int) -> None:
    challenge = (
        'Bearer error="insufficient_scope", scope="orders.write", resource_metadata="http://evil.example"'
    )
    more = json_answer({"error": "insufficient_scope"}, "403 Forbidden", www_authenticate=challenge)
    async with pod(more, FINE, step_up=step_up) as p:
        await p.ask(authorization=f"Bearer {p.idp.token()}")
        got, _ = await p.call(authorization=p.field("authorization"))
        assert got == status
        asked = [form.get("scope") for form in p.idp.tokens]
        assert asked == [None, "orders.write"][: 2 if status == 200 else 1]


async def test_no_token_is_asked_for_where_a_tool_is_not_granted() -> None:
    async with pod() as p:
        await p.ask(authorization=f"Bearer {p.idp.token()}")
        _, answer = await p.call("delete_order", authorization=p.field("authorization"))
        assert "error" in answer
        assert (p.sent, p.idp.tokens) == ([], [])


GATE = """---
apiVersion: agentic.networking.x-k8s.io/v1alpha1
kind: XAccessPolicy
metadata: {name: gate, namespace: agents}
spec:
  targetRefs: [{group: outrider.dev, kind: Backend, name: crm}]
  action: ExternalAuth
  externalAuth:
    protocol: HTTP
    backendRef: {name: authz, port: 9191}
    http: {path: /check}
"""


async def test_an_authorization_service_that_is_asked_outbound_sees_neither_handle_nor_token() -> None:
    async with (
        http_service(lambda head, body: YES) as service,
        pod(FINE, more=GATE, connect_to=service.port) as p,
    ):
        await p.ask(authorization=f"Bearer {p.idp.token()}")
        assert (await p.call(authorization=p.field("authorization")))[0] == 200
        ((head, _),) = service.asked
        assert b"authorization" not in head.lower()
        assert b"authorization: Bearer exchanged-token-1" in p.sent[0][0]


def test_hidden_is_the_kind_of_the_second_backend() -> None:
    (backend,) = load_texts([("docs/credentials.md", BLOCKS[3])]).backends
    assert backend.credential == Hidden(("GITHUB_TOKEN",))
