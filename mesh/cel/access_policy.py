"""The variables that expressions of an XAccessPolicy may use: one table, from which docs and checks come.

The API leaves the vocabulary to implementations. The first seven are those of the reference implementation of
kube-agentic-networking, by the same names; the last two are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mesh.cel.expression import Expression, compile_expression
from mesh.cel.kinds import CelType


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: its full name, its type, what it holds (a sentence), and an expression that reads it."""

    name: str
    type: CelType
    doc: str
    example: str


VARIABLES: Final[tuple[Variable, ...]] = (
    Variable(
        "request.mcp.tool_name",
        CelType.STRING,
        "The name of the tool that is called.",
        'request.mcp.tool_name.startsWith("get-")',
    ),
    Variable(
        "request.path",
        CelType.STRING,
        "The path with its query, as the request has it.",
        'request.path.contains("tenant=a")',
    ),
    Variable("request.url_path", CelType.STRING, "The path without its query.", 'request.url_path == "/mcp"'),
    Variable("request.method", CelType.STRING, "The HTTP method, in capitals.", 'request.method == "POST"'),
    Variable(
        "request.host",
        CelType.STRING,
        "The host that the request is for, in lower case, without its port.",
        'request.host.endsWith(".tools.svc")',
    ),
    Variable(
        "request.headers",
        CelType.TEXTS,
        "The header fields by their names in lower case; several of one name are joined by a comma. A field that "
        "is not there is an error, and no answer: ask `in` first.",
        '"x-tenant" in request.headers && request.headers["x-tenant"] == "a"',
    ),
    Variable(
        "request.time",
        CelType.TIMESTAMP,
        "When the sidecar read the request, by its own clock, in UTC.",
        "request.time.getFullYear() >= 2026",
    ),
    Variable(
        "request.mcp.arguments",
        CelType.JSON_OBJECT,
        "The arguments of the tool that is called; of outrider alone.",
        'request.mcp.arguments.?owner.orValue("") in ["acme"]',
    ),
    Variable(
        "source.spiffe_id",
        CelType.STRING,
        "The SPIFFE ID that the caller has proven; of outrider alone.",
        'source.spiffe_id.contains("/ns/agents/")',
    ),
)
access_policy_variables: Final[Mapping[str, CelType]] = MappingProxyType({v.name: v.type for v in VARIABLES})


def compile_access_expression(text: str) -> Expression:
    """The expression of an XAccessPolicy's rule; raises CelInvalid, which names the variables that there are."""
    return compile_expression(text, access_policy_variables)
