"""An expression of the Common Expression Language: compiled once, asked often, within bounds.

The library is Google's own CEL (cel-expr-python over cel-cpp). It stops loops after 10,000 rounds and parsing at
32 levels; what it does not bound is bounded here: the length of the text, what a round may cost, how large values
are. Before each evaluation over large values its steps are bounded from above, and it is refused above MAX_STEPS.

Measured on two busy cores: 10 us for a comparison; 47 us where the values are large, so that it is weighed. The
worst of 40 hostile expressions, each with the largest values that are let through, took 18 ms: regular expressions
that defeat RE2's automaton, and loops over 10,000 members, half of which is the weighing.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Mapping
from typing import Any, Final

from mesh.cel.cost import Bound, Walk
from mesh.cel.errors import CelExhausted, CelFailed, CelInvalid
from mesh.cel.functions import MATCHES, MAX_PROGRAM, RULES, TIME_PARTS, program_size
from mesh.cel.kinds import CelType
from mesh.cel.tree import Call, Const, Ident, Made, Node, loop_depth, nodes, read_tree
from mesh.cel.values import Size, measure_all

MAX_EXPRESSION: Final = 4096
"""Characters of an expression."""
MAX_NODES: Final = 2000
MAX_STEPS: Final = 15_000_000
"""Steps of one evaluation, each about a nanosecond."""
_MAX_DOUBLINGS = 4
MAX_LOOPS: Final = 4
_LIGHT = Size(64, 4096)
_WHERE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_MAX_DETAIL = 300


class Expression:
    """One compiled expression; `text` is what it was written as, `variables` those that it reads."""

    __slots__ = ("_compiled", "_heavy", "_tree", "text", "variables")

    def __init__(self, text: str, compiled: Any, tree: Node, variables: frozenset[str]) -> None:
        self.text, self.variables = text, variables
        self._compiled, self._tree = compiled, tree
        walk = Walk()
        walk.over(tree, {name: Bound(_LIGHT) for name in variables})
        self._heavy = walk.steps > MAX_STEPS

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def evaluate(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds. `values`: JSON and aware datetimes, by the names of the variables; what the expression
        does not read is not looked at.

        Raises:
            CelFailed: it has no answer for these values.
            CelExhausted: the answer could take too long.
        """
        read = {name: values[name] for name in self.variables if name in values}
        size = measure_all(read)
        if self._heavy or size.leaves > _LIGHT.leaves or size.chars > _LIGHT.chars:
            self._weigh(read, size)
        try:
            value = self._compiled.eval(data=read)
            answer = value.value()
        except (RuntimeError, TypeError, ValueError) as failed:
            said = _plain(str(failed))
            if "budget" in said:
                raise CelExhausted("its loops run more than 10,000 rounds") from failed
            raise CelFailed(said) from failed
        if not isinstance(answer, bool):
            raise CelFailed(_plain(answer) if value.type().name() == "ERROR" else _NO_TRUTH)
        return answer

    def steps(self, values: Mapping[str, Any]) -> int:
        """How many steps `evaluate` may take at most; raises CelFailed, CelExhausted for values out of bounds."""
        return self._walk(Walk(), {name: values[name] for name in self.variables if name in values})

    def _walk(self, walk: Walk, values: Mapping[str, Any]) -> int:
        walk.over(self._tree, {name: walk.bound_of(value) for name, value in values.items()})
        return walk.steps

    def _weigh(self, values: Mapping[str, Any], size: Size) -> None:
        measured = {id(value): size for value in values.values()} if len(values) == 1 else None
        steps = self._walk(Walk(measured), values)
        if steps > MAX_STEPS:
            raise CelExhausted(
                f"for these values it may take {steps:,} steps, of {MAX_STEPS:,} that are allowed"
            )


_NO_TRUTH = "it is neither true nor false"


def compile_expression(text: str, variables: Mapping[str, CelType]) -> Expression:
    """The expression `text` over `variables`, by their full names (`request.path`); remembered by text.

    Raises:
        CelInvalid: with everything that is wrong with it.
    """
    return _compiled(text, tuple(sorted(variables.items())))


