"""What a JSON Schema asks of one place in a document, so that something else can stand there.

Not a validator. The document was valid before, or at least somebody took it; whether it stays so depends on the
assertions that look at the place that changes. Each of them, wherever `$ref`, allOf, anyOf, oneOf, not and if
bring it from, is collected with what has to become of it (`Need`).

Servers write schemas, and must not learn from what stands in a place what stood there. So the value itself is
never looked at, but for its type: what may have to be true is to be true, and where it matters whether something
was, the place is unsatisfiable. Branches are left out that are false for the type, or for another member that is
not masked; of what anyOf leaves for a place one is taken, by the schema alone.

Patterns run in RE2 with little memory: a backtracking engine would run as long as the server likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final
from urllib.parse import unquote

from sidecar.guardrails.assertions import (
    BOUNDS,
    LONGEST_TEXT,
    admitted,
    compiled_pattern,
    concerns,
    excludes,
    is_of,
    matches,
    truth,
)

MOST_DEPTH: Final = 64
"""Schemas within schemas, references followed included."""
MOST_SCHEMAS: Final = 4096
"""Looked at for one place; beyond that it counts as unsatisfiable."""
_MOST_LOOKED_INTO = 4
"""References that are followed to see whether a branch is false."""
MOST_PATTERNS: Final = 16
"""Run for one place; where there are more it counts as unsatisfiable."""


def _never_late() -> bool:
    return False


class Need(IntEnum):
    """What has to become of an assertion."""

    KEPT = 0
    """True if it was: more that is true cannot make a document invalid here. Made true, and not steered by."""
    TRUE = 1
    """The document is invalid otherwise."""
    SAME = 2
    """Under oneOf, not, if and the like also what becomes true can make it invalid: nothing may stand there."""


@dataclass(slots=True)
class Limits:
    """The assertions about one place that depend on what stands there. `impossible`: nothing else may stand there,
    or that cannot be known, as when it is `late`."""

    assertions: list[tuple[str, Any, Need]] = field(default_factory=list)
    impossible: bool = False
    late: Callable[[], bool] = _never_late

    def __bool__(self) -> bool:
        return self.impossible or bool(self.assertions)

    def admits(self, new: Any) -> bool:
        """Whether `new`, of the same type as what stands there, can stand there."""
        if self.impossible:
            return False
        return all(not self.late() and truth(keyword, wanted, new) for keyword, wanted, _ in self.assertions)

    def values(self, keyword: str) -> list[Any]:
        """What is said with `keyword` of whatever stands there, in no useful order."""
        return [wanted for name, wanted, need in self.assertions if name == keyword and need is Need.TRUE]


IMPOSSIBLE: Final = Limits(impossible=True)


def limits_at(
    schema: Any,
    document: Any,
    path: Sequence[str | int],
    left: list[int] | None = None,
    *,
    hidden: Set[tuple[int, str | int]] = frozenset(),
    late: Callable[[], bool] = _never_late,
) -> Limits:
    """What `schema` (2020-12; older drafts where they say it alike) says of the string or number in `document`
    that `path` leads to. `left[0]` schemas may be looked at for this and other places, until it is `late`; members
    of `hidden` (by the id of their object, and name) are not looked at."""
    limits = Limits(late=late)
    walk = _Walk(schema, limits, [MOST_SCHEMAS] if left is None else left, hidden)
    walk.visit(schema, document, tuple(path), Need.TRUE, 0, schema)
    return limits


class _Walk:
    """One descent along a path, through all schemas that look at it."""

    __slots__ = ("_hidden", "_left", "_limits", "_patterns", "_root", "_seen")

    def __init__(
        self, root: Any, limits: Limits, left: list[int], hidden: Set[tuple[int, str | int]]
    ) -> None:
        self._root = root
        self._limits = limits
        self._seen: set[tuple[int, int, Need]] = set()
        self._left = left
        self._hidden = hidden
        self._patterns = MOST_PATTERNS

    def visit(
        self, schema: Any, here: Any, path: tuple[str | int, ...], need: Need, depth: int, base: Any
    ) -> None:
        """`base` is the schema resource that references in `schema` are resolved in."""
        if type(schema) is not dict or self._limits.impossible:
            return
        self._left[0] -= 1
        if depth > MOST_DEPTH or self._left[0] < 0 or self._limits.late():
            self._limits.impossible = True
            return
        mark = (id(schema), len(path), need)
        if mark in self._seen:
            return
        self._seen.add(mark)
        if schema is not self._root and type(schema.get("$id")) is str:
            base = schema
        for inner, inner_need in self._in_place(schema, here, path, base, need):
            self.visit(inner, here, path, inner_need, depth + 1, base)
        if not path:
            self._assert(schema, here, need)
            return
        self._whole(schema, here)
        step, rest = path[0], path[1:]
        within = here[step]
        children = self._of_member(schema, str(step)) if type(here) is dict else _of_item(schema, int(step))
        for child, kept_only in children:
            self.visit(child, within, rest, _inner(need, kept_only), depth + 1, base)

    def _in_place(
        self, schema: dict[str, Any], here: Any, path: tuple[str | int, ...], base: Any, need: Need
    ) -> Iterator[tuple[Any, Need]]:
        """Schemas that `schema` applies to the same value."""
        for keyword in "$ref", "$dynamicRef", "$recursiveRef":
            if keyword in schema:
                target = _resolve(self._root, base, schema[keyword])
                if target is None:
                    self._limits.impossible = True
                else:
                    yield target, need

        def alive(branches: Any) -> list[Any]:
            return [one for one in _list(branches) if not self._never(one, here, path, base, 0)]

        for one in _list(schema.get("allOf")):
            yield one, need
        some = alive(schema.get("anyOf"))
        if some and not path and need is not Need.SAME:
            yield min(some, key=lambda one: self._burden(one, base)), need
        else:
            yield from ((one, need if len(some) == 1 else _inner(need, Need.KEPT)) for one in some)
        some = alive(schema.get("oneOf"))
        yield from ((one, need if len(some) == 1 else Need.SAME) for one in some)
        for one in alive([schema.get("not")]):
            if need is Need.SAME or path or not self._denied(one, here, need):
                yield one, Need.SAME
        asked = alive([schema["if"]]) if "if" in schema else []
        if asked:
            yield asked[0], Need.SAME
            yield schema.get("then"), _inner(need, Need.KEPT)
        if "if" in schema:
            yield schema.get("else"), _inner(need, Need.KEPT) if asked else need
        if type(here) is dict:
            for keyword in "dependentSchemas", "dependencies":
                yield from ((one, need) for name, one in _dict(schema.get(keyword)).items() if name in here)

    def _never(self, schema: Any, here: Any, path: tuple[str | int, ...], base: Any, depth: int) -> bool:
        """Whether it is false of whatever stands in the place."""
        if type(schema) is not dict or depth > _MOST_LOOKED_INTO:
            return schema is False
        self._left[0] -= 1
        if "type" in schema and not is_of(here, schema["type"]):
            return True
        if excludes(schema, here):
            return True
        if path and type(here) is dict:
            members = _dict(schema.get("properties"))
            for name in members if len(members) < len(here) else here:
                if name == path[0] or name not in here or type(members.get(name)) is not dict:
                    continue
                value = here[name]
                if type(value) is str and (id(here), name) not in self._hidden:
                    known = admitted(members[name])
                    if known is not None and value not in known:
                        return True
        reference = schema.get("$ref")
        target = None if reference is None else _resolve(self._root, base, reference)
        return target is not None and self._never(target, here, path, base, depth + 1)

    def _burden(self, schema: Any, base: Any) -> int:
        """Which of anyOf's branches is satisfied most easily: nothing, more than nothing, hardly anything."""
        for _ in range(_MOST_LOOKED_INTO):
            if type(schema) is not dict or "$ref" not in schema:
                break
            schema = _resolve(self._root, base, schema["$ref"])
        if type(schema) is not dict:
            return 0
        if "enum" in schema or "const" in schema:
            return 3
        if not schema.keys().isdisjoint(_COMBINING):
            return 2
        return 0 if schema.keys().isdisjoint(_ASSERTIONS[1:]) else 1

    def _denied(self, schema: Any, here: Any, need: Need) -> bool:
        """Whether it makes one assertion only, which then is to be false."""
        if type(schema) is not dict:
            return True
        said = [name for name in _SAYING if name in schema and name != "type"]
        if len(said) != 1 or said[0] not in BOUNDS | {"pattern", "minLength", "maxLength"}:
            return False
        (keyword,) = said
        if not concerns(keyword, schema[keyword], here):
            return False
        if keyword == "pattern" and self._pattern(schema[keyword]) is None:
            self._limits.impossible = True
        self._limits.assertions.append(("not", (keyword, schema[keyword]), need))
        return True

    def _assert(self, schema: dict[str, Any], here: Any, need: Need) -> None:
        for keyword in _ASSERTIONS:
            if keyword not in schema or not concerns(keyword, schema[keyword], here):
                continue
            wanted = schema[keyword]
            unknown = keyword == "pattern" and self._pattern(wanted) is None
            if unknown or need is Need.SAME or keyword in ("enum", "const"):
                self._limits.impossible = True
                return
            self._limits.assertions.append((keyword, wanted, need))

    def _pattern(self, pattern: Any) -> Any:
        """The pattern, compiled; None where it cannot be known what it says."""
        self._patterns -= 1
        return None if self._patterns < 0 or self._limits.late() else compiled_pattern(pattern)

    def _whole(self, schema: dict[str, Any], here: Any) -> None:
        """An enum or const of something around the place: it may hold no longer when anything in there changes."""
        if any(type(one) is type(here) for one in admitted(schema) or ()):
            self._limits.impossible = True

    def _of_member(self, schema: dict[str, Any], name: str) -> Iterator[tuple[Any, Need]]:
        known = False
        properties = _dict(schema.get("properties"))
        if name in properties:
            known = True
            yield properties[name], Need.TRUE
        for pattern, one in _dict(schema.get("patternProperties")).items():
            compiled = self._pattern(pattern)
            if compiled is None or len(name) > LONGEST_TEXT:
                self._limits.impossible = True
                return
            if matches(compiled, name):
                known = True
                yield one, Need.TRUE
        if not known and "additionalProperties" in schema:
            yield schema["additionalProperties"], Need.TRUE
        if "unevaluatedProperties" in schema:
            yield schema["unevaluatedProperties"], Need.KEPT


