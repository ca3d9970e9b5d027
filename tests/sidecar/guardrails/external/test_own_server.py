"""Our client of detectors against our server of them: either end of the same formats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cli.guard.detector_server import start
from cli.guard.examiner import Examiner
from cli.guard.policy_file import read_policy
from mesh.policy.guardrails import Action, Direction
from mesh.reasons import Reason
from sidecar.guardrails.verdict import NOTHING
from tests.support.detectors import answer_with, asked_by, call_with, patient

MAIL = "ann@example.com"
TEXT = f"🎃🎃 write to {MAIL}, please"
POLICY = "pii: {action: mask, kinds: [EMAIL]}\nterms: {action: block, words: [heron]}\n"


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    file = tmp_path / "guardrails.yaml"
    file.write_text(POLICY, encoding="utf-8")
    runner, made = await start(Examiner(patient(read_policy(str(file)))), "127.0.0.1", 0)
    yield made
    await runner.cleanup()


@pytest.mark.parametrize("kind", ["fms-contents", "webhook"])
async def test_spans_arrive_as_they_were_found(desk: Any, url: str, kind: str) -> None:
    processor = asked_by(url, kind, Action.MASK)
    for direction, roots in ((Direction.REQUEST, call_with(a=TEXT)), (Direction.RESPONSE, answer_with(TEXT))):
        verdict = await desk.outside.examine([processor], roots, direction, [])
        (found,) = verdict.findings
        assert verdict.action is Action.MASK
        assert TEXT[found.start : found.end] == MAIL


@pytest.mark.parametrize("kind", ["fms-contents", "fms-chat", "fms-generation", "webhook"])
async def test_what_is_found_blocks_and_what_is_not_does_not(desk: Any, url: str, kind: str) -> None:
    processor = asked_by(url, kind)
    verdict = await desk.outside.examine([processor], call_with(a="the heron"), Direction.REQUEST, [])
    assert (verdict.action, verdict.reason) == (Action.BLOCK, Reason.GUARD_EXTERNAL)
    assert await desk.outside.examine([processor], call_with(a="the wren"), Direction.REQUEST, []) is NOTHING


async def test_parameters_select(desk: Any, url: str) -> None:
    processor = asked_by(url, parameters='{"detectors": ["terms"]}')
    assert await desk.outside.examine([processor], call_with(a=TEXT), Direction.REQUEST, []) is NOTHING
    processor = asked_by(url, parameters='{"regex": ["email"]}')
    verdict = await desk.outside.examine([processor], call_with(a=TEXT), Direction.REQUEST, [])
    assert verdict.failed == (("judge", Reason.GUARD_FAILED),)
    assert "400" in desk.told()
