"""What servers offer, held to what they offered: before policies and content checks, so that neither counts.

Lists are known by their shape, as everywhere; a whole list is followed from page to page by what was asked, where
that is known. A tool that is hidden is refused by its name as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Protocol

from mesh.pins.book import MAX_NAME, MOST_TOOLS, Book, KeptBook, Listed, Told, book_for
from mesh.pins.canonical import NotCanonical
from mesh.pins.digest import tool_digest
from mesh.pins.listing import MAX_CURSOR, Item, Listings, Whole
from mesh.policy.compile import Policy
from mesh.policy.decision import Decision
from mesh.policy.documents import Backend
from mesh.policy.guardrails import Pin
from mesh.protocol.jsonrpc import Message
from mesh.protocol.mcp.methods import TOOLS_CALL, TOOLS_LIST
from mesh.protocol.strict_json import encode
from mesh.reasons import Reason
from sidecar.proxy.plan import Plan
from sidecar.telemetry import names
from sidecar.telemetry.record import Recorder

MAX_DEFINITION: Final = 256 * 1024
"""Bytes of a tool that can be pinned."""
MOST_BOOKS: Final = 256
MOST_DIGESTS: Final = 4096
MOST_ASKED: Final = 256
"""Questions for lists whose answers come on another stream."""
MAX_ID: Final = 256
MOST_TOLD: Final = 4096
MOST_LINES: Final = 32
"""Lines in the log about one page, and one more that counts the rest."""


class PinStore(Protocol):
    """What keeps pins when the process ends."""

    def load(self) -> dict[str, KeptBook]:
        """What was kept last; empty where nothing was, or nothing that can be used."""
        ...

    def save(self, books: Callable[[], dict[str, KeptBook]]) -> None:
        """Keep what `books` gives, soon; it is asked once for several calls. Does not wait, raises nothing."""
        ...


class _Open(NamedTuple):
    """A book in use."""

    pin: Pin
    owner: str
    book: Book
    listings: Listings


class _Forgetful:
    """Keeps nothing."""

    def load(self) -> dict[str, KeptBook]:
        return {}

    def save(self, books: Callable[[], dict[str, KeptBook]]) -> None:
        pass


class Pinning:
    """The pins of one sidecar, by Backend."""

    __slots__ = (
        "_asked",
        "_digests",
        "_in_force",
        "_kept",
        "_open",
        "_recorder",
        "_store",
        "_told",
        "_wall",
    )

    def __init__(
        self,
        policy: Policy,
        recorder: Recorder,
        *,
        store: PinStore | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`wall`: seconds since 1970."""
        self._recorder = recorder
        self._store = store or _Forgetful()
        self._wall = wall
        self._kept = self._store.load()
        self._open: dict[str, _Open] = {}
        self._in_force: dict[str, tuple[Pin, str]] = {}
        self._asked: dict[tuple[str, bytes, str], str | None] = {}
        self._digests: dict[bytes, str] = {}
        self._told: dict[tuple[str, str, Reason, str, bool], None] = {}
        self.use(policy)

    def use(self, policy: Policy) -> None:
        """Another policy is in force. What is pinned stays, unless its Backend is pinned otherwise now."""
        self._in_force = {
            _named(backend): (backend.pin, _owner(backend, backend.pin))
            for backend in policy.backends
            if backend.pin is not None
        }

    # What the agent asks.

    def refused(self, plan: Plan, found: Sequence[Message]) -> dict[int, Reason]:
        """Why calls among the messages of a request are refused, by their indices."""
        entry = self._entry(plan)
        if entry is None:
            return {}
        reasons: dict[int, Reason] = {}
        for index, message in enumerate(found):
            params = message.params if type(message.params) is dict else {}
            if message.method == TOOLS_CALL and type(name := params.get("name")) is str:
                reason = entry.book.refused(name)
                if reason is not None and not self._called(plan, entry, name, reason):
                    reasons[index] = reason
            elif message.method == TOOLS_LIST and message.id is not None:
                self._remember(plan, message.id, params.get("cursor"))
        return reasons

    def _called(self, plan: Plan, entry: _Open, name: str, reason: Reason) -> bool:
        """Record a call of a tool that is hidden; whether it passes all the same."""
        if entry.pin.observe:
            self._tell(plan, entry, [Told(reason, name, "called by its name")])
            return True
        routed = plan.routed
        self._recorder.metrics.count(names.PIN_FINDINGS, (routed.backend, reason))
        decision = Decision(False, reason, f"Backend/{_target(plan).name} pin")
        self._recorder.withheld(
            routed.direction, plan.principal, routed.backend, TOOLS_CALL, name, decision, "called by its name"
        )
        return False

    def _remember(self, plan: Plan, ident: str | int, cursor: object) -> None:
        """The answer may come on another stream, which knows the question by its id alone."""
        known = str(ident)
        if len(known) > MAX_ID or not (cursor is None or (type(cursor) is str and len(cursor) <= MAX_CURSOR)):
            return
        if len(self._asked) >= MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        self._asked[_key(plan), _session(plan), known] = cursor

    # What the server offers.

    def shown(self, plan: Plan, message: Message, result: dict[str, Any]) -> dict[str, Any]:
        """A result without the tools that are not as they were pinned: the very same where all are."""
        tools = result.get("tools")
        if type(tools) is not list:
            return result
        entry = self._entry(plan)
        if entry is None:
            return result
        page = [self._listed(tool, index) for index, tool in enumerate(tools)]
        measured = [listed for listed in page if listed is not None]
        whole = self._followed(plan, entry, message, result, measured)
        judged = entry.book.judge(measured, whole, self._wall())
        self._tell(plan, entry, [*(told for told in judged.hidden if told is not None), *judged.told])
        if entry.book.dirty:
            entry.book.dirty = False
            self._store.save(self._books)
        if entry.pin.observe or not any(judged.hidden):
            return result
        verdicts = iter(judged.hidden)
        kept = [
            tool
            for tool, listed in zip(tools, page, strict=True)
            # What has no name that all read alike is hidden later on.
            if listed is None or next(verdicts) is None
        ]
        return {**result, "tools": kept}

    def _listed(self, tool: Any, index: int) -> Listed | None:
        if type(tool) is not dict or type(name := tool.get("name")) is not str:
            return None
        return Listed(name, self._digest(tool) if index < MOST_TOOLS else "", tool)

    def _digest(self, tool: dict[str, Any]) -> str:
        """Worked out once for what is sent again and again; empty for what is too large."""
        text = encode(tool)
        if len(text) > MAX_DEFINITION:
            return ""
        key = blake2b(text, digest_size=16).digest()
        known = self._digests.get(key)
        if known is None:
            try:
                known = tool_digest(tool)
            except NotCanonical:
                return ""
            if len(self._digests) >= MOST_DIGESTS:
                self._digests.clear()
            self._digests[key] = known
        return known

    def _followed(
        self, plan: Plan, entry: _Open, message: Message, result: dict[str, Any], page: Sequence[Listed]
    ) -> Whole | None:
        """The whole list, if this was its last page."""
        # Longer names are those of no pinned tool.
        items = tuple([Item(listed.name[: MAX_NAME + 1], listed.digest) for listed in page])
        after = result.get("nextCursor")
        key, session = _key(plan), _session(plan)
        asked = plan.asked_for(message)
        if asked is None:
            known = (key, session, str(message.id))
            if known not in self._asked:
                return Whole(items, certain=False) if after is None else None
            cursor: object = self._asked.pop(known)
        elif asked.method == TOOLS_LIST:
            cursor = asked.params.get("cursor") if type(asked.params) is dict else None
        else:
            return Whole(items, certain=False) if after is None else None
        if cursor is not None and type(cursor) is not str:
            return None
        return entry.listings.page((plan.who, session), cursor, after, items)

    # Beside.

    def _entry(self, plan: Plan) -> _Open | None:
        """The book of the server that this goes to; None where nothing is pinned."""
        target = plan.target
        if not self._in_force or not isinstance(target, Backend):
            return None
        key = _named(target)
        in_force = self._in_force.get(key)
        if in_force is None:
            return None
        pin, owner = in_force
        entry = self._open.get(key)
        if entry is not None and entry.owner == owner:
            return entry if entry.pin == pin else self._opened(key, entry._replace(pin=pin))
        kept = self._kept.pop(key, None)
        book = book_for(pin, kept.book if kept is not None and kept.owner == owner else None)
        return self._opened(key, _Open(pin, owner, book, Listings(MOST_TOOLS)))

    def _opened(self, key: str, entry: _Open) -> _Open:
        """Keep a book; where there are many, one of a Backend that is no more goes."""
        if len(self._open) >= MOST_BOOKS:
            gone = next((known for known in self._open if known not in self._in_force), None)
            self._open.pop(gone or "", None)
        self._open[key] = entry
        return entry

    def _books(self) -> dict[str, KeptBook]:
        """Everything to keep: also what was loaded and not asked for since."""
        used = {key: KeptBook(entry.owner, entry.book.kept()) for key, entry in self._open.items()}
        return {**self._kept, **used}

    def _tell(self, plan: Plan, entry: _Open, found: Sequence[Told]) -> None:
        """Count each, and write down what was not yet."""
        routed, lines, observed = plan.routed, 0, entry.pin.observe
        for told in found:
            self._recorder.metrics.count(names.PIN_FINDINGS, (routed.backend, told.reason))
            known = (_key(plan), told.tool[:128], told.reason, told.digest or told.what[:128], observed)
            if known in self._told:
                continue
            if len(self._told) >= MOST_TOLD:
                del self._told[next(iter(self._told))]
            self._told[known] = None
            lines += 1
            if lines <= MOST_LINES:
                self._write(plan, told, observed)
        if lines > MOST_LINES:
            more = Told(found[-1].reason, "", f"and {lines - MOST_LINES} more tools")
            self._write(plan, more, observed)

    def _write(self, plan: Plan, told: Told, observed: bool) -> None:
        routed, what, tool = plan.routed, told.what, told.tool[:128]
        if plan.secrets is not None:
            # A server may put what it was sent into what it says of itself.
            redactor = plan.secrets.redactor(plan)
            what, tool = redactor.detail(what), redactor.detail(tool)
        self._recorder.pin(
            routed.direction,
            plan.principal.id,
            routed.backend,
            told.reason,
            tool=tool or None,
            what=what,
            digest=told.digest or None,
            observed=observed,
        )


def _target(plan: Plan) -> Backend:
    assert isinstance(plan.target, Backend)  # noqa: S101 - nothing else is pinned
    return plan.target


def _named(backend: Backend) -> str:
    return f"{backend.namespace or ''}/{backend.name}"


def _key(plan: Plan) -> str:
    return _named(_target(plan))


def _owner(backend: Backend, pin: Pin) -> str:
    """Changes where pins are to be forgotten. Whether they are only observed does not count."""
    tools = "".join(f"\n{name} {digest}" for name, digest in sorted(pin.tools))
    where = f"{backend.host}:{backend.port}{backend.path}"
    text = f"{pin.mode} {pin.generation} {pin.digest}\n{where}{tools}"
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _session(plan: Plan) -> bytes:
    """What a client's messages to a server have in common with what it hears from it."""
    session = plan.head.fields.get(b"mcp-session-id")
    if session is None:
        session = plan.endpoint or plan.routed.path
    return session if len(session) <= MAX_ID else blake2b(session).digest()
