"""MCP servers of ToolHive to Backends and AgentPolicies.

Source: github.com/stacklok/toolhive, cmd/thv-operator/api/v1alpha1 and v1beta1 (mcpserver_types.go,
mcpremoteproxy_types.go, toolconfig_types.go) and pkg/mcp/tool_filter.go, 2026. An MCPServer is reached through the
Service `mcp-NAME-proxy`, an MCPRemoteProxy through `mcp-NAME-remote-proxy`, both at `proxyPort` (v1alpha1 also
`port`; 8080). Its `toolConfigRef` names an MCPToolConfig of its namespace, and goes before the older `tools` of
the server itself: `toolsFilter` is the list of tools that clients get, empty for all, and `toolsOverride` gives
tools other names, which are those that filter and clients use. Cedar comes after the filter, and sees the tools'
own names. Prompts and resources are Cedar's alone.

ToolHive guards a server from whoever calls; an AgentPolicy says what agents may call. The policy that is written
grants agents no more than ToolHive lets everybody have, and the Backend leads to ToolHive's own proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.cluster.answers import Obj
from cli.manifests import Manifest
from cli.policy import cedar
from cli.policy.imported import Imported
from cli.workloads import objects
from mesh.policy.entries import is_pattern

if TYPE_CHECKING:
    from cli.policy.importing import Options

_GROUP = "toolhive.stacklok.dev/"
_SERVICES = {"MCPServer": "mcp-{}-proxy", "MCPRemoteProxy": "mcp-{}-remote-proxy"}
_READ_BESIDE = frozenset({"MCPToolConfig", "MCPAuthzConfig"})
_EVERYTHING = "*"
_STAY = (
    "oidcConfig",
    "oidcConfigRef",
    "externalAuthConfigRef",
    "authServerRef",
    "webhookConfigRef",
    "rateLimiting",
    "headerForward",
)
_SSE = "/sse"
_HTTP = "/mcp"


class _Unfaithful(Exception):
    """Nothing may be granted of this server: what limits it has no counterpart."""


def import_toolhive(manifests: list[Manifest], options: Options) -> Imported:
    """A Backend and an AgentPolicy for each MCPServer and MCPRemoteProxy."""
    everything = [one for manifest in manifests for one in objects(manifest.value)]
    ours = [one for one in everything if str(one.get("apiVersion")).startswith(_GROUP)]
    found = Imported()
    for one in ours:
        kind = str(one.get("kind"))
        if kind in _SERVICES:
            _import(one, kind, ours, options, found)
        elif kind not in _READ_BESIDE:
            found.left_out.append(f"{_title(one)}: this kind has no counterpart")
    return found


def _import(one: Obj, kind: str, others: list[Obj], options: Options, found: Imported) -> None:
    metadata, spec = one.get("metadata") or {}, one.get("spec") or {}
    name, space = str(metadata.get("name")), str(metadata.get("namespace") or "default")
    agents = options.namespace or space
    port = spec.get("proxyPort") or spec.get("port") or 8080
    host = f"{_SERVICES[kind].format(name)}.{space}.svc.cluster.local"
    backend = {"protocol": "MCP", "host": host, "port": port, "path": _path(spec), "tls": {"mode": "None"}}
    try:
        grant = _grant(one, spec, others, found)
    except (_Unfaithful, cedar.CedarInvalid) as reason:
        found.left_out.append(f"{_title(one)}: {reason}; no policy is written for it")
        return
    found.add("Backend", name, agents, backend)
    selector = {"selector": {"matchLabels": dict(options.labels)}} if options.labels else {}
    found.add(
        "AgentPolicy", f"toolhive-{name}", agents, {**selector, "outbound": [{"backend": name, **grant}]}
    )
    staying = [key for key in _STAY if spec.get(key)]
    if staying:
        found.left_out.append(
            f"{_title(one)}: {', '.join(staying)} stay with ToolHive's proxy, which has to go on running"
        )


def _path(spec: Obj) -> str:
    """Where the proxy serves, by its transport."""
    transport = spec.get("transport") or "stdio"
    mode = (spec.get("proxyMode") or "streamable-http") if transport == "stdio" else transport
    return _SSE if mode == "sse" else _HTTP


def _grant(one: Obj, spec: Obj, others: list[Obj], found: Imported) -> dict[str, Any]:
    """The rule's sections. Raises _Unfaithful, CedarInvalid."""
    filtered, renamed = _filter(one, spec, others)
    said = _rights(one, spec, others, found)
    if said is None:
        tools = sorted(filtered) if filtered is not None else [_EVERYTHING]
        both = {"allow": [_EVERYTHING]}
        return {"tools": {"allow": _plain(tools, one, found)}, "prompts": both, "resources": dict(both)}
    return _under_cedar(one, filtered, renamed, said, found)


