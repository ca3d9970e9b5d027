"""Which policies of a target are in force: a pure function of all of them, so that one that goes makes room.

At most five policies a target, and one external authorization, the oldest first. A policy whose expression is none
takes no seat. The reference implementation looks at a policy when that policy changes, and so keeps a junior out
after its senior is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from mesh.policy.access.documents import AccessPolicy, Action, TargetRef
from mesh.policy.expressions import NoExpression, access_expression

MAX_PER_TARGET = 5


class AcceptedReason(StrEnum):
    """The reason of the condition `Accepted`."""

    ACCEPTED = "Accepted"
    LIMIT = "LimitPerTargetExceeded"
    INVALID_CEL = "InvalidCEL"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Whether a policy is in force at a target, and if not, what to tell its author."""

    accepted: bool
    reason: AcceptedReason
    message: str


_ACCEPTED = Acceptance(True, AcceptedReason.ACCEPTED, "the policy is in force")


def seniority(policy: AccessPolicy) -> tuple[bool, str, str, str]:
    """The order of policies: those that ask somebody first, then the oldest, then by name."""
    return policy.external_auth is None, policy.created, policy.namespace or "", policy.name


def about(policies: Iterable[AccessPolicy], target: TargetRef) -> list[AccessPolicy]:
    """The policies that name a target, by seniority."""
    return sorted((policy for policy in policies if target in policy.targets), key=seniority)


def accept(policies: Iterable[AccessPolicy], target: TargetRef) -> dict[AccessPolicy, Acceptance]:
    """What becomes of each policy that names `target`, by seniority. The order of `policies` does not matter."""
    verdicts: dict[AccessPolicy, Acceptance] = {}
    seats = MAX_PER_TARGET
    asked: AccessPolicy | None = None
    for policy in _by_age(about(policies, target)):
        fault = cel_fault(policy)
        if fault is not None:
            verdicts[policy] = Acceptance(False, AcceptedReason.INVALID_CEL, fault)
        elif policy.external_auth is not None and asked is not None:
            message = f"{target} has an external authorization already, that of {asked.label}"
            message += _closing(policy, asked)
            verdicts[policy] = Acceptance(False, AcceptedReason.LIMIT, message)
        elif not seats:
            message = f"{target} has {MAX_PER_TARGET} older policies already, which is the most"
            message += _closing(policy, asked)
            verdicts[policy] = Acceptance(False, AcceptedReason.LIMIT, message)
        else:
            verdicts[policy] = _ACCEPTED
            seats -= 1
            asked = policy if policy.external_auth is not None else asked
    return {policy: verdicts[policy] for policy in sorted(verdicts, key=seniority)}


def _closing(policy: AccessPolicy, asked: AccessPolicy | None) -> str:
    """What else to tell of an authorization that is not accepted, where no other takes its part. One of v0alpha0
    does not: it is about what its own rules grant."""
    if policy.action is not Action.EXTERNAL_AUTH or (asked and asked.action is Action.EXTERNAL_AUTH):
        return ""
    return "; so nobody is asked, and it is closed until this one finds its place"


def _by_age(policies: list[AccessPolicy]) -> list[AccessPolicy]:
    """Seats go by age alone: an external authorization that comes late puts nobody out."""
    return sorted(policies, key=lambda policy: seniority(policy)[1:])


def cel_fault(policy: AccessPolicy) -> str | None:
    """What is wrong with the expressions of a policy, or None."""
    faults = []
    for index, rule in enumerate(policy.rules):
        if rule.authorization is not None and rule.authorization.cel is not None:
            try:
                access_expression(rule.authorization.cel)
            except NoExpression as invalid:
                faults += [f"rules[{index}] ({rule.name}): {error}" for error in invalid.errors]
    return "; ".join(faults) or None
