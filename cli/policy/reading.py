"""Files as people keep them, taken apart: the policy documents on their own lines, and every other object.

Manifests of agents, Services and Namespaces may stand in the same files as policies, and in `kubectl get -o yaml`
lists.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from cli.analyze.inventory import Item, items_of
from cli.inject import namespaces_in
from cli.kubernetes_yaml import dump
from cli.manifests import Manifest, ManifestInvalid, read_manifests, sources
from cli.workloads import texts
from mesh.policy.yaml_tree import MAX_CHARACTERS
from mesh.settings.table import PREFIX
from webhook.admission.outcome import Namespace

GROUP = PREFIX.rstrip("/")
SIG_GROUP = "agentic.networking.x-k8s.io"
_GROUPS = frozenset({GROUP, SIG_GROUP})
_KINDS = frozenset({"AgentPolicy", "XAccessPolicy", "XBackend"})
_POLICIES_LABEL = PREFIX + "policies"
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Read:
    """`texts` are policy documents as (file, text), their lines those of the file; `policies` the same as objects.

    `others` is everything else.
    """

    texts: tuple[tuple[str, str], ...] = ()
    policies: tuple[Item, ...] = ()
    others: tuple[Item, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many policy documents there are; a text of a ConfigMap counts as one."""
        return len(self.policies) + sum(", " in source for source, _ in self.texts)

    @property
    def namespaces(self) -> dict[str, Namespace]:
        """The Namespace objects by name."""
        return namespaces_in([Manifest("", 0, "", item.value) for item in self.others])


def read(paths: list[str], *, lenient: bool = False) -> Read:
    """Files, folders, or `-`. With `lenient` a file that is no YAML becomes one of `problems`.

    Raises:
        ManifestInvalid: a path cannot be read, or is no YAML.
    """
    items: list[Item] = []
    problems: list[str] = []
    whole: dict[str, str] = {}
    for path in paths:
        try:
            for source, text in sources([path]):
                if _take(source, text, items, problems, lenient=lenient):
                    whole[source] = text
        except ManifestInvalid as error:
            if not lenient:
                raise
            problems.append(str(error))
    return _sorted_out(items, problems, whole)


def _take(source: str, text: str, items: list[Item], problems: list[str], *, lenient: bool) -> bool:
    """Add what a file holds; whether it holds policies alone, and can be read as it is."""
    try:
        manifests = read_manifests(text, source)
    except ManifestInvalid as error:
        if not lenient:
            raise
        problems.append(str(error))
        return False
    problems += [
        f"{one.source}:{one.line}: no Kubernetes object"
        for one in manifests
        if not isinstance(one.value, dict)
    ]
    items += items_of(manifests)
    alone = bool(manifests) and all(is_policy(one.value) for one in manifests)
    return alone and len(text) <= MAX_CHARACTERS


def _sorted_out(items: list[Item], problems: list[str], whole: dict[str, str]) -> Read:
    """Objects by what they are."""
    policies = [one for one in items if is_policy(one.value)]
    held = [one for one in items if _holds_policies(one)]
    found = list(whole.items())
    found += [(one.source, text_of(one)) for one in policies if one.source not in whole]
    found += [pair for one in held for pair in _files(one)]
    others = [one for one in items if not is_policy(one.value) and one not in held]
    return Read(tuple(found), tuple(policies), tuple(others), tuple(problems))


def is_policy(value: Any) -> bool:
    """Whether an object is one of the documents that policies are made of, also where its version is mistaken."""
    if not isinstance(value, dict):
        return False
    group, kind = str(value.get("apiVersion")).partition("/")[0], value.get("kind")
    return group in _GROUPS or kind in _KINDS or (kind == "Backend" and "apiVersion" not in value)


def text_of(item: Item) -> str:
    """A document as text, on the lines that it has in its file."""
    if item.manifest is None or item.prefix:
        return "\n" * max(item.line() - 1, 0) + dump(item.value)
    head = item.manifest.text.split("\n")
    first = next((i for i, line in enumerate(head) if line.strip() and not line.lstrip().startswith("#")), 0)
    return "\n" * max(item.manifest.line - 1 - first, 0) + item.manifest.text


def _holds_policies(item: Item) -> bool:
    """A ConfigMap that a sidecar reads policies from."""
    labels = texts(item.section("metadata").get("labels"))
    return item.kind == "ConfigMap" and labels.get(_POLICIES_LABEL) == "true"


def _files(item: Item) -> list[tuple[str, str]]:
    found = []
    for key, text in sorted(texts(item.value.get("data")).items()):
        if key.endswith(_SUFFIXES):
            line, style = item.mark("data", key)
            found.append(
                (f"{item.source}, {key}", "\n" * (line if style in ("|", ">") else max(line - 1, 0)) + text)
            )
    return found


def warn(text: str) -> None:
    """A line on standard error."""
    print(f"outrider: {text}", file=sys.stderr)
