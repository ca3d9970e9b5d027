"""Secrets that a server sends back are taken out of its answer before the agent sees it.

Whoever shows a request's own header fields in an error page or in a tool's result would hand the agent what it
must not hold. So each spelling that servers have for text (as it is, escaped for JSON or HTML, percent-encoded, in
base64, also as a part of something longer) is replaced. A server that wants to give a secret away can spell it in
ways that nobody foresees; it has the secret anyway.

A stream is held back only where what has arrived ends like the beginning of a secret, so that events pass as soon
as they are whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from mesh.protocol.http1.heads import Headers
from sidecar.hidden.secrets import Grants
from sidecar.proxy.spellings import Spelled, SpelledBefore, spelled

LEAST_BYTES = 8
"""Shorter secrets stay: what has a few characters is in any text, which would be garbled."""

CREDENTIAL = b"[outrider:credential]"
"""What stands in the place of a credential that the agent has no placeholder for."""

_QUOTED = re.compile(rb"'[^']*'|\"[^\"]*\"")

BEGINNING = 32
"""Bytes by which a spelling is looked for at the end of what has arrived."""

MOST_TRIED = 16
"""Places that are compared in full. After them a place that only begins like a secret is held back as well, so
that who fills a stream with beginnings of secrets makes it late, and not the sidecar slow."""


class Redactor:
    """Replaces secrets in answers; false where there is none to look for.

    One is shared by all answers of a Backend as long as its secrets stay the same.
    """

    __slots__ = ("_also", "_beginnings", "_inside", "_probes", "_spellings", "_stands")

    def __init__(
        self,
        replacements: Mapping[bytes, bytes],
        spell: Callable[[bytes], Spelled] = spelled,
        also: Redactor | None = None,
    ) -> None:
        """`replacements`: by secret what stands in its place, which holds no part of another secret.

        `also`: looks for others as well, which are many and shared.
        """
        self._also = also
        stands: dict[bytes, bytes] = {}
        self._inside: frozenset[int] = frozenset()
        for secret, replacement in replacements.items():
            if len(secret) >= LEAST_BYTES:
                spellings, inside = spell(secret)
                self._inside |= inside
                for spelling in spellings:
                    stands.setdefault(spelling, replacement)
        self._stands = stands
        self._spellings = sorted(stands, key=len, reverse=True)
        beginnings: dict[bytes, list[bytes]] = {}
        for spelling in self._spellings:
            beginnings.setdefault(spelling[:BEGINNING], []).append(spelling)
        self._beginnings = list(beginnings.items())
        # Tokens of one issuer begin alike: many users' are looked for by that, and one user's as it is.
        self._probes = [(begins if len(alike) > 1 else alike[0], alike) for begins, alike in self._beginnings]

    def __bool__(self) -> bool:
        return bool(self._spellings or self._also)

    def apply(self, data: bytes) -> bytes:
        """A whole body; the very same where it holds no secret."""
        if not self._found(data):
            return data
        passed: list[bytes] = []
        place = 0
        for start, spelling in self._matches(data):
            passed += (data[place:start], self._stand(spelling))
            place = start + len(spelling)
        passed.append(data[place:])
        return b"".join(passed)

    def headers(self, headers: Headers) -> Headers:
        """The fields without secrets in their values; a field whose name holds one is left out."""
        if not self or not self._found(b"\n".join(part for field in headers for part in field)):
            return headers
        return [(name, self.apply(value)) for name, value in headers if not self._found(name)]

    def detail(self, text: str) -> str:
        """What is said of an answer, in the log and to the agent: what it quotes may also be cut off."""
        shown = self.apply(text.encode(errors="replace"))
        return _QUOTED.sub(self._uncut, shown).decode(errors="replace")

    def _uncut(self, quoted: re.Match[bytes]) -> bytes:
        text = quoted[0]
        passed, held = self.split(text[1:-1])
        return text if len(held) < LEAST_BYTES else text[:1] + passed + CREDENTIAL + text[-1:]

    def stream(self) -> RedactedStream:
        """For one answer that passes as it comes."""
        return RedactedStream(self)

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """What of a stream may pass, and what has to wait because a secret may begin there."""
        held = self._held_from(data, 0)
        if not self._found(data):
            return (data, b"") if held == len(data) else (data[:held], data[held:])
        passed: list[bytes] = []
        place = 0
        for start, spelling in self._matches(data):
            # What may begin earlier, or be longer at the same place, goes first, as it does in a whole body.
            if start >= held:
                break
            passed += (data[place:start], self._stand(spelling))
            place = start + len(spelling)
            if place > held:
                held = self._held_from(data, place)
        passed.append(data[place:held])
        return b"".join(passed), data[held:]

    def _found(self, data: bytes) -> bool:
        for probe, alike in self._probes:
            if probe in data and (len(alike) == 1 or any(spelling in data for spelling in alike)):
                return True
        return self._also is not None and self._also._found(data)

    def _stand(self, spelling: bytes) -> bytes:
        found = self._stands.get(spelling)
        return self._also._stand(spelling) if found is None and self._also is not None else found or b""

    def _all(self) -> list[bytes]:
        """Every spelling, the longest first."""
        if self._also is None:
            return self._spellings
        return sorted(self._spellings + self._also._all(), key=len, reverse=True)

    def _matches(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Where spellings stand, from left to right, none within another, of several at one place the longest.

        Not a pattern: those are slow to make, and `re` would keep what it has made, secrets and all. Each spelling
        is looked for once through the whole, so that a body full of secrets takes no longer than another.
        """
        next_ones = {one: place for one in self._all() if (place := data.find(one)) >= 0}
        end = 0
        while next_ones:
            # The first of those with the same place is the longest.
            spelling = min(next_ones, key=next_ones.__getitem__)
            start = next_ones[spelling]
            if start >= end:
                yield start, spelling
                end = start + len(spelling)
            again = data.find(spelling, end)
            if again < 0:
                del next_ones[spelling]
            else:
                next_ones[spelling] = again

    def _held_from(self, data: bytes, start: int) -> int:
        """A place from `start` on before which `data` does not end within a secret; its length where it does not
        at all. It is the first where it does, unless more than MOST_TRIED places look like it."""
        held = len(data)
        if self._also is not None:
            held = self._also._held_from(data, start)
        if not data or data[-1] not in self._inside:
            return held  # as for most: a line, an event or an object has ended
        for begins, alike in self._beginnings:
            held = min(held, _begun(data, start, begins, alike))
        return held


