"""Findings about webhook configurations and Services."""

from __future__ import annotations

from collections.abc import Iterator

from cli.analyze.finding import Finding, at
from cli.analyze.inventory import Agent, Inventory, Item
from cli.cluster.answers import Obj
from cli.selecting.entries import Entry, creating_pods, entries
from cli.selecting.labels import matches
from cli.selecting.service_ports import unanswered
from cli.selecting.truth_table import differences, overlaps
from mesh.settings import installation
from mesh.settings.table import NAMESPACE_INJECTION
from webhook.admission.outcome import Injection


def overlapping(inventory: Inventory) -> Iterator[Finding]:
    """OUT0401"""
    found = _ours(inventory)
    for told in overlaps(found):
        item = _configuration(inventory, told.partition(" ")[0], found)
        yield at(item, inventory.default, "OUT0401", told, "webhooks")


def incomplete(inventory: Inventory) -> Iterator[Finding]:
    """OUT0402: only where the chart's configuration is there at all."""
    items = [
        one for one in inventory.of_kind("MutatingWebhookConfiguration") if one.name == installation.INJECTOR
    ]
    if items:
        first, *more = [*differences(_ours(inventory)), ""]
        if first:
            others = f", and {len(more) - 1} combinations more" if len(more) > 1 else ""
            yield at(items[0], inventory.default, "OUT0402", first + others, "webhooks")


def absent(inventory: Inventory) -> Iterator[Finding]:
    """OUT0405"""
    for item in inventory.of_kind("Namespace") if inventory.absent else ():
        value = item.section("metadata").get("labels") or {}
        if value.get(NAMESPACE_INJECTION.name) in ("enabled", "required"):
            message = "it asks for sidecars, and the cluster has no Outrider: new pods come up without"
            yield at(item, inventory.default, "OUT0405", message)


def sidecar_ports(inventory: Inventory) -> Iterator[Finding]:
    """OUT0403: the port for mutual TLS is meant for others, the rest is not."""
    ports = inventory.settings.ports
    closed = ports.reserved - {ports.inbound, ports.telemetry}
    for item in inventory.of_kind("Service"):
        selector, listed = item.section("spec").get("selector"), item.section("spec").get("ports")
        if not selector or not isinstance(selector, dict) or not isinstance(listed, list):
            continue
        space = item.namespace(inventory.default)
        agents = [
            one.workload.name
            for one in inventory.agents
            if one.injected and one.namespace.name == space and matches({"matchLabels": selector}, one.labels)
        ]
        for index, port in enumerate(listed):
            target = port.get("targetPort", port.get("port")) if isinstance(port, dict) else None
            if agents and isinstance(target, int) and target in closed:
                message = f"port {target} of {', '.join(agents)} is the sidecar's own"
                yield at(item, inventory.default, "OUT0403", message, "spec", "ports", index)


def unanswered_ports(inventory: Inventory) -> Iterator[Finding]:
    """OUT0404, of pods as they would be made now."""
    closed = inventory.settings.ports.reserved
    for item in inventory.of_kind("Service"):
        space = item.namespace(inventory.default)
        made = [_made(one) for one in inventory.agents if one.injected and one.namespace.name == space]
        for port in unanswered(item.value, made):
            if port.target in closed:
                continue  # OUT0403
            message = f"no container of {', '.join(port.pods)} has port {port.target}"
            takes = (
                f", and sidecars take mutual TLS at {inventory.settings.ports.inbound}"
                if port.certain
                else ""
            )
            yield at(item, inventory.default, "OUT0404", message + takes, "spec", "ports", port.index)


def _made(agent: Agent) -> Obj:
    """The pod as it would be made, under the name of its workload."""
    pod = agent.outcome.pod if isinstance(agent.outcome, Injection) else agent.workload.pod
    return {"metadata": {**pod["metadata"], "name": agent.workload.name}, "spec": pod["spec"]}


def _ours(inventory: Inventory) -> list[Entry]:
    found = [one.value for one in inventory.of_kind("MutatingWebhookConfiguration")]
    return [
        one
        for one in creating_pods(entries(found))
        if one.service is not None and one.service[1] == installation.WEBHOOK
    ]


def _configuration(inventory: Inventory, entry: str, found: list[Entry]) -> Item:
    name = next(one.configuration for one in found if one.name == entry)
    return next(one for one in inventory.of_kind("MutatingWebhookConfiguration") if one.name == name)
