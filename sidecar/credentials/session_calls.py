"""The calls with which a session of MCP is begun and ended for a user: initialize, initialized, DELETE.

A server may answer initialize with a document or with an event stream (MCP 2025-03-26, Streamable HTTP). Of a
stream only the answer counts, and whoever keeps it open after that is not waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mesh.protocol.http1.heads import Headers, header
from mesh.protocol.mcp.versions import LEGACY_VERSIONS, VERSION_HEADER
from mesh.protocol.sse import SseReader, SseRefused
from mesh.protocol.strict_json import JsonRefused, parse
from mesh.reasons import Reason
from sidecar.credentials.fetch import Fetched, FetchFailed
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.user_sessions import NeedsSession

SESSION: Final = b"mcp-session-id"
MOST_SECONDS: Final = 10.0
"""For one call, connecting included."""
ANSWER_BYTES: Final = 256 * 1024
"""Of an answer to initialize, which may hold long instructions."""
LONGEST_SESSION: Final = 4096
"""Bytes of a session id that is kept; the longest known ones are tokens."""

_POST: Headers = [
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, text/event-stream"),
    (b"accept-encoding", b"identity"),
]
_KNOWN = frozenset(LEGACY_VERSIONS)


class Calls(Protocol):
    """sidecar.credentials.fetch.Fetch, to one server."""

    async def __call__(
        self,
        method: str,
        url: str,
        headers: Headers = ...,
        body: bytes = b"",
        *,
        seconds: float = ...,
        limit: int = ...,
        enough: Callable[[bytes], bool] | None = None,
    ) -> Fetched:
        """Raises FetchFailed."""


class NotBegun(Exception):
    """The server refused a user's initialize, as HTTP says it: 401 and 403 are about the credential."""

    def __init__(self, answer: Fetched) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.status = answer.status
        self.headers = answer.headers


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session is: the server's URL, and the credential's fields with which it is begun or ended."""

    call: Calls
    url: str
    fields: Headers = field(repr=False)


async def begin(place: Place, needs: NeedsSession, version: bytes | None) -> bytes:
    """The new session's id. `version`: what the agent says was agreed upon, where the answer names none.

    Raises NotBegun, and CredentialRefused (SESSION_UNAVAILABLE) where no session comes of it.
    """
    heard = _Heard()
    answer = await _post(place, [], needs.initialize, heard)
    if not 200 <= answer.status < 300:
        raise NotBegun(answer)
    said = heard.answer or _answer_in(answer.body)
    if said is None or not isinstance(said.get("result"), dict):
        raise unavailable("the server answered a user's initialize with no result")
    session = header(answer.headers, SESSION)
    if not session or len(session) > LONGEST_SESSION:
        raise unavailable("the server gave the agent a session, and a user none")
    chosen = said["result"].get("protocolVersion")
    spoken = chosen.encode() if chosen in _KNOWN else version
    fields: Headers = [(SESSION, session)]
    if spoken is not None:
        fields.append((VERSION_HEADER, spoken))
    taken = await _post(place, fields, needs.initialized, None)
    if not 200 <= taken.status < 300:
        raise unavailable(f"the server answered HTTP {taken.status} to notifications/initialized")
    return session


async def end(place: Place, session: bytes) -> None:
    """Tell the server that nobody needs the session any more. Whatever it says, it was told."""
    try:
        await place.call("DELETE", place.url, [*place.fields, (SESSION, session)], seconds=MOST_SECONDS)
    except FetchFailed:
        # The server forgets sessions that nobody uses by itself.
        return


def unavailable(detail: str) -> CredentialRefused:
    """There is no session for this user."""
    return CredentialRefused(Reason.SESSION_UNAVAILABLE, detail)


async def _post(
    place: Place, fields: Headers, body: bytes, enough: Callable[[bytes], bool] | None
) -> Fetched:
    headers = [*_POST, *place.fields, *fields]
    try:
        return await place.call(
            "POST", place.url, headers, body, seconds=MOST_SECONDS, limit=ANSWER_BYTES, enough=enough
        )
    except FetchFailed as failed:
        raise unavailable(failed.detail) from failed


class _Heard:
    """Listens to an answer as it comes: true once an event has told the outcome."""

    __slots__ = ("_events", "answer")

    def __init__(self) -> None:
        self._events: SseReader | None = SseReader(ANSWER_BYTES)
        self.answer: dict[str, Any] | None = None

    def __call__(self, data: bytes) -> bool:
        if self._events is None:
            return False
        try:
            events = self._events.feed(data)
        except SseRefused:
            self._events = None
            return False
        for event in events:
            if event.data and self.answer is None:
                self.answer = _answer_in(event.data.encode())
        return self.answer is not None


def _answer_in(data: bytes) -> dict[str, Any] | None:
    """The JSON-RPC answer; None for a notification, a question of the server, and what is none of these."""
    try:
        value = parse(data).value
    except JsonRefused:
        return None
    if not isinstance(value, dict) or "method" in value:
        return None
    return value if "result" in value or "error" in value else None
