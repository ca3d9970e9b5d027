"""Whatever place of whatever message something stands in, and however it travels, a guardrail sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mesh.protocol.mcp.methods import METHODS, Sender
from mesh.protocol.mcp.versions import Era
from sidecar.app import Sidecar
from sidecar.telemetry import names
from tests.support.guarded_messages import (
    FROM_CLIENT,
    FROM_SERVER,
    INJECTION,
    MAIL,
    NEVER_PASSES,
    Sample,
    at,
    places,
    token,
)
from tests.support.guarded_ways import CLIENT_WAYS, SERVER_WAYS, Server, Shown, Way, say
from tests.support.loopback import POLICY, client_of, serving, sidecar_for

TOKEN = token()
Fault = str | None
Check = Callable[[Sample, str, dict[str, Any], Shown], Fault]


def policy_with(guardrails: str) -> str:
    """Everything is allowed to the agent, and looked at like this."""
    allowed = 'tools: {allow: ["*"]}\n    prompts: {allow: ["*"]}\n    resources: {allow: ["*"]}\n'
    head, _, rest = POLICY.partition("    tools: {allow: [search")
    tail = rest[rest.index("  - backend: plain") :]
    return f"{head}    {allowed}    guardrails: {guardrails}\n{tail}"


@asynccontextmanager
async def between(guardrails: str) -> AsyncIterator[tuple[Sidecar, int, Server]]:
    server = Server()
    async with (
        serving(server.script) as backend,
        sidecar_for(backend.port, policy=policy_with(guardrails)) as (sidecar, port),
    ):
        yield sidecar, port, server


async def faults_from_server(guardrails: str, era: Era, name: str, text: str, check: Check) -> list[str]:
    """What is wrong, by message and place, when servers plant `text`."""
    found: list[str] = []
    async with between(guardrails) as (_, port, server), client_of(port) as client, client_of(port) as stream:
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


async def faults_from_client(guardrails: str, era: Era, way: str, text: str, check: Check) -> list[str]:
    found: list[str] = []
    async with between(guardrails) as (_, port, server), client_of(port) as client:
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


WAYS = [(era, name) for era, names_ in SERVER_WAYS.items() for name in names_]
PLANTED = [
    ("{pii: mask}", MAIL, masked),
    ("{secrets: block}", TOKEN, blocked("guard_secret", TOKEN)),
    ("{injection: block}", INJECTION, blocked("guard_injection", INJECTION)),
]


@pytest.mark.parametrize(("guardrails", "text", "check"), PLANTED, ids=["mask", "secret", "injection"])
@pytest.mark.parametrize(("era", "way"), WAYS, ids=[f"{era.value}-{way}" for era, way in WAYS])
async def test_nothing_of_a_servers_passes_unseen(
    era: Era, way: str, guardrails: str, text: str, check: Check
) -> None:
    assert "\n".join(await faults_from_server(guardrails, era, way, text, check)) == ""


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


CLIENT_PLANTED = [
    ("{pii: mask}", MAIL, client_refused(None)),
    ("{secrets: block}", TOKEN, client_refused("guard_secret")),
    ("{injection: block}", INJECTION, client_refused("guard_injection")),
]
FROM = [(era, name) for era, names_ in CLIENT_WAYS.items() for name in names_]


@pytest.mark.parametrize(("guardrails", "text", "check"), CLIENT_PLANTED, ids=["mask", "secret", "injection"])
@pytest.mark.parametrize(("era", "way"), FROM, ids=[f"{era.value}-{way}" for era, way in FROM])
async def test_nothing_of_a_clients_passes_unseen(
    era: Era, way: str, guardrails: str, text: str, check: Check
) -> None:
    assert "\n".join(await faults_from_client(guardrails, era, way, text, check)) == ""


# By default.


class Lines:
    """A log that is kept."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})

    def write_encoded(self, line: bytes) -> None:
        pass


