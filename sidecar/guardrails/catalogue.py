"""The detectors of this process: one of each kind and options, made when a guardrail first names it.

Patterns compiled are megabytes and milliseconds, and telephone metadata more of both; a sidecar without a
guardrail has none of it, and a thousand rules share one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final, Protocol

from mesh.policy.guardrails import DetectorKind, Options
from mesh.protocol.mcp.places import Root
from sidecar.guardrails.hit import Detector

_CLASSES: Final = {
    DetectorKind.PII: ("sidecar.guardrails.pii", "PiiDetector"),
    DetectorKind.SECRETS: ("sidecar.guardrails.secrets", "SecretsDetector"),
    DetectorKind.SQL: ("sidecar.guardrails.sql", "SqlDetector"),
    DetectorKind.INJECTION: ("sidecar.guardrails.injection", "InjectionDetector"),
    DetectorKind.EXFILTRATION: ("sidecar.guardrails.exfiltration", "ExfiltrationDetector"),
    DetectorKind.TERMS: ("sidecar.guardrails.terms", "TermsDetector"),
    DetectorKind.SHAPE: ("sidecar.guardrails.shape", "ShapeDetector"),
}


_FIRST: Final = "a first text"


class MessageDetector(Protocol):
    """Looks at a message and not at its texts."""

    def faults(self, roots: Sequence[Root], size: int) -> list[tuple[Root, str, str]]:
        """What is wrong: where, its kind, and a note. `size`: bytes of the message as JSON."""
        ...


@cache
def _made(kind: DetectorKind, options: Options) -> Any:
    module, name = _CLASSES[kind]
    made = getattr(import_module(module), name)(options)
    if kind is not DetectorKind.SHAPE:
        made.scan(_FIRST)  # what is compiled at the first text must not count against a message's time
    return made


def detector(kind: DetectorKind, options: Options) -> Detector:
    """The detector of texts of this kind. Raises KeyError for EXTERNAL, which is asked elsewhere."""
    made: Detector = _made(kind, options)
    return made


def message_detector(options: Options) -> MessageDetector:
    """The detector of SHAPE."""
    made: MessageDetector = _made(DetectorKind.SHAPE, options)
    return made
