"""The proxy variables of application containers: how explicit capture gets the traffic without privileges.

HTTPS_PROXY is set as well as HTTP_PROXY. The sidecar cannot look into a CONNECT tunnel, and refuses one to a
Backend whose calls a policy decides; but without the variable TLS would leave past the sidecar, and `egress: deny`
would mean nothing.

A variable that the container sets to something else is a contradiction that nobody but its author can resolve:
keeping it would lead the traffic past the sidecar, replacing it would cut the proxy that the author meant to use.
So it is refused. NO_PROXY is merged: the container's own entries first, then ours, the same in both spellings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mesh.reasons import Reason
from mesh.settings.table import (
    ENV_LISTEN_FORWARD,
    HTTP_PROXY,
    HTTP_PROXY_LOWER,
    HTTPS_PROXY,
    HTTPS_PROXY_LOWER,
    NO_PROXY,
    NO_PROXY_LOWER,
    NODE_USE_ENV_PROXY,
)
from webhook.admission.documents import Container, EnvVar
from webhook.admission.outcome import Problem
from webhook.admission.settings import InjectionSettings

_TO_PROXY = (HTTP_PROXY.name, HTTP_PROXY_LOWER.name, HTTPS_PROXY.name, HTTPS_PROXY_LOWER.name)
_AROUND = (NO_PROXY.name, NO_PROXY_LOWER.name)
# Not set by us: some clients prefer them to the ones above, or use them for what those do not cover. In lower
# case here, because some clients take names in any.
_OTHERS = frozenset(
    ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "socks_proxy", "ws_proxy", "wss_proxy")
)
_AROUND_TOO = frozenset(("no_proxy", "no_grpc_proxy"))
_REFERENCE = re.compile(r"\$\(([^()]+)\)")
_LISTENS = re.compile(r"127\.0\.0\.1:[0-9]{1,5}")


def fixed_variables(settings: InjectionSettings) -> dict[str, str]:
    """The variables that must hold exactly this."""
    return dict.fromkeys(_TO_PROXY, settings.proxy_url) | {
        NODE_USE_ENV_PROXY.name: NODE_USE_ENV_PROXY.default
    }


def around(settings: InjectionSettings) -> tuple[str, ...]:
    """Our own entries of NO_PROXY: loopback, the API server by name and by address, what the platform adds."""
    ours = NO_PROXY.default.replace("cluster.local", settings.cluster_domain).split(",")
    return (*ours, *settings.no_proxy)


@dataclass(frozen=True, slots=True)
class Merged:
    """A container's environment with the proxy variables, what in it contradicts them, and warnings."""

    env: list[EnvVar]
    problems: list[Problem]
    warnings: list[str]


def merge(container: Container, settings: InjectionSettings) -> Merged:
    """Set the proxy variables in the environment of `container`, which itself stays unchanged.

    Variables keep their places, and new ones come last, so that `$(NAME)` references keep their meaning. Of
    a variable that stands there twice the last one counts, as it does for the kubelet.
    """
    env = list(container.get("env") or ())
    last = {variable["name"]: variable for variable in env}
    fixed, ours = fixed_variables(settings), around(settings)
    direct = [variable for name in _AROUND if (variable := last.get(name)) is not None]
    entries = list(dict.fromkeys(entry for variable in direct for entry in _entries(variable)))
    contradicting = [name for name, value in fixed.items() if name in last and not _is(last[name], value)]
    contradicting += [
        name
        for name in last
        if name.lower() in _OTHERS and name not in fixed and not _is(last[name], settings.proxy_url)
    ]
    beside = [one for name, one in last.items() if name.lower() in _AROUND_TOO and name not in _AROUND]
    contradicting += [one["name"] for one in (*direct, *beside) if _anywhere(one)]
    aside = [entry for variable in beside for entry in _entries(variable)]
    contradicting += _hiding(env, [*entries, *ours, *aside])
    merged = ",".join(dict.fromkeys((*entries, *ours)))
    for name, value in (fixed | dict.fromkeys(_AROUND, merged)).items():
        if name not in last:
            env.append({"name": name, "value": value})
        elif last[name].get("value") != value:
            place = max(place for place, variable in enumerate(env) if variable["name"] == name)
            env[place] = {**env[place], "value": value}
    where = f"container {container['name']}"
    problems = [Problem(Reason.PROXY_CONFLICT, f"{where}, variable {name}") for name in contradicting]
    past = [entry for entry in dict.fromkeys((*entries, *aside)) if entry not in ours]
    warning = f"{where}: NO_PROXY leads past the sidecar: {', '.join(past)}"
    return Merged(env, problems, [warning] if past else [])


