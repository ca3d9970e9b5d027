"""The settings of one sidecar: their value, who set each, and where its container says something else.

The status annotation is written by admission and can be edited by whoever may edit pods; the container cannot be.
Where they disagree the container is right, and somebody should know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cli.check.data_plane import status_of
from cli.check.objects import containers_of, inner, sidecar_of
from cli.cluster.answers import Obj
from mesh.settings import table
from mesh.settings.table import REDIRECT_CONTAINER


@dataclass(frozen=True, slots=True)
class Value:
    """One setting. `layer` is `pod`, `namespace`, `platform` or `default`; `really` is what the container has
    where that differs."""

    name: str
    value: str
    layer: str
    really: str = ""


def settings(pod: Obj) -> tuple[Value, ...]:
    """Every setting of the status annotation, in the order of the settings table."""
    written = inner(status_of(pod), "settings")
    if not isinstance(written, dict):
        return ()
    order = [name.removeprefix(table.PREFIX) for name in table.ANNOTATIONS]
    names = sorted(written, key=lambda name: (order.index(name) if name in order else len(order), name))
    return tuple(_value(pod, name, written[name]) for name in names)


def environment(pod: Obj) -> dict[str, str]:
    """The variables of the sidecar that have a value of their own."""
    return {
        str(one.get("name")): str(one["value"])
        for one in (sidecar_of(pod) or {}).get("env") or ()
        if one.get("value") is not None
    }


def _value(pod: Obj, name: str, written: Any) -> Value:
    value, layer = str(inner(written, "value") or ""), str(inner(written, "layer") or "")
    reading = _IN_CONTAINER.get(name)
    really = "" if reading is None else reading(pod)
    said = str(inner(status_of(pod), "capture")) if name == "capture" else value
    return Value(name, value, layer, really if really not in ("", said) else "")


def _resource(kind: str, which: str) -> Callable[[Obj], str]:
    return lambda pod: str(inner(sidecar_of(pod), "resources", kind, which) or "")


def _capture(pod: Obj) -> str:
    redirected = any(one.get("name") == REDIRECT_CONTAINER for one in containers_of(pod))
    return "transparent" if redirected else "explicit"


def _log_level(pod: Obj) -> str:
    return {"all": "info", "refused": "warning"}.get(
        environment(pod).get(table.ENV_LOG_DECISIONS.name, ""), ""
    )


_IN_CONTAINER: dict[str, Callable[[Obj], str]] = {
    "capture": _capture,
    "mtls": lambda pod: environment(pod).get(table.ENV_INBOUND_MODE.name, ""),
    "interception": lambda pod: (
        "on" if environment(pod).get(table.ENV_INTERCEPTION_DIRECTORY.name) else "off"
    ),
    "log-level": _log_level,
    "cpu": _resource("requests", "cpu"),
    "memory": _resource("requests", "memory"),
    "cpu-limit": _resource("limits", "cpu"),
    "memory-limit": _resource("limits", "memory"),
}