@functools.lru_cache(maxsize=2048)
def _compiled(text: str, variables: tuple[tuple[str, CelType], ...]) -> Expression:
    _check_text(text)
    names = [name for name, _ in variables]
    try:
        compiled = _environment(variables).compile(text)
    except RuntimeError as wrong:
        raise CelInvalid(_errors(str(wrong), names)) from wrong
    tree = read_tree(compiled.serialize())
    errors = _refused(tree)
    given = compiled.return_type().name()
    if given not in {"BOOL", "DYN"}:
        errors.append(f"it gives {given.lower()}, where true or false is needed")
    if errors:
        raise CelInvalid(tuple(errors))
    read = frozenset(node.name for node in nodes(tree) if isinstance(node, Ident) and node.name in names)
    return Expression(text, compiled, tree, read)


def _check_text(text: str) -> None:
    if not text.strip():
        raise CelInvalid(("it is empty",))
    if len(text) > MAX_EXPRESSION:
        raise CelInvalid((f"it has {len(text)} characters, of {MAX_EXPRESSION} that are allowed",))
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise CelInvalid(("it holds U+0000 or half a surrogate pair",))
    if len(re.findall(r"opt(?:Flat)?Map", text)) > _MAX_DOUBLINGS:
        raise CelInvalid(
            (f"optMap and optFlatMap may be used {_MAX_DOUBLINGS} times: each doubles its operand",)
        )


def _refused(tree: Node) -> list[str]:
    """What the library understands and is not allowed here, a sentence each."""
    found: dict[str, None] = {}
    if loop_depth(tree) > MAX_LOOPS:
        found[f"its loops are nested deeper than {MAX_LOOPS}"] = None
    for count, node in enumerate(nodes(tree)):
        if count == MAX_NODES:
            found[f"it has more than {MAX_NODES} parts"] = None
            break
        if isinstance(node, Made) and node.message:
            found[f"messages such as {node.message} cannot be made"] = None
        if isinstance(node, Call):
            found.update(dict.fromkeys(_refused_call(node)))
    return [*found]


def _refused_call(node: Call) -> list[str]:
    if node.function == MATCHES:
        pattern = node.arguments[1]
        if not isinstance(pattern, Const) or pattern.text is None:
            return ["matches() takes its pattern as a literal"]
        return _refused_pattern(pattern.text)
    if node.function not in RULES:
        return [f"there is no function {node.function}()"]
    if node.function in TIME_PARTS and len(node.arguments) > 1 and not isinstance(node.arguments[1], Const):
        return [f"{node.function}() takes its time zone as a literal"]
    return []


def _refused_pattern(pattern: str) -> list[str]:
    try:
        size = program_size(pattern)
    except ValueError as wrong:
        return [f"the pattern {pattern!r} is no regular expression of RE2: {wrong}"]
    if size > MAX_PROGRAM:
        return [f"the pattern {pattern!r} compiles to {size} instructions, of {MAX_PROGRAM} that are allowed"]
    return []


def _errors(said: str, names: list[str]) -> tuple[str, ...]:
    """The library's messages, a sentence each, with the variables that there are where one is not."""
    found: dict[str, None] = {}
    for line, column, message in _WHERE.findall(said):
        if "<<nil>>" in message:
            continue
        unknown = re.match(r"undeclared reference to '([^']*)'", message)
        message = f"{unknown[1]} is not known; known are {', '.join(names)}" if unknown else message
        place = f"line {line}, column {column}: " if int(line) > 0 else ""
        found[f"{place}{_plain(message)}"] = None
    return tuple(found) or (_plain(said.splitlines()[0]),)


def _plain(said: str) -> str:
    return _STATUS.sub("", said.strip()).removesuffix(" (in container '')")[:_MAX_DETAIL]


@functools.lru_cache(maxsize=64)
def _environment(variables: tuple[tuple[str, CelType], ...]) -> Any:
    """Imported late: the library costs 4 MB, and few sidecars have an expression."""
    cel: Any = importlib.import_module("cel_expr_python.cel")
    extensions = [
        importlib.import_module("cel_expr_python.ext.ext_strings").ExtStrings(),
        importlib.import_module("cel_expr_python.ext.ext_optional").ExtOptional(),
    ]
    kinds = cel.Type
    types = {
        CelType.BOOL: kinds.BOOL,
        CelType.INT: kinds.INT,
        CelType.STRING: kinds.STRING,
        CelType.TIMESTAMP: kinds.TIMESTAMP,
        CelType.TEXTS: kinds.Map(kinds.STRING, kinds.STRING),
        CelType.JSON_OBJECT: kinds.Map(kinds.STRING, kinds.DYN),
        CelType.DYN: kinds.DYN,
    }
    return cel.NewEnv(variables={name: types[kind] for name, kind in variables}, extensions=extensions)
