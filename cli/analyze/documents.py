"""The policy documents of an inventory: resources, each by itself, and what stands in ConfigMaps, each as a whole.

The control plane takes a resource whatever others say, and a rule about what is not there has no effect. A sidecar
without a control plane loads its ConfigMap as a whole, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cli.analyze.finding import Finding, at
from cli.analyze.inventory import Inventory, Item
from cli.kubernetes_yaml import dump
from cli.workloads import texts
from mesh.policy import Documents, PolicyError, PolicyInvalid, load_texts, read_object_alone
from mesh.policy.access.documents import OUTRIDER_GROUP
from mesh.policy.load import Document, load_alone
from mesh.policy.metadata import KINDS, KINDS_OF
from mesh.settings.table import PREFIX

POLICIES_LABEL = PREFIX + "policies"
SUFFIXES = (".yaml", ".yml")
_UNKNOWN_BACKEND = "there is no Backend"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document that can be read. `namespace` None: wherever it is applied."""

    value: Document
    item: Item
    namespace: str | None

    @property
    def resource(self) -> bool:
        """Is it an object of its own?"""
        return self.item.kind != "ConfigMap"


def loaded(inventory: Inventory) -> Iterator[Loaded]:
    """Every document that can be read; of the others `invalid` tells."""
    for item in resources(inventory):
        try:
            yield Loaded(read_object_alone(item.value), item, _own(item))
        except PolicyInvalid:
            continue
    for item in _config_maps(inventory):
        try:
            found: Documents = load_texts(_files(item))
        except PolicyInvalid:
            continue
        space = item.namespace(inventory.default)
        values: tuple[Document, ...] = (*found.policies, *found.backends)
        values += (*found.access_policies, *found.xbackends)
        yield from (Loaded(value, item, space) for value in values)


def invalid(inventory: Inventory) -> Iterator[Finding]:
    """OUT0201, and OUT0204 of ConfigMaps"""
    for item in resources(inventory):
        try:
            load_alone(item.source, _text(item))
        except PolicyInvalid as error:
            yield from (_fault(inventory, item, one) for one in error.errors)
    for item in _config_maps(inventory):
        try:
            load_texts(_files(item))
        except PolicyInvalid as error:
            yield from (_fault(inventory, item, one) for one in error.errors)


def resources(inventory: Inventory) -> Iterator[Item]:
    """Objects of our own group, and those of the SIG that we honour, of whatever version."""
    groups = {version.rpartition("/")[0] for version in KINDS_OF}
    for item in inventory.items:
        group = str(item.value.get("apiVersion")).rpartition("/")[0]
        if group == OUTRIDER_GROUP or (group in groups and item.kind in KINDS):
            yield item


def _fault(inventory: Inventory, item: Item, one: PolicyError) -> Finding:
    code = "OUT0204" if one.message.startswith(_UNKNOWN_BACKEND) else "OUT0201"
    message = f"{one.path}: {one.message}" if one.path else one.message
    line = 0 if item.manifest is None else one.line
    return Finding(code, item.described(inventory.default), one.file, line, message)


def _own(item: Item) -> str | None:
    found = item.section("metadata").get("namespace")
    return found if isinstance(found, str) and found else None


def _config_maps(inventory: Inventory) -> Iterator[Item]:
    for item in inventory.of_kind("ConfigMap"):
        labels = texts(item.section("metadata").get("labels"))
        if item.name == inventory.settings.mounted_policies or labels.get(POLICIES_LABEL) == "true":
            yield item


def _text(item: Item) -> str:
    """A resource as text, on the lines that it has in its file."""
    if item.manifest is None or item.prefix:
        return "\n" * max(item.line() - 1, 0) + dump(item.value)
    head = item.manifest.text.split("\n")
    first = next((i for i, line in enumerate(head) if line.strip() and not line.lstrip().startswith("#")), 0)
    return "\n" * max(item.manifest.line - 1 - first, 0) + item.manifest.text


def _files(item: Item) -> Iterator[tuple[str, str]]:
    for key, text in sorted(texts(item.value.get("data")).items()):
        if key.endswith(SUFFIXES):
            line, style = item.mark("data", key)
            source = item.source if item.manifest else f"{item.source}, {key}"
            yield source, "\n" * (line if style in ("|", ">") else max(line - 1, 0)) + text


def about(inventory: Inventory, one: Loaded, code: str, message: str, *path: str | int) -> Finding:
    """A finding about a document: at the object that it is, else at its ConfigMap."""
    return at(one.item, inventory.default, code, message, *(path if one.resource else ()))
