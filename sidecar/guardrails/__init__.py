"""Guardrails: what looks at the content of messages, in the pod."""
