"""Exfiltration: links, pictures, commands and encoded texts that would carry data to a place of their own."""

from sidecar.guardrails.exfiltration.detector import KINDS, ExfiltrationDetector

__all__ = ["KINDS", "ExfiltrationDetector"]
