"""Has a namespace policies, and can they be used? They are resources, or without a control plane a ConfigMap.

An XAccessPolicy grants by itself where no AgentPolicy selects an agent, so that pods without an AgentPolicy are
told, and nothing fails, where there are XAccessPolicies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cli.check.conditions import verdict
from cli.check.data_documents import POLICIES_LABEL, policy_texts
from cli.check.data_plane import Agents, agents, settled
from cli.check.objects import counted, inner, labels_of, name_of
from cli.check.result import Result, State, failed, judged, ok, skipped, warning
from cli.cluster.answers import Obj
from mesh.policy import PolicyInvalid, load_texts, read_object_alone

_KEEP_ONE = "Of Backends in conflict keep one of the two; the younger is given to nobody."
_WRITE_BACKEND = "Write the Backends that are not there, or correct their names in the rules."
_CORRECT = (
    "Correct the others with `outrider policy validate FILE`; what was in force stays in force meanwhile."
)


@settled
@agents
def policies_present(agents: Agents) -> Result:
    """Somebody has said what the namespace's agents may do."""
    return _resources(agents) if agents.settings.control_plane.present else _config_map(agents)


@settled
@agents
def policies_valid(agents: Agents) -> Result:
    """Sidecars can load what was said."""
    return _valid_resources(agents) if agents.settings.control_plane.present else _valid_texts(agents)


def selects(policy: Obj, pod: Obj) -> bool:
    """Does an AgentPolicy select a pod by the labels that it has now?"""
    wanted = inner(policy, "spec", "selector", "matchLabels") or {}
    return isinstance(wanted, dict) and wanted.items() <= labels_of(pod).items()


def faults(item: Obj) -> list[str]:
    """What is wrong with a policy object by itself."""
    try:
        read_object_alone(item)
    except PolicyInvalid as invalid:
        return [f"{one.path}: {one.message}" if one.path else one.message for one in invalid.errors]
    return []


def _resources(agents: Agents) -> Result:
    space, policies = agents.namespace.name, agents.data.agent_policies
    if policies.unread:
        return skipped(f"AgentPolicies cannot be listed: {policies.unread}")
    if policies.absent:
        return failed("the cluster does not serve AgentPolicy")
    others = agents.data.access_policies.items
    if not policies.items:
        if not agents.concerned:
            return skipped("neither the namespace nor a pod of it asks for a sidecar")
        seen = f"there is no AgentPolicy in namespace {space}"
        if others:
            return warning(f"{seen}: only XAccessPolicies decide")
        hint = (
            f"Write one and `kubectl -n {space} apply -f FILE`; until then nothing is allowed to its agents."
        )
        return failed(f"{seen}, so that nothing is allowed", hint=hint)
    alone = "only XAccessPolicies decide for it" if others else "nothing is allowed to it"
    problems = [
        f"pod {name_of(pod)} is selected by no AgentPolicy: {alone}"
        for pod in agents.injected
        if not any(selects(policy, pod) for policy in policies.items)
    ]
    fine = f"{counted(len(policies.items), 'AgentPolicy', 'AgentPolicies')} in namespace {space}"
    return judged(problems, fine, State.WARNING)


def _config_map(agents: Agents) -> Result:
    name, space, policies = agents.settings.mounted_policies, agents.namespace.name, agents.data.policies
    if not name:
        return skipped("policies are not in a ConfigMap")
    if policies.unread:
        return skipped(f"ConfigMap {name} cannot be read: {policies.unread}")
    hint = (
        f"Create it: `kubectl -n {space} create configmap {name} --from-file=policies.yaml "
        f"--dry-run=client -o yaml | kubectl label --local -f - {POLICIES_LABEL}=true -o yaml | "
        "kubectl apply -f -`; until then pods wait."
    )
    if policies.one is None:
        if not agents.concerned:
            return skipped("neither the namespace nor a pod of it asks for a sidecar")
        return failed(f"there is no ConfigMap {name} in namespace {space}", hint=hint)
    count = len(policy_texts(policies.one))
    if not count:
        return failed(f"ConfigMap {name} has no policy file", hint=hint)
    return ok(f"ConfigMap {name} has {count} policy {'file' if count == 1 else 'files'}")


def _valid_resources(agents: Agents) -> Result:
    policies, backends = agents.data.agent_policies, agents.data.backends
    for part in (policies, backends):
        if part.unread:
            return skipped(f"AgentPolicies and Backends cannot be listed: {part.unread}")
    items = (*policies.items, *backends.items)
    problems = [problem for item in items for problem in _problems(item)]
    said = counted(len(policies.items), "AgentPolicy", "AgentPolicies")
    fine = f"{said} and {counted(len(backends.items), 'Backend', 'Backends')}"
    if not items:
        return skipped("there are none")
    unresolved = [f"{_what(item)}: {told}" for item in policies.items if (told := verdict(item).unresolved)]
    worst = State.FAILED if problems else State.WARNING
    return judged([*problems, *unresolved], fine, worst, _next_steps(items, problems, unresolved))


def _next_steps(items: Iterable[Obj], problems: list[str], unresolved: list[str]) -> str:
    """What to do; "" where the table's one sentence says it."""
    conflicts = sum(bool(verdict(item).conflict) for item in items)
    steps = [
        *([_KEEP_ONE] if conflicts else ()),
        *([_WRITE_BACKEND] if unresolved else ()),
        *([_CORRECT] if len(problems) > conflicts else ()),
    ]
    return " ".join(steps) if conflicts or unresolved else ""


def _problems(item: Obj) -> Iterator[str]:
    """What is wrong with one object: as it is written, else as the control plane has found it."""
    what = _what(item)
    wrong, said = faults(item), verdict(item)
    for fault in wrong:
        yield f"{what}: {fault}"
    if said.refused and not wrong:
        yield f"{what} is not accepted: {said.refused}"
    if said.conflict:
        yield f"{what} is in conflict: {said.conflict}"


def _what(item: Obj) -> str:
    return f"{item.get('kind')} {name_of(item)}"


def _valid_texts(agents: Agents) -> Result:
    config_map = agents.data.policies.one
    if config_map is None:
        return skipped("there are none")
    try:
        documents = load_texts(policy_texts(config_map))
    except PolicyInvalid as error:
        return judged([str(one) for one in error.errors], "", State.FAILED)
    policies = counted(len(documents.policies), "policy", "policies")
    return ok(f"{policies} and {counted(len(documents.backends), 'backend', 'backends')}")
