from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mesh.cel import CelFailed, CelInvalid, access_policy_variables, compile_access_expression
from mesh.cel.access_policy import VARIABLES, Variable

REQUEST: dict[str, Any] = {
    "request.mcp.tool_name": "get-sum",
    "request.path": "/mcp?tenant=a",
    "request.url_path": "/mcp",
    "request.method": "POST",
    "request.host": "github.tools.svc",
    "request.headers": {"x-tenant": "a"},
    "request.time": datetime(2026, 11, 3, 17, 4, 5, tzinfo=UTC),
    "request.mcp.arguments": {"owner": "acme", "a": 2},
    "source.spiffe_id": "spiffe://cluster.local/ns/agents/sa/triage",
}


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_each_variable_has_an_example_that_reads_it_and_holds(variable: Variable) -> None:
    expression = compile_access_expression(variable.example)
    assert expression.variables == {variable.name}
    assert expression.evaluate(REQUEST)
    with pytest.raises(CelFailed):
        expression.evaluate({})


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('request.mcp.tool_name == "get-sum"', True),
        ('request.mcp.tool_name.endsWith("-env")', False),
        ('request.path.matches("^/mcp[?]tenant=[a-z]$")', True),
        ('request.time.getHours() == 17 && request.time.getDayOfWeek() == 2', True),
        ('request.time > timestamp("2026-01-01T00:00:00Z")', True),
        ('request.headers["x-tenant"] == "a" || request.headers["x-other"] == "b"', True),
        ('"x-other" in request.headers', False),
        ("has(request.headers.other)", False),
        ("request.mcp.arguments.a + 1 == 3", True),
        ('source.spiffe_id.split("/").size() == 7', True),
    ],
)  # fmt: skip
def test_expressions_are_asked_about_a_request(text: str, answer: bool) -> None:
    assert compile_access_expression(text).evaluate(REQUEST) is answer


@pytest.mark.parametrize("name", ["request.body", "request.mcp.method", "request", "source.ip", "args.x"])
def test_an_unknown_variable_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(CelInvalid) as invalid:
        compile_access_expression(f'{name} == "x"')
    assert all(known in invalid.value.errors[0] for known in access_policy_variables)
    assert f"{name} is not known" in invalid.value.errors[0]


def test_a_header_that_is_not_there_has_no_answer() -> None:
    with pytest.raises(CelFailed, match="x-other"):
        compile_access_expression('request.headers["x-other"] == "b"').evaluate(REQUEST)
