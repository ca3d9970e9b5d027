"""What is known of the tools of one server, and what follows for those that it lists and that are called.

Tools are judged one by one, on whatever page they come. Where one name is offered twice and one of them does not
pass, neither does the other: a call cannot tell them apart.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from mesh.pins.canonical import NotCanonical, canonical
from mesh.pins.compare import changed, escaped
from mesh.pins.digest import definition, digest_of, set_digest
from mesh.pins.listing import Item, Whole
from mesh.pins.lookalike import Names
from mesh.policy.guardrails import Pin, PinMode
from mesh.reasons import Reason

MOST_TOOLS: Final = 2048
"""Of one server that are pinned at first use."""
MAX_NAME: Final = 512
"""Characters of the name of a tool that can be pinned."""
MOST_COMPARED: Final = 64
"""Tools of one page whose names are searched for look-alikes and whose definitions are compared."""
MAX_TEXT: Final = 64 * 1024
MOST_TEXTS: Final = 256 * 1024
"""Bytes that the definitions of one server may take, compressed; of what does not fit only the digest is kept."""
MOST_HIDDEN: Final = 1024
"""Tools that are not pinned whose reason is remembered for whoever calls them."""


class Pinned(msgspec.Struct, frozen=True, array_like=True):
    """A tool as it was pinned. `body` is the digest of all but its name, `text` its definition, compressed; empty
    where it was too large."""

    digest: str
    body: str
    text: bytes = b""


class Kept(msgspec.Struct, frozen=True):
    """A book as it outlives the process. `opened`: seconds since 1970 of its first page."""

    pins: dict[str, Pinned]
    opened: float | None = None
    sealed: bool = False


class KeptBook(msgspec.Struct, frozen=True):
    """A book, and what it belongs to: another server, or another `pin` of its Backend, has another one."""

    owner: str
    book: Kept


class Told(NamedTuple):
    """Something that is not as it was pinned: the reason, the tool, what it is, and the digest that it has now."""

    reason: Reason
    tool: str
    what: str
    digest: str = ""


class Judged(NamedTuple):
    """What follows from one page: for each tool why it is hidden, or None; and what is only to be told."""

    hidden: list[Told | None]
    told: list[Told]


class Listed(NamedTuple):
    """A tool on a page. `digest` is empty where it is too large or too many to be measured."""

    name: str
    digest: str
    tool: Mapping[str, Any]


class Book(ABC):
    """The pins of one server."""

    __slots__ = ("_altered", "_names", "_others", "_room", "dirty", "pins")

    def __init__(self, kept: Kept | None = None) -> None:
        self.pins: dict[str, Pinned] = dict(kept.pins) if kept is not None else {}
        self._names = Names(self.pins)
        self._altered: dict[str, Reason] = {}
        self._others: dict[str, Reason] = {}
        self._room = MOST_TEXTS - sum(len(pin.text) for pin in self.pins.values())
        self.dirty = False
        """Whether there is something new to keep."""

    @abstractmethod
    def judge(self, page: Sequence[Listed], whole: Whole | None, now: float) -> Judged:
        """Another page; `whole` where it was the last of its list, `now` in seconds since 1970."""

    @abstractmethod
    def refused(self, name: str) -> Reason | None:
        """Why a tool is not called; None: it may be."""

    @abstractmethod
    def _knows(self, name: str) -> bool:
        """Whether a tool of this name may be shown at all; there is a bound to how many these are."""

    def kept(self) -> Kept:
        """What outlives the process."""
        return Kept(dict(self.pins))

    # For the two below.

    def _pin(self, listed: Listed) -> None:
        described = definition(listed.tool)
        text = canonical(described)
        packed = zlib.compress(text) if len(text) <= MAX_TEXT else b""
        if len(packed) > self._room:
            packed = b""
        replaced = self.pins.get(listed.name)
        self._room += (0 if replaced is None else len(replaced.text)) - len(packed)
        self.pins[listed.name] = Pinned(listed.digest, _body(described), packed)
        self._names.add(listed.name)
        self.dirty = True

    def _difference(self, listed: Listed) -> str:
        """What differs from what was pinned, as far as that is still known."""
        pin = self.pins.get(listed.name)
        if pin is not None and pin.text:
            difference = changed(msgspec.json.decode(zlib.decompress(pin.text)), listed.tool)
            if difference is not None:
                return str(difference)
        return f"its digest is {listed.digest or 'not known, for its size'}"

    def _close(self, page: Sequence[Listed], verdicts: list[Told | None]) -> list[Told | None]:
        """Hide all of one name or none, and remember which: of what is known all, of anything else the last."""
        why = {told.tool: told for told in verdicts if told is not None}
        for listed in page:
            name = listed.name
            told = why.get(name)
            if told is None:
                self._altered.pop(name, None)
                self._others.pop(name, None)
            elif self._knows(name):
                self._altered[name] = told.reason
            elif len(name) <= MAX_NAME:
                if len(self._others) >= MOST_HIDDEN:
                    del self._others[next(iter(self._others))]
                self._others[name] = told.reason
        return [why.get(listed.name) for listed in page]


class FirstUse(Book):
    """Holds a server to the first complete list that it gave.

    Until that list is complete, tools are pinned as they are seen; but for no longer than WINDOW seconds after the
    first page, and no more than MOST_TOOLS.
    """

    WINDOW: Final = 300.0

    __slots__ = ("opened", "sealed")

    def __init__(self, kept: Kept | None = None) -> None:
        super().__init__(kept)
        self.opened = None if kept is None else kept.opened
        self.sealed = kept is not None and kept.sealed

    def kept(self) -> Kept:
        return Kept(dict(self.pins), self.opened, self.sealed)

    def judge(self, page: Sequence[Listed], whole: Whole | None, now: float) -> Judged:
        if self.opened is None:
            if not page:
                # Nothing was used yet: servers that offer nothing to whoever has not logged in are no exception.
                return Judged([], [])
            self.opened = now
        if not self.sealed and not 0 <= now - self.opened <= self.WINDOW:
            self._seal()
        gone = self._gone(whole)
        looks = _Looks()
        verdicts = [self._verdict(listed, gone, looks) for listed in page]
        told = [Told(Reason.PIN_REMOVED, name, "the server no longer lists it") for name in gone or ()]
        if whole is not None and whole.certain and not self.sealed:
            self._seal()
        return Judged(self._close(page, verdicts), told if self.sealed else [])

    def refused(self, name: str) -> Reason | None:
        if name in self.pins:
            return self._altered.get(name)
        if self.sealed:
            return self._others.get(name, Reason.PIN_ADDED)
        if len(name) <= MAX_NAME and self._names.disguised(name) is not None:
            return Reason.PIN_LOOKALIKE
        return self._others.get(name)

    def _knows(self, name: str) -> bool:
        return name in self.pins

    def _seal(self) -> None:
        self.sealed = self.dirty = True

    def _gone(self, whole: Whole | None) -> list[str] | None:
        """Pinned tools that are in a whole list no more; None where that is not known."""
        if whole is None or not whole.certain or not self.sealed:
            return None
        return sorted(self.pins.keys() - {item.name for item in whole.items})

    def _verdict(self, listed: Listed, gone: list[str] | None, looks: _Looks) -> Told | None:
        name = listed.name
        pin = self.pins.get(name)
        disguised = self._names.disguised(name) if len(name) <= MAX_NAME else None
        if disguised is not None:
            return _alike(listed, *disguised)
        if pin is None:
            if self._may_pin(listed):
                self._pin(listed)
                return None
            return self._added(listed, gone, looks)
        if pin.digest == listed.digest:
            return None
        what = self._difference(listed) if looks.more() else f"its digest is {listed.digest}"
        return Told(Reason.PIN_CHANGED, name, what, listed.digest)

    def _may_pin(self, listed: Listed) -> bool:
        fits = bool(listed.digest) and len(listed.name) <= MAX_NAME
        return fits and not self.sealed and len(self.pins) < MOST_TOOLS

    def _added(self, listed: Listed, gone: list[str] | None, looks: _Looks) -> Told:
        name = listed.name
        if not listed.digest or len(name) > MAX_NAME:
            return Told(Reason.PIN_ADDED, name, "too large, or one too many, to be pinned")
        if not self.sealed:
            return Told(Reason.PIN_ADDED, name, f"more than {MOST_TOOLS} tools", listed.digest)
        if not looks.more():
            return Told(Reason.PIN_ADDED, name, "new", listed.digest)
        mistaken = self._names.mistaken(name)
        if mistaken is not None:
            return _alike(listed, *mistaken)
        return Told(Reason.PIN_ADDED, name, self._renamed(listed, gone) or "new", listed.digest)

    def _renamed(self, listed: Listed, gone: list[str] | None) -> str:
        body = _body(definition(listed.tool))
        same = [name for name, pin in self.pins.items() if pin.body == body]
        missing = [name for name in same if gone is not None and name in gone]
        if missing:
            return f"{_quoted(missing[0])} renamed: all but the name is the same"
        return f"all but the name is that of {_quoted(same[0])}" if same else ""


class Approved(Book):
    """Holds a server to what was approved: tools by their digests, or a whole set by its own.

    A set stands for the tools in it once it was seen as a whole; before that nothing is known of any one of them,
    so that nothing passes.
    """

    __slots__ = ("_approved", "_seen", "_set")

    def __init__(self, pin: Pin, kept: Kept | None = None) -> None:
        super().__init__(kept)
        self._set = pin.digest
        self._seen = dict(pin.tools) or {name: one.digest for name, one in self.pins.items()}
        self._approved = bool(pin.tools)
        for name in self._seen:
            self._names.add(name)

    def judge(self, page: Sequence[Listed], whole: Whole | None, now: float) -> Judged:
        told = [] if whole is None else self._whole(whole)
        looks = _Looks()
        return Judged(self._close(page, [self._verdict(one, looks) for one in page]), told)

    def refused(self, name: str) -> Reason | None:
        if name not in self._seen:
            return self._others.get(name, Reason.PIN_NOT_APPROVED)
        return self._altered.get(name)

    def _knows(self, name: str) -> bool:
        return name in self._seen

    def _whole(self, whole: Whole) -> list[Told]:
        """What follows from a list that is complete: the approved set is learned, anything else is told."""
        digest = set_digest_of(whole.items)
        if not self._set or digest == self._set:
            if not self._approved and self._set:
                self._learn(whole.items)
            return self._removed(whole) if whole.certain and not self._set else []
        if not whole.certain:
            return []
        return [Told(Reason.PIN_NOT_APPROVED, "", f"the set is {digest}, approved is {self._set}", digest)]

    def _removed(self, whole: Whole) -> list[Told]:
        gone = self._seen.keys() - {item.name for item in whole.items}
        return [Told(Reason.PIN_REMOVED, name, "the server does not list it") for name in sorted(gone)]

    def _learn(self, items: Iterable[Item]) -> None:
        seen = {item.name: item.digest for item in items if item.digest}
        if seen == self._seen:
            return
        self._seen = seen
        self._altered.clear()
        self._names = Names(seen)
        self.pins = {name: self._known(name, digest) for name, digest in seen.items()}
        self._room = MOST_TEXTS - sum(len(pin.text) for pin in self.pins.values())
        self.dirty = True

    def _known(self, name: str, digest: str) -> Pinned:
        pin = self.pins.get(name)
        return pin if pin is not None and pin.digest == digest else Pinned(digest, "")

    def _verdict(self, listed: Listed, looks: _Looks) -> Told | None:
        name = listed.name
        approved = self._seen.get(name)
        if approved is None:
            mistaken = self._names.mistaken(name) if len(name) <= MAX_NAME and looks.more() else None
            if mistaken is not None:
                return _alike(listed, *mistaken)
            return Told(Reason.PIN_NOT_APPROVED, name, "not among what was approved", listed.digest)
        if approved != listed.digest:
            what = self._difference(listed) if looks.more() else f"its digest is {listed.digest}"
            return Told(Reason.PIN_NOT_APPROVED, name, what, listed.digest)
        known = self.pins.get(name)
        if known is None or not known.body or known.digest != approved:
            self._pin(listed)
        return None


class _Looks:
    """How often something dear is still done for one page."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MOST_COMPARED

    def more(self) -> bool:
        self._left -= 1
        return self._left >= 0


def book_for(pin: Pin, kept: Kept | None = None) -> Book:
    """The book of a server that is pinned like this, with what was kept of it."""
    return FirstUse(kept) if pin.mode is PinMode.FIRST_USE else Approved(pin, kept)


def set_digest_of(items: Iterable[Item]) -> str:
    """The digest of all tools of a server."""
    return set_digest(item.digest for item in items)


def _body(described: Mapping[str, Any]) -> str:
    try:
        return digest_of(canonical({name: value for name, value in described.items() if name != "name"}))
    except NotCanonical:
        return ""


def _alike(listed: Listed, other: str, why: str) -> Told:
    what = f"like {_quoted(other)}, but for {why}"
    return Told(Reason.PIN_LOOKALIKE, listed.name, what, listed.digest)


def _quoted(name: str) -> str:
    return f'"{escaped(name[:128])}"'
