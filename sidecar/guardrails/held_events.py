"""Free text in notifications: a value that a server divides over two of them is masked in both.

Progress and log messages reach the same reader one after the other, so that `ann@co` and `rp.com` are one
address. A notification whose text may go on in the next one is held until that comes, until anything else comes,
or until its time is up. Each passes as an event of its own, in the order in which it came. What is only known when
its first part has passed (its time was up, or it was divided over three) is masked in what is left of it.

Sans-IO: the caller says what time it is, and asks again at `deadline`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sidecar.guardrails.stream import Examine, Mask, Opens, Span, joined, last_phrase

DELAY: Final = 0.2
"""Seconds that a notification waits at most."""
MOST_HELD: Final = 16
"""Notifications of one stream that wait at a time."""
MOST_SOURCES: Final = 64
"""Sources whose last words are remembered."""

Key = tuple[str, str]


class Place(NamedTuple):
    """The text of a notification: `holder[name]`; `key`: whose words it continues."""

    key: Key
    holder: dict[str, Any]
    name: str


def free_text(event: dict[str, Any]) -> Place | None:
    """Where a notification has text for people; None for everything else."""
    params = event.get("params")
    if type(params) is not dict or "id" in event:
        return None
    method = event.get("method")
    if method == "notifications/progress" and type(params.get("message")) is str:
        return Place((method, repr(params.get("progressToken"))[:256]), params, "message")
    if method == "notifications/message" and type(params.get("data")) is str:
        return Place((method, repr(params.get("logger"))[:256]), params, "data")
    return None


class _Source:
    """What one source says, its texts as they came, one after the other. The part before `sent` has passed, of
    which `hold` characters are kept; the one after it is that of `event`, which waits. `told` are the places where
    surrogates stand in what has passed, `fresh` those in what waits."""

    __slots__ = ("_hold", "event", "fresh", "place", "sent", "since", "text", "told")

    def __init__(self, hold: int) -> None:
        self._hold = hold
        self.text = ""
        self.sent = 0
        self.told: set[int] = set()
        self.fresh: set[int] = set()
        self.event: dict[str, Any] = {}
        self.place: Place | None = None
        self.since = 0.0

    def passes(self) -> dict[str, Any]:
        """The notification that waited."""
        event = self.event
        self.sent = len(self.text)
        self.told |= self.fresh
        self.event, self.place, self.fresh = {}, None, set()
        return event

    def waits(self, event: dict[str, Any], place: Place, since: float) -> None:
        """`event` is the one that waits now; its text comes after all that has passed."""
        self.event, self.place, self.since = event, place, since
        self.text += place.holder[place.name]

    def write(self, spans: list[Span], mask: Mask, text: str) -> None:
        """The text of what waits, without `spans`, which are of `text`, in which more may follow. A value that
        began earlier says nothing more where a surrogate stands for it already."""
        start, end = self.sent, len(self.text)
        parts: list[str] = []
        place = start
        self.fresh = set()
        for span in spans:
            if span.end <= start:
                continue
            begin = max(span.start, start)
            parts.append(self.text[place:begin])
            if not any(span.start <= told < start for told in self.told):
                parts.append(mask(span.kind, text[begin : span.end]))
                self.fresh.add(begin)
            place = min(span.end, end)
        if self.place is not None and place > start:
            parts.append(self.text[place:end])
            self.place.holder[self.place.name] = "".join(parts)

    def forget(self) -> None:
        """All but the end of what has passed; what is left begins where a word does."""
        begin = max(0, self.sent - self._hold)
        if begin:
            begin = max(begin, self.text.find(" ", begin))
            self.text = self.text[begin:]
            self.sent -= begin
            self.told = {place - begin for place in self.told if place >= begin}
            self.fresh = {place - begin for place in self.fresh}


class HeldEvents:
    """One stream of messages from a server, whose texts were masked one by one already.

    `examine`, `mask`, `hold` and `opens` are as for MaskedText. At most MOST_HELD notifications wait, each at most
    `delay` seconds.
    """

    __slots__ = ("_delay", "_examine", "_held", "_hold", "_mask", "_opens", "_sources", "split")

    def __init__(
        self,
        examine: Examine,
        mask: Mask,
        *,
        hold: int = 512,
        delay: float = DELAY,
        opens: Opens = last_phrase,
    ) -> None:
        self._examine = examine
        self._mask = mask
        self._hold = hold
        self._delay = delay
        self._opens = opens
        self._sources: dict[Key, _Source] = {}
        self._held: dict[Key, _Source] = {}
        self.split = 0
        """Values that were divided, and are masked in each part that had not passed."""

    @property
    def held(self) -> int:
        """Notifications that wait."""
        return len(self._held)

    @property
    def deadline(self) -> float | None:
        """When the time of the one that waits the longest is up; None where none waits."""
        first = next(iter(self._held.values()), None)
        return None if first is None else first.since + self._delay

    def feed(self, event: dict[str, Any], now: float) -> list[dict[str, Any]]:
        """What is to be sent on now, in order; `event` is changed in place and is among it, unless it is held."""
        place = free_text(event)
        if place is None:
            return [*self.flush(), event]
        source = self._source(place.key)
        text = source.text + place.holder[place.name]
        spans = joined(self._examine(text))
        self.split += sum(span.start < len(source.text) < span.end for span in spans)
        out: list[dict[str, Any]] = []
        if place.key in self._held:
            source.write([span for span in spans if span.start < len(source.text)], self._mask, text)
            out = self._until(place.key)
        source.waits(event, place, now)
        source.write(spans, self._mask, text)
        source.forget()
        self._held[place.key] = source
        if self._opens(text, self._hold) == len(text):
            return out + self.flush()
        if len(self._held) > MOST_HELD:
            out += self._first()
        return out

    def due(self, now: float) -> list[dict[str, Any]]:
        """Those whose time is up."""
        out: list[dict[str, Any]] = []
        while (deadline := self.deadline) is not None and deadline <= now:
            out += self._first()
        return out

    def flush(self) -> list[dict[str, Any]]:
        """All that is held: something else comes, or the stream ends."""
        out: list[dict[str, Any]] = []
        while self._held:
            out += self._first()
        return out

    def _source(self, key: Key) -> _Source:
        source = self._sources.pop(key, None) or _Source(self._hold)
        self._sources[key] = source
        if len(self._sources) > MOST_SOURCES:
            del self._sources[next(one for one in self._sources if one not in self._held)]
        return source

    def _first(self) -> list[dict[str, Any]]:
        source = self._held.pop(next(iter(self._held)))
        event = source.passes()
        source.forget()
        return [event]

    def _until(self, key: Key) -> list[dict[str, Any]]:
        """Takes out the one of `key`, and before it those that came before it."""
        out: list[dict[str, Any]] = []
        while next(iter(self._held)) != key:
            out += self._first()
        return [*out, self._held.pop(key).passes()]
