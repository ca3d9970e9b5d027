"""What an API server checks of an object by its CRD, offline: the schema, and its rules in CEL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import re2

from charts.build_crds import schema
from charts.crd_schemas import RULES
from mesh.cel import CelType, compile_expression


def faults(document: dict[str, Any]) -> list[str]:
    """What the CRD of its kind refuses of a document, a sentence each. Rules are asked where the rest is right, as
    the API server does it."""
    whole = schema(document["kind"])
    found = [f"{error.json_path}: {error.message}" for error in _VALIDATOR(whole).iter_errors(document)]
    return found or list(_broken_rules(whole, document))


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """As Go does it: its `$` is the end of the text, Python's may be before a last line feed."""
    if isinstance(instance, str) and not re2.search(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern}")


_VALIDATOR = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


def _broken_rules(schema_: dict[str, Any], value: Any) -> Iterator[str]:
    for rule in schema_.get(RULES, ()):
        if not compile_expression(rule["rule"], {"self": CelType.DYN}).evaluate({"self": value}):
            yield rule["message"]
    if isinstance(value, dict):
        for key, below in schema_.get("properties", {}).items():
            if key in value:
                yield from _broken_rules(below, value[key])
    elif isinstance(value, list):
        for one in value:
            yield from _broken_rules(schema_.get("items", {}), one)
