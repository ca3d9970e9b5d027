"""What a question is made of, beyond the part that its answer is remembered by.

The first part decides which rules there are to look at, and whether any depends on the second. Where none does,
the answer is the same for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mesh.policy.decision import HttpRequest, RequestContext

ANY_ARGUMENTS: Final[Mapping[str, Any]] = MappingProxyType({})
"""Given as `arguments`, by identity: they are not known yet, and what depends on them is left aside. So lists are
filtered: a tool is shown if some arguments may call it."""


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks for what: `method` and `name` of MCP. `plain`: it is no MCP message, and they do not count.
    `http_method` is that of a plain request, None where there is none or it is not known."""

    principal: str
    method: str
    name: str | None
    plain: bool = False
    http_method: str | None = None
    transport: bool = False
    """A plain request of MCP's own: the stream that servers push on, and the end of a session."""
    inbound: bool = False
    """It is a peer's, so that the host is what that peer says it is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What comes with one request."""

    question: Question
    arguments: Mapping[str, Any] | None
    http: HttpRequest | None
    context: RequestContext | None

    @property
    def http_method(self) -> str | None:
        """The HTTP method, None where it is not known."""
        known = self.context.method if self.context is not None else None
        return known if known is not None or self.http is None else self.http.method

    @property
    def path(self) -> str | None:
        """The path without its query, None where it is not known."""
        known = self.context.path if self.context is not None else None
        if known is not None:
            return known.partition("?")[0]
        return None if self.http is None else self.http.path
