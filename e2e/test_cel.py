"""Our CEL beside cel-go, which API servers and the reference implementation of XAccessPolicy use.

Every expression is asked about every value on both sides: the same answer, or no answer on either. The Go program
is built once, into the cache; without Go this is skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e.conftest import skip
from e2e.environments import Unavailable, built, run
from mesh.cel import CelFailed, CelInvalid, CelType, access_policy_variables, compile_expression
from mesh.cel.access_policy import VARIABLES

SOURCE: Final = Path(__file__).with_name("cel")
ARGS: Final = {"args": CelType.JSON_OBJECT}


@dataclass(frozen=True, slots=True)
class Question:
    """An expression, its variables with their types, and their values as JSON has them."""

    expression: str
    variables: dict[str, CelType]
    values: dict[str, Any]


@pytest.fixture(scope="session")
def cel_go() -> Path:
    """The program, built from the Go module proxy."""

    def build(folder: Path) -> None:
        if shutil.which("go") is None:
            raise Unavailable("cel-go is built here, and there is no go")
        folder.mkdir()
        env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-p=2 -mod=readonly", "GOWORK": "off"}
        run(["nice", "go", "build", "-trimpath", "-o", str(folder / "cel"), "."], cwd=SOURCE, env=env)

    try:
        digest = hashlib.sha256((SOURCE / "main.go").read_bytes() + (SOURCE / "go.sum").read_bytes())
        return built(f"cel-go-{digest.hexdigest()[:12]}", build) / "cel"
    except Unavailable as reason:
        skip("cel-go", reason)
        raise


def go_verdicts(program: Path, questions: Iterable[Question]) -> list[str]:
    """What cel-go makes of each: true, false, failed or invalid."""
    lines = [
        json.dumps({"expression": one.expression, "variables": one.variables, "values": one.values})
        for one in questions
    ]
    said = subprocess.run([program], input="\n".join(lines), capture_output=True, text=True, check=True)
    return [_verdict(json.loads(line)) for line in said.stdout.splitlines()]


def _verdict(told: dict[str, Any]) -> str:
    if "answer" in told:
        return str(told["answer"])
    return "failed" if "failed" in told else "invalid"


def our_verdict(one: Question) -> str:
    """What ours makes of it."""
    try:
        values = {name: _value(value, one.variables[name]) for name, value in one.values.items()}
        return str(compile_expression(one.expression, one.variables).evaluate(values))
    except CelInvalid:
        return "invalid"
    except CelFailed:
        return "failed"


def _value(value: Any, kind: CelType) -> Any:
    return datetime.fromisoformat(value) if kind is CelType.TIMESTAMP else value


def differences(program: Path, questions: list[Question]) -> list[str]:
    verdicts = go_verdicts(program, questions)
    assert len(verdicts) == len(questions)
    ours = [our_verdict(one) for one in questions]
    return [
        f"{one.expression} with {one.values}: {our}, cel-go says {go}"
        for one, our, go in zip(questions, ours, verdicts, strict=True)
        if our != go
    ]


EXPRESSIONS: Final = (SOURCE / "expressions.txt").read_text(encoding="utf-8").splitlines()
X: Final = (
    1, 0, -1, 2, 1.0, 1.5, -0.0, 1e300, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), True, False, None,
    "", "a", "ab", "A", "1", "true", "é", "a\u0301", "😀", " a ", "a,b", "2026-01-02T03:04:05Z", "90m", "a\nb",
    "\\",
    [], [1, 2], ["a", "b"], [1, 1.0, "1"], [[1]], [None], [{"z": 1}], {}, {"k": 1}, {"y": 1}, {"y": [True]},
    {"k": {"k": 1}},
)  # fmt: skip

# Where the two differ, and why that is all right.
KNOWN: Final = {
    "has(args.x.y)": "of what is no map: an error with us, so a refusal; false with cel-go",
    "args.?x.?y.hasValue()": "the same",
    "'%d'.format([args.x]) == '1'": "cel-go writes a whole double as an integer",
    "int(args.x) == 1": "ours takes true for 1, cel-go refuses to",
}


def test_answers_are_those_of_cel_go(cel_go: Path) -> None:
    questions = [Question(text, ARGS, {"args": {"x": value}}) for text in EXPRESSIONS for value in X]
    questions += [Question(text, ARGS, {"args": {"x": 1, "y": 1}}) for text in EXPRESSIONS]
    found = differences(cel_go, questions)
    assert not [line for line in found if line.split(" with {")[0] not in KNOWN]
    assert {line.split(" with {")[0] for line in found} == set(KNOWN)


REQUEST: Final[dict[str, Any]] = {
    "request.mcp.tool_name": "get-sum",
    "request.path": "/mcp?tenant=a",
    "request.url_path": "/mcp",
    "request.method": "POST",
    "request.host": "github.tools.svc",
    "request.headers": {"x-tenant": "a"},
    "request.time": "2026-11-03T17:04:05.678Z",
    "request.mcp.arguments": {"owner": "acme", "a": 2},
    "source.spiffe_id": "spiffe://cluster.local/ns/agents/sa/triage",
}
OF_REQUESTS: Final = (
    *(variable.example for variable in VARIABLES),
    "request.time.getFullYear() == 2026 && request.time.getMonth() == 10 && request.time.getDate() == 3",
    "request.time.getDayOfWeek() == 2 && request.time.getMilliseconds() == 678",
    "request.time.getHours('-07:00') == 10",
    "request.time - timestamp('2026-11-03T00:00:00Z') > duration('17h')",
    "request.time + duration('1h') < timestamp('2026-11-03T18:04:06Z')",
    "request.headers['x-other'] == 'a'",
    "has(request.headers.other)",
    "request.headers.exists(name, name.startsWith('x-') && request.headers[name] == 'a')",
    "request.headers == {'x-tenant': 'a'}",
    "request.mcp.arguments.a == 2.0",
    "request.mcp.arguments.owner.size() + request.path.size() == 17",
    "request.body == ''",
    "request == null",
    "request.path == 1",
    "request.mcp.tool_name.matches('^(get|list)-[a-z]+$')",
)


def test_expressions_of_access_policies_have_the_answers_of_cel_go(cel_go: Path) -> None:
    variables = dict(access_policy_variables)
    questions = [Question(text, variables, REQUEST) for text in OF_REQUESTS]
    assert differences(cel_go, questions) == []
    assert {our_verdict(one) for one in questions} == {"True", "False", "failed", "invalid"}


operands = st.deferred(
    lambda: (
        st.sampled_from(
            ["args.a", "args.b", "args.l", "args.s", "args.m.k", "args.none", "1", "2u", "1.5", "'a'"]
        )
        | st.sampled_from(
            ["true", "null", "[1, args.a]", "{'k': args.b}", "size(args.l)", "args.l[0]", "args.s.size()"]
        )
        | st.builds("({} {} {})".format, operands, st.sampled_from("+-*/%"), operands)
    )
)
tests = st.deferred(
    lambda: (
        st.builds(
            "{} {} {}".format, operands, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in"]), operands
        )
        | st.builds("({}) {} ({})".format, tests, st.sampled_from(["&&", "||"]), tests)
        | st.builds("!({})".format, tests)
        | st.builds("(({}) ? ({}) : ({}))".format, tests, tests, tests)
        | st.builds(
            "args.l.{}(i, i == {} || ({}))".format,
            st.sampled_from(["all", "exists", "exists_one"]),
            operands,
            tests,
        )
        | st.builds("args.s.{}({})".format, st.sampled_from(["startsWith", "endsWith", "contains"]), operands)
    )
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, -2.0, 1e300])
    | st.text("ab", max_size=3)
)
arguments = st.fixed_dictionaries(
    {
        "a": scalars,
        "b": scalars,
        "l": st.lists(scalars, max_size=3) | scalars,
        "s": st.text("ab", max_size=4) | scalars,
    },
    optional={"m": st.dictionaries(st.sampled_from("kl"), scalars) | scalars},
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=st.lists(st.tuples(tests, arguments), min_size=8, max_size=20))
def test_made_up_expressions_have_the_answers_of_cel_go(cel_go: Path, made: list[tuple[str, Any]]) -> None:
    found = differences(cel_go, [Question(text, ARGS, {"args": args}) for text, args in made])
    assert [line for line in found if not unlike(line)] == []


def unlike(line: str) -> bool:
    """Ours refuses to compile comparisons of a literal with a number of another kind, as of 2u with size(l)."""
    expression, _, verdicts = line.rpartition(" with {")
    return ": invalid, cel-go says" in verdicts and re.search(r"\d(u|\.\d)", expression) is not None
