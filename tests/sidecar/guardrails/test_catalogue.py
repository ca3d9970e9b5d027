"""Detectors are made once for each kind and options, and only when named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mesh.policy.guardrails import NO_OPTIONS, DetectorKind, ShapeOptions, TermsOptions
from sidecar.guardrails.catalogue import detector, message_detector

TEXTUAL = [kind for kind in NO_OPTIONS if kind is not DetectorKind.SHAPE]


@pytest.mark.parametrize("kind", TEXTUAL)
def test_every_kind_has_a_detector_that_is_shared(kind: DetectorKind) -> None:
    made = detector(kind, NO_OPTIONS[kind])
    assert made is detector(kind, NO_OPTIONS[kind])
    assert made.name == kind.value
    assert made.scan("") == []


def test_options_make_another_detector() -> None:
    one, other = (detector(DetectorKind.TERMS, TermsOptions((word,))) for word in ("apple", "pear"))
    assert one is not other
    assert (len(one.scan("an apple")), len(other.scan("an apple"))) == (1, 0)


def test_shape_is_asked_about_messages() -> None:
    assert message_detector(ShapeOptions(items=1)) is message_detector(ShapeOptions(items=1))


def test_external_detectors_are_not_made_here() -> None:
    with pytest.raises(KeyError):
        detector(DetectorKind.EXTERNAL, TermsOptions())


def test_detectors_are_imported_when_they_are_named() -> None:
    code = (
        "import sys, sidecar.guardrails.engine\n"
        "print(*(name for name in sys.modules if name.split('.')[-1] in "
        "('pii', 'secrets', 'sql', 'injection', 'exfiltration', 'terms', 'phonenumbers', 'ahocorasick_rs')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []
