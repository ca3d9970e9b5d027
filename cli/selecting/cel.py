"""The match conditions of webhooks, evaluated here as the API server would.

What the API server knows beyond CEL's own functions (its libraries, `authorizer`) raises NotEvaluable, since a
wrong answer is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mesh.cel import CelExhausted, CelFailed, CelInvalid, CelType, compile_expression

__all__ = ["NotEvaluable", "evaluate"]

_VARIABLES = dict.fromkeys(("object", "oldObject", "request"), CelType.DYN)


class NotEvaluable(Exception):
    """The expression goes beyond what is evaluated here; nobody is at fault."""


def evaluate(expression: str, variables: Mapping[str, Any]) -> bool:
    """The truth of an expression.

    Raises:
        NotEvaluable: it uses something that is not CEL's own, or ends in an error, of which the API server makes
            what failurePolicy says.
    """
    try:
        return compile_expression(expression, _VARIABLES).evaluate(variables)
    except CelInvalid as invalid:
        raise NotEvaluable(str(invalid)) from invalid
    except (CelFailed, CelExhausted) as failed:
        raise NotEvaluable(f"it ends in an error: {failed}") from failed
