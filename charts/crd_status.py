"""The status of our kinds: what the control plane found, and how many sidecars run it.

The field `appliedTo` says the same as `applied`, as one string, because a printer column shows one field.
"""

from __future__ import annotations

from typing import Any, Final

_MAX = 32768
_NAME = {"type": "string", "minLength": 1, "maxLength": 316}
_COUNT = {"type": "integer", "format": "int32", "minimum": 0}

CONDITIONS: Final = {
    "Accepted": "Whether the document is valid. Where it is not, the last valid one stays in force.",
    "Applied": "Whether every sidecar that it concerns runs it.",
    "Conflicted": "Whether another document takes what this one claims, such as a host and port.",
    "ResolvedRefs": "Whether every Backend that it names is there.",
}
"""The types of conditions, and what each says."""

_CONDITION: dict[str, Any] = {
    "type": "object",
    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
    "properties": {
        "type": {**_NAME, "description": f"{', '.join(CONDITIONS)}."},
        "status": {
            "type": "string",
            "enum": ["True", "False", "Unknown"],
            "description": "Whether it is so.",
        },
        "observedGeneration": {
            "type": "integer",
            "format": "int64",
            "minimum": 0,
            "description": "The metadata.generation that the condition is about.",
        },
        "lastTransitionTime": {
            "type": "string",
            "format": "date-time",
            "description": "When the status last changed.",
        },
        "reason": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            "description": "Why, in a word.",
        },
        "message": {"type": "string", "maxLength": _MAX, "description": "Why, in sentences."},
    },
}

STATUS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Written by the control plane.",
    "properties": {
        "observedGeneration": {
            "type": "integer",
            "format": "int64",
            "minimum": 0,
            "description": "The metadata.generation that the status is about.",
        },
        "conditions": {
            "type": "array",
            "maxItems": 8,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "description": f"What is to be said of it: {', '.join(CONDITIONS)}.",
            "items": _CONDITION,
        },
        "applied": {
            "type": "object",
            "description": "How many sidecars run this generation, of the connected ones that it concerns.",
            "required": ["current", "total"],
            "properties": {
                "current": {**_COUNT, "description": "Sidecars that run it."},
                "total": {**_COUNT, "description": "Sidecars that it concerns."},
            },
        },
        "appliedTo": {
            "type": "string",
            "maxLength": 32,
            "description": "The same for people: 3/3.",
        },
    },
}
