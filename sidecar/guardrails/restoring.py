"""Turns surrogates back into values, on the way home, wherever they stand in a message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

from mesh.policy.guardrails import Direction
from sidecar.guardrails import json_text
from sidecar.guardrails.vault import Vault

_MOST_NESTED: Final = 3


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
    message: dict[str, Any], vault: Vault, roots: Iterable[Root], direction: Direction = Direction.BOTH
) -> bool:
    """Puts values back in place, in all strings and numbers of `roots`; whether anything changed.

    `direction` is that of the message: what came from the side that it goes to is turned back. Keys are not.
    """
    if not len(vault):
        return False
    changed = False
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
                restore_text(value, vault, direction)
                if kind is str
                else vault.restore_number(value, direction)
            )
            if new != value:
                holder[key] = new
                changed = True
    return changed


def restore_text(text: str, vault: Vault, direction: Direction = Direction.BOTH, nested: int = 0) -> str:
    """`text` with values in the place of surrogates; where it is JSON they are spelled as JSON, and surrogates are
    found also as encoders spell them that escape `<`."""
    plain = vault.restore(text, direction)
    if plain == text and not vault.odd and "\\u003" not in text:
        return text
    known = json_text.read(text) if nested < _MOST_NESTED else None
    if known is None:
        return plain
    changes: list[tuple[int, int, str]] = []
    for scalar in known.scalars:
        value = scalar.value
        if type(value) is str:
            new: Any = restore_text(value, vault, direction, nested + 1)
        else:
            new = vault.restore_number(value, direction)
        if new != value:
            ascii_only = text[scalar.start : scalar.end].isascii()
            changes.append((scalar.start, scalar.end, json_text.spelled(new, ascii_only)))
    return json_text.spliced(text, changes)
