"""How a sidecar is to be: annotations of the pod, of its namespace and of the platform, resolved in that order.

Every label and annotation under `outrider.dev/` must be one that this version knows, in its own place and with a
value that it can honour. What it cannot honour is refused and not ignored: the author believes that it holds.
All errors come at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from mesh.reasons import Reason
from mesh.settings.kinds import Kind, Owner, Setting
from mesh.settings.table import ANNOTATIONS, CPU, CPU_LIMIT, MEMORY, MEMORY_LIMIT, POLICY, PREFIX, TABLE
from mesh.settings.values import Quantity
from webhook.admission.documents import Labels, Pod
from webhook.admission.narrowing import COMBINED, effective, nothing_left
from webhook.admission.outcome import Namespace, Problem
from webhook.admission.settings import InjectionSettings


class Layer(StrEnum):
    """Who set a parameter, from the strongest to the weakest."""

    POD = "pod"
    NAMESPACE = "namespace"
    PLATFORM = "platform"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Parameter:
    """The value of a setting and the layer that it comes from.

    Of a setting whose layers add up, `value` is what they come to, `layer` names every one that says something,
    and `written` holds what each wrote, the strongest first.
    """

    value: str
    layer: str
    written: tuple[str, ...] = ()


Parameters = dict[str, Parameter]

_LABELS = {
    Kind.POD_LABEL: frozenset(row.name for row in TABLE if row.kind is Kind.POD_LABEL),
    Kind.NAMESPACE_LABEL: frozenset(row.name for row in TABLE if row.kind is Kind.NAMESPACE_LABEL),
}
PARAMETERS = tuple(row for row in ANNOTATIONS.values() if row.owner is Owner.POD and row.supported)


def resolve(pod: Pod, namespace: Namespace, settings: InjectionSettings) -> tuple[Parameters, list[Problem]]:
    """The value of every supported annotation by full name, and all that is wrong with what was written."""
    written = pod["metadata"].get("annotations") or {}
    problems = [
        *_label_problems(pod["metadata"].get("labels") or {}, Kind.POD_LABEL, "the pod"),
        *_label_problems(namespace.labels, Kind.NAMESPACE_LABEL, "the namespace"),
        *_annotation_problems(written, "the pod"),
        *_annotation_problems(namespace.annotations, "the namespace"),
        *_annotation_problems(settings.defaults, "the platform's defaults"),
    ]
    layers = (
        (Layer.POD, written),
        (Layer.NAMESPACE, namespace.annotations),
        (Layer.PLATFORM, settings.defaults),
    )
    parameters = {setting.name: _resolve_one(setting, layers) for setting in PARAMETERS}
    problems += [*_above(parameters, CPU, CPU_LIMIT), *_above(parameters, MEMORY, MEMORY_LIMIT)]
    named = parameters[POLICY.name]
    problems += nothing_left(named.written, named.layer)
    return parameters, problems


def _resolve_one(setting: Setting, layers: tuple[tuple[Layer, Labels], ...]) -> Parameter:
    if setting in COMBINED:
        said = [(str(layer), values[setting.name]) for layer, values in layers if setting.name in values]
        if said:
            written = tuple(text for _, text in said)
            return Parameter(effective(setting, written), ", ".join(layer for layer, _ in said), written)
    for layer, values in layers:
        if setting.name in values:
            return Parameter(values[setting.name], layer)
    return Parameter(setting.default, Layer.DEFAULT)


def _annotation_problems(written: Labels, where: str) -> Iterator[Problem]:
    for name, value in written.items():
        if not name.lower().startswith(PREFIX):  # Kubernetes takes capitals in names of annotations
            continue
        setting = ANNOTATIONS.get(name)
        if setting is None:
            yield _invalid(f"annotation {name}={value!r} of {where} is {_unknown(name, Kind.ANNOTATION)}")
        elif not setting.supported:
            later = "is not supported by this version; allowed: to leave it out"
            yield _invalid(f"annotation {name}={value!r} of {where} {later}")
        elif setting.owner is Owner.POD:
            fault = setting.values.problem(value)
            if fault is not None:
                allowed = setting.values.allowed
                yield _invalid(f"annotation {name}={value!r} of {where} {fault}; allowed: {allowed}")


def _label_problems(labels: Labels, kind: Kind, where: str) -> Iterator[Problem]:
    for name, value in labels.items():
        if name.startswith(PREFIX) and name not in _LABELS[kind]:
            yield _invalid(f"label {name}={value!r} of {where} is {_unknown(name, kind)}")


def _unknown(name: str, kind: Kind) -> str:
    """Says where a misplaced name belongs, or which names there are."""
    for row in TABLE:
        if row.name == name:
            article = "an" if row.kind is Kind.ANNOTATION else "a"
            return f"{article} {row.kind.value}, and no {kind.value}"
    known = sorted(
        row.name.removeprefix(PREFIX)
        for row in TABLE
        if row.kind is kind
        and row.owner is not Owner.SIDECAR
        and row.supported
        and row.name.startswith(PREFIX)
    )
    return f"unknown; allowed: {', '.join(known)}"


def _above(parameters: Parameters, request: Setting, limit: Setting) -> Iterator[Problem]:
    wanted, most = parameters[request.name], parameters[limit.name]
    if request.values.problem(wanted.value) or limit.values.problem(most.value):
        return  # told already
    if _amount(request, wanted.value) > _amount(limit, most.value):
        yield _invalid(
            f"annotation {request.name}={wanted.value!r} ({wanted.layer}) is above "
            f"{limit.name}={most.value!r} ({most.layer}); allowed: at most the limit"
        )


def _amount(setting: Setting, text: str) -> Decimal:
    values = setting.values
    amount = values.amount(text) if isinstance(values, Quantity) else None
    return Decimal(0) if amount is None else amount


def _invalid(detail: str) -> Problem:
    return Problem(Reason.ANNOTATION_INVALID, detail)
