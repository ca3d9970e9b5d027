"""Spans of time: a number without a unit is told with one, since quotes would not help."""

from __future__ import annotations

import pytest

from mesh.policy import PolicyInvalid, load_texts

TEXT = """apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec:
  users:
    issuers:
    - {issuer: 'https://i', audiences: [a], clockSkew: SKEW}
"""


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("30", '"30" has no unit; write it like 30s, 5m or 500ms'),
        ("1.5", '"1.5" has no unit; write it like 30s, 5m or 500ms'),
        ("true", '"true" has no unit; write it like 30s, 5m or 500ms'),
        ("'30'", '"30" is no span of time; write it like 30s, 5m or 500ms'),
        ("6m", "6m is out of range; allowed: 0s to 5m"),
        ("", "expected a string, found nothing"),
    ],
)
def test_what_is_no_span_is_told_with_what_to_write(written: str, told: str) -> None:
    with pytest.raises(PolicyInvalid) as invalid:
        load_texts([("p.yaml", TEXT.replace("SKEW", written))])
    assert invalid.value.errors[0].message == told


def test_a_span_with_a_unit_is_read() -> None:
    (policy,) = load_texts([("p.yaml", TEXT.replace("SKEW", "30s"))]).policies
    assert policy.users is not None
    assert policy.users.issuers[0].skew_seconds == 30
