"""Every wire format by the `kind` that policies name it by."""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.external import (
    fms,
    granite_guardian,
    llama_guard,
    moderations,
    nemo,
    shieldgemma,
    webhook,
)
from sidecar.guardrails.external.question import Format

FORMATS: Final[dict[str, Format]] = {
    "fms-contents": fms.contents,
    "fms-chat": fms.chat,
    "fms-generation": fms.generation,
    "fms-context": fms.context,
    "llama-guard": llama_guard.calls,
    "shieldgemma": shieldgemma.calls,
    "granite-guardian": granite_guardian.calls,
    "moderations": moderations.calls,
    "webhook": webhook.calls,
    "nemo": nemo.calls,
}
