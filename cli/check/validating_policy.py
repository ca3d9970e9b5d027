"""Checks of what holds even while the control plane is away: the policy on final state, and the resource kinds."""

from __future__ import annotations

import re
from datetime import datetime

from cli.check.installed import settings_in
from cli.check.objects import inner
from cli.check.result import Result, failed, judged, ok, skipped, warning
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Obj
from cli.cluster.parts import Part
from mesh.policy.documents import API_VERSION
from mesh.settings import installation

CRDS = ("agentpolicies.outrider.dev", "backends.outrider.dev")
_LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


def present(snapshot: Snapshot, now: datetime) -> Result:
    """The ValidatingAdmissionPolicy is there."""
    part = snapshot.admission_policies
    if part.absent:
        return warning("this cluster has no ValidatingAdmissionPolicy (before Kubernetes 1.30)")
    if part.unread:
        return skipped(f"it cannot be read: {part.unread}")
    policy = part.named(installation.FINAL_STATE_POLICY)
    if policy is None:
        return failed(f"there is no ValidatingAdmissionPolicy {installation.FINAL_STATE_POLICY}")
    warnings = inner(policy, "status", "typeChecking", "expressionWarnings") or ()
    told = [f"{one.get('fieldRef')}: {one.get('warning')}" for one in warnings]
    return warning(*told) if told else ok(installation.FINAL_STATE_POLICY)


def bound(snapshot: Snapshot, now: datetime) -> Result:
    """A policy does nothing for pods that no binding selects, and a binding that does not deny lets all pass."""
    if snapshot.admission_policies.named(installation.FINAL_STATE_POLICY) is None:
        return skipped("there is no policy")
    if snapshot.admission_bindings.unread:
        return skipped(f"bindings cannot be read: {snapshot.admission_bindings.unread}")
    problems = [
        told
        for name in installation.FINAL_STATE_BINDINGS
        if (told := _unbound(snapshot.admission_bindings, name))
    ]
    return judged(problems, installation.FINAL_STATE_POLICY)


def _unbound(bindings: Part, name: str) -> str:
    """What keeps the binding `name` from having an effect; empty where nothing does."""
    binding = bindings.named(name)
    if binding is None or inner(binding, "spec", "policyName") != installation.FINAL_STATE_POLICY:
        return f"no binding {name} names {installation.FINAL_STATE_POLICY}"
    denies = "Deny" in (inner(binding, "spec", "validationActions") or ())
    return "" if denies else f"binding {name} does not deny"


def image(snapshot: Snapshot, now: datetime) -> Result:
    """The image that the webhook injects is one that the policy lets pass."""
    policy = snapshot.admission_policies.named(installation.FINAL_STATE_POLICY)
    settings = settings_in(snapshot)
    if policy is None or settings is None:
        return skipped("there is no policy, or the platform's settings cannot be read")
    # Not only the expressions: the prefix may stand in a variable.
    literals = [a or b for expression in _expressions(policy) for a, b in _LITERAL.findall(expression)]
    prefixes = [one for one in literals if "/" in one and settings.image.startswith(one)]
    if prefixes:
        return ok(f"{settings.image} begins with {max(prefixes, key=len)}")
    return warning(f"no text in the policy is a prefix of {settings.image}")


def resource_kinds(snapshot: Snapshot, now: datetime) -> Result:
    """The kinds AgentPolicy and Backend are served."""
    if snapshot.crds.unread:
        return skipped(f"they cannot be read: {snapshot.crds.unread}")
    version = API_VERSION.partition("/")[2]
    problems = []
    for name in CRDS:
        crd = snapshot.crds.named(name)
        if crd is None:
            problems.append(f"there is no CustomResourceDefinition {name}")
            continue
        served = {one.get("name") for one in inner(crd, "spec", "versions") or () if one.get("served")}
        if version not in served:
            problems.append(f"{name} does not serve {version}")
        for condition in inner(crd, "status", "conditions") or ():
            if condition.get("type") == "Established" and condition.get("status") != "True":
                problems.append(f"{name} is not established: {condition.get('message')}")
    return judged(problems, " and ".join(CRDS))


def _expressions(policy: Obj) -> list[str]:
    spec = inner(policy, "spec") or {}
    parts = [spec.get("variables"), spec.get("validations"), spec.get("matchConditions")]
    return [str(one.get("expression", "")) for part in parts for one in part or ()]
