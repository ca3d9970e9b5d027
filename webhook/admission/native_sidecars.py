"""Whether this cluster has native sidecars (init containers that go on running): `nativeSidecars: auto`.

The API server must keep the field and every kubelet must understand it, which both do by default from 1.29 on.
Asked at the start and every few minutes, never for a pod. Nodes are asked for as a table: whole, each is tens of
kilobytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from webhook.cluster.client import ApiClient, Collection, decode
from webhook.cluster.failures import ApiFailed, Troubles
from webhook.cluster.pace import Pace

FIRST = (1, 29)
EVERY_SECONDS = 300.0
NODES = Collection("/api/v1", "nodes")
_VERSION = re.compile(r"v?([0-9]{1,4})\.([0-9]{1,4})")
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class _Version(msgspec.Struct, rename={"git_version": "gitVersion"}):
    git_version: str = ""


class _Column(msgspec.Struct):
    name: str = ""


class _Row(msgspec.Struct):
    cells: list[Any]


class _Table(msgspec.Struct, rename="camel"):
    column_definitions: list[_Column]
    rows: list[_Row] | None = None


def supported(api_server: str, kubelets: Iterable[str]) -> bool:
    """Do all of these versions (v1.30.2, v1.29.4-gke.100) have native sidecars? What is unreadable does not."""
    return all(_number(version) >= FIRST for version in (api_server, *kubelets))


def _number(version: str) -> tuple[int, int]:
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


async def ask(client: ApiClient) -> bool:
    """Has the cluster native sidecars? Raises ApiFailed."""
    version = decode(await client.get_path("/version"), _Version).git_version
    table = decode(
        await client.table(NODES, accept=_TABLE),
        _Table,
    )
    names = [column.name for column in table.column_definitions]
    place = names.index("Version") if "Version" in names else len(names)
    kubelets = [str(row.cells[place]) if place < len(row.cells) else "" for row in table.rows or ()]
    return supported(version, kubelets)


async def follow_versions(
    client: ApiClient, pace: Pace, troubles: Troubles, resolved: Callable[[bool | None], None]
) -> None:
    """Tell `resolved` at the start and after each change, until cancelled; None where nobody can say."""
    last: bool | None = None
    attempt = 0
    while True:
        try:
            native = await ask(client)
        except ApiFailed as error:
            troubles.failed("versions", error)
            if last is None:
                resolved(None)
            await pace.sleep(pace.delay(attempt, error.retry_after))
            attempt += 1
            continue
        troubles.well("versions")
        attempt = 0
        if native is not last:
            last = native
            resolved(native)
        await pace.sleep(EVERY_SECONDS)
