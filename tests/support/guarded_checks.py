"""What has to become of a message with something planted in it, and what is wrong where it does not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import cache
from typing import Any

from mesh.policy.content import guardrails_of
from mesh.policy.guardrails import Direction
from mesh.protocol.mcp.places import places_of_request
from mesh.protocol.mcp.versions import Era
from sidecar.app import Sidecar
from sidecar.guardrails.engine import Engine
from tests.support.guarded_messages import (
    FROM_CLIENT,
    FROM_SERVER,
    INJECTION,
    MAIL,
    Sample,
    at,
    places,
    token,
)
from tests.support.guarded_ways import Server, Shown, Way, say
from tests.support.loopback import POLICY, client_of, serving, sidecar_for

TOKEN = token()
Fault = str | None
Check = Callable[[Sample, str, dict[str, Any], Shown], Fault]


@cache
def warm() -> None:
    """What detectors make at first use takes longer than a message may, where others run beside."""
    guardrails = replace(guardrails_of(()), budget=60.0)
    processors = tuple(replace(one, timeout=60.0) for one in guardrails.processors)
    roots = places_of_request(
        {"id": 1, "method": "tools/call", "params": {"arguments": {"a": f"{MAIL} {TOKEN} {INJECTION}"}}}
    )
    Engine(replace(guardrails, processors=processors)).examine(roots, Direction.REQUEST)


def policy_with(guardrails: str) -> str:
    """Everything is allowed to the agent, and looked at like this."""
    allowed = 'tools: {allow: ["*"]}\n    prompts: {allow: ["*"]}\n    resources: {allow: ["*"]}\n'
    head, _, rest = POLICY.partition("    tools: {allow: [search")
    tail = rest[rest.index("  - backend: plain") :]
    return f"{head}    {allowed}    guardrails: {guardrails}\n{tail}"


@asynccontextmanager
async def between(
    guardrails: str, server: Server | None = None
) -> AsyncIterator[tuple[Sidecar, int, Server]]:
    server = server or Server()
    warm()
    async with (
        serving(server.script) as backend,
        sidecar_for(backend.port, policy=policy_with(guardrails)) as (sidecar, port),
    ):
        yield sidecar, port, server


World = Callable[[str], AbstractAsyncContextManager[tuple[Sidecar, int, Server]]]
"""Given guardrails, an agent's port and a server with a sidecar that has them in between."""


async def faults_from_server(
    world: World, guardrails: str, era: Era, name: str, text: str, check: Check
) -> list[str]:
    """What is wrong, by message and place, when servers plant `text`."""
    found: list[str] = []
    async with world(guardrails) as (_, port, server), client_of(port) as client, client_of(port) as stream:
        way = Way(client, server, era, name)
        if not name.startswith("post"):
            await way.listen(stream)
        for sample, place in places(FROM_SERVER, era):
            if way.carries(sample):
                message = sample.planted(place, text)
                shown = await way.deliver(sample, message)
                fault = check(sample, place, message, shown)
                if fault is not None:
                    found.append(f"{sample.name}: {place}: {fault}")
    return found


async def faults_from_client(
    world: World, guardrails: str, era: Era, way: str, text: str, check: Check
) -> list[str]:
    found: list[str] = []
    async with world(guardrails) as (_, port, server), client_of(port) as client:
        for sample, place in places(FROM_CLIENT, era):
            message = sample.planted(place, text)
            shown = await say(client, server, way, message, era)
            fault = check(sample, place, message, shown)
            if fault is not None:
                found.append(f"{sample.name}: {place}: {fault}")
    return found


def reason_of(messages: list[dict[str, Any]]) -> str | None:
    """Why the one message is an error."""
    if len(messages) != 1:
        return None
    data = messages[0].get("error", {}).get("data")
    return data.get("reason") if type(data) is dict else None


def refused_by_server_side(
    sample: Sample, message: dict[str, Any], shown: Shown, reasons: tuple[str, ...]
) -> Fault:
    """What is wrong with how a message of a server's was kept back."""
    if sample.kind == "answer":
        if reason_of(shown.messages) not in reasons or shown.messages[0]["id"] != message["id"]:
            return f"not an error in its place: {shown.raw[:300]}"
        return None
    if shown.messages:
        return f"passed: {shown.raw[:300]}"
    if sample.kind == "request":
        told = [one for one in shown.posted if type(one) is dict and one.get("id") == message["id"]]
        return None if told and "error" in told[0] else f"the server waits for ever: {shown.posted}"
    return None


