"""What /readyz says of a sidecar's parts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from mesh.reasons import Reason
from sidecar.readiness import (
    ConfigurationHealth,
    IdentityHealth,
    IdentityState,
    Source,
    assess,
    bound,
    identity_health,
)
from sidecar.settings import ListenSettings
from tests.support.meshed import TRIAGE, new_mesh

HOUR = timedelta(hours=1)
SVID = new_mesh().identity(TRIAGE, seconds=3600.0).svid
"""Issued a minute in the past, as everything is: it lives a little longer than an hour."""


@pytest.mark.parametrize(
    ("left", "state"),
    [
        (HOUR, "valid"),
        (timedelta(minutes=17), "valid"),
        (timedelta(minutes=14), "expiring"),
        (timedelta(seconds=1), "expiring"),
        (timedelta(), "expired"),
        (-HOUR, "expired"),
    ],
)
def test_an_svid_is_expiring_in_the_last_quarter_of_its_life(left: timedelta, state: str) -> None:
    found = identity_health(SVID, SVID.not_after - left, wanted=True)
    assert found == IdentityHealth(
        IdentityState(state), str(SVID.spiffe_id), SVID.not_after, left.total_seconds()
    )


@pytest.mark.parametrize(("wanted", "state"), [(True, "waiting"), (False, "none")])
def test_without_an_svid_it_matters_whether_there_is_to_be_one(wanted: bool, state: str) -> None:
    assert identity_health(None, SVID.not_after, wanted=wanted) == IdentityHealth(IdentityState(state))


@pytest.mark.parametrize(
    ("state", "reasons"),
    [
        ("none", []),
        ("valid", []),
        ("expiring", []),
        ("waiting", [{"code": "no_svid", "sentence": Reason.NO_SVID.sentence, "detail": "silent"}]),
        (
            "expired",
            [
                {
                    "code": "svid_expired",
                    "sentence": Reason.SVID_EXPIRED.sentence,
                    "detail": "silent",
                    "since": SVID.not_after.isoformat().replace("+00:00", "Z"),
                }
            ],
        ),
    ],
)
def test_what_is_fresh_enough_is_ready(state: str, reasons: list[object]) -> None:
    identity = IdentityHealth(IdentityState(state), not_after=SVID.not_after)
    found = assess(
        identity, {"forward": "127.0.0.1:1"}, policies=(), interception=None, draining=False, trouble="silent"
    )
    told = json.loads(msgspec.json.encode(found))
    assert (told["ready"], told["reasons"]) == (not reasons, reasons)


def test_every_part_is_told_and_every_obstacle_at_once() -> None:
    listen = replace(ListenSettings(), inbound=("0.0.0.0", 15443))
    found = assess(
        IdentityHealth(IdentityState.WAITING),
        bound(listen, {"telemetry": "127.0.0.1:15020"}),
        policies=("AgentPolicy/triage",),
        interception=("api.example.com",),
        draining=True,
        trouble="",
        configuration=ConfigurationHealth(Source.NONE, connected=False, problem="nobody answers"),
    )
    told = json.loads(msgspec.json.encode(found))
    assert [(one["code"], one.get("detail")) for one in told.pop("reasons")] == [
        ("no_svid", None),
        ("no_configuration", "nobody answers"),
        ("listener_not_bound", "listen.forward"),
        ("listener_not_bound", "listen.inbound"),
        ("draining", None),
    ]
    assert told == {
        "ready": False,
        "identity": {"state": "waiting"},
        "listeners": {"telemetry": "127.0.0.1:15020", "forward": None, "inbound": None},
        "policies": ["AgentPolicy/triage"],
        "interception": ["api.example.com"],
        "draining": True,
        "configuration": {"source": "none", "connected": False, "problem": "nobody answers"},
    }
