"""Envoy as a reverse proxy, plain or with its `mcp` and `rbac` filters: the yardstick that knows MCP.

The `mcp` filter parses the JSON-RPC body and leaves what it found as dynamic metadata; `rbac` allows the
methods of the base protocol and the granted tools by name. Neither looks at answers, so lists pass
unfiltered.
"""

from __future__ import annotations

import json
from typing import Any

from bench import cache, payloads
from bench.process import Command
from bench.proxies.base import Site, origin_form
from bench.trust import PEER, SERVER

TYPE = "type.googleapis.com/envoy"
MAX_BODY = 4 * 1024 * 1024
BASE_METHODS = ("initialize", "notifications/initialized", "ping", "tools/list")
Json = dict[str, Any]


class Envoy:
    """One worker thread. With `filters` it decides by tool name, without it only forwards."""

    filters_lists = False

    def __init__(self, *, filters: bool) -> None:
        self.decides = filters
        self.name = "envoy-mcp" if filters else "envoy"
        self.title = "Envoy, mcp + rbac" if filters else "Envoy"

    def available(self) -> None:
        """Fetch the binary when it is not in the cache; raises Missing."""
        cache.envoy()

    def command(self, site: Site) -> Command:
        """Write envoy.json."""
        file = site.folder / "envoy.json"
        file.write_text(json.dumps(configuration(site, filters=self.decides), indent=1), encoding="ascii")
        quiet = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        return Command([cache.envoy(), "-c", str(file), *quiet])

    def target(self, site: Site, path: str) -> str:
        """A reverse proxy is addressed by path."""
        return origin_form(path)


def configuration(site: Site, *, filters: bool) -> Json:
    """The whole bootstrap for a site: one listener, one cluster, no admin interface, no access log."""
    chain: Json = {"filters": [_connection_manager(filters=filters)]}
    if site.tls_in:
        context = _tls("DownstreamTlsContext", site, peer=PEER)
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    listener = {"name": "in", "address": _address(site.listen), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(site)]}}


def _connection_manager(*, filters: bool) -> Json:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "out", "timeout": "0s"}}
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    router = _extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")
    return _extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="in",
        route_config={"name": "all", "virtual_hosts": [host]},
        http_filters=[*(_policy_filters() if filters else ()), router],
    )


def _policy_filters() -> tuple[Json, Json]:
    policies = {
        "base protocol": _policy([_metadata(["method"], BASE_METHODS)]),
        "granted tools": _policy(
            [_metadata(["method"], ("tools/call",)), _metadata(["params", "name"], payloads.GRANTED)]
        ),
    }
    mcp = _extension(
        "envoy.filters.http.mcp",
        "extensions.filters.http.mcp.v3.Mcp",
        traffic_mode="REJECT_NO_MCP",
        max_request_body_size=MAX_BODY,
    )
    rbac = _extension(
        "envoy.filters.http.rbac",
        "extensions.filters.http.rbac.v3.RBAC",
        rules={"action": "ALLOW", "policies": policies},
    )
    return mcp, rbac


def _policy(rules: list[Json]) -> Json:
    return {"permissions": [{"and_rules": {"rules": rules}}], "principals": [{"any": True}]}


def _metadata(path: list[str], values: tuple[str, ...]) -> Json:
    """A permission: what the mcp filter found at `path` is one of `values`."""
    matchers = [{"string_match": {"exact": value}} for value in values]
    value = matchers[0] if len(matchers) == 1 else {"or_match": {"value_matchers": matchers}}
    matcher = {"filter": "envoy.filters.http.mcp", "path": [{"key": key} for key in path], "value": value}
    return {"sourced_metadata": {"metadata_matcher": matcher}}


def _cluster(site: Site) -> Json:
    endpoint = {"endpoint": {"address": _address(site.upstream)}}
    most = {"max_connections": 16384, "max_pending_requests": 16384, "max_requests": 16384}
    cluster: Json = {
        "name": "out",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {"cluster_name": "out", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if site.tls_out:
        context = _tls("UpstreamTlsContext", site, peer=SERVER)
        cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return cluster


def _tls(kind: str, site: Site, *, peer: str) -> Json:
    """Mutual TLS as SPIFFE has it: the peer's chain leads to our authority, its URI is the expected one."""
    agent = site.trust.agent
    matcher = {"san_type": "URI", "matcher": {"exact": peer}}
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [
            {"certificate_chain": _file(agent.certificate), "private_key": _file(agent.key)},
        ],
        "validation_context": {
            "trusted_ca": _file(site.trust.authority),
            "match_typed_subject_alt_names": [matcher],
        },
    }
    context: Json = {
        "@type": f"{TYPE}.extensions.transport_sockets.tls.v3.{kind}",
        "common_tls_context": common,
    }
    if kind == "DownstreamTlsContext":
        context |= {"require_client_certificate": True, "disable_stateless_session_resumption": True}
    return context


def _extension(name: str, kind: str, **settings: Any) -> Json:
    return {"name": name, "typed_config": {"@type": f"{TYPE}.{kind}", **settings}}


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _file(path: object) -> Json:
    return {"filename": str(path)}
