"""JSON to and from an API server: dictionaries in, dictionaries out, and watches that can be ended.

The generated client makes an object of each field; a test says what a manifest says, so it stays with the JSON.
One connection for each thread, kept alive.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

REQUEST_SECONDS: Final = 40.0
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"
Json = dict[str, Any]


class ApiError(Exception):
    """The API server refused a request, or could not be reached (status 0)."""

    def __init__(self, status: int, reason: str, message: str, warnings: tuple[str, ...] = ()) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.warnings = warnings


class Api:
    """One user's way to one API server."""

    def __init__(
        self,
        server: str,
        authority: Path,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(server)
        assert parts.hostname is not None
        assert parts.port is not None
        self.server = server
        self.headers = dict(headers or {})
        self._identity = (authority, certificate, key)
        self._address = parts.hostname, parts.port
        self._context = ssl.create_default_context(cafile=authority)
        if certificate is not None:
            self._context.load_cert_chain(certificate, key)
        self._local = threading.local()
        self._open: set[http.client.HTTPSConnection] = set()
        self._lock = threading.Lock()

    def with_headers(self, **headers: str) -> Api:
        """The same user with more headers, such as those of impersonation."""
        authority, certificate, key = self._identity
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        merged = {**self.headers, **named}
        return self._child(Api(self.server, authority, certificate=certificate, key=key, headers=merged))

    def with_token(self, token: str) -> Api:
        """Whoever a bearer token says."""
        headers = {"Authorization": f"Bearer {token}"}
        return self._child(Api(self.server, self._identity[0], headers=headers))

    def _child(self, made: Api) -> Api:
        """Its connections are closed with ours."""
        made._open, made._lock = self._open, self._lock
        return made

    def get(self, path: str, **query: Any) -> Json:
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Json, **query: Any) -> Json:
        return self.request("POST", path, body, query=query)

    def put(self, path: str, body: Json, **query: Any) -> Json:
        return self.request("PUT", path, body, query=query)

    def patch(self, path: str, body: Any, kind: str = MERGE, **query: Any) -> Json:
        return self.request("PATCH", path, body, query=query, kind=kind)

    def delete(self, path: str, body: Json | None = None, **query: Any) -> Json:
        return self.request("DELETE", path, body, query=query)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        kind: str = "application/json",
        accept: str = "application/json",
    ) -> Json:
        """What the server answers. Raises ApiError."""
        text = self.text(method, path, body, query=query, kind=kind, accept=accept)
        return dict(json.loads(text)) if text else {}

    def text(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        kind: str = "application/json",
        accept: str = "*/*",
    ) -> str:
        """The answer's body as it is, such as a log. Raises ApiError."""
        headers = {**self.headers, "Accept": accept, "User-Agent": "outrider-e2e"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = kind
        target = _target(path, query)
        status, said, answer = self._exchange(method, target, data, headers)
        self.warnings = said
        if status >= 400:
            raise _error(status, answer, said)
        return answer

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings that came with this thread's last answer."""
        found: tuple[str, ...] = getattr(self._local, "warnings", ())
        return found

    @warnings.setter
    def warnings(self, found: tuple[str, ...]) -> None:
        self._local.warnings = found

    def _exchange(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, tuple[str, ...], str]:
        for last in (False, True):
            connection, answer = self._connection(), None
            try:
                connection.request(method, target, data, dict(headers))
                answer = connection.getresponse()
                body = answer.read().decode("utf-8", "replace")
            except (OSError, http.client.HTTPException) as error:
                if answer is not None:
                    answer.close()
                self._drop(connection)
                # A kept connection may have been closed meanwhile: once more, on a new one.
                if last:
                    raise ApiError(0, "Unreachable", f"{method} {target}: {error}") from error
                continue
            return answer.status, _warnings(answer), body
        raise AssertionError

    def _connection(self) -> http.client.HTTPSConnection:
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._new(REQUEST_SECONDS)
        return connection

    def _new(self, seconds: float) -> http.client.HTTPSConnection:
        host, port = self._address
        connection = http.client.HTTPSConnection(host, port, timeout=seconds, context=self._context)
        with self._lock:
            self._open.add(connection)
        return connection

    def _drop(self, connection: http.client.HTTPSConnection) -> None:
        connection.close()
        if getattr(self._local, "connection", None) is connection:
            self._local.connection = None
        with self._lock:
            self._open.discard(connection)

    def forget(self) -> None:
        """Close this thread's connection: for threads that end."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            self._drop(connection)

    def close(self) -> None:
        """Close everything; whoever waits in a watch is woken."""
        with self._lock:
            connections = list(self._open)
            self._open.clear()
        for connection in connections:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()

    def watch(self, path: str, seconds: float = 300, **query: Any) -> Iterator[Json]:
        """Events of a watch until it ends, which it does after `seconds` by itself. Raises ApiError."""
        connection = self._new(seconds + 30)
        target = _target(path, {**query, "watch": "true", "timeoutSeconds": int(seconds)})
        answer = None
        try:
            connection.request("GET", target, headers={**self.headers, "Accept": "application/json"})
            answer = connection.getresponse()
            if answer.status >= 400:
                raise _error(answer.status, answer.read().decode("utf-8", "replace"), ())
            while line := answer.readline():
                yield json.loads(line)
        except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
            # ValueError and AttributeError: `close` took the file from under the reader.
            raise ApiError(0, "Unreachable", f"watch {target}: {error}") from error
        finally:
            if answer is not None:
                # It holds the socket open for as long as it is held itself, by a traceback perhaps.
                answer.close()
            self._drop(connection)


def _target(path: str, query: Mapping[str, Any] | None) -> str:
    given = {key: value for key, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _warnings(answer: http.client.HTTPResponse) -> tuple[str, ...]:
    """The texts of Warning headers: `299 - "text"`."""
    found = answer.headers.get_all("Warning") or []
    return tuple(json.loads(value.split(" ", 2)[2]) for value in found)


def _error(status: int, answer: str, warnings: tuple[str, ...]) -> ApiError:
    try:
        said = json.loads(answer)
    except json.JSONDecodeError:
        said = {}
    if not isinstance(said, dict):
        said = {}
    return ApiError(status, said.get("reason", ""), said.get("message", answer), warnings)
