"""Which targets' policies concern a Backend, or this workload: the levels that all have to let a request pass.

For a Backend those are the Gateways of its namespace, and the Backend itself (or the XBackend that it was made
from); for this workload the Gateways, Services and Backends that it stands behind. Gateways come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mesh.policy.access.documents import (
    GATEWAY_GROUP,
    OUTRIDER_GROUP,
    AccessPolicy,
    TargetRef,
)
from mesh.policy.access.level import Level, Trust
from mesh.policy.decision import Inbound, Target
from mesh.policy.documents import Backend, BackendProtocol
from mesh.policy.hosts import covers

_XBACKEND = "XBackend."
_BACKENDS = frozenset({"Backend", "XBackend"})


def target_of(backend: Backend) -> TargetRef:
    """What policies call a Backend: the XBackend of its namespace that it was made from, or itself."""
    if backend.origin.startswith(_XBACKEND):
        group, _, name = backend.origin.removeprefix(_XBACKEND).partition("/")
        namespace, _, name = name.rpartition("/")
        if namespace == (backend.namespace or "") and name:
            return TargetRef(group, "XBackend", backend.namespace, name)
    return TargetRef(OUTRIDER_GROUP, "Backend", backend.namespace, backend.name)


class Levels:
    """The levels of everything that one agent may reach, and of itself."""

    __slots__ = ("_inbound", "_outbound", "need_context", "paths")

    def __init__(
        self,
        policies: Sequence[AccessPolicy],
        backends: Iterable[Backend],
        standing: Sequence[TargetRef],
        trust: Trust,
    ) -> None:
        levels = {target: Level(target, about, trust) for target, about in _by_target(policies).items()}
        backends = tuple(backends)
        gateways: dict[str | None, list[Level]] = {}
        for target, level in levels.items():
            if (target.group, target.kind) == (GATEWAY_GROUP, "Gateway"):
                gateways.setdefault(target.namespace, []).append(level)
        self._outbound: dict[tuple[str | None, str], tuple[Level, ...]] = {}
        for backend in backends if levels else ():
            own = levels.get(target_of(backend))
            found = (*gateways.get(backend.namespace, ()), *(() if own is None else (own,)))
            if found:
                self._outbound[backend.namespace, backend.name] = found
        places = {target_of(b): b.path for b in backends if b.protocol is BackendProtocol.MCP}
        stood = [levels[target] for target in sorted(set(standing), key=_order) if target in levels]
        self._inbound = tuple((level, _path(level.target, places)) for level in stood)
        met = [level for found in self._outbound.values() for level in found]
        met += [level for level, _ in self._inbound]
        self.need_context = any(level.needs_context for level in met)
        """Whether some rule asks about HTTP."""
        self.paths = frozenset(
            path for level, path in self._inbound if path is not None and (path != "/" or level.decides)
        )
        """Where peers find MCP servers, as far as these targets tell. Also where nothing is granted but somebody
        is asked: a wider target's policies would decide alone there. What is about every path is met without a
        place of its own, and declares one only where it grants."""

    def __bool__(self) -> bool:
        return bool(self._outbound or self._inbound)

    def at(self, target: Target) -> tuple[Level, ...]:
        """The levels of a Backend, or of this workload at a path."""
        if isinstance(target, Backend):
            return self._outbound.get((target.namespace, target.name), ())
        return self._standing(target)

    def _standing(self, target: Inbound) -> tuple[Level, ...]:
        path = target.path
        return tuple(
            level
            for level, place in self._inbound
            if place == "/" or (place is not None and path is not None and covers(place, path))
        )


def _by_target(policies: Iterable[AccessPolicy]) -> dict[TargetRef, list[AccessPolicy]]:
    """The policies of each target, in the order of targets."""
    found: dict[TargetRef, list[AccessPolicy]] = {}
    for policy in policies:
        for target in policy.targets:
            found.setdefault(target, []).append(policy)
    return {target: found[target] for target in sorted(found, key=_order)}


def _path(target: TargetRef, places: dict[TargetRef, str]) -> str | None:
    """Where a target's policies count: a Backend's at its path alone, those of everything else everywhere."""
    if target.kind in _BACKENDS:
        return places.get(target)
    return "/"


def _order(target: TargetRef) -> tuple[bool, str, str, str, str]:
    return target.kind != "Gateway", target.group, target.kind, target.namespace or "", target.name
