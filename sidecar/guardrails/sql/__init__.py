"""SQL in messages: fragments that change somebody's statement, and whole statements."""

from __future__ import annotations

from sidecar.guardrails.sql.detector import SqlDetector
from sidecar.guardrails.sql.kinds import KINDS

__all__ = ["KINDS", "SqlDetector"]
