"""Routes of Cortex (AuthBridge, before July 2026 of Kagenti, since then of Rossoctl) to Backends.

Source: github.com/rossoctl/cortex, authbridge/authlib/routing/router.go and plugins/tokenexchange/plugin.go
(2026). A routes file is a list, or a mapping with the key `routes` or `rules`; in a cluster it stands as
`routes.yaml` in the ConfigMap `authproxy-routes`. Each route has `host`, a glob of gobwas/glob with "." as
separator (`*` stays between two dots, `**` does not), matched without port, the first match winning; and
`target_audience`, `token_scopes`, `token_url`, `action` (exchange by default, or passthrough; older files:
`passthrough: true`).

A route says whose token goes to a host, and nothing about which agent may call what: it becomes a Backend, and no
AgentPolicy. Hosts that no route names pass in AuthBridge (`default_policy`); here they pass where `egress` is
allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cli.manifests import Manifest, ManifestInvalid, read_manifests
from cli.policy.imported import Imported
from cli.workloads import objects, texts
from mesh.policy.hosts import host_fault

if TYPE_CHECKING:
    from cli.policy.importing import Options

_CONFIG_MAP_KEY = "routes.yaml"
_TOKENS = ("target_audience", "token_scopes", "token_url")
_KNOWN = frozenset({"host", "action", "passthrough", *_TOKENS})
_GLOB = frozenset("*?[]{}!\\")
_GRANTED = (
    'a Backend grants nothing by itself, but a rule for backend "*" covers it: '
    "look for one before you apply these"
)


def import_routes(manifests: list[Manifest], options: Options) -> Imported:
    """A Backend for each route whose host is a name. Raises ManifestInvalid for what are no routes."""
    found = Imported()
    earlier: list[str] = []
    for place, route in _routes(manifests):
        _import(place, route, earlier, options, found)
    if found.documents:
        found.notes.append(_GRANTED)
    return found


def _routes(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in manifests:
        yield from _in_value(manifest.value, f"{manifest.source}:{manifest.line}", manifest)


def _in_value(value: Any, place: str, manifest: Manifest) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict) and value.get("kind") in ("ConfigMap", "List", "ConfigMapList"):
        for one in objects(value):
            text = texts(one.get("data")).get(_CONFIG_MAP_KEY)
            for inner in read_manifests(text or "", f"{place}, {_CONFIG_MAP_KEY}"):
                yield from _in_value(inner.value, inner.source, inner)
        return
    routes = value
    if isinstance(value, dict):
        routes = value.get("routes", value.get("rules"))
        routes = routes.get("rules") if isinstance(routes, dict) else routes
    if not isinstance(routes, list):
        raise ManifestInvalid(
            manifest.source, manifest.line, "no routes; expected a list of {host, target_audience, …}"
        )
    for index, route in enumerate(routes):
        if not isinstance(route, dict):
            raise ManifestInvalid(manifest.source, manifest.line, f"routes[{index}] is no mapping")
        yield f"{place} routes[{index}]", route


def _import(place: str, route: dict[str, Any], earlier: list[str], options: Options, found: Imported) -> None:
    host = str(route.get("host") or "").strip()
    where = f"{place} ({host or 'no host'})"
    shadowed = next((one for one in earlier if _covers(one, host)), None)
    earlier.append(host)
    fault = _fault(host, options)
    if shadowed is not None:
        found.left_out.append(f"{where}: an earlier route, {shadowed}, takes every request for it")
    elif fault:
        found.left_out.append(f"{where}: {fault}")
    elif options.port is None:
        found.left_out.append(f"{where}: routes name no port and a Backend has one; give --port")
    else:
        spec: dict[str, Any] = {"protocol": options.protocol, "host": host, "port": options.port}
        if options.path != "/":
            spec["path"] = options.path
        found.add("Backend", _name(host, found), options.namespace, {**spec, "tls": {"mode": options.tls}})
    found.left_out += [f"{where}: {said}" for said in _tokens(route)]


def _tokens(route: dict[str, Any]) -> Iterator[str]:
    """What a route says about credentials, which is not taken over: it names no server and no client of ours."""
    passthrough = route.get("action") == "passthrough" or route.get("passthrough") is True
    if passthrough:
        yield "passthrough forwards the caller's own token; here it leaves for its own audience only"
    else:
        named = ", ".join(f"{key} {route[key]}" for key in _TOKENS if route.get(key))
        told = f" ({named})" if named else ""
        yield f"tokens are exchanged{told}; write credential: {{exchange: ...}} into the Backend"
    unknown = sorted(map(str, set(route) - _KNOWN))
    if unknown:
        yield f"unknown keys: {', '.join(unknown)}"


def _fault(host: str, options: Options) -> str | None:
    """Why there is no Backend for a host."""
    if not host:
        return "it has no host, and matches nothing"
    wildcard = host.startswith("*.") and not _GLOB & set(host[2:])
    if wildcard and options.protocol == "MCP":
        return "an MCP Backend is one host; with --protocol HTTP *.NAME is any name with one label more"
    if not wildcard and _GLOB & set(host):
        return "this pattern has no counterpart; a Backend is one host, or *.NAME for one label more"
    fault = host_fault(host.removeprefix("*."))
    return f"not a host: {fault}" if fault else None


def _covers(pattern: str, host: str) -> bool:
    """Whether an earlier route surely takes all of a later one's requests."""
    if not host or not pattern or any(character in pattern for character in "[]{}!\\"):
        return False
    if "*" in host and pattern != host and "**" not in pattern:
        return False
    pieces = re.split(r"(\*\*|\*|\?)", pattern)
    kinds = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    return re.fullmatch("".join(kinds.get(one, re.escape(one)) for one in pieces), host) is not None


def _name(host: str, found: Imported) -> str:
    """A name for a Backend that no other has."""
    base = re.sub(r"[^a-z0-9.-]+", "-", host.lower().replace("*.", "any.")).strip("-.")
    taken = {document["metadata"]["name"] for document in found.documents}
    return next(
        name for n in range(len(taken) + 1) if (name := f"{base}-{n + 1}" if n else base) not in taken
    )
