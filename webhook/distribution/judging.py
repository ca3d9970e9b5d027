"""Which XAccessPolicies of a namespace are accepted, by the rules that sidecars apply, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mesh.policy.access.accept import accept
from mesh.policy.access.documents import AccessPolicy, TargetRef
from webhook.distribution.access import Verdict, Verdicts


def judge(policies: Iterable[AccessPolicy]) -> Mapping[str, Verdicts]:
    """See access.Judge."""
    listed = list(policies)
    by_target: dict[TargetRef, list[AccessPolicy]] = {}
    for policy in listed:
        for target in policy.targets:
            by_target.setdefault(target, []).append(policy)
    verdicts: dict[str, dict[TargetRef, Verdict]] = {policy.name: {} for policy in listed}
    for target, about in by_target.items():
        for policy, found in accept(about, target).items():
            verdicts[policy.name][target] = Verdict(found.accepted, str(found.reason), found.message)
    return verdicts
