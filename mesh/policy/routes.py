"""From host, port and path to a Backend.

An exact host owns its requests: they never fall through to a wildcard. The longest path prefix on segment
boundaries wins; `/mcp` covers `/mcp` and `/mcp/x`, not `/mcpx`.
"""

from __future__ import annotations

from collections.abc import Iterable

from mesh.policy.decision import Route
from mesh.policy.documents import Backend

_UNDECLARED = Route(None, host_declared=False)
_PATH_UNDECLARED = Route(None, host_declared=True)


class RouteTable:
    """The Backends that one agent can see, by destination."""

    __slots__ = ("_exact", "_wildcard")

    def __init__(self, backends: Iterable[Backend]) -> None:
        self._exact: dict[tuple[str, int], list[tuple[str, Route]]] = {}
        self._wildcard: dict[tuple[str, int], list[tuple[str, Route]]] = {}
        for backend in backends:
            wild = backend.host.startswith("*.")
            table = self._wildcard if wild else self._exact
            prefix = "" if backend.path == "/" else backend.path
            key = (backend.host.removeprefix("*."), backend.port)
            table.setdefault(key, []).append((prefix, Route(backend, host_declared=True)))
        for routes in (*self._exact.values(), *self._wildcard.values()):
            routes.sort(key=lambda route: len(route[0]), reverse=True)

    def backends_at(self, host: str, port: int) -> tuple[Backend, ...]:
        """The Backends with this host and port, those with the longest path first."""
        routes = self._declared(host, port) or ()
        return tuple(route.backend for _, route in routes if route.backend is not None)

    def _declared(self, host: str, port: int) -> list[tuple[str, Route]] | None:
        """The (prefix, route) pairs of a host and port, longest prefix first; None when no Backend has
        them.
        """
        routes = self._exact.get((host, port))
        if routes is None and self._wildcard:
            label, _, suffix = host.partition(".")
            routes = self._wildcard.get((suffix, port)) if label else None
        return routes

    def find(self, host: str, port: int, path: str) -> Route:
        """The route of a request. `host` is lower case without trailing dot, `path` plain and without
        query.
        """
        routes = self._declared(host, port)
        if routes is None:
            return _UNDECLARED
        for prefix, route in routes:
            if path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/"):
                return route
        return _PATH_UNDECLARED
