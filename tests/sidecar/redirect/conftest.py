"""A machine that is not there: tools that answer as the real ones do, and keep the rules they are given."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from sidecar.redirect.commands import Result

OK = Result(0, "", "")
MISSING = Result(127, "", "", missing=True)


class Tools:
    """Answers by the first word of a command; `broken` replaces the answer of some. `ran` is what was asked."""

    def __init__(self) -> None:
        self.broken: dict[str, Result] = {}
        self.held: dict[str, str] = {}
        self.ran: list[tuple[str, ...]] = []

    def __call__(self, command: Sequence[str], text: str = "") -> Result:
        self.ran.append(tuple(command))
        tool = command[0]
        if tool in self.broken:
            return self.broken[tool]
        if tool == "nft":
            return self._nft(command, text)
        name, _, verb = tool.rpartition("-")
        if verb == "save":
            return Result(0, self._saved(name, command[2]), "")
        self.held[name] = (
            ""
            if "-X " in text
            else text.replace("-I INPUT 1", "-A INPUT")
            .replace("-I OUTPUT 1", "-A OUTPUT")
            .replace("-I PREROUTING 1", "-A PREROUTING")
        )
        return OK

    def _nft(self, command: Sequence[str], text: str) -> Result:
        held = {match[1]: match[0] for match in _TABLE.finditer(self.held.get("nft", ""))}
        if command[1:] == ["list", "tables"]:
            return Result(0, "".join(f"table {name}\n" for name in held), "")
        if command[1] == "list":
            return Result(0, held[" ".join(command[3:])], "")
        for line in text.splitlines():
            if line.startswith("delete table "):
                held.pop(line.removeprefix("delete table "), None)
        held |= {match[1]: match[0] for match in _TABLE.finditer(text)}
        self.held["nft"] = "".join(held.values())
        return OK

    def _saved(self, name: str, table: str) -> str:
        text = self.held.get(name, "")
        if f"*{table}\n" not in text:
            return ""
        start = text.index(f"*{table}\n")
        return text[start : text.index("COMMIT\n", start) + len("COMMIT\n")]


_TABLE = re.compile(r"^table (ip6? \w+) \{\n.*?^\}\n", re.DOTALL | re.MULTILINE)


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def say(said: list[str]) -> Callable[[str], None]:
    return said.append


@pytest.fixture
def missing() -> Result:
    return MISSING