def _begun(data: bytes, start: int, begins: bytes, alike: list[bytes]) -> int:
    """`_held_from` for spellings that all begin so, the longest first."""
    size, known = len(data), len(begins)
    place = data.find(begins, max(start, size - len(alike[0]) + 1))
    tried = 0
    while place >= 0:
        end = memoryview(data)[place:]
        if tried == MOST_TRIED or any(len(one) > len(end) and one.startswith(end) for one in alike):
            return place
        tried += 1
        place = data.find(begins, place + 1)
    # What is left is shorter than the beginning.
    first = begins[:1]
    place = data.find(first, max(start, size - known + 1))
    while place >= 0 and not begins.startswith(data[place:]):
        place = data.find(first, place + 1)
    return place if place >= 0 else size


class RedactedStream:
    """Gives the same for any division into pieces, and in the end the same as `Redactor.apply` for the whole."""

    __slots__ = ("_held", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def use(self, redactor: Redactor) -> None:
        """Look for other secrets from now on, also in what is held."""
        self._redactor = redactor

    def feed(self, data: bytes) -> bytes:
        """What may pass now: all of it, unless its end looks like the beginning of a secret."""
        passed, self._held = self._redactor.split(self._held + data if self._held else data)
        return passed

    def end(self) -> bytes:
        """What was still held; nothing comes after it."""
        held, self._held = self._held, b""
        return self._redactor.apply(held)


class Redactors:
    """Those of the secrets in use, each made once; the one that was not asked for the longest gives way."""

    __slots__ = ("_limit", "_made", "_spell")

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._spell = SpelledBefore()
        self._made: dict[tuple[int, tuple[bytes, ...], tuple[bytes, ...]], tuple[Grants, Redactor]] = {}

    def of(self, grants: Grants, minted: tuple[bytes, ...] = (), others: tuple[bytes, ...] = ()) -> Redactor:
        """For answers of a Backend that got these: hidden secrets, and credentials without a placeholder.

        `minted`: this request's. `others`: what else the Backend got, this request's among them as a rule.
        """
        if not minted or minted[0] in others:
            minted, others = others, ()
        key = (id(grants), minted, others)
        # The grants are kept, so that no other object has their id meanwhile.
        made = self._made.pop(key, None) or (grants, self._redactor(grants, minted, others))
        self._made[key] = made
        if len(self._made) > self._limit:
            del self._made[next(iter(self._made))]
        return made[1]

    def _redactor(self, grants: Grants, minted: tuple[bytes, ...], others: tuple[bytes, ...]) -> Redactor:
        hidden = {secret: fake for fake, secret in grants.secrets.items() if secret is not None}
        also = self.of(grants, others) if others else None
        return Redactor({**dict.fromkeys(minted, CREDENTIAL), **hidden}, self._spell, also)
