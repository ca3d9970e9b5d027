"""How the detectors of guardrails are made and measured on labelled texts."""
