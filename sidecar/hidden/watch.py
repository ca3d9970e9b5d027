"""Placeholders in bodies that pass piece by piece: found also where a piece ends within one.

What was sent before is no secret, so nothing is held back: whoever feeds the pieces cuts the connection when a
placeholder is whole, and its Backend has a request that never ended.
"""

from __future__ import annotations

from mesh.settings.placeholders import PLACEHOLDER_LENGTH
from sidecar.hidden.find import PLAIN, PREFIX

_CARRY = PLACEHOLDER_LENGTH - 1


class PlaceholderWatch:
    """Looks for `stopped`, the placeholders that must not pass; `found` has the first that did."""

    __slots__ = ("_carry", "_stopped", "found")

    def __init__(self, stopped: frozenset[bytes]) -> None:
        self._stopped = stopped
        self._carry = b""
        self.found: bytes | None = None

    def feed(self, data: bytes) -> bool:
        """Whether one of them has appeared by the end of this piece."""
        carry = self._carry
        # The seam first, which is short, so that a large piece is copied for none of this.
        seam = carry + data[:_CARRY]
        self._carry = data[-_CARRY:] if len(data) >= _CARRY else seam[-_CARRY:]
        if (carry and PREFIX in seam and self._look(seam)) or (PREFIX in data and self._look(data)):
            return True
        return self.found is not None

    def _look(self, data: bytes) -> bool:
        self.found = next((fake for fake in PLAIN.findall(data) if fake in self._stopped), self.found)
        return self.found is not None
