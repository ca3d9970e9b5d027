"""What a namespace is labelled: an AdmissionReview does not say, and the truth table needs it.

The API server has checked the labels already, by the selectors of the webhook configuration, but tells only the
name. So the server asks for the namespace, with its own ServiceAccount, and keeps the answer for a few seconds:
a Deployment that scales up asks once and not once per pod. A label that changes takes that long to be seen here,
no longer than it takes to reach every API server's own cache.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from webhook.admission.outcome import Namespace

NamespaceLookup = Callable[[str], Awaitable[Namespace]]

ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_KEPT = 1000  # namespaces remembered at most; the oldest goes first


class NamespaceUnknown(Exception):
    """The namespace cannot be looked up; the text says why. The cluster or the installation is at fault."""


class _Metadata(msgspec.Struct):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Document(msgspec.Struct):
    metadata: _Metadata


def fixed_lookup(namespaces: Mapping[str, Namespace]) -> NamespaceLookup:
    """Namespaces from a settings file, for a server without a cluster."""

    async def look_up(name: str) -> Namespace:
        if name not in namespaces:
            raise NamespaceUnknown(f"namespace {name} is not in the settings file")
        return namespaces[name]

    return look_up


@dataclass(frozen=True, slots=True)
class ApiServer:
    """How to reach the API server. The token is read anew for each request, because the kubelet rotates it."""

    url: str
    token_file: Path
    authorities_file: Path | None

    @classmethod
    def of_cluster(cls, environment: Mapping[str, str], folder: Path = ACCOUNT_FOLDER) -> ApiServer | None:
        """The API server of the cluster that this process runs in, or None where it runs in none."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            return None
        bracketed = f"[{host}]" if ":" in host else host
        return cls(f"https://{bracketed}:{port}", folder / "token", folder / "ca.crt")

    def tls(self) -> ssl.SSLContext | bool:
        """The context that trusts the cluster's own authority, and nothing else."""
        if self.authorities_file is None:
            return True
        context = ssl.create_default_context(cafile=str(self.authorities_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def api_fetch(session: aiohttp.ClientSession, server: ApiServer) -> NamespaceLookup:
    """Ask the API server each time. Three seconds at most: the API server gives us five for the whole answer."""
    timeout = aiohttp.ClientTimeout(total=3.0)

    async def look_up(name: str) -> Namespace:
        try:
            token = server.token_file.read_text(encoding="ascii").strip()
            async with session.get(
                f"{server.url}/api/v1/namespaces/{quote(name, safe='')}",
                headers={"Authorization": f"Bearer {token}"},
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise NamespaceUnknown(f"the API server answers {response.status} for namespace {name}")
                return _read(name, await response.read())
        except (OSError, UnicodeDecodeError) as error:
            raise NamespaceUnknown(f"namespace {name}: {error}") from error
        except TimeoutError as error:
            raise NamespaceUnknown(f"namespace {name}: the API server did not answer in time") from error
        except aiohttp.ClientError as error:
            raise NamespaceUnknown(f"namespace {name}: {error}") from error

    return look_up


def _read(name: str, body: bytes) -> Namespace:
    try:
        metadata = msgspec.json.decode(body, type=_Document).metadata
    except (msgspec.DecodeError, RecursionError) as error:
        raise NamespaceUnknown(f"namespace {name}: the API server's answer is unreadable: {error}") from error
    return Namespace(name, metadata.labels or {}, metadata.annotations or {})


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock
    namespace: Namespace | None = None
    until: float = 0.0


def cached(look_up: NamespaceLookup, clock: Callable[[], float], seconds: float = 5.0) -> NamespaceLookup:
    """`look_up`, asked at most once per namespace in `seconds`, and once at a time. Failures are not kept."""
    entries: dict[str, _Entry] = {}

    async def remembered(name: str) -> Namespace:
        entry = entries.get(name)
        if entry is None:
            if len(entries) >= _KEPT:
                del entries[next(iter(entries))]
            entry = entries[name] = _Entry(asyncio.Lock())
        async with entry.lock:
            if entry.namespace is None or clock() >= entry.until:
                entry.namespace = None
                entry.namespace = await look_up(name)
                entry.until = clock() + seconds
            return entry.namespace

    return remembered


def read_session(server: ApiServer) -> aiohttp.ClientSession:
    """A session that trusts the cluster's authority. Proxy variables do not count: the API server is near."""
    connector: Any = aiohttp.TCPConnector(ssl=server.tls(), limit=16)
    return aiohttp.ClientSession(connector=connector, trust_env=False)
