"""Who gets a sidecar: the truth table of namespace label and pod label.

The selectors of the webhook configuration draw the same table, so that the API server asks only about pods that
matter; this one decides all the same, because the command line has no selectors and a selector may be edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mesh.reasons import Reason
from mesh.settings.table import KAGENTI_INJECT, NAMESPACE_INJECTION, POD_INJECT, ROSSOCTL_INJECT
from webhook.admission.documents import Labels
from webhook.admission.outcome import Problem, Refusal, Skipped


class PodSays(StrEnum):
    """What the labels of the pod ask for."""

    NOTHING = "nothing"
    YES = "yes"
    NO = "no"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A sidecar is wanted. `insisted`: the pod or a `required` namespace asks for it, so that a pod which
    cannot have one is refused; where only an `enabled` namespace asks, such a pod is skipped."""

    insisted: bool


def _skip(reason: Reason) -> Skipped:
    return Skipped(reason, reason.sentence)


def _refuse(reason: Reason, detail: str = "") -> Refusal:
    return Refusal.of([Problem(reason, detail)])


_TABLE: dict[tuple[str | None, PodSays], Wanted | Skipped | Refusal] = {
    (None, PodSays.NOTHING): _skip(Reason.NOT_OPTED_IN),
    (None, PodSays.YES): Wanted(insisted=True),
    (None, PodSays.NO): _skip(Reason.POD_OPTED_OUT),
    ("enabled", PodSays.NOTHING): Wanted(insisted=False),
    ("enabled", PodSays.YES): Wanted(insisted=True),
    ("enabled", PodSays.NO): _skip(Reason.POD_OPTED_OUT),
    ("required", PodSays.NOTHING): Wanted(insisted=True),
    ("required", PodSays.YES): Wanted(insisted=True),
    ("required", PodSays.NO): _refuse(Reason.OPT_OUT_REFUSED),
    ("disabled", PodSays.NOTHING): _skip(Reason.NAMESPACE_DISABLED),
    ("disabled", PodSays.YES): _refuse(Reason.NAMESPACE_DISABLED),
    ("disabled", PodSays.NO): _skip(Reason.NAMESPACE_DISABLED),
}


def pod_says(labels: Labels) -> PodSays:
    """What a pod's labels ask for. Our own label wins over the opt-outs of other platforms."""
    match labels.get(POD_INJECT.name):
        case "true":
            return PodSays.YES
        case "false":
            return PodSays.NO
        case None:
            foreign = (labels.get(ROSSOCTL_INJECT.name), labels.get(KAGENTI_INJECT.name))
            return PodSays.NO if "disabled" in foreign else PodSays.NOTHING
        case _:
            return PodSays.OTHER


def opted_in(namespace_labels: Labels, pod_labels: Labels, *, ignored: bool) -> Wanted | Skipped | Refusal:
    """The truth table. `ignored`: the namespace is one whose pods never get a sidecar, whatever its label."""
    says = pod_says(pod_labels)
    if says is PodSays.OTHER:
        return _refuse(Reason.INJECT_LABEL_INVALID, f"{POD_INJECT.name}={pod_labels[POD_INJECT.name]}")
    if ignored:
        reason = Reason.NAMESPACE_IGNORED
        return _refuse(reason) if says is PodSays.YES else _skip(reason)
    label = namespace_labels.get(NAMESPACE_INJECTION.name)
    entry = _TABLE.get((label, says))
    if entry is None:
        # A label that nobody understands may have meant `required`, so nothing passes on its account.
        return _refuse(Reason.NAMESPACE_LABEL_INVALID, f"{NAMESPACE_INJECTION.name}={label}")
    return entry
