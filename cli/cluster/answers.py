"""What an API server gives: objects as plain dictionaries, or a refusal. Nothing here imports a client."""

from __future__ import annotations

from typing import Any, Protocol

Obj = dict[str, Any]


class Denied(Exception):
    """An answer that is no success: `status` is the HTTP status, `message` what the server says, `body` all of it.

    Who is at fault the status tells: 403 the rights of whoever asks, 404 nobody, since it may well not be there.
    """

    def __init__(self, status: int, message: str, body: bytes = b"") -> None:
        super().__init__(f"{message} ({status})")
        self.status = status
        self.message = message
        self.body = body


class Reading(Protocol):
    """What commands need of a cluster. The real one is `cli.cluster.api.Api`."""

    def get(self, path: str, **query: str) -> Obj:
        """The object at a path."""
        ...

    def items(self, path: str, **query: str) -> tuple[Obj, ...]:
        """Every object of a list."""
        ...

    def text(self, path: str, **query: str) -> str:
        """What is at a path, as text."""
        ...

    def create(self, path: str, document: Obj) -> Obj:
        """The answer to a review."""
        ...

    def metadata(self, path: str) -> Obj:
        """An object without what it holds."""
        ...

    def through(self, path: str) -> str:
        """What a pod answers, asked through the API server."""
        ...
