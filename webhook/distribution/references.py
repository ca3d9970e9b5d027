"""Which Backends AgentPolicies name, and which of these are not there.

A rule about a Backend that does not exist is no mistake by itself, because objects come in any order; but it has
no effect until that Backend comes, which somebody who has misspelt its name should be told.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from webhook.distribution.kinds import BACKEND_KINDS, Key

Place = tuple[str, str]
"""Namespace and name of a Backend or XBackend."""


def mentions(value: Any, namespace: str) -> Iterator[tuple[str, Place]]:
    """Each rule of an AgentPolicy of `namespace` that names one Backend, such as `outbound[0]`, and which."""
    for at, rule in enumerate(value.outbound):
        if rule.backend != "*":
            place, slash, name = rule.backend.rpartition("/")
            yield f"outbound[{at}]", (place if slash else namespace, name)


def absent(value: Any, namespace: str, entries: Container[Key]) -> list[tuple[str, Place]]:
    """The mentions of Backends of which there is none of any kind."""
    return [
        (rule, place)
        for rule, place in mentions(value, namespace)
        if not any(Key(kind, *place) in entries for kind in BACKEND_KINDS)
    ]


class References:
    """Who names a Backend, so that a Backend that comes or goes can be told to them."""

    __slots__ = ("_named", "_naming")

    def __init__(self) -> None:
        self._named: dict[Key, frozenset[Place]] = {}
        self._naming: dict[Place, dict[Key, None]] = {}

    def put(self, key: Key, value: Any) -> None:
        """An AgentPolicy is in force with `value`; None: nothing is."""
        before = self._named.pop(key, frozenset())
        after = frozenset() if value is None else frozenset(one for _, one in mentions(value, key.namespace))
        for place in before - after:
            self._naming[place].pop(key)
            if not self._naming[place]:
                del self._naming[place]
        for place in after - before:
            self._naming.setdefault(place, {})[key] = None
        if after:
            self._named[key] = after

    def naming(self, namespace: str, name: str) -> tuple[Key, ...]:
        """The AgentPolicies with a rule about a Backend."""
        return tuple(self._naming.get((namespace, name), ()))
