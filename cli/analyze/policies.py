"""Findings about AgentPolicies and Backends: what hardly means what it says, and where there is none."""

from __future__ import annotations

from collections.abc import Iterator

from cli.analyze.documents import Loaded, about, loaded
from cli.analyze.finding import Finding, at
from cli.analyze.inventory import Inventory
from cli.workloads import texts
from mesh.policy import AccessPolicy, AgentPolicy, Backend
from mesh.policy.access.documents import GATEWAY_GROUP, TargetRef, XBackend
from mesh.policy.documents import EVERY_BACKEND, McpGrant, Mode


def selects_nothing(inventory: Inventory) -> Iterator[Finding]:
    """OUT0202. Where no workload of its namespace is known, nobody can tell."""
    for one, policy in _policies(inventory):
        agents = [agent for agent in inventory.agents if one.namespace in (None, agent.namespace.name)]
        if not agents and (inventory.partly or not (inventory.live and one.namespace)):
            continue
        wanted = dict(policy.match_labels)
        if not any(wanted.items() <= texts(agent.labels).items() for agent in agents):
            labels = ", ".join(f"{key}={value}" for key, value in wanted.items()) or "every pod"
            where = f" of namespace {one.namespace}" if one.namespace else ""
            yield about(inventory, one, "OUT0202", f"no pod{where} has {labels}", "spec", "selector")


def unused_backends(inventory: Inventory) -> Iterator[Finding]:
    """OUT0203. What an XAccessPolicy is about is used by whoever it lets in."""
    everything = list(loaded(inventory))
    named = {(one.namespace, rule) for one in everything for rule in _rules(one)}
    targets = {
        target for one in everything if isinstance(one.value, AccessPolicy) for target in one.value.targets
    }
    for one in everything:
        if not isinstance(one.value, Backend):
            continue
        space, name = one.namespace, one.value.name
        if not _aimed_at(targets, space, name) and not _named(named, space, name):
            yield about(inventory, one, "OUT0203", f"no policy names Backend {name} under outbound")


def unknown_backends(inventory: Inventory) -> Iterator[Finding]:
    """OUT0204 of resources; a rule about a Backend that is not there has no effect."""
    if inventory.partly:
        return
    everything = list(loaded(inventory))
    there = {(one.namespace, _name(one)) for one in everything if isinstance(one.value, Backend | XBackend)}
    for one in everything:
        if not one.resource:
            continue  # `invalid` tells
        for index, rule in enumerate(_rules(one)):
            place, slash, name = rule.rpartition("/")
            space = place if slash else one.namespace
            if rule != EVERY_BACKEND and not _is_there(there, space, name):
                where = f" in namespace {space}" if space else ""
                message = f"outbound[{index}]: there is no Backend {name}{where}"
                yield about(inventory, one, "OUT0204", message, "spec", "outbound", index)


def grants_everything(inventory: Inventory) -> Iterator[Finding]:
    """OUT0205"""
    for one, policy in _policies(inventory):
        for index, rule in enumerate(policy.outbound):
            if _every_tool(rule.mcp):
                message = f"outbound[{index}] grants every tool of {rule.backend}"
                yield about(inventory, one, "OUT0205", message, "spec", "outbound", index)


def observing(inventory: Inventory) -> Iterator[Finding]:
    """OUT0207"""
    for one, policy in _policies(inventory):
        if policy.mode is Mode.OBSERVE:
            message = f"AgentPolicy {policy.name} records and does not refuse"
            yield about(inventory, one, "OUT0207", message, "spec", "mode")


def missing(inventory: Inventory) -> Iterator[Finding]:
    """OUT0206: a namespace with agents, and nothing that says what they may do.

    Offline, nobody knows the installation: either way of writing policies counts.
    """
    there = _with_policies(inventory)
    if there is None:
        return
    said: set[str] = set()
    for agent in inventory.agents:
        space = agent.namespace.name
        if agent.injected and space not in there | said:
            said.add(space)
            where = "the cluster" if inventory.live else "these files"
            yield at(agent.item, inventory.default, "OUT0206", f"namespace {space} has no policy in {where}")


def _with_policies(inventory: Inventory) -> set[str] | None:
    """Namespaces that have policies; None where nobody can tell."""
    settings = inventory.settings
    spaces = {
        one.namespace or inventory.default
        for one in loaded(inventory)
        if one.resource and isinstance(one.value, AgentPolicy | AccessPolicy)
    }
    if settings.control_plane.present:
        return None if inventory.partly else spaces
    if not settings.mounted_policies:
        return None
    maps = inventory.of_kind("ConfigMap")
    mounted = {one.namespace(inventory.default) for one in maps if one.name == settings.mounted_policies}
    return mounted if inventory.live else mounted | spaces


def _policies(inventory: Inventory) -> Iterator[tuple[Loaded, AgentPolicy]]:
    for one in loaded(inventory):
        if isinstance(one.value, AgentPolicy):
            yield one, one.value


def _rules(one: Loaded) -> list[str]:
    """What an AgentPolicy names."""
    return [rule.backend for rule in one.value.outbound] if isinstance(one.value, AgentPolicy) else []


def _name(one: Loaded) -> str:
    if isinstance(one.value, XBackend):
        return one.value.ref.name
    return one.value.name if isinstance(one.value, Backend) else ""


def _aimed_at(targets: set[TargetRef], space: str | None, name: str) -> bool:
    return any(
        target.namespace in (None, space) and (target.name == name or target.group == GATEWAY_GROUP)
        for target in targets
    )


def _named(rules: set[tuple[str | None, str]], space: str | None, name: str) -> bool:
    """Does a rule of the same namespace name it, or one of another in full?"""
    return any(
        rule == f"{space}/{name}"
        or (rule in (name, EVERY_BACKEND) and (place == space or None in (place, space)))
        for place, rule in rules
    )


def _is_there(there: set[tuple[str | None, str]], space: str | None, name: str) -> bool:
    return any(called == name and (space is None or where in (None, space)) for where, called in there)


def _every_tool(grant: McpGrant) -> bool:
    return grant.tools is not None and EVERY_BACKEND in grant.tools.allow and not grant.tools.deny
