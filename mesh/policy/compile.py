"""Documents to the Policy of one agent: select what is meant for it, and make every rule quick to ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from mesh.policy.access.level import Trust
from mesh.policy.access.levels import Levels
from mesh.policy.arguments import required
from mesh.policy.boundary import Boundary
from mesh.policy.decide import Policy
from mesh.policy.decision import INBOUND, Decision, HttpRequest, Inbound, Route
from mesh.policy.documents import AgentPolicy, Documents, Egress, InboundRule, Mode, OutboundRule
from mesh.policy.guardrails import RateLimits
from mesh.policy.narrowing import Narrowing
from mesh.policy.rules import AgentRules, InboundGrant, McpRule, OutboundGrant, Rule
from mesh.policy.spiffe_pattern import is_pattern, pattern_regex
from mesh.policy.united_users import united
from mesh.policy.user_conditions import condition_of
from mesh.policy.visible import visible

__all__ = ["INBOUND", "Decision", "HttpRequest", "Inbound", "Policy", "Route", "compile_policy"]


def compile_policy(
    documents: Documents,
    *,
    labels: Mapping[str, str],
    namespace: str | None,
    boundary: Boundary | None = None,
    narrowing: Narrowing | None = None,
    trust: Trust | None = None,
) -> Policy:
    """The Policy of an agent with these labels in this namespace.

    A document without a namespace is for agents of every namespace; one with a namespace only for agents of
    that namespace, but for Backends (see `visible`) and access policies, which are about targets. The order of the
    documents does not matter. `boundary`: where `egress: allow` ends; `narrowing`: what annotations take away;
    `trust`: what ServiceAccounts of access policies stand for, and how such policies go together.
    """
    selected = [p for p in documents.policies if p.namespace in (None, namespace) and _selects(p, labels)]
    selected.sort(key=lambda policy: policy.name)
    narrowing = narrowing or Narrowing()
    agents = tuple(_narrowed(compile_rules(policy), policy.name, narrowing) for policy in selected)
    backends = visible(documents.backends, namespace, selected)
    levels = Levels(documents.access_policies, backends, documents.standing, trust or Trust())
    users = united((agent.enforce, policy.users) for agent, policy in zip(agents, selected, strict=True))
    return Policy(backends, agents, boundary, narrowing, levels=levels, namespace=namespace, users=users)


def _narrowed(rules: AgentRules, name: str, narrowing: Narrowing) -> AgentRules:
    enforce = rules.enforce or narrowing.enforce
    return replace(rules, enforce=enforce, left_out=narrowing.leaves_out(name))


def _selects(policy: AgentPolicy, labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in policy.match_labels)


def compile_rules(policy: AgentPolicy) -> AgentRules:
    """The rules of one policy, each with the label that decisions cite."""
    label = f"AgentPolicy/{policy.name}"
    inbound = policy.inbound
    return AgentRules(
        label=label,
        enforce=policy.mode is Mode.ENFORCE,
        egress_deny=policy.egress is Egress.DENY,
        outbound=tuple(_outbound(rule, f"{label} outbound[{i}]") for i, rule in enumerate(policy.outbound)),
        inbound=None
        if inbound is None
        else tuple(_inbound(rule, f"{label} inbound[{i}]") for i, rule in enumerate(inbound)),
    )


def _outbound(rule: OutboundRule, label: str) -> OutboundGrant:
    arguments = required(rule.mcp.arguments, label)
    mcp = McpRule(rule.mcp, label, rule.server_requests)
    users = condition_of(rule.users, rule.scopes)
    limits = _labelled(rule.rate, label)
    compiled = Rule(label, mcp, arguments=arguments, users=users, guardrails=rule.guardrails, rate=limits)
    return OutboundGrant(rule.backend, compiled)


def _inbound(rule: InboundRule, label: str) -> InboundGrant:
    mcp = None if rule.mcp is None else McpRule(rule.mcp, f"{label} mcp")
    path = None if mcp is None else rule.mcp_path
    arguments = () if rule.mcp is None else required(rule.mcp.arguments, f"{label} mcp")
    exact = None if any(map(is_pattern, rule.sources)) else frozenset(rule.sources)
    admits = _admits(rule.sources) if exact is None else exact.__contains__
    users = condition_of(rule.users, rule.scopes)
    limits = _labelled(rule.rate, label)
    compiled = Rule(
        label, mcp, rule.http, arguments=arguments, users=users, guardrails=rule.guardrails, rate=limits
    )
    return InboundGrant(admits, compiled, path, exact)


def _labelled(rate: RateLimits | None, label: str) -> RateLimits | None:
    """With the rule that it is of, which is a part of what its buckets are kept by."""
    return None if rate is None else replace(rate, label=label)


def _admits(sources: tuple[str, ...]) -> Callable[[str], bool]:
    """A test for SPIFFE IDs against the entries of `from`."""
    matches = re.compile("|".join(f"(?:{pattern_regex(source)})" for source in sources)).fullmatch
    return lambda spiffe_id: matches(spiffe_id) is not None
