"""Findings that the control plane would write into status: claims of others, policies that are not accepted.

Told by its own code, over what is written here: which of two is the older it knows from the cluster only. That
code comes with an HTTP client, so that it is imported where there is something to ask it about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.analyze.documents import Loaded, about, loaded
from cli.analyze.finding import Finding
from cli.analyze.inventory import Inventory, Item
from cli.check.access_policies import SERVED
from cli.cluster.answers import Obj
from mesh.policy import AccessPolicy, TargetRef
from mesh.policy.access.documents import GATEWAY_GROUP

if TYPE_CHECKING:
    from webhook.distribution.kinds import Key
    from webhook.distribution.world import World

OUR_CLASS = "outrider"
"""`gatewayClassName` of Gateways that stand for everything in their namespace."""
_NOWHERE = "any.invalid"  # RFC 2606: a trust domain that is nobody's


def conflicting(inventory: Inventory) -> Iterator[Finding]:
    """OUT0208"""
    items = {_place(one, inventory.default): one for one in loaded(inventory) if one.resource}
    if not items:
        return
    world = _world(inventory)
    for space in sorted({key.namespace for key in world.entries}):
        for key, taken in world.shelf(space).conflicted.items():
            one = items.get(_of(key))
            if one is not None:
                message = f"{taken.kind.name} {taken.name} has its name, or its host, port and path"
                yield about(inventory, one, "OUT0208", message)


def not_accepted(inventory: Inventory) -> Iterator[Finding]:
    """OUT0209"""
    policies = list(_access_policies(inventory))
    if not policies:
        return
    world = _world(inventory)
    for one, policy in policies:
        key = _key(world, one, inventory.default)
        told = world.access.verdicts(key).items() if key is not None else ()
        for target, verdict in told:
            if not verdict.accepted:
                message = f"{verdict.reason} at {target.kind} {target.name}: {verdict.message}"
                yield about(
                    inventory, one, "OUT0209", message, "spec", "rules" if policy.rules else "targetRefs"
                )


def unknown_targets(inventory: Inventory) -> Iterator[Finding]:
    """OUT0210 and OUT0211"""
    there = {_identity(item, inventory.default) for item in inventory.items}
    for one, policy in _access_policies(inventory):
        for index, target in enumerate(policy.targets):
            path = ("spec", "targetRefs", index)
            called = f"{target.kind} {target.name}"
            if (target.group, target.kind) not in SERVED:
                yield about(
                    inventory, one, "OUT0211", f"sidecars know no {called} of group {target.group!r}", *path
                )
            elif not inventory.partly and _wanted(target, one, inventory.default) not in there:
                where = "the cluster" if inventory.live else "these files"
                space = one.namespace or inventory.default
                yield about(
                    inventory, one, "OUT0210", f"there is no {called} in namespace {space} of {where}", *path
                )


def foreign_gateways(inventory: Inventory) -> Iterator[Finding]:
    """OUT0212: Gateways are somebody's, and sidecars enforce what is about those of class outrider only."""
    gateways = {
        (item.namespace(inventory.default), item.name): item.section("spec").get("gatewayClassName")
        for item in inventory.of_kind("Gateway")
    }
    for one, policy in _access_policies(inventory):
        for index, target in enumerate(policy.targets):
            found = gateways.get((one.namespace or inventory.default, target.name), OUR_CLASS)
            if target.group == GATEWAY_GROUP and found != OUR_CLASS:
                message = f"Gateway {target.name} is of class {found}, whose controller enforces this"
                yield about(inventory, one, "OUT0212", message, "spec", "targetRefs", index)


def _access_policies(inventory: Inventory) -> Iterator[tuple[Loaded, AccessPolicy]]:
    for one in loaded(inventory):
        if one.resource and isinstance(one.value, AccessPolicy):
            yield one, one.value


def _world(inventory: Inventory) -> World:
    from cli.describe.given import Surroundings, world_of

    objects = tuple(_placed(one.item, inventory.default) for one in loaded(inventory) if one.resource)
    services = tuple(_placed(one, inventory.default) for one in inventory.of_kind("Service"))
    return world_of(Surroundings(objects, services), _NOWHERE, inventory.settings.cluster_domain)


def _placed(item: Item, default: str) -> Obj:
    """The object in its namespace."""
    metadata = {**item.section("metadata"), "namespace": item.namespace(default)}
    return {**item.value, "metadata": metadata}


def _place(one: Loaded, default: str) -> tuple[str, str, str, str]:
    return _identity(one.item, default)


def _of(key: Key) -> tuple[str, str, str, str]:
    return key.kind.group, key.kind.name, key.namespace, key.name


def _key(world: World, one: Loaded, default: str) -> Key | None:
    place = _place(one, default)
    return next((key for key in world.entries if _of(key) == place), None)


def _identity(item: Item, default: str) -> tuple[str, str, str, str]:
    group = str(item.value.get("apiVersion") or "").rpartition("/")[0]
    return group, item.kind, item.namespace(default), item.name


def _wanted(target: TargetRef, one: Loaded, default: str) -> tuple[str, str, str, str]:
    return target.group, target.kind, one.namespace or default, target.name