KINDS = ((MAIL, "pii"), (TOKEN, "secrets"), (INJECTION, "injection"))


@pytest.mark.parametrize(("text", "detector"), KINDS, ids=[detector for _, detector in KINDS])
@pytest.mark.parametrize("era", list(Era))
async def test_by_default_everything_passes_as_it_is_and_is_written_down(
    era: Era, text: str, detector: str
) -> None:
    found: list[str] = []
    async with between("{}") as (sidecar, port, server), client_of(port) as client:
        log = Lines()
        sidecar.recorder.log, sidecar.recorder._log_allowed = log, True
        for sample, place in [*places(FROM_SERVER, era), *places(FROM_CLIENT, era)]:
            if place in NAMED_BY_POLICY:
                continue  # refused as no name, or told by the decision that let it pass
            message = sample.planted(place, text)
            log.lines.clear()
            if sample in FROM_SERVER:
                shown = await Way(client, server, era, "post_sse").deliver(sample, message)
                got = shown.messages
            else:
                shown = await say(client, server, "post", message, era)
                got = shown.posted
            lines = [one for one in log.lines if one["event"] == "finding"]
            told = [one for one in lines if one["detector"] == detector]
            if got != [message] and not without_item(message, place, shown):
                found.append(f"{sample.name}: {place}: changed: {got}")
            elif not told and not without_item(message, place, shown):
                found.append(f"{sample.name}: {place}: not told")
            elif told and not any(where_is(place, one["where"]) for one in told):
                found.append(f"{sample.name}: {place}: told of {told}")
            elif any(text in json.dumps(one) for one in lines):
                found.append(f"{sample.name}: {place}: told what it says: {told}")
        counters = sidecar.metrics._counters.items()
        assert sum(n for (metric, labels), n in counters if metric is names.FINDINGS and detector in labels)
    assert "\n".join(found) == ""


def where_is(place: str, where: str) -> bool:
    path = place.partition(":")[0]
    told = where.split(", ")
    # Of the names of entries only their number is told.
    return (
        any(one.startswith(path[:-1]) and path[:-1] != one for one in told) if "=" in path else path in told
    )


# The table is complete.


def test_every_method_has_a_sample_for_each_side_that_sends_it() -> None:
    asked = {one.asked[0] for one in FROM_SERVER if one.asked is not None}
    by_client = {one.message.get("method") for one in FROM_CLIENT}
    by_server = {one.message.get("method") for one in FROM_SERVER}
    answered = {
        one.name.removeprefix("answer to ").partition(" ")[0] for one in FROM_CLIENT if one.kind == "answer"
    }
    for name, row in METHODS.items():
        notification = name.startswith("notifications/")
        if row.sender is not Sender.SERVER:
            assert name in by_client, name
            assert notification or name in asked, f"the answer to {name}"
        if row.sender is not Sender.CLIENT and name not in NEVER_PASSES:
            assert name in by_server, name
            assert notification or name in answered, f"the answer to {name}"


def test_every_method_has_samples_of_the_revisions_that_have_it() -> None:
    for name, row in METHODS.items():
        for era in row.eras:
            samples = [*FROM_CLIENT, *FROM_SERVER]
            of_it = [
                one
                for one in samples
                if name in (one.message.get("method"), (one.asked or ("",))[0], one.name)
            ]
            inside = "inputRequests" in json.dumps([one.message for one in samples if era in one.eras])
            if name in ("sampling/createMessage", "elicitation/create", "roots/list") and era is Era.MODERN:
                assert inside
            else:
                assert any(era in one.eras for one in of_it), (name, era)


def test_what_is_planted_is_the_only_difference() -> None:
    for sample in (*FROM_CLIENT, *FROM_SERVER):
        assert len(set(sample.places)) == len(sample.places), sample.name
        for place in sample.places:
            assert sample.planted(place, MAIL) != sample.message, (sample.name, place)
