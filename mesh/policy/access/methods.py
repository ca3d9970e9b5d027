"""Which requests an authorization's words for MCP are about, as the reference implementation maps them.

Nothing is allowed by itself: `initialize` too needs MATCH_BASE_PROTOCOL_METHODS, or a rule without MCP
restriction. Beyond the reference, the base protocol has what 2026-07-28 begins with, server/discover, and
subscriptions/listen (the resources that it names are asked about apart, as resources/subscribe). A rule that
restricts resources by `params` never matches: `params` is compared with the `name` of a request, and requests for
resources have none.
"""

from __future__ import annotations

from mesh.policy.access.documents import MethodMatch

BASE_METHODS = frozenset({"initialize", "ping", "tools/list", "server/discover", "subscriptions/listen"})
BASE_PREFIXES = ("notifications/", "completion/", "logging/")
NAMED_METHODS = frozenset({"tools/call", "prompts/get"})
"""Whose subject is the `name` of their params."""
CATEGORIES = frozenset({"tools", "prompts", "resources"})
SESSION_HEADER = "mcp-session-id"


def is_base(method: str) -> bool:
    """Whether a method is one of the base protocol."""
    return method in BASE_METHODS or method.startswith(BASE_PREFIXES)


class MethodTable:
    """The methods of an authorization, each with the names that it is limited to (None: any)."""

    __slots__ = ("_categories", "_names")

    def __init__(self, matches: tuple[MethodMatch, ...]) -> None:
        self._categories = tuple(f"{match.name}/" for match in matches if match.name in CATEGORIES)
        self._names = {match.name: frozenset(match.params) or None for match in matches}

    def covers(self, method: str, name: str | None) -> bool:
        """Whether a request of this method, with this subject if it has one, is among them."""
        if self._categories and method.startswith(self._categories):
            return True
        if method not in self._names:
            return False
        names = self._names[method]
        return names is None or (method in NAMED_METHODS and name in names)

    def covers_all(self, method: str) -> bool:
        """Whether every request of this method is among them."""
        return method.startswith(self._categories) or self._names.get(method, frozenset()) is None
