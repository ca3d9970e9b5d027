from __future__ import annotations

import subprocess
import sys

import pytest

from mesh.policy.expressions import NoExpression, access_expression, arguments_expression, holds


def test_nothing_of_expressions_is_loaded_before_there_is_one() -> None:
    program = "import mesh.policy, sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not {"mesh.cel", "cel_expr_python", "re2"} & set(ran.stdout.split())


def test_an_expression_holds_or_not_or_has_no_answer() -> None:
    expression = arguments_expression("args.n > 1")
    assert holds(expression, {"args": {"n": 2}}) is True
    assert holds(expression, {"args": {"n": 1}}) is False
    assert holds(expression, {"args": {}}) is None
    assert (
        holds(arguments_expression("args.l.all(x, args.l.all(y, x == y))"), {"args": {"l": [1] * 9999}})
        is None
    )


@pytest.mark.parametrize("compile_one", [access_expression, arguments_expression])
def test_what_is_none_is_told(compile_one: object) -> None:
    with pytest.raises(NoExpression) as caught:
        compile_one("1 +")  # type: ignore[operator]
    assert caught.value.errors
    assert str(caught.value)