def _under_cedar(
    one: Obj, filtered: set[str] | None, renamed: dict[str, str], said: cedar.Rights, found: Imported
) -> dict[str, Any]:
    allowed = said.allow.get("tools", set())
    actual = {shown: own for own, shown in renamed.items()}
    if _EVERYTHING in allowed:
        tools = filtered if filtered is not None else {_EVERYTHING}
    else:
        shown = {renamed.get(name, name) for name in allowed}
        tools = (
            shown if filtered is None else {name for name in filtered if actual.get(name, name) in allowed}
        )
    denied = said.deny.get("tools", set())
    both_names = denied | {renamed[name] for name in denied if name in renamed}
    sections: dict[str, Any] = {"tools": _names(_plain(sorted(tools), one, found), both_names)}
    for section in ("prompts", "resources"):
        if section in said.allow:
            names = _plain(sorted(said.allow[section]), one, found)
            sections[section] = _names(names, said.deny.get(section, set()))
    return sections


def _names(allow: list[str], deny: set[str]) -> dict[str, list[str]]:
    if _EVERYTHING in deny:
        return {"allow": []}
    kept = [name for name in allow if name not in deny]
    return {"allow": kept, **({"deny": sorted(deny)} if deny and _EVERYTHING in kept else {})}


def _plain(names: list[str], one: Obj, found: Imported) -> list[str]:
    """Without names that would be patterns here: ToolHive knows none."""
    odd = [name for name in names if is_pattern(name) and name != _EVERYTHING]
    found.left_out += [f"{_title(one)}: the name {name} would be a pattern here" for name in odd]
    return [name for name in names if name not in odd]


def _filter(one: Obj, spec: Obj, others: list[Obj]) -> tuple[set[str] | None, dict[str, str]]:
    """The tools that clients get (None: all), and own names to shown ones. Raises _Unfaithful."""
    reference = spec.get("toolConfigRef")
    if not reference:
        tools = spec.get("tools")
        return ({str(tool) for tool in tools} if tools else None), {}
    config = _beside(one, "MCPToolConfig", str(reference.get("name")), others)
    inner = config.get("spec") or {}
    listed = inner.get("toolsFilter")
    if _EVERYTHING in (listed or ()):
        raise _Unfaithful('toolsFilter has the name "*", which means everything here')
    overrides = inner.get("toolsOverride") or {}
    renamed = {str(own): str(entry["name"]) for own, entry in overrides.items() if (entry or {}).get("name")}
    return ({str(tool) for tool in listed} if listed else None), renamed


def _rights(one: Obj, spec: Obj, others: list[Obj], found: Imported) -> cedar.Rights | None:
    """What Cedar says; None where nobody asks it. Raises _Unfaithful, CedarInvalid."""
    config, reference = spec.get("authzConfig"), spec.get("authzConfigRef") or {}
    if not reference and not config:
        return None
    if isinstance(config, dict):
        if config.get("type") != "inline":
            raise _Unfaithful("authzConfig is in a ConfigMap; write its policies inline for the import")
        texts = (config.get("inline") or {}).get("policies") or ()
    else:
        shared = (_beside(one, "MCPAuthzConfig", str(reference.get("name")), others)).get("spec") or {}
        if shared.get("type") != "cedarv1":
            raise _Unfaithful(f"authorization of type {shared.get('type')} is decided by somebody else")
        texts = (shared.get("config") or {}).get("policies") or ()
    said = cedar.rights([str(text) for text in texts])
    if said.blocking:
        raise _Unfaithful(said.blocking[0])
    found.left_out += [f"{_title(one)}: {text}" for text in said.left_out]
    return said


def _beside(one: Obj, kind: str, name: str, others: list[Obj]) -> Obj:
    space = (one.get("metadata") or {}).get("namespace")
    for other in others:
        metadata = other.get("metadata") or {}
        if (other.get("kind"), metadata.get("name"), metadata.get("namespace")) == (kind, name, space):
            return other
    raise _Unfaithful(f"{kind} {name} is not among the files")


def _title(one: Obj) -> str:
    metadata = one.get("metadata") or {}
    return f"{one.get('kind')} {metadata.get('namespace') or 'default'}/{metadata.get('name')}"