def _inner(need: Need, most: Need) -> Need:
    """Of an assertion that is one among others, what it needs when it stands in something that needs `need`."""
    if need is Need.SAME or most is Need.SAME:
        return Need.SAME
    return min(need, most)


def _of_item(schema: dict[str, Any], place: int) -> Iterator[tuple[Any, Need]]:
    items = schema.get("items")
    first = _list(schema.get("prefixItems"))
    if type(items) is list:  # until 2019-09
        first, items = items, schema.get("additionalItems")
    if place < len(first):
        yield first[place], Need.TRUE
    elif items is not None:
        yield items, Need.TRUE
    if "contains" in schema:
        yield schema["contains"], Need.SAME
    if "unevaluatedItems" in schema:
        yield schema["unevaluatedItems"], Need.KEPT


def _resolve(root: Any, base: Any, reference: Any) -> Any:
    """What a reference within the document leads to; None for others."""
    if type(reference) is not str:
        return None
    if reference == "#" or reference == _dict(base).get("$id"):
        return base
    if reference.startswith("#/"):
        return _pointed(base, unquote(reference[2:]))
    if reference.startswith("#"):
        found = [
            one for one in _anchored(root) if reference[1:] in (one.get("$anchor"), one.get("$dynamicAnchor"))
        ]
        return found[0] if len(found) == 1 else None
    return None


