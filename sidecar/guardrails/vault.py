"""What was masked in one session, and what stands for it.

The same value has the same surrogate for as long as it is remembered: a model can still tell one person from
another, and a request that is repeated is the same request (servers seal requestState to a hash of the arguments).

Each surrogate is turned back only towards the side that the value came from. Were it turned back towards both, a
server could write `<EMAIL_1>` into an answer, and the agent would read what was kept from it a moment before.
For the same reason what one side says and what the other says have surrogates of their own, though the value is
one: else a server could say a thousand addresses, and see by the surrogate, or by what comes back in clear, which
of them the agent wrote. Values that are never turned back, as secrets are, are not kept at all, but known by a
keyed hash.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable
from hashlib import blake2b
from itertools import islice
from typing import Final, NamedTuple

from mesh.policy.guardrails import Direction
from sidecar.guardrails.surrogates import NUMBERS, PLAIN, TOKENS, Family, Numbered, token

Value = str | int | float
"""What is masked, and what stands for it; never bool."""

MOST_VALUES: Final = 4096
MOST_BYTES: Final = 1 << 20
LONGEST_KEPT: Final = 4096
"""Characters; a longer value is masked like any other and not turned back."""
MOST_FORMS: Final = 8
_MOST_KINDS = 256
_MOST_TAKEN = 256
_MOST_AVOIDED = 4096
"""Surrogates looked at in one text."""
_OVERHEAD = 700
"""Bytes of one value beside its text: objects, the hash, places in tables."""
_TAKEN_OVERHEAD = 150

_WAYS: Final = {Direction.REQUEST: 1, Direction.RESPONSE: 2, Direction.BOTH: 3}
_NOT_IN_NAMES = re.compile(r"[^A-Z0-9]+")


_Key = tuple[str, Direction, bytes]


class Stand:
    """One value of one side, what it is called by, and the ways on which that is turned back."""

    __slots__ = ("forms", "key", "named", "size", "value", "ways")

    def __init__(self, key: _Key, named: Numbered) -> None:
        self.key = key
        self.named = named
        self.value: Value | None = None
        self.ways = 0
        self.forms: list[Value] = []
        self.size = _OVERHEAD

    def __repr__(self) -> str:
        return f"<Stand {token(self.named)}>"


def _nobody(_size: int) -> None:
    """Where nobody keeps count."""


class Vault:
    """The values of one session. At most `values` of them and `size` bytes; the one not used for the longest is
    forgotten first, and its surrogates then stay as they are."""

    __slots__ = (
        "_by_form",
        "_counts",
        "_grown",
        "_key",
        "_plain",
        "_serial",
        "_size",
        "_stands",
        "_taken",
        "_values",
    )

    def __init__(
        self,
        values: int = MOST_VALUES,
        size: int = MOST_BYTES,
        *,
        grown: Callable[[int], None] = _nobody,
    ) -> None:
        """`grown` is told of bytes that come and go."""
        self._key = os.urandom(16)
        self._values = values
        self._size = [0, size]
        self._grown = grown
        self._stands: dict[_Key, Stand] = {}
        self._by_form: dict[tuple[type, Value], Stand] = {}
        self._counts: dict[str, int] = {}
        self._serial = 0
        self._taken: dict[str, None] = {}
        self._plain: set[str] = set()

    def __repr__(self) -> str:
        return f"<Vault of {len(self._stands)} values>"

    def __len__(self) -> int:
        return len(self._stands)

    def __bool__(self) -> bool:
        return True  # an empty one is a vault as well

    @property
    def size(self) -> int:
        """Bytes, by a generous estimate."""
        return self._size[0]

    @property
    def odd(self) -> bool:
        """Whether something was given out that is only known where it stands alone: a number, or such as has the
        shape of its value."""
        return not self._plain.isdisjoint(("shaped", "number"))

    def token(
        self, kind: str, value: str, back: Direction | None = None, side: Direction | None = None
    ) -> str:
        """What stands for `value` where anything may stand, like `<EMAIL_1>`.

        `back` is the way on which it is turned back: RESPONSE for what was masked in a request; None: never.
        `side` is the way that leads to who said it, where it is not turned back.
        """
        stand = self.stand(kind, value, back, side)
        while not self.claim(stand, form := token(stand.named)):
            stand.named = stand.named._replace(number=self._next(stand.named.kind))
        return form

    def stand(
        self, kind: str, value: Value, back: Direction | None = None, side: Direction | None = None
    ) -> Stand:
        """The entry of a value of one side (`back` or `side`), made where there is none."""
        text = value if type(value) is str else f"{type(value).__name__} {value!r}"
        name = self._name(kind)
        hashed = blake2b(text.encode(errors="surrogatepass"), key=self._key, digest_size=16).digest()
        key = (name, back or side or Direction.BOTH, hashed)
        stand = self._stands.pop(key, None)
        if stand is None:
            self._serial += 1
            stand = Stand(key, Numbered(name, self._next(name), self._serial))
            self._grow(stand.size)
        self._stands[key] = stand
        if back is not None and len(text) <= LONGEST_KEPT:
            stand.ways |= _WAYS[back]
            if stand.value is None:
                stand.value = value
                self._add(stand, text)
        self._forget()
        return stand

    def claim(self, stand: Stand, form: Value, family: str = "token") -> bool:
        """Have `form` stand for it. False where it stands for another value, or was in a message before."""
        place = (type(form), form)
        owner = self._by_form.get(place)
        if owner is stand:
            return True
        full = len(stand.forms) >= MOST_FORMS and family != "token"
        if owner is not None or full or (type(form) is str and form in self._taken):
            return False
        stand.forms.append(form)
        self._by_form[place] = stand
        if family != "token":
            self._plain.add(family)
        self._add(stand, str(form))
        return True

    def close(self) -> None:
        """Its session has ended: what is still done with it is no longer reported."""
        self._grown = _nobody

    def issued(self, form: Value) -> bool:
        """Whether it is one of our surrogates, which must not be masked again."""
        return (type(form), form) in self._by_form

    def avoid(self, text: str) -> None:
        """Never give out a surrogate that stands in `text` already, and that is not one of ours; nor any of the
        last few hundred such."""
        for family in (TOKENS, *PLAIN):
            if family.needle in text:
                for found in islice(family.pattern.finditer(text), _MOST_AVOIDED):
                    if found[0] not in self._taken and not self.issued(found[0]):
                        self._take(found[0])

    def _take(self, form: str) -> None:
        self._taken[form] = None
        size = len(form) + _TAKEN_OVERHEAD
        if len(self._taken) > _MOST_TAKEN:
            oldest = next(iter(self._taken))
            del self._taken[oldest]
            size -= len(oldest) + _TAKEN_OVERHEAD
        self._grow(size)

    def restore(self, text: str, way: Direction = Direction.BOTH, room: list[int] | None = None) -> str:
        """`text` with the values that came from where it goes to; the very same where it can hold none.

        `room[0]` characters may be added to it, and are counted down; surrogates that would add more stay.
        """
        if not self._by_form or ("<" not in text and not self._plain):
            return text
        mask = _WAYS[way]
        whole = self._by_form.get((str, text))
        if whole is not None:
            return _back(whole, mask, text, room)
        if "<" in text:
            text = self._replaced(TOKENS, text, mask, room)
        if self._plain:
            for family in PLAIN:
                if family.name in self._plain and family.needle in text:
                    text = self._replaced(family, text, mask, room)
            if "number" in self._plain and "9990" in text:
                text = NUMBERS.sub(lambda found: self._number_text(found[0], mask, room), text)
        return text

    def restore_number(self, number: int | float, way: Direction = Direction.BOTH) -> int | float:
        """The number that it stands for, or itself."""
        stand = self._by_form.get((type(number), number))
        if stand is None or type(stand.value) is not type(number) or not stand.ways & _WAYS[way]:
            return number
        return stand.value

    def _replaced(self, family: Family, text: str, mask: int, room: list[int] | None) -> str:
        def turned(found: re.Match[str]) -> str:
            stand = self._by_form.get((str, found[0]))
            return found[0] if stand is None else _back(stand, mask, found[0], room)

        return family.pattern.sub(turned, text)

    def _number_text(self, text: str, mask: int, room: list[int] | None) -> str:
        number: Value = float(text) if "." in text else int(text)
        stand = self._by_form.get((type(number), number))
        return text if stand is None else _back(stand, mask, text, room)

    def _name(self, kind: str) -> str:
        name = _NOT_IN_NAMES.sub("_", kind.upper()).strip("_")[:40].rstrip("_") or "VALUE"
        if not name[0].isalpha():
            name = f"X_{name}"
        return name if name in self._counts or len(self._counts) < _MOST_KINDS else "VALUE"

    def _next(self, name: str) -> int:
        number = self._counts[name] = self._counts.get(name, 0) + 1
        return number

    def _add(self, stand: Stand, text: str) -> None:
        size = len(text) * (1 if text.isascii() else 4)
        stand.size += size
        self._grow(size)

    def _grow(self, size: int) -> None:
        self._size[0] += size
        self._grown(size)

    def _forget(self) -> None:
        while len(self._stands) > 1 and (len(self._stands) > self._values or self._size[0] > self._size[1]):
            stand = self._stands.pop(next(iter(self._stands)))
            for form in stand.forms:
                del self._by_form[type(form), form]
            self._grow(-stand.size)


def _back(stand: Stand, mask: int, form: str, room: list[int] | None) -> str:
    if stand.value is None or not stand.ways & mask:
        return form
    text = str(stand.value)
    if room is not None and len(text) > len(form):
        if room[0] < len(text) - len(form):
            return form
        room[0] -= len(text) - len(form)
    return text


class VaultKey(NamedTuple):
    """Whose values: the agent, the user it asks for, the server, the MCP session. Values of one are never given
    to another."""

    agent: str
    user: Hashable
    server: str
    session: str | None


class Vaults:
    """The vaults in use. At most `vaults` of them, and `size` bytes in all (one vault may exceed that by what one
    message masks); the one not used for the longest gives way, as does one that was not used for `ttl` seconds."""

    __slots__ = ("_bytes", "_clock", "_limit", "_size", "_ttl", "_vaults")

    def __init__(
        self, clock: Callable[[], float], *, vaults: int = 1024, size: int = 16 << 20, ttl: float = 3600.0
    ) -> None:
        self._clock = clock
        self._limit = vaults
        self._size = size
        self._ttl = ttl
        self._bytes = 0
        self._vaults: dict[VaultKey, tuple[float, Vault]] = {}

    def __len__(self) -> int:
        return len(self._vaults)

    def __repr__(self) -> str:
        return f"<Vaults: {len(self._vaults)}>"

    @property
    def size(self) -> int:
        """Bytes of all values, by a generous estimate."""
        return self._bytes

    def get(self, key: VaultKey) -> Vault | None:
        """The vault of `key` if anything was masked there: there is nothing to turn back otherwise."""
        now = self._clock()
        while self._vaults:
            oldest = next(iter(self._vaults))
            if now - self._vaults[oldest][0] < self._ttl:
                break
            self.end(oldest)
        held = self._vaults.pop(key, None)
        if held is None:
            return None
        self._vaults[key] = (now, held[1])
        return held[1]

    def of(self, key: VaultKey) -> Vault:
        """The vault of `key`, made where there is none."""
        vault = self.get(key)
        if vault is None:
            vault = Vault(size=min(MOST_BYTES, self._size), grown=self._grow)
            self._vaults[key] = (self._clock(), vault)
        while len(self._vaults) > 1 and (len(self._vaults) > self._limit or self._bytes > self._size):
            self.end(next(iter(self._vaults)))
        return vault

    def end(self, key: VaultKey) -> None:
        """Forget everything of a session that has ended."""
        held = self._vaults.pop(key, None)
        if held is not None:
            self._bytes -= held[1].size
            held[1].close()

    def _grow(self, size: int) -> None:
        self._bytes += size
