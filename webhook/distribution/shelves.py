"""The destinations of each namespace, without those that claim what another has already.

Of Backends and XBackends of one namespace with the same name, or the same host, port and path, the oldest has it:
by creationTimestamp, then our own kind before Gateway API's before the agentic group's, then by name. The others
are conflicted and given to nobody. A Backend of protocol TCP claims every path of its host and port.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mesh.policy.documents import BackendProtocol
from webhook.distribution.kinds import Key
from webhook.distribution.offers import Offer


@dataclass(frozen=True, slots=True)
class Shelf:
    """Destinations by name, and for each that is conflicted who has what it claims."""

    offers: Mapping[str, Offer] = field(default_factory=dict)
    conflicted: Mapping[Key, Key] = field(default_factory=dict)


class Claims:
    """Which destinations are taken, and by whom."""

    __slots__ = ("_paths",)

    def __init__(self) -> None:
        self._paths: dict[tuple[str, int], dict[str | None, Key]] = {}

    def take(self, offer: Offer) -> Key | None:
        """Take an offer's destination; whoever has it already, None where it was free."""
        paths = self._paths.setdefault((offer.host, offer.port), {})
        whole = offer.protocol is BackendProtocol.TCP
        path = None if whole else offer.path
        taken = paths.get(None) or (next(iter(paths.values()), None) if whole else paths.get(path))
        if taken is None:
            paths[path] = offer.key
        return taken


def arrange(offers: Iterable[Offer]) -> Shelf:
    """The shelf of one namespace."""
    shelf: dict[str, Offer] = {}
    conflicted: dict[Key, Key] = {}
    claims = Claims()
    for one in sorted(offers, key=_seniority):
        namesake = shelf.get(one.key.name)
        taken = namesake.key if namesake is not None else claims.take(one)
        if taken is not None:
            conflicted[one.key] = taken
        else:
            shelf[one.key.name] = one
    return Shelf(shelf, conflicted)


def _seniority(offer: Offer) -> tuple[str, int, str]:
    return offer.created, offer.key.kind.seniority, offer.key.name
