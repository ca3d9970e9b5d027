"""The sidecar itself: forward proxy for the agent, or inbound mutual TLS in front of its application.

Its policy decides each call and filters each list; metrics are on as they always are. Which decisions are
logged is a variant, because a line of log for each request is work that the other proxies are not asked
for.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from bench import cache, payloads
from bench.cache import Missing
from bench.process import Command
from bench.proxies.base import HOST, PORT, Site, absolute_form, origin_form
from bench.trust import PEER, SERVER

Json = dict[str, Any]
API = "outrider.dev/v1alpha1"


class Outrider:
    """The sidecar from this repository, in the interpreter that runs the bench."""

    decides = True
    filters_lists = True

    def __init__(self, *, decisions: str = "refused") -> None:
        self.decisions = decisions
        self.name = "outrider" if decisions == "refused" else f"outrider-log-{decisions}"
        self.title = "Outrider" if decisions == "refused" else f"Outrider, log {decisions}"

    def available(self) -> None:
        """Raise Missing when uvloop is not there: the figures would be another program's."""
        try:
            import uvloop  # noqa: F401
        except ImportError as absent:
            raise Missing("uvloop is not installed") from absent

    def command(self, site: Site) -> Command:
        """Write sidecar.yaml and policies.yaml (JSON is YAML)."""
        if site.intercepted:
            site.trust_folder.mkdir()
        configuration, policies = site.folder / "sidecar.yaml", site.folder / "policies.yaml"
        policies.write_text(
            "\n---\n".join(json.dumps(part, indent=1) for part in documents(tls_out=site.tls_out)),
            encoding="ascii",
        )
        configuration.write_text(json.dumps(settings(site, self.decisions), indent=1), encoding="ascii")
        # An image carries compiled modules; without them a start would compile a hundred of them.
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(cache.folder() / "pycache")}
        return Command([sys.executable, "-m", "sidecar", "--config", str(configuration)], compiled)

    def target(self, site: Site, path: str) -> str:
        """Peers address it by path, as one does inside TLS; otherwise the agent uses it as its HTTP proxy."""
        return origin_form(path) if site.tls_in or site.intercepted else absolute_form(path)


def settings(site: Site, decisions: str) -> Json:
    """The sidecar's configuration: only the listener that is measured is open."""
    listen = f"127.0.0.1:{site.listen}"
    needs_identity = site.tls_in or site.tls_out
    return {
        "agent": {"namespace": "agents", "name": "triage", "labels": {"app": "triage"}},
        "identity": {"provider": "workload-api", "socket": site.trust.socket}
        if needs_identity
        else {"provider": "none"},
        "listen": {
            "forward": None if site.tls_in else listen,
            "inbound": listen if site.tls_in else None,
            "telemetry": None,
        },
        "application": {"host": "127.0.0.1", "ports": [site.upstream]},
        "policies": ["policies.yaml"],
        "connect": {f"{HOST}:{PORT}": f"127.0.0.1:{site.upstream}"},
        "limits": {},
        "log": {"decisions": decisions},
        **({"interception": {"directory": str(site.trust_folder)}} if site.intercepted else {}),
    }


def documents(*, tls_out: bool) -> tuple[Json, Json]:
    """The Backend and the policy that grants half of its tools."""
    tls: Json = {"mode": "Mesh", "identity": SERVER} if tls_out else {"mode": "None"}
    backend = {"protocol": "MCP", "host": HOST, "port": PORT, "path": "/mcp", "tls": tls}
    tools = {"allow": list(payloads.GRANTED), "deny": ["delete_*"]}
    policy = {
        "selector": {"matchLabels": {"app": "triage"}},
        "mode": "enforce",
        "egress": "deny",
        "outbound": [{"backend": "github", "tools": tools}],
        "inbound": [{"from": [PEER], "mcp": {"tools": tools}}],
    }
    return _document("Backend", "github", backend), _document("AgentPolicy", "triage", policy)


def _document(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": "agents"}, "spec": spec}
