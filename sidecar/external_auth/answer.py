"""Why a request that has to be authorized elsewhere does not pass."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.reasons import Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """No yes. `detail` is for the log: what a service says is not for whoever asks."""

    reason: Reason
    detail: str
