"""A visit as the demo sees it: what is asked of a client process, and what it tells."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.demo.processes import Part, PartFailed, Parts, Record

VISIT_SECONDS = 15.0

Call = tuple[str, dict[str, str]]
"""A tool and its arguments."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one tool call: `text` is the tool's answer, `error` and `code` are a JSON-RPC error.

    `data`: the answer's structured content, or the error's data.
    """

    tool: str
    text: str | None = None
    error: str | None = None
    code: int | None = None
    data: Any = None

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


@dataclass(frozen=True, slots=True)
class Sight:
    """What a session that watches saw in one round: the tools in the list, and what became of its call."""

    tools: tuple[str, ...]
    outcome: str

    @classmethod
    def read(cls, record: Record) -> Sight:
        """What the client process told of one round."""
        return cls(tuple(record["tools"]), str(Outcome(**record["outcome"])))

    def __str__(self) -> str:
        return f"{', '.join(self.tools)}; {self.outcome}"


@dataclass(frozen=True, slots=True)
class Watched:
    """A session that has watched. `failed` says what ended it before its time."""

    version: str
    rounds: int
    failed: str | None


class Watching:
    """A session that lists tools and makes one call, round after round, until it is told that it is enough."""

    def __init__(self, part: Part, number: int) -> None:
        self._part = part
        self._number = number

    @property
    def sights(self) -> list[Sight]:
        """What it saw so far, a round each."""
        return [Sight.read(record) for record in self._part.records if self._ours(record, "watching")]

    async def until(self, sight: Sight, within: float) -> Sight | None:
        """Wait until a round to come sees that; returns what the last round saw, after at most `within` s."""
        rounds = len(self.sights)

        def seen(record: Record) -> bool:
            ours = self._ours(record, "watching") and record["rounds"] > rounds
            return ours and Sight.read(record) == sight

        with contextlib.suppress(PartFailed):
            await self._part.find(lambda record: seen(record) or self._ours(record, "watch"), within=within)
        return next(reversed(self.sights), None)

    async def more(self, rounds: int) -> list[Sight]:
        """What it sees in so many more rounds, or until it ends. Raises PartFailed."""
        before = len(self.sights)
        await self._part.find(
            lambda record: (
                self._ours(record, "watch")
                or (self._ours(record, "watching") and record["rounds"] >= before + rounds)
            ),
            within=VISIT_SECONDS,
        )
        return self.sights[before:]

    async def end(self) -> Watched:
        """Let the round under way end, and the session with it. Raises PartFailed."""
        await self._part.tell({"enough": self._number})
        told = await self._part.find(lambda record: self._ours(record, "watch"), within=VISIT_SECONDS)
        return Watched(told["version"], told["rounds"], told["failed"])

    def _ours(self, record: Record, event: str) -> bool:
        return record.get("number") == self._number and record["event"] == event


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

    async def watch(self, variables: Mapping[str, str], url: str, mode: str, call: Call) -> Watching:
        """Begin a session that watches. Nothing else can be asked until it has ended."""
        return Watching(self._part, await self._tell("watch", variables, url=url, mode=mode, call=call))

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

    async def watch(self, url: str, mode: str, call: Call) -> Watching:
        """A session at `url` that looks at its tools and makes `call` until it is told that it is enough."""
        return await self.visitor.watch(self.variables, url, mode, call)

    async def certificate(self, url: str) -> str:
        """The certificate of the server at `url` as PEM; empty when there is none that this program trusts."""
        told = await self.visitor.certificate(self.variables, url)
        return str(told["certificate"] or "")
