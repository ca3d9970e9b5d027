"""Many regular expressions asked at once, in time linear in the text, and never silently unanswered.

RE2's Set walks a text once for any number of patterns, but its Python face answers the same for "nothing matches"
and for "the automaton ran out of memory". Every set here holds one more pattern that matches at the end of any
text whatever: an answer without it is a failure, and then each pattern is asked by itself (RE2 falls back to its
slower machine by itself there, and cannot fail). So no text silences a detector by what it makes the automaton do.

Counting makes automata large: after `[a-z]{1,64}@` a state says which of the last 64 places may have been the
beginning, and random letters reach a new state with each one, at a thousand times the price. With `counts` a set
asks for less, with counts cut short (`[a-z]+@`), and what that lets through is asked the whole pattern by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import re2

END_OF_TEXT = r"\z"
SINGLE_MEM = 2 << 20
"""Bytes for one pattern by itself; past it RE2 goes on without its cache. Hundreds of patterns must fit a pod."""


def _options(max_mem: int, ignore_case: bool, *, capture: bool) -> Any:
    options = re2.Options()
    options.max_mem = max_mem
    options.case_sensitive = not ignore_case
    options.never_capture = not capture
    options.log_errors = False
    return options


_QUANTIFIER = re.compile(
    r"\\[pPx]\{[^}]*\}|\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]|\{(\d+)(,?)(\d*)\}",
    re.DOTALL,
)
"""Counted repetitions (with groups), and everything in which braces are something else."""


def relaxed(pattern: str, most: int) -> str:
    """A pattern that matches wherever `pattern` does and keeps no count greater than `most`."""

    def uncounted(found: re.Match[str]) -> str:
        low, comma, high = found.groups()
        if low is None:
            return found.group()
        if int(high or (most + 1 if comma else low)) <= most:
            return found.group()
        least = min(int(low), most)
        return {0: "*", 1: "+"}.get(least, f"{{{least},}}")

    return _QUANTIFIER.sub(uncounted, pattern)


def encodable(text: str) -> str:
    """The text, where each half of a surrogate pair that stands alone is a question mark: as long as before."""
    return text.encode("utf-8", "replace").decode("utf-8")


class Patterns:
    """Named RE2 patterns. All positions are code points of the text that was given.

    Compiled at the first question. `max_mem` is what the set may take for its automaton, in bytes. `counts` is the
    greatest count that the set keeps, 0 for all: 8 to 12 where patterns begin with counted classes like
    `[a-z]{1,64}@`; not where counts are between rare words, which cost a set little and a pattern by itself much.
    """

    __slots__ = (
        "_captured",
        "_counts",
        "_doubtful",
        "_ignore_case",
        "_max_mem",
        "_set",
        "_singles",
        "_sources",
        "names",
    )

    def __init__(
        self,
        patterns: Mapping[str, str] | Sequence[tuple[str, str]],
        *,
        max_mem: int = 16 << 20,
        ignore_case: bool = False,
        counts: int = 0,
    ) -> None:
        pairs = list(patterns.items()) if isinstance(patterns, Mapping) else list(patterns)
        self.names: tuple[str, ...] = tuple(name for name, _ in pairs)
        self._sources = tuple(source for _, source in pairs)
        self._max_mem = max_mem
        self._ignore_case = ignore_case
        self._counts = counts
        self._set: Any = None
        self._doubtful: frozenset[int] = frozenset()
        self._singles: dict[int, Any] = {}
        self._captured: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.names)

    def prepare(self) -> None:
        """Compile the set now. Raises re2.error for a pattern that RE2 cannot read."""
        compiled: Any = re2.Set.SearchSet(_options(self._max_mem, self._ignore_case, capture=False))
        doubtful = set()
        for index, source in enumerate(self._sources):
            less = relaxed(source, self._counts) if self._counts else source
            compiled.Add(less)
            if less != source:
                doubtful.add(index)
        self._doubtful = frozenset(doubtful)
        compiled.Add(END_OF_TEXT)
        compiled.Compile()
        self._set = compiled

    def which(self, text: str) -> Sequence[int]:
        """Indices of the patterns that match somewhere, ascending."""
        if self._set is None:
            self.prepare()
        try:
            found = self._set.Match(text)
        except UnicodeEncodeError:
            text = encodable(text)
            found = self._set.Match(text)
        if found is None:
            return self._one_by_one(text)
        if len(found) == 1:
            return ()
        found.sort()
        del found[-1]  # END_OF_TEXT has the greatest index
        if self._doubtful.isdisjoint(found):
            return found  # type: ignore[no-any-return]
        encoded = text.encode("utf-8")
        return [i for i in found if i not in self._doubtful or self._single(i).search(encoded) is not None]

    def find(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Name, start and end of every match, pattern by pattern; those of one pattern do not overlap."""
        found = self.which(text)
        if not found:
            return
        if text.isascii():
            # Bytes and code points are the same, and RE2 need not count.
            encoded = text.encode("ascii")
            for index in found:
                name = self.names[index]
                for match in self._single(index).finditer(encoded):
                    yield name, match.start(), match.end()
            return
        text = encodable(text)
        for index in found:
            name = self.names[index]
            for match in self._single(index).finditer(text):
                yield name, match.start(), match.end()

    def matches(self, text: str) -> Iterator[tuple[str, Any]]:
        """Name and RE2 match (with groups) of every match, in the order of `find`."""
        found = self.which(text)
        if not found:
            return
        text = text if text.isascii() else encodable(text)
        for index in found:
            name = self.names[index]
            for match in self._capturing(index).finditer(text):
                yield name, match

    def _one_by_one(self, text: str) -> list[int]:
        encoded = text.encode("utf-8")
        return [i for i in range(len(self.names)) if self._single(i).search(encoded) is not None]

    def _single(self, index: int) -> Any:
        compiled = self._singles.get(index)
        if compiled is None:
            compiled = self._singles[index] = self._compile(index, capture=False)
        return compiled

    def _capturing(self, index: int) -> Any:
        compiled = self._captured.get(index)
        if compiled is None:
            compiled = self._captured[index] = self._compile(index, capture=True)
        return compiled

    def _compile(self, index: int, *, capture: bool) -> Any:
        source = self._sources[index]
        small = _options(min(SINGLE_MEM, self._max_mem), self._ignore_case, capture=capture)
        try:
            return re2.compile(source, small)
        except re2.error:
            return re2.compile(source, _options(self._max_mem, self._ignore_case, capture=capture))