def _pointed(base: Any, pointer: str) -> Any:
    """RFC 6901."""
    here = base
    for step in pointer.split("/"):
        if here is not base and type(here) is dict and "$id" in here:
            return None  # into another resource, where references mean something else
        step = step.replace("~1", "/").replace("~0", "~")
        if type(here) is dict and step in here:
            here = here[step]
        elif (
            type(here) is list
            and step.isdecimal()
            and step.isascii()
            and len(step) < 6
            and int(step) < len(here)
        ):
            here = here[int(step)]
        else:
            return None
    # True and False are schemas that assert nothing of what may stand in a place.
    return {} if type(here) is bool else here if type(here) is dict else None


def _anchored(root: Any) -> Iterator[dict[str, Any]]:
    pending, left = [root], MOST_SCHEMAS
    while pending and left:
        left -= 1
        here = pending.pop()
        if type(here) is dict:
            if "$anchor" in here or "$dynamicAnchor" in here:
                yield here
            pending += here.values()
        elif type(here) is list:
            pending += here


def _list(value: Any) -> list[Any]:
    return value if type(value) is list else []


def _dict(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


_ASSERTIONS: Final = (
    "type",
    "enum",
    "const",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
)
_COMBINING: Final = frozenset({"allOf", "anyOf", "oneOf", "not", "if"})
_SAYING: Final = (*_ASSERTIONS, *_COMBINING, "$ref", "$dynamicRef", "$recursiveRef")
