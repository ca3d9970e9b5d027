"""What a JSON Schema asks of one place in a document, so that something else can stand there.

Not a validator. The document was valid before, or at least somebody took it; whether it stays so depends on the
assertions that look at the place that changes. Each of them, wherever `$ref`, allOf, anyOf, oneOf, not and if
bring it from, is collected with what has to become of it (`Need`). When all are as before (or, where that
cannot harm, true) then the whole schema says of the changed document what it said before, however they are
combined. So nothing has to be decided about branches, and what cannot be understood makes a place unsatisfiable
instead of wrong.

Patterns run in RE2: a server writes them, and a backtracking engine would run as long as the server likes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final
from urllib.parse import unquote

import re2

from sidecar.guardrails.formats import has_format

MOST_DEPTH: Final = 64
"""Schemas within schemas, references followed included."""
MOST_SCHEMAS: Final = 4096
"""Looked at for one place; beyond that it counts as unsatisfiable."""
_LONGEST_PATTERN = 2048


class Need(IntEnum):
    """What has to become of an assertion about the old value."""

    KEPT = 0
    """True if it was: more that is true cannot make a document invalid here."""
    TRUE = 1
    """The document is invalid otherwise."""
    SAME = 2
    """Under oneOf, not, if and the like also what becomes true can make it invalid."""


@dataclass(slots=True)
class Limits:
    """The assertions about one place. `impossible`: nothing else may stand there, or that cannot be known."""

    assertions: list[tuple[str, Any, Need]] = field(default_factory=list)
    impossible: bool = False

    def __bool__(self) -> bool:
        return self.impossible or bool(self.assertions)

    def admits(self, old: Any, new: Any) -> bool:
        """Whether `new`, of the same type, can stand where `old` does."""
        if self.impossible:
            return False
        for keyword, wanted, need in self.assertions:
            after = _truth(keyword, wanted, new)
            if after and need is not Need.SAME:
                continue
            if need is Need.TRUE:
                return False
            before = _truth(keyword, wanted, old)
            if before is None or (before is not after and (before or need is Need.SAME)):
                return False
        return True

    def values(self, keyword: str) -> list[Any]:
        """What is said with `keyword`, in no useful order."""
        return [wanted for name, wanted, _ in self.assertions if name == keyword]


IMPOSSIBLE: Final = Limits(impossible=True)


def limits_at(schema: Any, document: Any, path: Sequence[str | int], left: list[int] | None = None) -> Limits:
    """What `schema` (2020-12; older drafts where they say it alike) says of the string or number in `document`
    that `path` leads to. `left[0]` schemas may be looked at for this and other places."""
    limits = Limits()
    walk = _Walk(schema, limits, [MOST_SCHEMAS] if left is None else left)
    walk.visit(schema, document, tuple(path), Need.TRUE, 0, schema)
    return limits


class _Walk:
    """One descent along a path, through all schemas that look at it."""

    __slots__ = ("_left", "_limits", "_root", "_seen")

    def __init__(self, root: Any, limits: Limits, left: list[int]) -> None:
        self._root = root
        self._limits = limits
        self._seen: set[tuple[int, int, Need]] = set()
        self._left = left

    def visit(
        self, schema: Any, here: Any, path: tuple[str | int, ...], need: Need, depth: int, base: Any
    ) -> None:
        """`base` is the schema resource that references in `schema` are resolved in."""
        if type(schema) is not dict or self._limits.impossible:
            return
        self._left[0] -= 1
        if depth > MOST_DEPTH or self._left[0] < 0:
            self._limits.impossible = True
            return
        mark = (id(schema), len(path), need)
        if mark in self._seen:
            return
        self._seen.add(mark)
        if schema is not self._root and type(schema.get("$id")) is str:
            base = schema
        for inner, inner_need in self._in_place(schema, base, need):
            self.visit(inner, here, path, inner_need, depth + 1, base)
        if not path:
            self._assert(schema, need)
            return
        self._whole(schema, here)
        step, rest = path[0], path[1:]
        within = here[step]
        children = _of_member(schema, str(step)) if type(here) is dict else _of_item(schema, int(step))
        for child, kept_only in children:
            self.visit(child, within, rest, _inner(need, kept_only), depth + 1, base)

    def _in_place(self, schema: dict[str, Any], base: Any, need: Need) -> Iterator[tuple[Any, Need]]:
        """Schemas that `schema` applies to the same value."""
        for keyword in "$ref", "$dynamicRef", "$recursiveRef":
            if keyword in schema:
                target = _resolve(self._root, base, schema[keyword])
                if target is None:
                    self._limits.impossible = True
                else:
                    yield target, need
        for one in _list(schema.get("allOf")):
            yield one, need
        for one in _list(schema.get("anyOf")):
            yield one, _inner(need, Need.KEPT)
        for one in _list(schema.get("oneOf")):
            yield one, Need.SAME
        for keyword in "not", "if":
            if keyword in schema:
                yield schema[keyword], Need.SAME
        for keyword in "then", "else":
            if keyword in schema:
                yield schema[keyword], _inner(need, Need.KEPT)
        for keyword in "dependentSchemas", "dependencies":
            for one in _dict(schema.get(keyword)).values():
                yield one, _inner(need, Need.KEPT)

    def _assert(self, schema: dict[str, Any], need: Need) -> None:
        for keyword in _ASSERTIONS:
            if keyword in schema:
                wanted = schema[keyword]
                if keyword == "pattern" and _compiled(wanted) is None:
                    self._limits.impossible = True
                    return
                self._limits.assertions.append((keyword, wanted, need))

    def _whole(self, schema: dict[str, Any], here: Any) -> None:
        """An enum or const of something around the place: it holds no longer when anything in there changes."""
        known = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
        if any(type(one) is type(here) and one == here for one in known):
            self._limits.impossible = True


def _inner(need: Need, most: Need) -> Need:
    """Of an assertion that is one among others, what it needs when it stands in something that needs `need`."""
    if need is Need.SAME or most is Need.SAME:
        return Need.SAME
    return min(need, most)


def _of_member(schema: dict[str, Any], name: str) -> Iterator[tuple[Any, Need]]:
    known = False
    properties = _dict(schema.get("properties"))
    if name in properties:
        known = True
        yield properties[name], Need.TRUE
    for pattern, one in _dict(schema.get("patternProperties")).items():
        compiled = _compiled(pattern)
        if compiled is None:
            yield {"pattern": pattern}, Need.TRUE  # which nothing satisfies
        elif _found(compiled, name):
            known = True
            yield one, Need.TRUE
    if not known and "additionalProperties" in schema:
        yield schema["additionalProperties"], Need.TRUE
    if "unevaluatedProperties" in schema:
        yield schema["unevaluatedProperties"], Need.KEPT


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


def _truth(keyword: str, wanted: Any, value: Any) -> bool | None:
    """Whether one assertion is true; None where validators differ. Those about another type, and malformed ones,
    always are."""
    if keyword == "enum":
        return type(wanted) is not list or any(_equal(one, value) for one in wanted)
    if keyword == "const":
        return _equal(wanted, value)
    return (_of_string if type(value) is str else _of_number)(keyword, wanted, value)


def _of_string(keyword: str, wanted: Any, value: str) -> bool | None:
    if keyword == "pattern":
        compiled = _compiled(wanted)
        found = compiled is not None and _found(compiled, value)
        # Engines differ in what a letter, a digit and the end of the text are.
        return found if found or (value.isascii() and "\n" not in value) else None
    if keyword == "format":
        return has_format(value, wanted) if type(wanted) is str else True
    if type(wanted) not in (int, float):
        return True
    if keyword == "minLength":
        return bool(len(value) >= wanted)
    return bool(keyword != "maxLength" or len(value) <= wanted)


def _of_number(keyword: str, wanted: Any, value: int | float) -> bool | None:
    if keyword == "type":
        names = wanted if type(wanted) is list else [wanted]
        return "integer" not in names or "number" in names or value % 1 == 0
    if type(wanted) not in (int, float):
        return True
    match keyword:
        case "minimum":
            return bool(value >= wanted)
        case "maximum":
            return bool(value <= wanted)
        case "exclusiveMinimum":
            return bool(value > wanted)
        case "exclusiveMaximum":
            return bool(value < wanted)
        case "multipleOf":
            # Of fractions validators think differently.
            return int(value) % int(wanted) == 0 if wanted >= 1 and wanted % 1 == value % 1 == 0 else None
    return True


def _equal(one: Any, other: Any) -> bool:
    if type(one) is bool or type(other) is bool:
        return one is other
    return bool(one == other)


@functools.lru_cache(maxsize=256)
def _known_pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError):
        return None


def _compiled(pattern: Any) -> Any:
    """The pattern in RE2, whose meaning for ASCII is that of ECMA-262; None where it has no such meaning."""
    if type(pattern) is not str or len(pattern) > _LONGEST_PATTERN:
        return None
    return _known_pattern(pattern)


def _found(compiled: Any, text: str) -> bool:
    try:
        return compiled.search(text) is not None
    except UnicodeEncodeError:  # a lone surrogate, which no pattern means
        return False


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
