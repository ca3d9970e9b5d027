"""A visit as the demo sees it: what is asked of a client process, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.demo.processes import Part, Parts, Record

VISIT_SECONDS = 15.0

Call = tuple[str, dict[str, str]]
"""A tool and its arguments."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one tool call: `text` is the tool's answer, `error` and `code` are a JSON-RPC error."""

    tool: str
    text: str | None = None
    error: str | None = None
    code: int | None = None

    def __str__(self) -> str:
        return self.text if self.text is not None else f"error {self.code}: {self.error}"


@dataclass(frozen=True, slots=True)
class Visit:
    """One session of a client. `failed` says what ended it; what is missing then was never reached."""

    version: str = ""
    tools: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    failed: str | None = None

    @classmethod
    def read(cls, record: Record) -> Visit:
        """What the client process told, which may end early."""
        lists: dict[str, Any] = {
            name: tuple(record.get(name, ())) for name in ("tools", "prompts", "resources")
        }
        outcomes = tuple(Outcome(**outcome) for outcome in record["outcomes"])
        return cls(record.get("version", ""), outcomes=outcomes, failed=record["failed"], **lists)

    def outcome(self, tool: str) -> str:
        """What became of the call of `tool`."""
        found = next((outcome for outcome in self.outcomes if outcome.tool == tool), None)
        return str(found) if found else f"never called: {self.failed}"


class Visitor:
    """The client process, which makes one visit after the other."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._asked = 0

    @classmethod
    async def start(cls, parts: Parts) -> Visitor:
        """Run the client; returns when it is ready. Raises PartFailed."""
        part = await parts.start("client", "cli.demo.visitor")
        await part.find(lambda record: record.get("event") == "ready")
        return cls(part)

    async def visit(self, variables: Mapping[str, str], url: str, mode: str, calls: Sequence[Call]) -> Visit:
        """One session at `url`, with `variables` in the environment. Raises PartFailed."""
        self._asked += 1
        number = self._asked
        asked = {"number": number, "variables": variables, "url": url, "mode": mode, "calls": calls}
        await self._part.tell(asked)
        told = await self._part.find(lambda record: record.get("number") == number, within=VISIT_SECONDS)
        return Visit.read(told)


@dataclass(frozen=True, slots=True)
class Program:
    """What runs in one container: the client, with what that container has in its environment."""

    visitor: Visitor
    variables: Mapping[str, str]

    async def visit(self, url: str, mode: str, *calls: Call) -> Visit:
        """One session at `url`. Raises PartFailed when the client process itself gives up."""
        return await self.visitor.visit(self.variables, url, mode, calls)
