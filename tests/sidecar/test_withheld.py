"""What the policy allowed and a credential refused reads as refused, in the log and in the counters."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.reasons import Reason
from sidecar.telemetry import names
from tests.support.attacked_pod import EXCHANGE, AttackedPod, attacked_pod
from tests.support.loopback import json_answer


def decisions(p: AttackedPod) -> list[tuple[Any, ...]]:
    kept = [line for event, line in p.lines.lines if event == "decision" and line["direction"] == "outbound"]
    return [(line["allowed"], line["reason"], line["method"], line["name"]) for line in kept]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((), Reason.SUBJECT_MISSING),
        ((f"authorization: Bearer orh_{'a' * 43}",), Reason.HANDLE_UNKNOWN),
    ],
)
async def test_a_request_without_its_user_is_refused_in_the_audit(
    fields: tuple[str, ...], reason: Reason
) -> None:
    async with attacked_pod() as p:
        assert await p.reason(*fields) == reason
        first, second = decisions(p)
        assert first[0] is True
        assert second == (False, reason, *first[2:])
        last = p.lines.lines[-1][1]
        assert last["rule"] == "Backend/crm credential"
        assert last["detail"]
        assert "upstream_failure" not in p.lines.events()
        value = p.sidecar.metrics.value
        assert value(names.REQUESTS, ("outbound", "crm", "tools/call", reason)) == 1
        assert not value(names.UPSTREAM_FAILURES, ("crm", reason))


async def test_what_is_no_fault_of_the_request_is_a_failure() -> None:
    gone = EXCHANGE.replace("issuer: ISSUER", "tokenEndpoint: 'http://127.0.0.1:9/token'")
    async with attacked_pod(credential=gone) as p:
        handle = await p.ask()
        assert await p.reason(f"authorization: Bearer {handle}") == Reason.CREDENTIAL_UNAVAILABLE
        assert [line[0] for line in decisions(p)] == [True]
        assert p.lines.events()[-1] == "upstream_failure"


@pytest.mark.parametrize(
    ("challenge", "told"),
    [
        ("Bearer", "HTTP 401:"),
        ("Basic realm=x", "HTTP 401:"),
        ('Bearer error="invalid_token"', "HTTP 401, invalid_token:"),
        (
            'Bearer error="invalid_token", error_description="The audience\\" is invalid"',
            'HTTP 401, invalid_token: The audience" is invalid:',
        ),
        ('DPoP algs="ES256", Bearer error="invalid_token"', "HTTP 401, invalid_token:"),
        (f'Bearer error="{"a b " * 100}"', "HTTP 401, " + ("a b " * 100)[:190]),
    ],
)
async def test_what_a_server_says_of_the_credential_is_told(challenge: str, told: str) -> None:
    no = json_answer({}, "401 Unauthorized", www_authenticate=challenge)
    async with attacked_pod(no, no) as p:
        handle = await p.ask()
        status, _, answer = await p.send(f"authorization: Bearer {handle}")
        assert (status, answer["error"]["data"]["reason"]) == (502, "credential_not_accepted")
        assert told in answer["error"]["message"]
        event, line = p.lines.lines[-1]
        assert event == "upstream_failure"
        assert str(line["detail"]) in answer["error"]["message"]
        assert len(str(line["detail"])) <= 200


async def test_a_server_that_repeats_the_credential_in_its_challenge_gives_it_away_to_nobody() -> None:
    challenge = 'Bearer error="no", error_description="exchanged-token-1 or exchanged-token-2 is bad"'
    no = json_answer({}, "401 Unauthorized", www_authenticate=challenge)
    async with attacked_pod(no, no) as p:
        handle = await p.ask()
        _, _, answer = await p.send(f"authorization: Bearer {handle}")
        assert "no: " in answer["error"]["message"]
        assert "exchanged-token" not in repr((answer, p.lines.lines))


@pytest.mark.parametrize(
    ("issuer", "metadata", "status", "reason", "told"),
    [
        ("'http://idp.example.com'", {}, 200, Reason.CREDENTIAL_PLAIN_TEXT, "in plain text"),
        (
            "ISSUER",
            {"issuer": "https://evil.example"},
            502,
            Reason.CREDENTIAL_ANSWER_INVALID,
            "of another issuer, 'https://evil.example'",
        ),
    ],
)
async def test_metadata_that_cannot_be_used_are_told_for_what_they_are(
    issuer: str, metadata: dict[str, str], status: int, reason: Reason, told: str
) -> None:
    own = "{clientCredentials: {issuer: ISSUER}}"
    async with attacked_pod(credential=own.replace("ISSUER", issuer)) as p:
        p.idp.metadata = metadata
        for _ in range(2):
            got, _, answer = await p.send()
            assert (got, answer["error"]["data"]["reason"]) == (status, reason)
            assert told in answer["error"]["message"]
        assert p.sent == []