def not_there(shown: Shown, text: str) -> bool:
    return json.dumps(text)[1:-1] not in shown.raw and text not in shown.raw


LISTS = ("tools", "prompts", "resources", "resourceTemplates", "skills")


def without_item(message: dict[str, Any], place: str, shown: Shown) -> bool:
    """Whether the list came without the item that `place` is in, and with the others."""
    steps = place.split(".")
    if len(shown.messages) != 1 or len(steps) < 3 or steps[1] not in LISTS:
        return False
    items = shown.messages[0].get("result", {}).get(steps[1])
    before = message.get("result", {}).get(steps[1])
    return type(before) is list and items == before[1:]


def masked(sample: Sample, place: str, message: dict[str, Any], shown: Shown) -> Fault:
    if not not_there(shown, MAIL):
        return f"arrived: {shown.raw[:300]}"
    if place in sample.unmaskable:
        if without_item(message, place, shown):
            return None  # the policy lets nothing of such a name pass
        return refused_by_server_side(sample, message, shown, ("guard_unmaskable",))
    if len(shown.messages) != 1:
        return f"lost: {shown.raw[:300]}"
    return changed_only_there(place, message, shown.messages[0])


def changed_only_there(place: str, message: dict[str, Any], got: dict[str, Any]) -> Fault:
    path, _, _ = place.partition(":")
    if "error" in got and "error" not in message:
        return f"refused: {got}"
    *steps, last = path.split(".")
    there, before = at(got, path), at(message, path)
    if type(there) is not str or ("<EMAIL_" not in there and "uri" not in last.lower()):
        return f"no surrogate: {there!r}"
    holder = at(got, ".".join(steps))
    holder[int(last) if type(holder) is list else last] = before
    return None if got == message else f"something else changed: {got}"


def blocked(reason: str, text: str) -> Check:
    def check(sample: Sample, place: str, message: dict[str, Any], shown: Shown) -> Fault:
        if not not_there(shown, text):
            return f"arrived: {shown.raw[:300]}"
        if sample.kind == "answer" and place.split(".")[1] in LISTS and place.split(".")[2:3] != []:
            return None if without_item(message, place, shown) else f"not only the item: {shown.raw[:300]}"
        return refused_by_server_side(sample, message, shown, (reason,))

    return check


NAMED_BY_POLICY = ("params.name", "params.ref.name")


def client_refused(reason: str | None) -> Check:
    """Refused, or (`reason` None) masked where the place admits that."""

    def check(sample: Sample, place: str, message: dict[str, Any], shown: Shown) -> Fault:
        if reason is None and place in sample.maskable:
            if len(shown.posted) != 1:
                return f"lost: {shown.messages}"
            got = shown.posted[0][0] if type(shown.posted[0]) is list else shown.posted[0]
            if not not_there(shown, MAIL):
                return f"arrived: {shown.raw[:400]}"
            return changed_only_there(place, message, got)
        if shown.posted:
            return f"passed: {shown.raw[:400]}"
        if sample.kind != "request":
            return None
        if place in NAMED_BY_POLICY and shown.messages and "error" in shown.messages[0]:
            return None  # no name that a policy can grant
        if place in ("params._meta.progressToken",) and shown.messages and "error" in shown.messages[0]:
            return None
        want = reason or "guard_unmaskable"
        return None if reason_of(shown.messages) == want else f"not {want}: {shown.messages}"

    return check


PLANTED = [
    ("{pii: mask}", MAIL, masked),
    ("{secrets: block}", TOKEN, blocked("guard_secret", TOKEN)),
    ("{injection: block}", INJECTION, blocked("guard_injection", INJECTION)),
]


CLIENT_PLANTED = [
    ("{pii: mask}", MAIL, client_refused(None)),
    ("{secrets: block}", TOKEN, client_refused("guard_secret")),
    ("{injection: block}", INJECTION, client_refused("guard_injection")),
]
