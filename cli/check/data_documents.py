"""Checks of what belongs to a namespace beside its pods and policies: labels, workloads, NetworkPolicies."""

from __future__ import annotations

import json
from datetime import datetime

from cli.check.data_plane import Agents, agents, settled, status_of
from cli.check.objects import containers_of, labels_of, name_of, sidecar_of
from cli.check.restart import restarting
from cli.check.result import Result, State, judged, ok, skipped
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Obj
from cli.selecting.labels import matches
from cli.workloads import misplaced, workloads_in
from mesh.settings.table import ENV_AGENT_LABELS, POD_INJECTED, PREFIX, RESERVED_CONTAINERS

SUFFIXES = (".yaml", ".yml")
POLICIES_LABEL = f"{PREFIX}policies"
_BY_BINDING = "topology.kubernetes.io/"  # copied from the node when a pod is bound, as of Kubernetes 1.35
# Added by admission itself, and set anew where a DaemonSet has two equal revisions. All others that controllers
# write stand in the pod when it is created.
_RELABELLED = frozenset({POD_INJECTED.name, "controller-revision-hash"})


def policy_texts(config_map: Obj) -> list[tuple[str, str]]:
    """The policy files of a ConfigMap by name, in the order in which a sidecar reads them."""
    data = config_map.get("data") or {}
    return [(key, data[key]) for key in sorted(data) if key.endswith(SUFFIXES)]


def workload_labels(snapshot: Snapshot, now: datetime) -> Result:
    """Labels and annotations stand on pod templates, where they count."""
    if snapshot.data is None or snapshot.data.workloads.unread:
        return skipped("workloads cannot be listed")
    problems = [
        f"{workload.kind} {workload.name} itself has {name}, and its pod template does not"
        for item in snapshot.data.workloads.items
        for workload in workloads_in(item)
        for name in misplaced(workload)
    ]
    return judged(problems, f"{len(snapshot.data.workloads.items)} workloads", State.WARNING)


@settled
@agents
def policy_labels(agents: Agents) -> Result:
    """Policies select by today's labels; without a control plane by those of admission, for good."""
    if agents.settings.control_plane.present:
        return ok("the control plane tells sidecars of the labels that pods have")
    problems, relabelled = [], []
    for pod in agents.injected:
        now, then = _lasting(labels_of(pod)), _lasting(_at_admission(pod))
        changed = sorted(key for key in {*now, *then} if now.get(key) != then.get(key))
        if then and changed:
            relabelled.append(pod)
            problems.append(f"pod {name_of(pod)} was relabelled since: {', '.join(changed)}")
    hint = f"Policies still select by the old labels. {restarting(agents.namespace.name, relabelled)}"
    return judged(problems, "labels are those of admission", State.WARNING, hint)


@agents
def network_policies(agents: Agents) -> Result:
    """Explicit capture leaves the application's ports to others; a NetworkPolicy closes them."""
    if agents.data.network_policies.unread:
        return skipped(f"NetworkPolicies cannot be listed: {agents.data.network_policies.unread}")
    exposed = [pod for pod in agents.injected if _explicit(pod) and _ports(pod)]
    if not exposed:
        return skipped("no pod with explicit capture declares a port")
    open_pods = [
        f"pod {name_of(pod)}: ports {', '.join(map(str, _ports(pod)))} can be reached past its sidecar"
        for pod in exposed
        if not any(_closes(policy, pod) for policy in agents.data.network_policies.items)
    ]
    return judged(open_pods, f"{len(exposed)} pods are closed but for the mesh's ports", State.WARNING)


def _at_admission(pod: Obj) -> dict[str, str]:
    for variable in (sidecar_of(pod) or {}).get("env") or ():
        if variable.get("name") == ENV_AGENT_LABELS.name:
            try:
                value = json.loads(variable.get("value") or "{}")
            except ValueError:
                return {}
            return value if isinstance(value, dict) else {}
    return {}


def _lasting(labels: dict[str, str]) -> dict[str, str]:
    """The labels that nobody but a person changes once the pod is there."""
    return {
        key: value
        for key, value in labels.items()
        if key not in _RELABELLED and not key.startswith(_BY_BINDING)
    }


def _explicit(pod: Obj) -> bool:
    return (status_of(pod) or {}).get("capture") == "explicit"


def _ports(pod: Obj) -> list[int]:
    """The TCP ports that containers of the application declare."""
    return [
        port["containerPort"]
        for container in containers_of(pod)
        if container.get("name") not in RESERVED_CONTAINERS
        for port in container.get("ports") or ()
        if "containerPort" in port and (port.get("protocol") or "TCP") == "TCP"
    ]


def _closes(policy: Obj, pod: Obj) -> bool:
    """Does it select the pod, and let nothing in to the application's ports from everywhere?"""
    spec = policy.get("spec") or {}
    if "Ingress" not in (spec.get("policyTypes") or ("Ingress",)):
        return False
    if not matches(spec.get("podSelector"), labels_of(pod)):
        return False
    ports = set(_ports(pod))
    for rule in spec.get("ingress") or ():
        named = {port.get("port") for port in rule.get("ports") or ()}
        if not rule.get("from") and (
            not named or named & ports or any(isinstance(one, str) for one in named)
        ):
            return False
    return True
