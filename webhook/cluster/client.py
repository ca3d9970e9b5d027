"""The few calls that the control plane makes to the API server, each with a timeout and one kind of exception.

Not the official client: importing it costs 23 MB and half a second in every replica, for five verbs on five
resources, and its watch neither ends when a connection hangs nor tells an expired version from other errors.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from aiohttp import hdrs

from mesh.settings.installation import WEBHOOK
from webhook.cluster.failures import ApiFailed, Failure, of_status
from webhook.cluster.server import ApiServer

CALL_SECONDS = 5.0
WATCH_SECONDS = 60
"""How long one watch lasts; the API server ends it then. A connection that died in silence is noticed by that."""
WATCH_GRACE = 15.0
MAX_ANSWER = 16 * 1024 * 1024
MAX_EVENT = 4 * 1024 * 1024
PAGE = 500
OPENED = "OPENED"
_DETAIL = 300
_MOST_PATIENCE = 300.0

Document = dict[str, Any]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Collection:
    """Objects of one kind: `prefix` is /api/v1 or /apis/GROUP/VERSION. Cluster-wide without a namespace."""

    prefix: str
    plural: str
    namespace: str | None = None

    def path(self, name: str | None = None) -> str:
        """The path of the collection, or of one object in it."""
        within = "" if self.namespace is None else f"/namespaces/{quote(self.namespace, safe='')}"
        tail = "" if name is None else f"/{quote(name, safe='')}"
        return f"{self.prefix}{within}/{self.plural}{tail}"

    def permission(self, verb: str, name: str | None) -> str:
        """What would have to be granted, for whoever looks after RBAC."""
        group = self.prefix.split("/")[2] if self.prefix.startswith("/apis/") else ""
        resource = f"{self.plural}.{group}" if group else self.plural
        place = "" if self.namespace is None else f" in namespace {self.namespace}"
        role = "ClusterRole" if self.namespace is None else "Role"
        named = "" if name is None else f" (resourceNames: [{name}])"
        return f"grant {verb} on {resource}{named}{place} in {role} {WEBHOOK}"


class ObjectMeta(msgspec.Struct, rename="camel"):
    """What a watch needs to know of any object."""

    name: str = ""
    resource_version: str = ""


class ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct):
    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Status(msgspec.Struct):
    code: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """All objects of a collection, still encoded, and the version from which a watch goes on."""

    items: tuple[bytes, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch: type ADDED, MODIFIED, DELETED or BOOKMARK, and the object, still encoded.

    The first one is OPENED, without an object: the API server has begun to tell.
    """

    type: str
    object: bytes


