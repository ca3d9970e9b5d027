"""The syntax tree of a checked expression, read from what the library serializes.

The library tells nothing of a compiled expression but its protobuf bytes (cel.expr.CheckedExpr of
cel/expr/checked.proto, inside a google.protobuf.Any). Those few messages are read here by hand, so that no
protobuf runtime is needed for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Const:
    """A literal; `text` where it is a string, `length` its length in bytes for strings and bytes, else 0."""

    text: str | None
    length: int


@dataclass(frozen=True, slots=True)
class Ident:
    """A variable, by its full name, such as `request.path` or `args`."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`; `test`: the macro `has()` of it."""

    operand: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator, such as `_&&_`; the receiver of a method is the first of `arguments`."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A list, map or message that the expression makes. `items`: what is in it, keys too; `message`: its type's
    name, "" for lists and maps; `entries`: how many elements or pairs it has."""

    items: tuple[Node, ...]
    message: str
    entries: int


@dataclass(frozen=True, slots=True)
class Loop:
    """What macros such as `all`, `exists`, `map` and `filter` become: `step` once for each element."""

    element: str
    over: Node
    result: str
    first: Node
    condition: Node
    step: Node
    last: Node


Node: TypeAlias = Const | Ident | Select | Call | Made | Loop


def read_tree(serialized: bytes) -> Node:
    """The tree of an expression that the library serialized."""
    checked = _only(serialized, 2)
    return _node(_only(checked, 4), _references(checked))


def nodes(tree: Node) -> Iterator[Node]:
    """Every node, the root first."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(parts(node))


def parts(node: Node) -> tuple[Node, ...]:
    """The nodes right below one."""
    match node:
        case Select(operand=operand):
            return (operand,)
        case Call(arguments=arguments):
            return arguments
        case Made(items=items):
            return items
        case Loop():
            return (node.over, node.first, node.condition, node.step, node.last)
        case _:
            return ()


def loop_depth(node: Node) -> int:
    """How many loops stand within each other at most."""
    return isinstance(node, Loop) + max((loop_depth(part) for part in parts(node)), default=0)


def _references(checked: bytes) -> dict[int, str]:
    """Which nodes are names: the checker notes by id what `a.b` is where a variable is called so."""
    found: dict[int, str] = {}
    for number, entry in _fields(checked):
        if number == 2 and isinstance(entry, bytes):
            fields = dict(_fields(entry))
            reference, node = fields.get(2), fields.get(1)
            name = dict(_fields(reference)).get(1) if isinstance(reference, bytes) else None
            if isinstance(name, bytes) and isinstance(node, int):
                found[node] = name.decode()
    return found


def _node(data: bytes, names: dict[int, str]) -> Node:
    fields = dict(_fields(data))
    number = fields.get(2)
    for kind, body in fields.items():
        if not isinstance(body, bytes):
            continue
        match kind:
            case 3:
                return _const(body)
            case 4:
                name = names.get(number) if isinstance(number, int) else None
                return Ident(name or _text(body, 1))
            case 5:
                inner = dict(_fields(body))
                return Select(_node(_only(body, 1), names), _text(body, 2), bool(inner.get(3)))
            case 6:
                return _call(body, names)
            case 7:
                items = tuple(_node(item, names) for item in _all(body, 1))
                return Made(items, "", len(items))
            case 8:
                return _made(body, names)
            case 9:
                return _loop(body, names)
    return Const(None, 0)


def _const(body: bytes) -> Const:
    for number, value in _fields(body):
        if isinstance(value, bytes) and number in {6, 7}:
            return Const(value.decode() if number == 6 else None, len(value))
    return Const(None, 0)


def _call(body: bytes, names: dict[int, str]) -> Call:
    receiver = [_node(item, names) for item in _all(body, 1)]
    arguments = [_node(item, names) for item in _all(body, 3)]
    return Call(_text(body, 2), (*receiver, *arguments))


def _made(body: bytes, names: dict[int, str]) -> Made:
    items: list[Node] = []
    entries = _all(body, 2)
    for entry in entries:
        items += [_node(part, names) for number in (3, 4) for part in _all(entry, number)]
    return Made(tuple(items), _text(body, 1), len(entries))


def _loop(body: bytes, names: dict[int, str]) -> Loop:
    over, first, condition, step, last = (_node(_only(body, number), names) for number in (2, 4, 5, 6, 7))
    return Loop(_text(body, 1), over, _text(body, 3), first, condition, step, last)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: numbers with integers (varint, fixed) or bytes."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
        else:
            size, place = _varint(data, place) if wire == 2 else ({1: 8, 5: 4}[wire], place)
            yield number, data[place : place + size]
            place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def _all(data: bytes, number: int) -> list[bytes]:
    return [value for found, value in _fields(data) if found == number and isinstance(value, bytes)]


def _only(data: bytes, number: int) -> bytes:
    return _all(data, number)[0]


def _text(data: bytes, number: int) -> str:
    found = _all(data, number)
    return found[0].decode() if found else ""
