"""Annotations that narrow what policies grant: how those of several layers become one, and reach the sidecar.

Elsewhere a pod's annotation takes the place of its namespace's. These add up instead, or a pod could take back
what its namespace gave up: policies have to be named by every layer, a tool has to match in every layer and is
denied by any, of actions the strictest counts and of rates each. The sidecar gets them as JSON without `$`, in
which the kubelet would see a reference to a variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mesh.policy.floors import floor_entry, floor_fault, floors_of
from mesh.reasons import Reason
from mesh.settings import table
from mesh.settings.kinds import Setting
from mesh.settings.lists import items
from webhook.admission.outcome import Problem
from webhook.admission.stored import plain_json

COMBINED: Final = (
    table.POLICY,
    table.TOOLS_ALLOW,
    table.TOOLS_DENY,
    table.HIDE_SECRETS,
    table.GUARDRAILS,
    table.RATE_LIMIT,
)
"""Settings whose layers add up."""

_BETWEEN_LAYERS = " & "


def effective(setting: Setting, texts: Sequence[str]) -> str:
    """What several layers come to, the strongest first, in the words of the annotation `outrider.dev/status`."""
    layers = [list(dict.fromkeys(items(text))) for text in texts]
    if setting is table.POLICY:
        return ", ".join(_common(layers))
    if setting is table.GUARDRAILS:
        return ", ".join(map(floor_entry, floors_of(_sound(texts))))
    if setting in (table.TOOLS_DENY, table.HIDE_SECRETS, table.RATE_LIMIT):
        return ", ".join(_all(layers))
    return _BETWEEN_LAYERS.join(dict.fromkeys(", ".join(layer) for layer in layers))


def nothing_left(texts: Sequence[str], said_by: str) -> Iterator[Problem]:
    """What is wrong where the layers of `policy` have no name in common; `said_by` are their names."""
    layers = [items(text) for text in texts if not table.POLICY.values.problem(text)]
    if layers and not _common(layers):
        said = " and ".join(map(repr, texts))
        detail = f"annotation {table.POLICY.name}: {said} ({said_by}) have no policy in common"
        yield Problem(Reason.ANNOTATION_INVALID, detail)


def environment(written: dict[str, tuple[str, ...]], mode: str) -> dict[Setting, str]:
    """The variables of the sidecar for what each layer wrote, by the annotation's full name, and for the mode."""
    layers = {name: [items(text) for text in texts] for name, texts in written.items() if texts}
    values: dict[Setting, str] = {}
    if named := layers.get(table.POLICY.name):
        values[table.ENV_NARROW_POLICIES] = plain_json(_common(named))
    if allowed := layers.get(table.TOOLS_ALLOW.name):
        values[table.ENV_NARROW_TOOLS_ALLOW] = plain_json(allowed)
    if denied := layers.get(table.TOOLS_DENY.name):
        values[table.ENV_NARROW_TOOLS_DENY] = plain_json(_all(denied))
    if floors := floors_of(_sound(written.get(table.GUARDRAILS.name, ()))):
        told = {kind.value: action.name.lower() for kind, action in floors}
        values[table.ENV_NARROW_GUARDRAILS] = plain_json(told)
    if rates := layers.get(table.RATE_LIMIT.name):
        values[table.ENV_NARROW_RATES] = plain_json(_all(rates))
    if mode == "enforce":
        values[table.ENV_NARROW_MODE] = mode
    return values


def _sound(texts: Sequence[str]) -> Iterator[str]:
    """The entries of layers in which nothing is wrong; what is wrong in others is told elsewhere."""
    return (entry for text in texts for entry in items(text) if floor_fault(entry) is None)


def _common(layers: list[list[str]]) -> list[str]:
    return [name for name in dict.fromkeys(layers[0]) if all(name in layer for layer in layers)]


def _all(layers: list[list[str]]) -> list[str]:
    return list(dict.fromkeys(entry for layer in layers for entry in layer))
