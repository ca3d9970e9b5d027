"""The schema of `arguments`: what calls of a tool have to be like."""

from __future__ import annotations

from typing import Any

from mesh.policy.documents import ArgumentRule
from mesh.policy.entries import name_fault
from mesh.policy.expressions import NoExpression, arguments_expression
from mesh.policy.fields import INVALID, Field, Invalid, Place, list_of, read_object, text
from mesh.policy.yaml_tree import Node

MAX_RULES = 100
MAX_MESSAGE = 1024


def expression_fault(value: str) -> str | None:
    """What is wrong with an expression over the arguments of a call, or None."""
    try:
        arguments_expression(value)
    except NoExpression as invalid:
        return str(invalid)
    return None


def _message_fault(value: str) -> str | None:
    return (
        None if len(value) <= MAX_MESSAGE else f"{len(value)} characters; at most {MAX_MESSAGE} are allowed"
    )


ARGUMENT_FIELDS = {
    "tool": Field(text(name_fault), missing="the tool, or a pattern with * and ?"),
    "require": Field(text(expression_fault), missing="a CEL expression over args"),
    "message": Field(text(_message_fault), default=""),
}


def _read_rule(node: Node, place: Place) -> ArgumentRule | Invalid:
    values = read_object(node, place, ARGUMENT_FIELDS)
    if values is None or INVALID in values.values():
        return INVALID
    return ArgumentRule(values["tool"], values["require"], values["message"])


_read_rules = list_of(_read_rule, at_most=MAX_RULES)


def read_arguments(node: Node, place: Place) -> tuple[ArgumentRule, ...] | Invalid:
    """The rules of an `arguments` section, INVALID when one of them is."""
    rules: tuple[Any, ...] | Invalid = _read_rules(node, place)
    return INVALID if isinstance(rules, Invalid) or INVALID in rules else rules
