"""The types that variables of expressions have."""

from __future__ import annotations

from enum import StrEnum


class CelType(StrEnum):
    """A variable's type, as the CEL specification writes it."""

    BOOL = "bool"
    INT = "int"
    STRING = "string"
    TIMESTAMP = "timestamp"
    TEXTS = "map(string, string)"
    """Such as header fields."""
    JSON_OBJECT = "map(string, dyn)"
    """Any JSON object: its values have whatever type they have."""
    DYN = "dyn"
