"""What is right as a document and hardly meant: entries that can never count, Backends that nobody uses."""

from __future__ import annotations

from collections.abc import Iterator

from cli.analyze.inventory import Item
from cli.policy.content_suspicions import content_suspicions
from cli.policy.credential_suspicions import credential_suspicions
from cli.policy.reading import Read
from cli.policy.suspicion import Suspicion
from cli.policy.symbols import classes_of
from cli.workloads import texts, workloads_in
from mesh.policy import AgentPolicy, Documents
from mesh.policy.documents import EVERY_BACKEND, McpGrant, Mode, Names


def suspicions(documents: Documents, found: Read, default: str) -> Iterator[Suspicion]:
    """About valid documents; those without a namespace are of `default`."""
    for policy in documents.policies:
        yield from _of_policy(policy, found)
    named = {rule.backend for policy in documents.policies for rule in policy.outbound}
    targeted = {ref.name for access in documents.access_policies for ref in access.targets}
    for backend in documents.backends:
        names = {backend.name, f"{backend.namespace}/{backend.name}", EVERY_BACKEND}
        if named.isdisjoint(names) and backend.name not in targeted:
            yield Suspicion(f"Backend/{backend.name}", "no policy names it, so that no agent may use it")
    yield from credential_suspicions(documents)
    yield from content_suspicions(documents)
    yield from _lost_targets(documents, found, default)


def _lost_targets(documents: Documents, found: Read, default: str) -> Iterator[Suspicion]:
    """What XAccessPolicies are about and no file has, as `outrider analyze` tells it (OUT0210)."""
    items = (*found.policies, *found.others)
    there = {(_group(item), item.described(default)) for item in items}
    written = {item.described(default): item for item in found.policies}
    for policy in documents.access_policies:
        space = policy.namespace or default
        label = f"XAccessPolicy {space}/{policy.name}"
        for index, ref in enumerate(policy.targets):
            if (ref.group, f"{ref.kind} {space}/{ref.name}") not in there:
                item, path = written.get(label), f"spec.targetRefs[{index}]"
                where = f"{item.source}:{item.line('spec', 'targetRefs', index)}" if item else policy.label
                missing = f"there is no {ref.kind} {ref.name} in namespace {space} of these files"
                yield Suspicion(where, f"{label} {path}: {missing}")


def _group(item: Item) -> str:
    return str(item.value.get("apiVersion") or "").rpartition("/")[0]


def _of_policy(policy: AgentPolicy, found: Read) -> Iterator[Suspicion]:
    label = f"AgentPolicy/{policy.name}"
    if policy.mode is Mode.OBSERVE:
        yield Suspicion(label, "mode observe records and refuses nothing")
    if not _selected(policy, found):
        wanted = ", ".join(f"{key}={value}" for key, value in policy.match_labels)
        yield Suspicion(label, f"none of the workloads in these files has {wanted}")
    for index, rule in enumerate(policy.outbound):
        yield from _of_grant(rule.mcp, f"{label} outbound[{index}]")
    for index, inbound in enumerate(policy.inbound or ()):
        if inbound.mcp is not None:
            yield from _of_grant(inbound.mcp, f"{label} inbound[{index}] mcp")


def _selected(policy: AgentPolicy, found: Read) -> bool:
    """Does it select a workload, as far as anybody can tell from the files?"""
    known = []
    for item in found.others:
        for workload in workloads_in(item.value):
            space = workload.namespace
            if policy.namespace is None or space in (None, policy.namespace):
                metadata = workload.pod.get("metadata") if isinstance(workload.pod, dict) else None
                known.append(texts((metadata or {}).get("labels")))
    wanted = dict(policy.match_labels).items()
    return not known or any(wanted <= labels.items() for labels in known)


def _of_grant(grant: McpGrant, label: str) -> Iterator[Suspicion]:
    for section, names in (("tools", grant.tools), ("prompts", grant.prompts)):
        if names is not None:
            yield from _of_names(names, f"{label} {section}")
    for index, rule in enumerate(grant.arguments):
        if grant.tools is not None and not _overlap(rule.tool, grant.tools):
            yield Suspicion(
                f"{label} arguments[{index}]", f"no tool that is allowed here matches {rule.tool}"
            )


def _of_names(names: Names, label: str) -> Iterator[Suspicion]:
    """Entries that make no difference: all of what they match is denied, or nothing of it was allowed."""
    found = classes_of([*names.allow, *names.deny])
    if not found.complete:
        return
    denied = set(names.deny)
    for index, entry in enumerate(names.allow):
        mine = [one for one in found.classes if entry in one.entries]
        if mine and all(denied & set(one.entries) for one in mine):
            yield Suspicion(f"{label}.allow[{index}]", f"{entry} never grants anything: deny takes all of it")


def _overlap(tool: str, names: Names) -> bool:
    classes = classes_of([tool, *names.allow]).classes
    return any(tool in one.entries and set(names.allow) & set(one.entries) for one in classes)