class ApiClient:
    """Calls to one API server. Every method raises ApiFailed, and nothing else."""

    __slots__ = ("_seconds", "_server", "_session", "_watch_seconds")

    def __init__(
        self,
        session: aiohttp.ClientSession,
        server: ApiServer,
        seconds: float = CALL_SECONDS,
        watch_seconds: int = WATCH_SECONDS,
    ) -> None:
        self._session = session
        self._server = server
        self._seconds = seconds
        self._watch_seconds = watch_seconds

    async def get(self, collection: Collection, name: str, seconds: float | None = None) -> bytes:
        """One object, encoded."""
        denied = collection.permission("get", name)
        return await self._call("GET", collection.path(name), denied, seconds=seconds)

    async def get_path(self, path: str) -> bytes:
        """What is at a path that is no object, such as /version."""
        return await self._call("GET", path, f"grant get on nonResourceURL {path} in ClusterRole {WEBHOOK}")

    async def table(self, collection: Collection, *, accept: str) -> bytes:
        """A collection as a table (meta.k8s.io/v1 Table) of what the API server has at hand."""
        query = {"resourceVersion": "0", "includeObject": "None"}
        denied = collection.permission("list", None)
        return await self._call("GET", collection.path(), denied, query=query, accept=accept)

    async def list(
        self,
        collection: Collection,
        name: str | None = None,
        *,
        version: str | None = None,
        labels: str = "",
        trim: Callable[[bytes], bytes] | None = None,
    ) -> Listed:
        """All objects, those that the selector `labels` matches, or the one called `name`; page by page.

        `version` "0" takes what the API server has at hand, in one answer. Each object goes through `trim`.
        """
        denied = collection.permission("list", name)
        query = _selected(name, labels) | ({} if version is None else {"resourceVersion": version})
        items: list[bytes] = []
        following = ""
        while True:
            page = query | {"limit": str(PAGE)} | ({"continue": following} if following else {})
            body = await self._call("GET", collection.path(), denied, query=page)
            read = decode(body, _List)
            items.extend(trim(bytes(item)) if trim else bytes(item) for item in read.items or ())
            following = read.metadata.continue_
            if not following:
                return Listed(tuple(items), read.metadata.resource_version)

    async def create(self, collection: Collection, document: Document) -> bytes:
        """Have the API server take a new object, or answer a review; its answer, encoded."""
        denied = collection.permission("create", None)
        body = msgspec.json.encode(document)
        return await self._call("POST", collection.path(), denied, body=body, content_type="application/json")

    async def replace(self, collection: Collection, name: str, document: Document) -> bytes:
        """Write an object whole; its resourceVersion has to be the present one (else Failure.CONFLICT)."""
        denied = collection.permission("update", name)
        body = msgspec.json.encode(document)
        return await self._call(
            "PUT", collection.path(name), denied, body=body, content_type="application/json"
        )

    async def patch(self, collection: Collection, name: str, operations: Sequence[Document]) -> bytes:
        """Apply an RFC 6902 patch. Failure.CONFLICT where one of its tests does not hold."""
        denied = collection.permission("patch", name)
        body = msgspec.json.encode(operations)
        return await self._call(
            "PATCH", collection.path(name), denied, body=body, content_type="application/json-patch+json"
        )

    async def merge(self, collection: Collection, name: str, change: Document, part: str = "") -> bytes:
        """Apply an RFC 7386 merge patch to an object, or to its subresource `part`, such as status.

        A metadata.resourceVersion in it has to be the present one (else Failure.CONFLICT).
        """
        denied = collection.permission("patch", name)
        path = collection.path(name) + (f"/{part}" if part else "")
        body = msgspec.json.encode(change)
        return await self._call("PATCH", path, denied, body=body, content_type="application/merge-patch+json")

    async def watch(
        self, collection: Collection, version: str, name: str | None = None, labels: str = ""
    ) -> AsyncGenerator[Change, None]:
        """Changes since `version`, until the API server ends the watch. Failure.GONE: list again."""
        query = _selected(name, labels) | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(self._watch_seconds),
        }
        denied = collection.permission("watch", name)
        seconds = self._watch_seconds + WATCH_GRACE
        async with self._answer("GET", collection.path(), denied, query=query, seconds=seconds) as response:
            yield Change(OPENED, b"")
            rest = b""
            async for piece in response.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) > MAX_EVENT:
                    raise ApiFailed(Failure.UNREADABLE, f"an event of more than {MAX_EVENT} bytes")
                for line in filter(None, lines):
                    yield _change(line)

    async def _call(
        self,
        method: str,
        path: str,
        denied: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "",
        accept: str = "application/json",
        seconds: float | None = None,
    ) -> bytes:
        async with self._answer(
            method,
            path,
            denied,
            query=query,
            body=body,
            content_type=content_type,
            accept=accept,
            seconds=seconds or self._seconds,
        ) as response:
            return await _whole(response, MAX_ANSWER)

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        denied: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "",
        accept: str = "application/json",
        seconds: float,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer. What fails inside the block counts as a failure of the call."""
        what = f"{method} {path}"
        if body is not None:  # or the API server names the writer after the User-Agent, which says "Python"
            query = {**(query or {}), "fieldManager": WEBHOOK}
        try:
            headers = {hdrs.AUTHORIZATION: f"Bearer {self._token()}", hdrs.ACCEPT: accept}
            if content_type:
                headers[hdrs.CONTENT_TYPE] = content_type
            async with self._session.request(
                method,
                self._server.url + path,
                params=query,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds, connect=min(seconds, self._seconds)),
            ) as response:
                if not 200 <= response.status < 300:
                    raise await _refusal(response, what, denied)
                yield response
        except TimeoutError as error:
            raise ApiFailed(Failure.TIMED_OUT, f"{what}: no answer in time") from error
        except (OSError, aiohttp.ClientError, ValueError) as error:
            raise ApiFailed(Failure.UNREACHABLE, f"{what}: {error}") from error

    def _token(self) -> str:
        try:
            return self._server.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ApiFailed(
                Failure.NO_TOKEN, f"the ServiceAccount's token cannot be read: {error}"
            ) from error


def decode(body: bytes, kind: type[_T]) -> _T:
    """`body` as `kind`; raises ApiFailed."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ApiFailed(Failure.UNREADABLE, f"the API server's answer is unreadable: {error}") from error


def _selected(name: str | None, labels: str = "") -> dict[str, str]:
    # A permission that names objects covers list and watch only where the request names the object like this.
    field = {} if name is None else {"fieldSelector": f"metadata.name={name}"}
    return field | ({"labelSelector": labels} if labels else {})


def _change(line: bytes) -> Change:
    event = decode(line, _Event)
    if event.type == "ERROR":
        status = decode(bytes(event.object), _Status)
        raise ApiFailed(of_status(status.code or 500), f"the watch ended: {status.message[:_DETAIL]}")
    return Change(event.type, bytes(event.object))


async def _whole(response: aiohttp.ClientResponse, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise ApiFailed(Failure.UNREADABLE, f"an answer of more than {most} bytes")
    return b"".join(pieces)


async def _refusal(response: aiohttp.ClientResponse, what: str, denied: str) -> ApiFailed:
    text = await _whole(response, MAX_ANSWER)
    try:
        said = decode(text, _Status).message
    except ApiFailed:
        said = text.decode("utf-8", "replace")
    failure = of_status(response.status)
    if response.status == HTTPStatus.UNPROCESSABLE_ENTITY and response.method == "PATCH":
        failure = Failure.CONFLICT  # how the API server says that a test of the patch does not hold
    hint = f"; {denied}" if failure is Failure.FORBIDDEN else ""
    detail = f"{what}: {response.status} {said[:_DETAIL].strip()}".rstrip() + hint
    return ApiFailed(failure, detail, _patience(response.headers.get(hdrs.RETRY_AFTER, "")))


def _patience(text: str) -> float:
    return min(float(text), _MOST_PATIENCE) if text.isascii() and text.isdigit() else 0.0
