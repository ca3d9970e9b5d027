"""Pages of a list put together as far as that they are all: which tools a server offers is known after the last.

A page asked for without a cursor begins a list, one asked for with a cursor goes on where a page ended with that
cursor, and one that gives no cursor ends it. Several clients may list at the same time. Pages themselves pass one
by one; only names and digests are kept, and no list is followed for ever.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NamedTuple

MOST_OPEN: Final = 64
"""Ends of pages that somebody may go on from, of all clients of one server."""
MOST_HELD: Final = 8192
"""Tools on the pages before these ends."""
MOST_PAGES: Final = 1000
MAX_CURSOR: Final = 4096


class Item(NamedTuple):
    """A tool by its name and digest."""

    name: str
    digest: str


class Whole(NamedTuple):
    """Everything that a server offers. `certain`: False where it is not known what was asked, so that it may be a
    part."""

    items: tuple[Item, ...]
    certain: bool = True


class _Page(NamedTuple):
    before: _Page | None
    items: tuple[Item, ...]
    tools: int
    pages: int


class Listings:
    """Lists of one server that are under way."""

    __slots__ = ("_most_tools", "_open")

    def __init__(self, most_tools: int) -> None:
        """`most_tools`: a list with more is not followed."""
        self._most_tools = most_tools
        self._open: dict[tuple[Hashable, str], _Page] = {}

    def page(
        self, client: Hashable, cursor: str | None, after: object, items: tuple[Item, ...]
    ) -> Whole | None:
        """Another page, asked for with `cursor` and ending with `after`; the whole list, if this was its last."""
        before = None if cursor is None else self._open.get((client, cursor))
        if cursor is not None and before is None:
            return None
        tools, pages = (0, 0) if before is None else (before.tools, before.pages)
        page = _Page(before, items, tools + len(items), pages + 1)
        if page.tools > self._most_tools or page.pages > MOST_PAGES:
            return None
        if after is None:
            return Whole(_all(page))
        if type(after) is str and len(after) <= MAX_CURSOR:
            self._open.pop((client, after), None)
            self._make_room(page.tools)
            self._open[client, after] = page
        return None

    def _make_room(self, tools: int) -> None:
        """The oldest go first."""
        held = tools + sum(page.tools for page in self._open.values())
        while self._open and (len(self._open) >= MOST_OPEN or held > MOST_HELD):
            held -= self._open.pop(next(iter(self._open))).tools


def _all(last: _Page) -> tuple[Item, ...]:
    pages: list[_Page] = []
    page: _Page | None = last
    while page is not None:
        pages.append(page)
        page = page.before
    return tuple(item for page in reversed(pages) for item in page.items)
