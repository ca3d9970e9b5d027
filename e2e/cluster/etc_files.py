"""The files below /etc that a node writes for a pod: names of Services stand in for a DNS server."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from e2e.cluster.control_plane import CLUSTER_DOMAIN
from e2e.namespaces import Pod

NAMES: Final = ("hosts", "resolv.conf", "hostname")
LOCAL: Final = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


def hostname(pod: dict[str, Any]) -> str:
    """What the pod calls itself."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63]


def write(folder: Path, pod: dict[str, Any], network: Pod, services: str, nameserver: str) -> None:
    """Write all of them in place, since they are mounted one by one. Nobody listens at the name server."""
    own = "".join(f"{address} {hostname(pod)}\n" for address in (network.ipv4, network.ipv6))
    aliases = "".join(
        f"{alias['ip']} {' '.join(alias['hostnames'])}\n" for alias in pod["spec"].get("hostAliases") or []
    )
    (folder / "hosts").write_text(f"{LOCAL}{own}{aliases}{services}", encoding="ascii")
    domains = f"{pod['metadata']['namespace']}.svc.{CLUSTER_DOMAIN} svc.{CLUSTER_DOMAIN} {CLUSTER_DOMAIN}"
    resolver = f"nameserver {nameserver}\nsearch {domains}\noptions ndots:5\n"
    (folder / "resolv.conf").write_text(resolver, encoding="ascii")
    (folder / "hostname").write_text(f"{hostname(pod)}\n", encoding="ascii")


def binds(folder: Path) -> list[dict[str, Any]]:
    """Where they are mounted, for `launch.py`."""
    return [{"source": str(folder / name), "target": f"/etc/{name}", "readOnly": False} for name in NAMES]