def repoint(containers: Iterable[Container], earlier: Container | None, settings: InjectionSettings) -> None:
    """Point variables, in place, to the proxy of these settings where they lead to that of the `earlier` sidecar.

    While replicas of the webhook are replaced, one with another port may have changed the pod before us; and what
    `outrider inject` wrote with other settings may have been stored. Whoever wrote such a sidecar by hand has
    variables of theirs pointed to the real one.
    """
    listens = [
        one.get("value") for one in (earlier or {}).get("env") or () if one["name"] == ENV_LISTEN_FORWARD.name
    ]
    if not listens or not _LISTENS.fullmatch(listens[-1] or ""):
        return
    before = f"http://{listens[-1]}"
    if before == settings.proxy_url:
        return
    for container in containers:
        env = container.get("env") or []
        for place, variable in enumerate(env):
            if variable["name"].lower() in _OTHERS and _is(variable, before):
                env[place] = {**variable, "value": settings.proxy_url}


def without(container: Container, settings: InjectionSettings) -> list[EnvVar]:
    """The container's environment without what `merge` adds to it, where it was merged at all."""
    fixed, ours = fixed_variables(settings), frozenset(around(settings))
    holding = {one["name"] for one in container.get("env") or () if _is(one, fixed.get(one["name"], ""))}
    if not fixed.keys() <= holding:
        return list(container.get("env") or ())
    after: list[EnvVar] = []
    for variable in container.get("env") or ():
        name = variable["name"]
        if name in fixed and _is(variable, fixed[name]):
            continue
        if name in _AROUND and not variable.get("valueFrom"):
            kept = [entry for entry in _entries(variable) if entry not in ours]
            if not kept:
                continue
            after.append({"name": name, "value": ",".join(kept)})
            continue
        after.append(variable)
    return after


def _is(variable: EnvVar, value: str) -> bool:
    return variable.get("value") == value and not variable.get("valueFrom")


def _entries(variable: EnvVar) -> list[str]:
    """Separated by commas, or by blanks, which some clients take as well."""
    return (variable.get("value") or "").replace(",", " ").split()


def _anywhere(variable: EnvVar) -> bool:
    """May everything go past the sidecar by this list?"""
    return bool(variable.get("valueFrom")) or "*" in _entries(variable)


def _hiding(env: list[EnvVar], entries: list[str]) -> list[str]:
    """Variables that the kubelet puts into `entries` and that may hold more than hosts.

    It takes them from the container's `env` and the Services of the namespace, not from `envFrom`. Those that are
    merged have been looked at already.
    """
    named = {name for entry in entries for name in _REFERENCE.findall(entry)} - set(_AROUND)
    return list(dict.fromkeys(one["name"] for one in env if one["name"] in named and _may_hide(one)))


def _may_hide(variable: EnvVar) -> bool:
    source = variable.get("valueFrom")
    if source:
        field = source.get("fieldRef")
        path = field.get("fieldPath") if isinstance(field, dict) else None
        return not (isinstance(path, str) and path.startswith("status."))
    return _anywhere(variable) or "$(" in (variable.get("value") or "")
