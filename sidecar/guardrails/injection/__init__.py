"""Prompt injection and tool poisoning: rules in prose, and a small linear model."""

from __future__ import annotations

from sidecar.guardrails.injection.detector import InjectionDetector
from sidecar.guardrails.injection.kinds import KINDS

__all__ = ["KINDS", "InjectionDetector"]
