"""A user's token goes down a chain of agents of which none ever holds one.

At each hop the audience is that hop alone, the MCP server sees the user and everybody who acted, and the agents'
processes hold nothing but handles.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from e2e.conftest import skip
from e2e.environments import Unavailable
from e2e.oauth import memory_scan
from e2e.oauth.agent import Forward
from e2e.oauth.chain import Chain, chain
from e2e.oauth.chain_documents import AGENTS, resource
from e2e.oauth.strict import TOKEN_EXCHANGE

SECONDS = 30
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HANDLE = "Bearer orh_"


def _running(factory: pytest.TempPathFactory, forward: Forward, **more: Any) -> Iterator[Chain]:
    try:
        with chain(factory.mktemp(f"chain-{forward.value}"), forward=forward, **more) as made:
            yield made
    except Unavailable as reason:
        skip("the chain of agents", reason)


@pytest.fixture(scope="module")
def forwarding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    yield from _running(tmp_path_factory, Forward.AUTHORIZATION)


@pytest.fixture(scope="module")
def tracing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    yield from _running(tmp_path_factory, Forward.TRACE)


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The orchestrator is trusted with the token itself here, so that the scanner has something to find."""
    trusted = {"orchestrator": {"users": {"application": "token"}}}
    yield from _running(tmp_path_factory, Forward.NOTHING, changed=trusted)


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The agents speak A2A to each other."""
    yield from _running(tmp_path_factory, Forward.AUTHORIZATION, a2a=True)


async def ask(made: Chain, token: str, *, mode: str = "auto", trace: str | None = None) -> dict[str, Any]:
    """Call the orchestrator as the user's client does."""
    headers = {"Authorization": f"Bearer {token}", **({"traceparent": trace} if trace else {})}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=SECONDS, verify=made.gateway(), trust_env=False) as http,
        Client(
            streamable_http_client(made.workloads["orchestrator"].url, http_client=http), mode=mode
        ) as client,
        asyncio.timeout(SECONDS),
    ):
        result = await client.call_tool("ask", {})
    return dict(json.loads(result.content[0].text))  # type: ignore[union-attr]


