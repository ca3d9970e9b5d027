"""What becomes of a pod: injected, skipped or refused; never anything in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mesh.reasons import Reason
from webhook.admission.documents import Pod

Patch = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Namespace:
    """What admission knows of the namespace that a pod is created in."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Injection:
    """The pod with its sidecar.

    `patch` is an RFC 6902 patch from the pod as it came to `pod`. `status` is what the annotation
    outrider.dev/status holds. `warnings` are for whoever created the pod, at most 110 characters each.
    """

    pod: Pod
    patch: Patch
    status: dict[str, Any]
    warnings: tuple[str, ...] = ()
    reason: Reason = Reason.INJECTED


@dataclass(frozen=True, slots=True)
class Skipped:
    """The object stays as it is, on purpose. `warnings` as in `Injection`."""

    reason: Reason
    sentence: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a pod. `detail` names where and what, without a full stop, or is empty."""

    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"{self.detail}: {self.reason.sentence}" if self.detail else self.reason.sentence


@dataclass(frozen=True, slots=True)
class Refusal:
    """The pod must not run as it is. `problems` holds everything that is wrong, the first one giving `reason`."""

    reason: Reason
    sentence: str
    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, problems: list[Problem]) -> Refusal:
        """The refusal for one or more problems: each reason once, with every place where it holds."""
        places: dict[Reason, list[str]] = {}
        for problem in problems:
            places.setdefault(problem.reason, []).extend([problem.detail] if problem.detail else [])
        sentences = [
            f"{'; '.join(details)}: {reason.sentence}" if details else reason.sentence
            for reason, details in places.items()
        ]
        return cls(problems[0].reason, " ".join(sentences), tuple(problems))


Outcome = Injection | Refusal | Skipped
