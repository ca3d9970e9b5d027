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


@dataclass(frozen=True, slots=True)
class Work:
    """What became of one long session: how often each answer came, an error in place of the text it had."""

    version: str
    answers: Mapping[str, int]
    failed: str | None

    @property
    def calls(self) -> int:
        """All calls, whatever became of them."""
        return sum(self.answers.values())


class Working:
    """A session that goes on calling one tool until it is told that it is enough."""

    def __init__(self, part: Part, number: int) -> None:
        self._part = part
        self._number = number

    async def more(self, calls: int) -> int:
        """Wait until the session has made that many calls more, or ended; returns how many it has made."""
        wanted = self._calls() + calls
        await self._part.find(
            lambda record: self._ours(record) and (record["event"] == "work" or record["calls"] >= wanted),
            within=VISIT_SECONDS,
        )
        return self._calls()

    async def end(self) -> Work:
        """Let the call under way end, and the session with it. Raises PartFailed."""
        await self._part.tell({"enough": self._number})
        told = await self._part.find(
            lambda record: self._ours(record) and record["event"] == "work", within=VISIT_SECONDS
        )
        return Work(told["version"], told["answers"], told["failed"])

    def _ours(self, record: Record) -> bool:
        return record.get("number") == self._number

    def _calls(self) -> int:
        return max((record["calls"] for record in self._part.records if self._ours(record)), default=0)


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
        return Visit.read(await self._ask("visit", variables, url=url, mode=mode, calls=calls))

    async def work(self, variables: Mapping[str, str], url: str, mode: str, call: Call) -> Working:
        """Begin a session that makes `call` again and again. Nothing else can be asked until it has ended."""
        return Working(self._part, await self._tell("work", variables, url=url, mode=mode, call=call))

    async def certificate(self, variables: Mapping[str, str], url: str) -> Record:
        """What a server shows a client that verifies it: `certificate` (PEM), or `failed`. Raises PartFailed."""
        return await self._ask("look", variables, url=url)

    async def _ask(self, what: str, variables: Mapping[str, str], **asked: object) -> Record:
        number = await self._tell(what, variables, **asked)
        return await self._part.find(lambda record: record.get("number") == number, within=VISIT_SECONDS)

    async def _tell(self, what: str, variables: Mapping[str, str], **asked: object) -> int:
        self._asked += 1
        await self._part.tell({"number": self._asked, "what": what, "variables": variables, **asked})
        return self._asked


@dataclass(frozen=True, slots=True)
class Program:
    """What runs in one container: the client, with what that container has in its environment."""

    visitor: Visitor
    variables: Mapping[str, str]

    async def visit(self, url: str, mode: str, *calls: Call) -> Visit:
        """One session at `url`. Raises PartFailed when the client process itself gives up."""
        return await self.visitor.visit(self.variables, url, mode, calls)

    async def work(self, url: str, mode: str, call: Call) -> Working:
        """A session at `url` that makes `call` until it is told that it is enough."""
        return await self.visitor.work(self.variables, url, mode, call)

    async def certificate(self, url: str) -> str:
        """The certificate of the server at `url` as PEM; empty when there is none that this program trusts."""
        told = await self.visitor.certificate(self.variables, url)
        return str(told["certificate"] or "")
