"""The policies of one target, compiled: what they say to a question, all together.

At a target with an Allow policy everything is refused that none of its rules matches. A policy that is not in
force still counts as one: it grants nothing, and its target stays closed. Grants of several policies are a union,
or with `combine: all` every policy has to grant. Where a rule of the external authorization matches, or cannot be
told not to, what is granted passes only after that service has said yes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from mesh.policy.access.accept import Acceptance, AcceptedReason, accept
from mesh.policy.access.documents import AccessPolicy, AccessRule, Action, AuthService, TargetRef
from mesh.policy.access.rules import ALWAYS, ANYBODY, CompiledRule, Conditions
from mesh.policy.decision import ExternalCheck
from mesh.policy.facts import Question
from mesh.policy.principal import UNAUTHENTICATED


class Combine(StrEnum):
    """How Allow policies of one target go together: one of them has to grant, or all of them."""

    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Trust:
    """What has to be known to compile policies: the trust domain of ServiceAccounts, None where there is none; the
    domain of Services' names; and how policies go together."""

    trust_domain: str | None = None
    cluster_domain: str = "cluster.local"
    combine: Combine = Combine.ANY


@dataclass(frozen=True, slots=True)
class Option:
    """A rule that matches on conditions, by the name that decisions cite it by."""

    rule: str
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Answer:
    """What a level says to a question: of each group one option has to hold. A group with an option that always
    holds has that option alone; an empty group refuses.

    `check` is asked where one of `triggers` holds or cannot be told not to. `rule` is what a refusal cites.
    """

    rule: str
    groups: tuple[tuple[Option, ...], ...]
    triggers: tuple[Option, ...] = ()
    check: ExternalCheck | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing in it depends on the request."""
        options = (*self.triggers, *(option for group in self.groups for option in group))
        return all(option.conditions is ALWAYS for option in options)

    @property
    def refuses(self) -> bool:
        """Whether it refuses on every condition."""
        return not all(self.groups)


class RuleIndex:
    """Rules by their source, so that those of other sources cost nothing."""

    __slots__ = ("_anybody", "_by_source")

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        self._by_source: dict[str, list[CompiledRule]] = {}
        for rule in rules:
            if rule.key is not None:
                self._by_source.setdefault(rule.key, []).append(rule)
        self._anybody = self._by_source.pop(ANYBODY, [])

    def of(self, principal: str) -> Iterable[CompiledRule]:
        """The rules whose source `principal` is. Who has proven no identity is nobody's source."""
        if principal == UNAUTHENTICATED.id:
            return ()
        return (*self._by_source.get(principal, ()), *self._anybody)

    def options(self, question: Question) -> tuple[Option, ...]:
        """The rules that match: the first that always does, or all that do on conditions."""
        found = []
        for rule in self.of(question.principal):
            conditions = rule.match(question)
            if conditions is ALWAYS:
                return (Option(rule.label, ALWAYS),)
            if conditions is not None:
                found.append(Option(rule.label, conditions))
        return tuple(found)


class Level:
    """One target with its policies."""

    __slots__ = ("_check", "_closed", "_groups", "_label", "_triggers", "needs_context", "target")

    def __init__(self, target: TargetRef, policies: Iterable[AccessPolicy], trust: Trust) -> None:
        self.target = target
        verdicts = accept(policies, target)
        allowing = [policy for policy in verdicts if policy.action is Action.ALLOW]
        grants = [
            [] if not verdicts[policy].accepted else _grants(policy, trust.trust_domain)
            for policy in allowing
        ]
        if grants and trust.combine is Combine.ANY:
            grants = [[rule for group in grants for rule in group]]
        compiled = [rule for group in grants for rule in group]
        self._groups = tuple(map(RuleIndex, grants))
        self._label = ", ".join(policy.label for policy in allowing)
        asking = next((p for p, v in verdicts.items() if v.accepted and p.external_auth is not None), None)
        self._closed = next((p.label for p, v in verdicts.items() if _closes(p, v, asking)), None)
        self._triggers = () if asking is None else _triggers(asking, trust.trust_domain)
        self._check = None if asking is None else check_of(asking, trust.cluster_domain)
        self.needs_context = any(rule.needs_context for rule in (*compiled, *self._triggers))

    @property
    def decides(self) -> bool:
        """Whether it has an Allow policy, so that it refuses what none grants."""
        return bool(self._groups)

    def knows(self, principal: str) -> bool:
        """Whether some rule could match for `principal`."""
        return self._closed is None and all(any(True for _ in group.of(principal)) for group in self._groups)

    def answer(self, question: Question) -> Answer:
        """What the policies say to a question."""
        if self._closed is not None:
            return Answer(self._closed, ((),))
        groups = tuple(group.options(question) for group in self._groups)
        if not all(groups):
            return Answer(self._label, ((),))
        triggers = []
        for rule in self._triggers:
            conditions = rule.match(question) if rule.key in (None, ANYBODY, question.principal) else None
            if conditions is not None:
                triggers.append(Option(rule.label, conditions))
        return Answer(self._label, groups, tuple(triggers), self._check if triggers else None)

    def total(self, principal: str, method: str) -> bool:
        """Whether every request of a method is granted, on no condition."""
        if self._closed is not None or self._check is not None:
            return False
        return all(any(rule.always_all(method) for rule in group.of(principal)) for group in self._groups)


def _closes(policy: AccessPolicy, verdict: Acceptance, asking: AccessPolicy | None) -> bool:
    """Whether somebody would have to be asked and is not: of an expression that is none nobody knows what it is
    about, and others may have the places. The junior of two authorizations closes nothing: its senior is asked."""
    if policy.action is not Action.EXTERNAL_AUTH or verdict.accepted:
        return False
    senior = asking is not None and asking.action is Action.EXTERNAL_AUTH
    return verdict.reason is AcceptedReason.INVALID_CEL or not senior


_EVERYTHING = AccessRule("")


def _grants(policy: AccessPolicy, trust_domain: str | None) -> list[CompiledRule]:
    return _compiled(policy, policy.rules or (_EVERYTHING,), trust_domain)


def _triggers(policy: AccessPolicy, trust_domain: str | None) -> tuple[CompiledRule, ...]:
    """The rules about which somebody is asked: all of an ExternalAuth policy, those of v0alpha0 that say so."""
    if policy.action is Action.EXTERNAL_AUTH:
        return tuple(_grants(policy, trust_domain))
    return tuple(_compiled(policy, (rule for rule in policy.rules if rule.delegated), trust_domain))


def _compiled(
    policy: AccessPolicy, rules: Iterable[AccessRule], trust_domain: str | None
) -> list[CompiledRule]:
    return [CompiledRule(rule, f"{policy.label} {rule.name}".rstrip(), trust_domain) for rule in rules]


def check_of(policy: AccessPolicy, cluster_domain: str) -> ExternalCheck:
    """The check that a policy with an external authorization asks for."""
    auth = policy.external_auth
    assert isinstance(auth, AuthService)  # noqa: S101 - only asked of policies that have one
    host = auth.name if auth.namespace is None else f"{auth.name}.{auth.namespace}.svc.{cluster_domain}"
    return ExternalCheck(
        name=policy.label,
        protocol=auth.protocol,
        host=host,
        port=auth.port,
        path=auth.path,
        allowed_request_headers=auth.allowed_request_headers,
        allowed_response_headers=auth.allowed_response_headers,
        forward_body_bytes=auth.forward_body_bytes,
    )
