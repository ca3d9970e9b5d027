"""Personal data in messages."""

from __future__ import annotations

from sidecar.guardrails.pii.detector import PiiDetector
from sidecar.guardrails.pii.kinds import KINDS, LOCALES

__all__ = ["KINDS", "LOCALES", "PiiDetector"]
