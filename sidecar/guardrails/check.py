"""Whether the detectors that policies name can be made: asked when a policy arrives, not when a message does."""

from __future__ import annotations

from collections.abc import Iterable

from mesh.policy.errors import PolicyError, PolicyInvalid
from mesh.policy.guardrails import Action, DetectorKind, Processor
from sidecar.guardrails import catalogue

_ASKED_OTHERWISE = frozenset({DetectorKind.SHAPE, DetectorKind.EXTERNAL})


def check_detectors(processors: Iterable[tuple[str, Processor]]) -> None:
    """Raises PolicyInvalid for kinds and locales that no detector knows, by the label of their rule."""
    errors = []
    for label, processor in processors:
        if processor.action is Action.OFF or processor.detector in _ASKED_OTHERWISE:
            continue
        try:
            catalogue.detector(processor.detector, processor.options)
        except ValueError as unknown:
            errors.append(PolicyError(label, 0, f"guardrails.{processor.name}", str(unknown)))
    if errors:
        raise PolicyInvalid(tuple(errors))
