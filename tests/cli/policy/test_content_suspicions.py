"""Names in guardrails that no detector knows are told before a sidecar has to."""

from __future__ import annotations

import pytest

from cli.policy.content_suspicions import content_suspicions
from mesh.policy import load_texts

TEXT = """apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec:
  outbound: [{backend: "*", guardrails: GUARDRAILS}]
  inbound: [{from: ["*"], mcp: {}, guardrails: {pii: mask}}, {from: ["*"], mcp: {}}]
"""
WHERE = "AgentPolicy/triage outbound[0] guardrails"


@pytest.mark.parametrize(
    ("guardrails", "told"),
    [
        ("{pii: mask, secrets: block}", []),
        ("{pii: {action: mask, kinds: [EMAIL, IBAN], locales: [us, de]}}", []),
        ("{sql: {action: block, statements: {a: [select], '*': [insert]}}}", []),
        (
            "{pii: {action: mask, kinds: [E_MAIL], locales: [zz]}}",
            [
                "pii: no detector knows the kind of personal data E_MAIL",
                "pii: no detector knows the locale zz",
            ],
        ),
        (
            "{processors: [{name: q, detector: sql, action: block, statements: [selct]}]}",
            ["q: no detector knows the statement selct, did you mean select?: "],
        ),
    ],
)
def test_what_no_detector_knows_is_told(guardrails: str, told: list[str]) -> None:
    documents = load_texts([("p.yaml", TEXT.replace("GUARDRAILS", guardrails))])
    found = [f"{one.where}: {one.message}" for one in content_suspicions(documents)]
    assert len(found) == len(told)
    assert all(one.startswith(f"{WHERE} {start}") for one, start in zip(found, told, strict=True))