def hops(answer: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the orchestrator, the worker and the crm said."""
    return answer, answer["answer"], answer["answer"]["answer"]


def new_trace(number: int) -> str:
    return f"00-{time.time_ns():032x}-{number + 1:016x}-01"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_server_sees_the_user_and_everybody_who_acted(forwarding: Chain, mode: str) -> None:
    forwarding.oauth.clear()
    _, _, claims = hops(await ask(forwarding, forwarding.sign_in("alice"), mode=mode))
    assert (claims["sub"], claims["aud"], claims["client_id"]) == ("alice", resource("crm"), "worker")
    chain_of = {"sub": forwarding.spiffe_id("worker"), "act": {"sub": forwarding.spiffe_id("orchestrator")}}
    assert claims["act"] == chain_of
    assert forwarding.oauth.violations == []
    assert forwarding.oauth.refusals == []


async def test_each_token_is_for_one_hop_alone(forwarding: Chain) -> None:
    forwarding.oauth.clear()
    await ask(forwarding, forwarding.sign_in("bob"))
    granted = [(each["client_id"], each["sub"], each["aud"]) for each in forwarding.oauth.granted]
    assert granted == [("orchestrator", "bob", resource("worker")), ("worker", "bob", resource("crm"))]


async def test_agents_are_given_handles_and_no_tokens(forwarding: Chain) -> None:
    orchestrator, worker, _ = hops(await ask(forwarding, forwarding.sign_in("carol")))
    for agent in (orchestrator, worker):
        assert agent["received"].startswith(HANDLE)
    assert orchestrator["received"] != worker["received"]


async def test_a_second_call_needs_no_new_token(forwarding: Chain) -> None:
    token = forwarding.sign_in("dave")
    forwarding.oauth.clear()
    for _ in range(3):
        await ask(forwarding, token)
    assert forwarding.oauth.counts[TOKEN_EXCHANGE] == 2


async def test_users_at_the_same_time_are_not_mixed_up(forwarding: Chain) -> None:
    names = [f"user-{number}" for number in range(8)]
    answers = await asyncio.gather(*(ask(forwarding, forwarding.sign_in(name)) for name in names))
    assert [hops(answer)[2]["sub"] for answer in answers] == names


async def test_the_chain_is_in_the_audit_line(forwarding: Chain) -> None:
    await ask(forwarding, forwarding.sign_in("erin"))
    user = f"{forwarding.oauth.issuer}#erin"
    line = forwarding.workloads["crm"].said(event="decision", direction="inbound", name="whoami", user=user)
    assert (line["peer"], line["client"]) == (forwarding.spiffe_id("worker"), "worker")
    assert line["actors"] == [forwarding.spiffe_id(name) for name in reversed(AGENTS)]


async def test_the_agents_processes_hold_no_token(forwarding: Chain) -> None:
    """Not the user's, nor one that was exchanged for it, nor what the sidecar proves itself with."""
    forwarding.oauth.clear()
    token = forwarding.sign_in("frank")
    answer = await ask(forwarding, token)
    tokens = [token, *dict.fromkeys(forwarding.oauth.tokens)]
    assert len(tokens) > 2 * len(AGENTS)
    for name, pid in forwarding.agents().items():
        assert memory_scan.scan(pid, tokens) == [], name
        handle = hops(answer)[AGENTS.index(name)]["received"].removeprefix("Bearer ")
        assert memory_scan.scan(pid, [handle]), "the scanner does not find what is there"


async def test_tokens_that_end_are_replaced_while_the_user_goes_on(forwarding: Chain) -> None:
    forwarding.oauth.clear()
    forwarding.oauth.tokens_live(2)
    token = forwarding.sign_in("judy")
    try:
        for waited in (0.0, 1.5, 1.5):  # the tokens' own time
            await asyncio.sleep(waited)
            assert hops(await ask(forwarding, token))[2]["sub"] == "judy"
    finally:
        forwarding.oauth.tokens_live(300)
    assert forwarding.oauth.counts[TOKEN_EXCHANGE] > 2
    assert (forwarding.oauth.violations, forwarding.oauth.refusals) == ([], [])


async def test_a_token_for_somebody_else_is_not_taken_and_not_asked_for_again_and_again(
    forwarding: Chain,
) -> None:
    forwarding.oauth.clear()
    forwarding.oauth.behave(lie="other-audience")
    try:
        answer = await ask(forwarding, forwarding.sign_in("mallory"))
        assert "error" in answer["answer"], answer
        assert forwarding.oauth.counts[TOKEN_EXCHANGE] <= 4
    finally:
        forwarding.oauth.clear()
    assert "sub" in hops(await ask(forwarding, forwarding.sign_in("nina")))[2]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_trace_tells_whose_request_it_is(tracing: Chain, mode: str) -> None:
    names = [f"traced-{mode}-{number}" for number in range(4)]
    asked = [
        ask(tracing, tracing.sign_in(name), mode=mode, trace=new_trace(number))
        for number, name in enumerate(names)
    ]
    answers = await asyncio.gather(*asked)
    assert [hops(answer)[2]["sub"] for answer in answers] == names
    assert tracing.oauth.violations == []


async def test_who_forwards_nothing_is_refused(silent: Chain) -> None:
    silent.oauth.clear()
    answer = await ask(silent, silent.sign_in("grace"))
    assert answer["answer"]["error"]["data"] == {"reason": "subject_missing"}, answer
    assert silent.workloads["orchestrator"].said(reason="subject_missing")["backend"] == "worker"
    assert TOKEN_EXCHANGE not in silent.oauth.counts
    assert not silent.workloads["worker"].decisions("inbound")


async def test_the_scanner_finds_the_token_where_an_agent_is_given_it(silent: Chain) -> None:
    token = silent.sign_in("heidi")
    answer = await ask(silent, token)
    assert answer["received"] == f"Bearer {token}"
    assert memory_scan.scan(silent.agents()["orchestrator"], [token])
    assert memory_scan.scan(silent.agents()["worker"], [token]) == []


async def test_agents_that_speak_a2a_are_a_chain_too(talking: Chain) -> None:
    talking.oauth.clear()
    token = talking.sign_in("ivan")
    orchestrator, worker, claims = hops(await ask(talking, token))
    for agent in (orchestrator, worker):
        assert agent["received"].startswith(HANDLE)
    assert (claims["sub"], claims["aud"], claims["client_id"]) == ("ivan", resource("crm"), "worker")
    acts = {"sub": talking.spiffe_id("worker"), "act": {"sub": talking.spiffe_id("orchestrator")}}
    assert claims["act"] == acts
    assert talking.oauth.violations == []
    tokens = [token, *dict.fromkeys(talking.oauth.tokens)]
    for name, pid in talking.agents().items():
        assert memory_scan.scan(pid, tokens) == [], name
