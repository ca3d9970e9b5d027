"""What a guardrail says of one detector: when it is asked, what it looks for, what happens to what it finds.

Kinds of personal data, locales and statements are those of `detector_names`: one that no detector knows would be
looked for in vain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from mesh.policy import yaml_tree
from mesh.policy.detector_names import KINDS, LOCALES, STATEMENTS, stranger
from mesh.policy.durations import duration
from mesh.policy.entries import name_fault
from mesh.policy.external_schema import read_external
from mesh.policy.fields import (
    INVALID,
    Field,
    Invalid,
    Place,
    boolean,
    choice,
    integer,
    list_of,
    number,
    text,
)
from mesh.policy.guardrails import (
    ALL_PARTS,
    Action,
    DetectorKind,
    Direction,
    ExfiltrationOptions,
    ExternalOptions,
    FailureMode,
    InjectionOptions,
    Options,
    Part,
    PiiOptions,
    Processor,
    SecretsOptions,
    ShapeOptions,
    SqlOptions,
    TermsOptions,
)
from mesh.policy.hosts import host_fault, normal_host
from mesh.policy.switches import switch
from mesh.policy.yaml_tree import Node, Sequence

MAX_WORD: Final = 256
MAX_LIMIT: Final = 2**31 - 1
TIMEOUT: Final = 0.25
EXTERNAL_TIMEOUT: Final = 2.0
"""Seconds where nothing is said, of a detector in the sidecar and of somebody else who is asked."""


class ActionWord(StrEnum):
    """How documents write an Action."""

    OFF = "off"
    FLAG = "flag"
    MASK = "mask"
    BLOCK = "block"


WITHOUT_MASK: Final = {
    DetectorKind.SQL: "a statement with a part of it replaced is another statement",
    DetectorKind.SHAPE: "a message is too large or it is not",
}
"""Detectors that find nothing that something else could stand for, and why."""
MASKING: Final = frozenset({"fms-contents", "webhook"})
"""Kinds of external detectors that say where it stands, or what should stand there."""


def kind_fault(value: str) -> str | None:
    """What is wrong with the name of something that a detector finds, or None."""
    return stranger(value, "kind of personal data", KINDS)


def locale_fault(value: str) -> str | None:
    """What is wrong with a locale, or None."""
    return stranger(value, "locale", LOCALES)


def statement_fault(value: str) -> str | None:
    """What is wrong with a kind of statement, or None."""
    return stranger(value, "kind of statement", STATEMENTS)


def term_fault(value: str) -> str | None:
    """What is wrong with a term, or None."""
    if not value.strip():
        return "a term is not empty"
    return None if len(value) <= MAX_WORD else f"{len(value)} characters; a term has at most {MAX_WORD}"


def destination_fault(value: str) -> str | None:
    """What is wrong with a host that links may lead to, or None."""
    return host_fault(value)


_statements = list_of(text(statement_fault), at_most=100)


def read_statements(node: Node, place: Place) -> Any:
    """`[select]` for all tools, or `{"query_*": [select]}` by glob of the tool."""
    if isinstance(node, Sequence):
        kinds = _statements(node, place)
        return kinds if isinstance(kinds, Invalid) or INVALID in kinds else (("*", frozenset(kinds)),)
    if not isinstance(node, yaml_tree.Mapping):
        if isinstance(node, yaml_tree.Broken):
            return INVALID
        return place.error(node, "expected a list of statements, like [select], or such lists by tool")
    return _by_tool(node, place)


def _by_tool(node: yaml_tree.Mapping, place: Place) -> Any:
    found: list[tuple[str, frozenset[str]]] = []
    faulty = False
    for entry in node.entries:
        below = place.child(entry.key)
        fault = name_fault(entry.key)
        if fault is not None:
            below.error(entry.value, fault)
        kinds = _statements(entry.value, below)
        faulty = faulty or fault is not None or isinstance(kinds, Invalid) or INVALID in kinds
        if not faulty:
            found.append((entry.key, frozenset(kinds)))
    # What holds for every other tool comes last, so that the first match is the right one.
    return INVALID if faulty else tuple(sorted(found, key=lambda one: one[0] == "*"))


read_action = switch(ActionWord, ActionWord.OFF)
_WRITE_ACTION = "off, flag, mask or block"
_tools = list_of(text(name_fault), at_least=1)

COMMON_FIELDS: Final = {
    "action": Field(read_action, missing=_WRITE_ACTION),
    "direction": Field(choice(Direction), default=Direction.BOTH),
    "parts": Field(list_of(choice(Part), at_least=1, at_most=len(Part)), default=tuple(Part)),
    "tools": Field(_tools, default=("*",)),
    "timeout": Field(duration("1ms", "60s")),
    "failureMode": Field(choice(FailureMode), default=FailureMode.CLOSED),
    "observe": Field(boolean, default=False),
}
"""What is said of every detector; how long it may take depends on where it is."""

_limit = integer(1, MAX_LIMIT)
OPTION_FIELDS: Final[dict[DetectorKind, dict[str, Field]]] = {
    DetectorKind.SHAPE: {
        "bytes": Field(_limit, default=0),
        "depth": Field(_limit, default=0),
        "items": Field(_limit, default=0),
        "values": Field(_limit, default=0),
        "characters": Field(_limit, default=0),
    },
    DetectorKind.SECRETS: {"entropy": Field(boolean, default=True)},
    DetectorKind.PII: {
        "kinds": Field(list_of(text(kind_fault), at_least=1, at_most=200), default=()),
        "locales": Field(list_of(text(locale_fault), at_least=1, at_most=100), default=()),
    },
    DetectorKind.SQL: {"statements": Field(read_statements, default=())},
    DetectorKind.INJECTION: {"threshold": Field(number(0, 1))},
    DetectorKind.EXFILTRATION: {"hosts": Field(list_of(text(destination_fault)), default=())},
    DetectorKind.TERMS: {
        "words": Field(list_of(text(term_fault), at_least=1, at_most=10_000), default=()),
        "whole": Field(boolean, default=True),
    },
    DetectorKind.EXTERNAL: {"external": Field(read_external)},
}
"""What is said of one detector alone, in the order in which those of the short form are asked."""

Values = Mapping[str, Any]


def _shape(values: Values) -> Options:
    return ShapeOptions(**{key: values[key] for key in OPTION_FIELDS[DetectorKind.SHAPE]})


def _external(values: Values) -> Options:
    found: ExternalOptions = values["external"]
    return found


_MAKE: Final[dict[DetectorKind, Callable[[Values], Options]]] = {
    DetectorKind.PII: lambda v: PiiOptions(frozenset(v["kinds"]), v["locales"]),
    DetectorKind.SECRETS: lambda v: SecretsOptions(v["entropy"]),
    DetectorKind.SQL: lambda v: SqlOptions(v["statements"]),
    DetectorKind.INJECTION: lambda v: InjectionOptions(v["threshold"]),
    DetectorKind.EXFILTRATION: lambda v: ExfiltrationOptions(tuple(map(normal_host, v["hosts"]))),
    DetectorKind.TERMS: lambda v: TermsOptions(v["words"], v["whole"]),
    DetectorKind.SHAPE: _shape,
    DetectorKind.EXTERNAL: _external,
}


def processor_of(name: str, kind: DetectorKind, values: dict[str, Any], written: frozenset[str]) -> Processor:
    """The processor that sound values of COMMON_FIELDS and of the detector's own fields describe."""
    timeout = values["timeout"]
    if timeout is None:
        timeout = EXTERNAL_TIMEOUT if kind is DetectorKind.EXTERNAL else TIMEOUT
    parts = frozenset(values["parts"]) if "parts" in written else ALL_PARTS
    return Processor(
        name,
        kind,
        Action[ActionWord(values["action"]).name],
        _MAKE[kind](values),
        values["direction"],
        parts,
        values["tools"],
        timeout,
        values["failureMode"],
        values["observe"],
    )
