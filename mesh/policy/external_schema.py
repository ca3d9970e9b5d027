"""The schema of `external`: a detector that is asked over HTTP, in one of the wire formats there are."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from mesh.policy.errors import shown
from mesh.policy.fields import (
    INVALID,
    Field,
    Invalid,
    Place,
    choice,
    integer,
    list_of,
    number,
    read_object,
    text,
)
from mesh.policy.guardrails import ExternalOptions
from mesh.policy.json_values import read_json_object
from mesh.policy.urls import url_fault
from mesh.policy.yaml_tree import Node

MAX_MODEL: Final = 256
MAX_CRITERION: Final = 4096
MAX_CONCURRENCY: Final = 1024
MAX_CACHE_SECONDS: Final = 86_400


class ExternalKind(StrEnum):
    """Wire formats of detectors, and of models that judge."""

    FMS_CONTENTS = "fms-contents"
    FMS_CHAT = "fms-chat"
    FMS_GENERATION = "fms-generation"
    FMS_CONTEXT = "fms-context"
    LLAMA_GUARD = "llama-guard"
    SHIELDGEMMA = "shieldgemma"
    GRANITE_GUARDIAN = "granite-guardian"
    MODERATIONS = "moderations"
    WEBHOOK = "webhook"
    NEMO = "nemo"


_WITH_MODEL: Final = (ExternalKind.LLAMA_GUARD, ExternalKind.SHIELDGEMMA, ExternalKind.GRANITE_GUARDIAN)


def model_fault(value: str) -> str | None:
    """What is wrong with the name of a model or detector, or None."""
    if 1 <= len(value) <= MAX_MODEL and value.isprintable():
        return None
    return f"{shown(value)} is no name; allowed: 1 to {MAX_MODEL} printable characters"


def criterion_fault(value: str) -> str | None:
    """What is wrong with a category, criterion or policy, or None."""
    if not value.strip():
        return "a criterion is not empty"
    if len(value) > MAX_CRITERION:
        return f"{len(value)} characters; a criterion has at most {MAX_CRITERION}"
    return None


EXTERNAL_FIELDS: Final = {
    "kind": Field(choice(ExternalKind), missing=f"allowed: {', '.join(ExternalKind)}"),
    "url": Field(
        text(url_fault), missing="where it is asked, like https://guard.example.com/v1/chat/completions"
    ),
    "model": Field(text(model_fault), default=""),
    "threshold": Field(number(0, 1), default=0.5),
    "criteria": Field(list_of(text(criterion_fault), at_least=1, at_most=100), default=()),
    "parameters": Field(read_json_object),
    "concurrency": Field(integer(1, MAX_CONCURRENCY), default=8),
    "cacheSeconds": Field(integer(0, MAX_CACHE_SECONDS), default=300),
}


def read_external(node: Node, place: Place) -> ExternalOptions | Invalid:
    """The section `external`."""
    values = read_object(node, place, EXTERNAL_FIELDS)
    if values is None:
        return INVALID
    if values["kind"] in _WITH_MODEL and values["model"] == "":
        message = f"missing; {values['kind']} is asked as a model by its name"
        values["model"] = place.child("model").error(node, message)
    if INVALID in values.values() or INVALID in values["criteria"]:
        return INVALID
    return ExternalOptions(
        values["kind"].value,
        values["url"],
        values["model"],
        values["threshold"],
        values["criteria"],
        values["parameters"] or "{}",
        values["concurrency"],
        values["cacheSeconds"],
    )
