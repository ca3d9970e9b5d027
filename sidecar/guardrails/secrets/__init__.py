"""Credentials: forms of tokens, where they stand, and what stands beside a word like password."""

from sidecar.guardrails.secrets.detector import KINDS, SecretsDetector

__all__ = ["KINDS", "SecretsDetector"]
