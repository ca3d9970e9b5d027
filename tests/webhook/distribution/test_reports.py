"""What replicas say of their sidecars, added up."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.distribution.messages import Refused
from tests.support.control_world import agent_policy, empty_world, pod, put
from webhook.admission.metrics import AdmissionMetrics
from webhook.distribution.hub import Hub
from webhook.distribution.kinds import AGENT_POLICY
from webhook.distribution.reports import (
    Count,
    Report,
    add_up,
    pack,
    tally,
    unpack_report,
)

MINE = "AgentPolicy.outrider.dev/agents/mine"


async def test_each_document_is_counted_by_generation() -> None:
    world = empty_world()
    hub = Hub(world, AdmissionMetrics())
    put(world, AGENT_POLICY, "mine", agent_policy())
    boxes = []
    for number in range(4):
        one = pod(f"triage-{number}", app="triage")
        world.put_pod(one)
        boxes.append(hub.connect(one, ""))
    for box in boxes[:3]:
        hub.heard(box, applied=box.offered.version)
    put(world, AGENT_POLICY, "mine", agent_policy(None, "github"), generation=2)
    put(world, AGENT_POLICY, "other", agent_policy({"app": "triage"}))
    await hub.flush(0.0)
    hub.heard(boxes[0], applied=boxes[0].offered.version)
    hub.heard(boxes[1], refused=Refused(boxes[1].offered.version, "policy_invalid", "no"))
    hub.heard(boxes[2], refused=Refused("of-another-version", "policy_invalid", "no"))
    counts = tally(hub.mailboxes())
    assert counts[MINE].wanted == 4
    assert counts[MINE].running == {1: 2, 2: 1}
    assert (counts[MINE].refused, counts[MINE].why) == (1, "policy_invalid: no")
    assert counts["AgentPolicy.outrider.dev/agents/other"].running == {1: 1}
    hub.disconnect(boxes[0], boxes[0].end)
    assert tally(hub.mailboxes())[MINE].wanted == 3


def test_replicas_are_added_up_and_stay_as_they_are() -> None:
    one = Report(1, {MINE: Count(2, {1: 1, 2: 1})})
    other = Report(1, {MINE: Count(3, {2: 3}, 1, "why")})
    assert add_up([one, other]) == {MINE: Count(5, {1: 1, 2: 4}, 1, "why")}
    assert one.counts[MINE].running == {1: 1, 2: 1}
    assert unpack_report(pack(one)) == one


@pytest.mark.parametrize(
    "text",
    ["", "!", "AAAA", pack([1]), pack({"beat": "x"}), base64.b64encode(zlib.compress(b"[" * 99)).decode()],
)
def test_what_nobody_can_read_says_nothing(text) -> None:
    assert unpack_report(text) is None


@given(st.text())
def test_anything_can_stand_there(text) -> None:
    unpack_report(text)
