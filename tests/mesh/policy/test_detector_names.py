"""The names that documents may use are those that the detectors know."""

from __future__ import annotations

import pytest

from mesh.policy.detector_names import KINDS, LOCALES, STATEMENTS, stranger
from sidecar.guardrails import pii
from sidecar.guardrails.pii.numbering import REGIONS
from sidecar.guardrails.sql import kinds as sql


def test_the_names_are_those_of_the_detectors() -> None:
    assert tuple(pii.KINDS) == KINDS
    assert tuple(sorted({*pii.LOCALES.values(), *map(str.lower, REGIONS)})) == LOCALES
    statements = [name.removeprefix("STATEMENT_").lower() for name in sql.STATEMENTS]
    assert (*statements, "stacked", "dangerous", "destructive") == STATEMENTS
    assert {"STACKED", "DANGEROUS", "DESTRUCTIVE"} <= sql.KINDS.keys()


@pytest.mark.parametrize(
    ("value", "known", "meant"),
    [
        ("EMIAL", KINDS, "did you mean EMAIL?"),
        ("SSN", KINDS, "did you mean US_SSN?"),
        ("uk", LOCALES, "did you mean gb?"),
        ("DE", LOCALES, "did you mean de?"),
        ("inser", STATEMENTS, "did you mean insert?"),
    ],
)
def test_a_name_that_is_not_there_is_told_with_what_may_be_meant(
    value: str, known: tuple[str, ...], meant: str
) -> None:
    assert all(stranger(name, "kind", known) is None for name in known)
    told = stranger(value, "kind", known) or ""
    assert meant in told
    assert told.count(",") <= 6
