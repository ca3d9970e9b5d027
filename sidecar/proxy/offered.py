"""What servers offer, as far as guardrails have to remember it: schemas of results, and tools that are withheld.

Bounded, because servers choose what they send. What was forgotten is learnt anew with the next list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mesh.protocol.strict_json import encode
from mesh.reasons import Reason
from sidecar.guardrails.verdict import Finding

MOST_SCHEMAS = 1024
MOST_SCHEMA_BYTES = 32 * 1024
MOST_WITHHELD = 4096

_LISTS = ("tools", "prompts", "resources", "resourceTemplates", "skills")


class Offered:
    """By server (`Plan.server`) and tool."""

    __slots__ = ("_schemas", "_withheld")

    def __init__(self) -> None:
        self._schemas: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._withheld: dict[tuple[str, str], Reason] = {}

    def learn(self, server: str, tools: Sequence[Any]) -> None:
        """A list of tools as it goes on to the agent."""
        for tool in tools:
            if type(tool) is dict and type(name := tool.get("name")) is str:
                self._withheld.pop((server, name), None)
                self._learn(server, name, tool, "inputSchema")
                self._learn(server, name, tool, "outputSchema")

    def _learn(self, server: str, name: str, tool: dict[str, Any], member: str) -> None:
        schema, key = tool.get(member), (server, name, member)
        if type(schema) is not dict:
            self._schemas.pop(key, None)
        elif self._schemas.get(key) != schema and len(encode(schema)) <= MOST_SCHEMA_BYTES:
            _bounded(self._schemas, MOST_SCHEMAS)
            self._schemas[key] = schema

    def input_schema(self, server: str, tool: str | None) -> dict[str, Any] | None:
        """What the arguments of a tool have to be like, where it is known."""
        return None if tool is None else self._schemas.get((server, tool, "inputSchema"))

    def output_schema(self, server: str, tool: str | None) -> dict[str, Any] | None:
        """What the structured content of a tool's results has to be like, where it is known."""
        return None if tool is None else self._schemas.get((server, tool, "outputSchema"))

    def withhold(self, server: str, tool: str, reason: Reason) -> None:
        """The tool is neither shown nor called until a list shows it as it should be."""
        _bounded(self._withheld, MOST_WITHHELD)
        self._withheld[server, tool] = reason

    def withheld(self, server: str, tool: str) -> Reason | None:
        """Why a tool is withheld; None: it is not."""
        return self._withheld.get((server, tool))

    def without(
        self, server: str, message: dict[str, Any], findings: Iterable[Finding]
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
                case ("result", str(kind), int(index), *_) if kind in _LISTS:
                    gone.setdefault(kind, set()).add(index)
                case _:
                    return None
        lists = {}
        for kind, indices in gone.items():
            items = result[kind]
            lists[kind] = [item for index, item in enumerate(items) if index not in indices]
            if kind == "tools":
                self._withhold_all(server, [items[index] for index in indices])
        return {**message, "result": {**result, **lists}} if lists else None

    def _withhold_all(self, server: str, tools: Iterable[Any]) -> None:
        for tool in tools:
            if type(tool) is dict and type(name := tool.get("name")) is str:
                self.withhold(server, name, Reason.TOOL_POISONED)


def _bounded(known: dict[Any, Any], most: int) -> None:
    if len(known) >= most:
        del known[next(iter(known))]
