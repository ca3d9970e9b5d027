"""Services for pods: virtual addresses translated at the router, and names in every pod's hosts file.

In place of kube-proxy and of a DNS server. Only ready endpoints take part, from the EndpointSlices that the
controller manager writes; what has none has no route.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from e2e.cluster.control_plane import CLUSTER_DOMAIN

TABLE: Final = "outrider_services"
OWNER: Final = "kubernetes.io/service-name"
Backends = dict[tuple[str, str, str, str], list[tuple[str, int]]]
"""(namespace, service, family, name of the port) to addresses and ports."""


def backends(slices: Iterable[dict[str, Any]]) -> Backends:
    """Ready endpoints by the port of the Service that they serve."""
    found: Backends = defaultdict(list)
    for item in slices:
        service = (item["metadata"].get("labels") or {}).get(OWNER)
        for endpoint in item.get("endpoints") or []:
            if service is None or (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            for port in item.get("ports") or []:
                key = (item["metadata"]["namespace"], service, item["addressType"], port.get("name") or "")
                found[key] += [(address, port["port"]) for address in endpoint["addresses"]]
    return found


def rules(services: Iterable[dict[str, Any]], slices: Iterable[dict[str, Any]]) -> str:
    """Everything that the router translates, as one script of nft that replaces what was there."""
    known = backends(slices)
    listed = list(services)
    return "".join(_family(family, kind, listed, known) for family, kind in (("ip", "IPv4"), ("ip6", "IPv6")))


def _family(family: str, kind: str, services: Sequence[dict[str, Any]], known: Backends) -> str:
    lines: list[str] = []
    own: set[str] = set()
    for service in services:
        meta, spec = service["metadata"], service["spec"]
        addresses = [
            one for one in spec.get("clusterIPs") or [] if one != "None" and (":" in one) == (family == "ip6")
        ]
        for port in spec.get("ports") or []:
            to = known.get((meta["namespace"], meta["name"], kind, port.get("name") or ""), [])
            own.update(address for address, _ in to)
            for address in addresses if to else []:
                protocol = port.get("protocol", "TCP").lower()
                match = f"{family} daddr {address} {protocol} dport {port['port']}"
                lines.append(f"  {match} dnat {family} to {_choice(to)}\n")
    # Who reaches itself through its own Service must see another sender, or the answer would not come back here.
    hairpin = "".join(
        f"  {family} saddr {one} {family} daddr {one} ct status dnat masquerade\n" for one in sorted(own)
    )
    return (
        f"table {family} {TABLE}\ndelete table {family} {TABLE}\ntable {family} {TABLE} {{\n"
        f" chain prerouting {{\n  type nat hook prerouting priority -100;\n{''.join(lines)} }}\n"
        f" chain postrouting {{\n  type nat hook postrouting priority 100;\n{hairpin} }}\n}}\n"
    )


def _choice(to: Sequence[tuple[str, int]]) -> str:
    entries = ", ".join(f"{number} : {address} . {port}" for number, (address, port) in enumerate(to))
    return f"numgen random mod {len(to)} map {{ {entries} }}"


def names(
    services: Iterable[dict[str, Any]], slices: Sequence[dict[str, Any]]
) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """For each namespace, addresses with the names that lead to them."""
    by_service: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for item in slices:
        owner = (item["metadata"].get("labels") or {}).get(OWNER, "")
        by_service[item["metadata"]["namespace"], owner] += item.get("endpoints") or []
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    for service in services:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        addresses = service["spec"].get("clusterIPs") or []
        if addresses != ["None"]:
            found[namespace] += [(address, (name,)) for address in addresses]
            continue
        for endpoint in by_service[namespace, name]:
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            own = (f"{endpoint['hostname']}.{name}",) if endpoint.get("hostname") else ()
            found[namespace] += [(address, (name, *own)) for address in endpoint["addresses"]]
    return found


def hosts(known: dict[str, list[tuple[str, tuple[str, ...]]]], namespace: str) -> str:
    """The lines of a hosts file for pods of `namespace`: short names are those of its own Services."""
    lines = []
    for other, entries in known.items():
        for address, short in entries:
            every = [
                f"{name}.{other}{end}" for name in short for end in (f".svc.{CLUSTER_DOMAIN}", ".svc", "")
            ]
            lines.append(f"{address} {' '.join([*every, *(short if other == namespace else ())])}\n")
    return "".join(lines)
