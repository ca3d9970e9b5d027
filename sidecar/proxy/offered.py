"""What servers offer, as far as guardrails have to remember it: schemas of tools, and what is withheld.

Bounded, because servers choose what they send. What was forgotten is learnt anew with the next list.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final, NamedTuple

from mesh.protocol.jsonrpc import Message
from mesh.protocol.mcp.errors import McpRefused
from mesh.protocol.mcp.subjects import SubjectKind, subjects
from mesh.reasons import Reason
from sidecar.guardrails.verdict import Finding
from sidecar.proxy.schema_store import SchemaStore

MOST_WITHHELD = 4096

_NAMED: Final = {
    "tools": (SubjectKind.TOOL, "name"),
    "prompts": (SubjectKind.PROMPT, "name"),
    "resources": (SubjectKind.RESOURCE, "uri"),
    "resourceTemplates": (SubjectKind.TEMPLATE, "uriTemplate"),
    "skills": (SubjectKind.RESOURCE, "uri"),
}
"""What the items of lists are asked for by."""


class Whose(NamedTuple):
    """Who is shown a list, and by which server: others have other guardrails."""

    server: str
    agent: str
    user: Hashable


class Offered:
    """Schemas by server (`Plan.server`) and tool; what is withheld by who is shown it."""

    __slots__ = ("_schemas", "_withheld")

    def __init__(self) -> None:
        self._schemas = SchemaStore()
        self._withheld: dict[tuple[Whose, SubjectKind, str], Reason] = {}

    def learn(self, whose: Whose, result: dict[str, Any]) -> None:
        """A result as it goes on: what its lists show is withheld no more, and schemas of tools are kept."""
        for kind, (subject, member) in _NAMED.items():
            items = result.get(kind)
            if type(items) is list:
                for item in items:
                    if type(item) is dict and type(name := item.get(member)) is str:
                        self._withheld.pop((whose, subject, name), None)
                        if subject is SubjectKind.TOOL:
                            self._learn(whose.server, name, item, "inputSchema")
                            self._learn(whose.server, name, item, "outputSchema")

    def _learn(self, server: str, name: str, tool: dict[str, Any], member: str) -> None:
        schema = tool.get(member)
        self._schemas.put(server, (name, member), schema if type(schema) is dict else None)

    def input_schema(self, server: str, tool: str | None) -> dict[str, Any] | None:
        """What the arguments of a tool have to be like, where it is known."""
        return None if tool is None else self._schemas.get(server, (tool, "inputSchema"))

    def output_schema(self, server: str, tool: str | None) -> dict[str, Any] | None:
        """What the structured content of a tool's results has to be like, where it is known."""
        return None if tool is None else self._schemas.get(server, (tool, "outputSchema"))

    def withhold(self, whose: Whose, kind: SubjectKind, name: str, reason: Reason) -> None:
        """It is neither shown nor asked for until a list shows it as it should be."""
        _bounded(self._withheld, MOST_WITHHELD)
        self._withheld[whose, kind, name] = reason

    def withheld(self, whose: Whose, message: Message) -> Reason | None:
        """Why something that a request names is withheld; None: nothing is."""
        if not self._withheld or message.method is None or type(message.params) is not dict:
            return None
        try:
            asked = subjects(message.method, message.params)
        except McpRefused:
            return None  # no revision in which it names something
        for one in asked:
            reason = self._withheld.get((whose, one.kind, one.name))
            if reason is not None:
                return reason
        return None

    def without(
        self, whose: Whose, message: dict[str, Any], findings: Iterable[Finding]
    ) -> dict[str, Any] | None:
        """A list without the items in which something was found; None where it is no list, or where something was
        found beside its items."""
        result = message.get("result")
        if type(result) is not dict:
            return None
        gone: dict[str, set[int]] = {}
        for one in findings:
            path = (*one.leaf.path, one.leaf.key)
            match path:
                case ("result", str(kind), int(index), *_) if kind in _NAMED:
                    gone.setdefault(kind, set()).add(index)
                case _:
                    return None
        lists = {}
        for kind, indices in gone.items():
            items = result[kind]
            lists[kind] = [item for index, item in enumerate(items) if index not in indices]
            self._withhold_all(whose, kind, [items[index] for index in indices])
        return {**message, "result": {**result, **lists}} if lists else None

    def _withhold_all(self, whose: Whose, kind: str, items: Iterable[Any]) -> None:
        subject, member = _NAMED[kind]
        for item in items:
            if type(item) is dict and type(name := item.get(member)) is str:
                self.withhold(whose, subject, name, Reason.TOOL_POISONED)


def _bounded(known: dict[Any, Any], most: int) -> None:
    if len(known) >= most:
        del known[next(iter(known))]
