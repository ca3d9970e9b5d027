"""What sidecars say of their configuration at /readyz, asked through the API server.

Only the sidecar knows what it enforces at this moment; the status of policies counts sidecars and names none. It
takes the right to `get pods/proxy`, and an API server that reaches pods: without either nothing is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.check.objects import ended, inner, name_of, sidecar_of, sidecar_status
from cli.cluster.answers import Denied, Obj, Reading
from cli.cluster.failures import ClusterUnavailable
from mesh.settings.table import ENV_LISTEN_TELEMETRY, TELEMETRY_PORT

ASKED = 20
"""Each takes a round trip; of more pods the status of policies has the sum."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The configuration of one sidecar. `source`: none, files, saved, stream. `connected` None: it has no control
    plane. `problem`: why it is not connected; `refused`: reason and detail of what it did not take."""

    source: str
    version: str = ""
    connected: bool | None = None
    problem: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class States:
    """By pod; `unread` says why some are lacking."""

    by_pod: Mapping[str, Configured] = field(default_factory=dict)
    unread: str = ""


NO_STATES = States(unread="they were not asked")


def read_states(api: Reading, namespace: str, pods: Iterable[Obj]) -> States:
    """Ask the first sidecars that run."""
    found: dict[str, Configured] = {}
    unread = ""
    for pod in [one for one in pods if _runs(one)][:ASKED]:
        path = f"/api/v1/namespaces/{namespace}/pods/{name_of(pod)}:{telemetry_port(pod)}/proxy/readyz"
        try:
            state = configured(api.through(path))
        except Denied as denied:
            unread = str(denied)
            if denied.status == 403:
                break
            continue
        except ClusterUnavailable as unavailable:
            unread = unavailable.cause.rstrip(".")
            break
        if state is not None:
            found[name_of(pod)] = state
    return States(found, unread)


def configured(text: str) -> Configured | None:
    """What /readyz says; None where it does not speak of configurations, as older sidecars do not."""
    try:
        said = inner(json.loads(text), "configuration")
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not isinstance(said.get("source"), str):
        return None
    connected = said.get("connected")
    return Configured(
        said["source"],
        _text(said, "version"),
        connected if isinstance(connected, bool) else None,
        _text(said, "problem").rstrip("."),
        _refused(said.get("refusal")),
    )


def telemetry_port(pod: Obj) -> str:
    """The port of its sidecar's telemetry."""
    for variable in (sidecar_of(pod) or {}).get("env") or ():
        if variable.get("name") == ENV_LISTEN_TELEMETRY.name:
            return str(variable.get("value") or "").rpartition(":")[2] or TELEMETRY_PORT.default
    return TELEMETRY_PORT.default


def _runs(pod: Obj) -> bool:
    return inner(sidecar_status(pod), "state", "running") is not None and not ended(pod)


def _refused(refusal: Any) -> str:
    if not isinstance(refusal, dict):
        return ""
    told = (f"{_text(refusal, 'version')[:12]}", _text(refusal, "reason"), _text(refusal, "detail"))
    return ": ".join(filter(None, (one.rstrip(".") for one in told)))


def _text(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    return value if isinstance(value, str) else ""
