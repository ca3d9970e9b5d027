"""Expressions of the Common Expression Language, which policies narrow grants by.

compile_expression -> Expression.evaluate -> true, false, or an error that is never a yes
"""

from mesh.cel.access_policy import access_policy_variables, compile_access_expression
from mesh.cel.errors import CelExhausted, CelFailed, CelInvalid
from mesh.cel.expression import MAX_EXPRESSION, Expression, compile_expression
from mesh.cel.kinds import CelType

__all__ = [
    "MAX_EXPRESSION",
    "CelExhausted",
    "CelFailed",
    "CelInvalid",
    "CelType",
    "Expression",
    "access_policy_variables",
    "compile_access_expression",
    "compile_expression",
]
