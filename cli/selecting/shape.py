"""Is it a webhook configuration? The API server has only valid ones; files hold what people wrote."""

from __future__ import annotations

from typing import Any, Required, TypedDict

import msgspec


class _Expression(TypedDict, total=False):
    key: Required[str]
    operator: Required[str]
    values: list[str] | None


class _Selector(TypedDict, total=False):
    matchLabels: dict[str, str] | None
    matchExpressions: list[_Expression] | None


class _Rule(TypedDict, total=False):
    operations: list[str] | None
    apiGroups: list[str] | None
    resources: list[str] | None
    scope: str


class _ClientConfig(TypedDict, total=False):
    service: dict[str, Any] | None


class _Condition(TypedDict, total=False):
    name: str
    expression: Required[str]


class _Webhook(TypedDict, total=False):
    name: str
    rules: list[_Rule] | None
    clientConfig: _ClientConfig | None
    namespaceSelector: _Selector | None
    objectSelector: _Selector | None
    matchConditions: list[_Condition] | None


class _Metadata(TypedDict, total=False):
    name: str


class _Configuration(TypedDict, total=False):
    metadata: _Metadata
    webhooks: list[_Webhook] | None


def is_configuration(value: object) -> bool:
    """Has it the types that the API server would insist on, as far as they are read here?"""
    try:
        msgspec.convert(value, _Configuration)
    except msgspec.ValidationError:
        return False
    return True
