"""Whatever place of whatever message something stands in, and however it travels, a guardrail sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.protocol.mcp.methods import METHODS, Sender
from mesh.protocol.mcp.versions import Era
from sidecar.telemetry import names
from tests.support.guarded_checks import (
    CLIENT_PLANTED,
    NAMED_BY_POLICY,
    PLANTED,
    TOKEN,
    Check,
    between,
    faults_from_client,
    faults_from_server,
    without_item,
)
from tests.support.guarded_messages import FROM_CLIENT, FROM_SERVER, INJECTION, MAIL, NEVER_PASSES, places
from tests.support.guarded_ways import CLIENT_WAYS, SERVER_WAYS, Way, say
from tests.support.loopback import client_of

WAYS = [(era, name) for era, names_ in SERVER_WAYS.items() for name in names_]


@pytest.mark.parametrize(("guardrails", "text", "check"), PLANTED, ids=["mask", "secret", "injection"])
@pytest.mark.parametrize(("era", "way"), WAYS, ids=[f"{era.value}-{way}" for era, way in WAYS])
async def test_nothing_of_a_servers_passes_unseen(
    era: Era, way: str, guardrails: str, text: str, check: Check
) -> None:
    assert "\n".join(await faults_from_server(between, guardrails, era, way, text, check)) == ""


FROM = [(era, name) for era, names_ in CLIENT_WAYS.items() for name in names_]


@pytest.mark.parametrize(("guardrails", "text", "check"), CLIENT_PLANTED, ids=["mask", "secret", "injection"])
@pytest.mark.parametrize(("era", "way"), FROM, ids=[f"{era.value}-{way}" for era, way in FROM])
async def test_nothing_of_a_clients_passes_unseen(
    era: Era, way: str, guardrails: str, text: str, check: Check
) -> None:
    assert "\n".join(await faults_from_client(between, guardrails, era, way, text, check)) == ""


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
