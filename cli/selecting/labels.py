"""Label selectors, evaluated as the API server does.

`matchLabels` and every one of `matchExpressions` must hold; an empty selector matches everything. A label that is
absent fulfils `NotIn` and `DoesNotExist`, and neither of the other two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label with its own name that the API server puts on every namespace."""

Labels = Mapping[str, str]


def matches(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Does the selector match? None, as an absent selector of a webhook, matches everything."""
    return mismatch(selector, labels) is None


def mismatch(selector: Mapping[str, Any] | None, labels: Labels) -> str | None:
    """The first requirement that does not hold, and what there is instead; None where all do."""
    for requirement in requirements(selector):
        if not _holds(requirement, labels):
            return f"{described(requirement)}, but {_actual(requirement['key'], labels)}"
    return None


def requirements(selector: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A selector as a list of expressions; `matchLabels` are short for `In` with one value."""
    given = selector or {}
    equal = [
        {"key": key, "operator": "In", "values": [value]}
        for key, value in (given.get("matchLabels") or {}).items()
    ]
    return equal + [dict(one) for one in given.get("matchExpressions") or ()]


def described(requirement: Mapping[str, Any]) -> str:
    """An expression in words, short enough for a table."""
    key, values = requirement.get("key"), list(requirement.get("values") or ())
    match requirement.get("operator"):
        case "In" if len(values) == 1:
            return f"{key} must be {values[0]}"
        case "In":
            return f"{key} must be one of {', '.join(map(str, values))}"
        case "NotIn":
            return f"{key} must not be {' or '.join(map(str, values))}"
        case "Exists":
            return f"{key} must be there"
        case "DoesNotExist":
            return f"{key} must not be there"
        case other:
            return f"{key} has the unknown operator {other}"


def _holds(requirement: Mapping[str, Any], labels: Labels) -> bool:
    key, values = requirement.get("key"), requirement.get("values") or ()
    present = key in labels
    match requirement.get("operator"):
        case "In":
            return present and labels[str(key)] in values
        case "NotIn":
            return not present or labels[str(key)] not in values
        case "Exists":
            return present
        case "DoesNotExist":
            return not present
        case _:
            return False  # the API server refuses such a selector, so nothing can be selected by it


def _actual(key: str, labels: Labels) -> str:
    return f"it is {labels[key] or 'empty'}" if key in labels else "it is not there"
