"""Turns surrogates back into values, on the way home, wherever they stand in a message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

from mesh.policy.guardrails import Direction
from sidecar.guardrails import json_text
from sidecar.guardrails.vault import Vault

_MOST_NESTED: Final = 3
MOST_ADDED: Final = 1 << 20
"""Characters that a message may grow by: whoever repeats a surrogate of some bytes may stand for kilobytes."""


class Root(Protocol):
    """A part of a message: `holder[key]` and everything in it."""

    @property
    def holder(self) -> Any:
        """The object or array that it stands in."""
        ...

    @property
    def key(self) -> str | int:
        """Where in there."""
        ...


def restore_message(
    message: dict[str, Any],
    vault: Vault,
    roots: Iterable[Root],
    direction: Direction = Direction.BOTH,
    *,
    most: int = MOST_ADDED,
) -> bool:
    """Puts values back in place, in all strings and numbers of `roots`; whether anything changed.

    `direction` is that of the message: what came from the side that it goes to is turned back. Keys are not.
    It grows by `most` characters; surrogates that would add more stay what they are.
    """
    if not len(vault):
        return False
    changed = False
    room = [most]
    pending: list[tuple[Any, str | int]] = [(root.holder, root.key) for root in roots]
    while pending:
        holder, key = pending.pop()
        value = holder[key]
        kind = type(value)
        if kind is dict:
            pending += [(value, name) for name in value]
        elif kind is list:
            pending += [(value, place) for place in range(len(value))]
        elif kind is str or kind is int or kind is float:
            new = (
                restore_text(value, vault, direction, room)
                if kind is str
                else vault.restore_number(value, direction)
            )
            if new != value:
                holder[key] = new
                changed = True
    return changed


def restore_text(
    text: str,
    vault: Vault,
    direction: Direction = Direction.BOTH,
    room: list[int] | None = None,
    nested: int = 0,
) -> str:
    """`text` with values in the place of surrogates; where it is JSON they are spelled as JSON, and surrogates are
    found also as encoders spell them that escape `<`. `room`: as `Vault.restore` has it."""
    room = [MOST_ADDED] if room is None else room
    left = [room[0]]
    plain = vault.restore(text, direction, left)
    if plain == text and not vault.odd and "\\u003" not in text:
        return text
    known = json_text.read(text) if nested < _MOST_NESTED else None
    if known is None:
        room[0] = left[0]
        return plain
    changes: list[tuple[int, int, str]] = []
    for scalar in known.scalars:
        value = scalar.value
        if type(value) is str:
            new: Any = restore_text(value, vault, direction, [room[0]], nested + 1)
        else:
            new = vault.restore_number(value, direction)
        if new != value:
            size = scalar.end - scalar.start
            spelled = json_text.spelled(new, text[scalar.start : scalar.end].isascii())
            if len(spelled) - size <= room[0]:
                room[0] -= max(0, len(spelled) - size)
                changes.append((scalar.start, scalar.end, spelled))
    return json_text.spliced(text, changes)
