"""Compiled rules: what one rule of one policy says to one question.

A rule gives a `Vote`: it grants, denies, or is silent. How votes become a decision is in `ballot`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from mesh.policy.documents import McpGrant, Names, ServerRequest
from mesh.policy.entries import MAX_ENTRY, well_formed_name
from mesh.policy.globs import EntryList
from mesh.policy.hosts import covers
from mesh.policy.methods import SERVER_BASE_METHODS, SERVER_REQUESTS, SUBJECT_METHODS, Section, is_base
from mesh.policy.uris import readings, well_formed_uri
from mesh.reasons import Reason

if TYPE_CHECKING:
    from mesh.policy.arguments import Required
    from mesh.policy.guardrails import Guardrails, RateLimits
    from mesh.policy.user_conditions import UserCondition


class Verdict(Enum):
    """What a rule says: deny beats grant, grant beats silence."""

    SILENT = 0
    GRANT = 1
    DENY = 2


@dataclass(frozen=True, slots=True)
class Vote:
    """A verdict, why, the entry it comes from, and what its author has to say to who is refused. `near`: it would
    be a grant for another user."""

    verdict: Verdict
    reason: Reason
    rule: str
    message: str = ""
    near: bool = False


_NOT_GRANTED = {
    Section.TOOLS: Reason.TOOL_NOT_GRANTED,
    Section.PROMPTS: Reason.PROMPT_NOT_GRANTED,
    Section.RESOURCES: Reason.RESOURCE_NOT_GRANTED,
}
_DENIED = {
    Section.TOOLS: Reason.TOOL_DENIED,
    Section.PROMPTS: Reason.PROMPT_DENIED,
    Section.RESOURCES: Reason.RESOURCE_DENIED,
}


class SectionRule:
    """The names of one kind that a rule grants and denies."""

    __slots__ = ("_allow", "_deny", "_has_deny", "_label", "_section", "_well_formed")

    def __init__(self, section: Section, names: Names, label: str) -> None:
        self._section = section
        self._label = f"{label} {section}"
        self._allow = EntryList(names.allow)
        self._deny = EntryList(names.deny)
        self._has_deny = bool(names.deny)
        self._well_formed: Callable[[str], bool] = (
            well_formed_uri if section is Section.RESOURCES else well_formed_name
        )

    def vote(self, name: str) -> Vote:
        """What the section says of `name`. Deny patterns match any name, allow patterns only well-formed
        ones.
        """
        well_formed = self._well_formed(name)
        allowed = self._allow.find(name) if well_formed else self._allow.find_exact(name)
        # A longer ill-formed name is in no allow list anywhere, so it needs no deny entry to be refused.
        denied = self._denied(name) if self._has_deny and (well_formed or len(name) <= MAX_ENTRY) else None
        if denied is not None:
            return Vote(Verdict.DENY, _DENIED[self._section], f"{self._label}.deny[{denied}]")
        if allowed is not None:
            return Vote(Verdict.GRANT, Reason.ALLOWED, f"{self._label}.allow[{allowed}]")
        reason = _NOT_GRANTED[self._section] if well_formed else Reason.NAME_OUTSIDE_CHARSET
        return Vote(Verdict.SILENT, reason, f"{self._label}.allow")

    def _denied(self, name: str) -> int | None:
        if self._section is not Section.RESOURCES:
            return self._deny.find(name)
        found = (self._deny.find(reading) for reading in readings(name))
        return next((index for index in found if index is not None), None)

    @property
    def exact(self) -> frozenset[str] | None:
        """The names it speaks of, None when it holds a pattern."""
        allow, deny = self._allow.exact, self._deny.exact
        return None if allow is None or deny is None else allow | deny

    @property
    def grants_all(self) -> bool:
        """True when the section allows everything that is well formed."""
        return self._allow.everything is not None

    @property
    def denies_some(self) -> bool:
        """True when the section has a deny entry."""
        return self._has_deny


class McpRule:
    """What a rule grants of MCP."""

    __slots__ = ("_label", "_sections", "_server_requests", "_unknown_methods")

    def __init__(
        self, grant: McpGrant, label: str, server_requests: frozenset[ServerRequest] | None = None
    ) -> None:
        self._label = label
        self._unknown_methods = grant.unknown_methods
        self._server_requests = server_requests
        named = {
            Section.TOOLS: grant.tools,
            Section.PROMPTS: grant.prompts,
            Section.RESOURCES: grant.resources,
        }
        self._sections = {
            section: SectionRule(section, names, label)
            for section, names in named.items()
            if names is not None
        }

    def vote(self, method: str, name: str | None) -> Vote:
        """What the rule says of a method and, for methods with a subject, of its name."""
        section = SUBJECT_METHODS.get(method)
        if section is not None and name is not None:
            rule = self._sections.get(section)
            if rule is None:
                return Vote(Verdict.SILENT, _NOT_GRANTED[section], self._label)
            return rule.vote(name)
        if is_base(method):
            return Vote(Verdict.GRANT, Reason.ALLOWED_BASE_PROTOCOL, self._label)
        if section is not None:
            return Vote(Verdict.SILENT, _NOT_GRANTED[section], self._label)
        if self._unknown_methods:
            return Vote(Verdict.GRANT, Reason.ALLOWED, f"{self._label} unknownMethods")
        return Vote(Verdict.SILENT, Reason.UNKNOWN_METHOD, self._label)

    def vote_server_request(self, method: str) -> Vote:
        """What the rule says of a request from server to client, by method or by the policy's word."""
        kind = SERVER_REQUESTS.get(method)
        if kind is None:
            if method in SERVER_BASE_METHODS:
                return Vote(Verdict.GRANT, Reason.ALLOWED_BASE_PROTOCOL, self._label)
            if self._unknown_methods:
                return Vote(Verdict.GRANT, Reason.ALLOWED, f"{self._label} unknownMethods")
            return Vote(Verdict.SILENT, Reason.SERVER_REQUEST_REFUSED, self._label)
        if self._server_requests is not None and kind not in self._server_requests:
            return Vote(Verdict.DENY, Reason.SERVER_REQUEST_REFUSED, f"{self._label} serverRequests")
        return Vote(Verdict.GRANT, Reason.ALLOWED, self._label)

    def exact_names(self, section: Section) -> frozenset[str] | None:
        """The names of a section that this rule speaks of; None when it holds a pattern."""
        rule = self._sections.get(section)
        return frozenset() if rule is None else rule.exact

    def grants_all(self, section: Section) -> bool:
        """True when every well-formed name of the section is allowed by this rule."""
        rule = self._sections.get(section)
        return rule is not None and rule.grants_all

    def denies_some(self, section: Section) -> bool:
        """True when some name of the section is denied by this rule."""
        rule = self._sections.get(section)
        return rule is not None and rule.denies_some


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule: what it grants of MCP, if anything, and whether it grants plain HTTP.

    `closed` is why it says nothing where it grants neither. `arguments` is what calls of tools have to be like.
    `users`: on whose behalf it grants; None: on anybody's, or nobody's. `withheld`: which part of that does not
    hold for who asks now, so that it grants nothing; empty where it holds. `guardrails` and `rate` are for what
    passes between the two that the rule is about.
    """

    label: str
    mcp: McpRule | None
    http: bool = False
    closed: Reason = Reason.PROTOCOL_NOT_ALLOWED
    arguments: tuple[Required, ...] = ()
    users: UserCondition | None = None
    withheld: str = ""
    guardrails: Guardrails | None = None
    rate: RateLimits | None = None

    def vote(self, method: str, name: str | None) -> Vote:
        """What the rule says of an MCP method."""
        if self.mcp is None:
            return self._closed()
        vote = self.mcp.vote(method, name)
        return self.held(vote, _ungranted(method, name)) if self.withheld else vote

    def vote_http(self) -> Vote:
        """What the rule says of a request that carries no MCP message."""
        if not self.http:
            return self._closed()
        return self.held(Vote(Verdict.GRANT, Reason.ALLOWED, f"{self.label} http"))

    def vote_server_request(self, method: str) -> Vote:
        """What the rule says of a request from an MCP server to its client."""
        if self.mcp is None:
            return self._closed()
        return self.held(self.mcp.vote_server_request(method), Reason.SERVER_REQUEST_REFUSED)

    def held(self, vote: Vote, otherwise: Reason = Reason.USER_NOT_GRANTED) -> Vote:
        """The vote; in place of a grant that is for other users, silence for the reason `otherwise`."""
        if not self.withheld or vote.verdict is not Verdict.GRANT:
            return vote
        return Vote(Verdict.SILENT, otherwise, f"{self.label} {self.withheld}", near=True)

    def for_others(self, lacking: str) -> Rule:
        """What is left of the rule for those whom the part `lacking` of it is not about; all where that is ""."""
        return replace(self, withheld=lacking) if lacking else self

    def grants_all(self, section: Section) -> bool:
        """True when every well-formed name of the section is allowed by this rule."""
        return self.mcp is not None and not self.withheld and self.mcp.grants_all(section)

    def denies_some(self, section: Section) -> bool:
        """True when some name of the section is denied by this rule."""
        return self.mcp is not None and self.mcp.denies_some(section)

    def _closed(self) -> Vote:
        return Vote(Verdict.SILENT, self.closed, self.label)


def _ungranted(method: str, name: str | None) -> Reason:
    """Why a method is refused that nobody grants to this user. What has a name is refused as unknown names are."""
    section = SUBJECT_METHODS.get(method)
    if section is not None and name is not None:
        return _NOT_GRANTED[section]
    return Reason.USER_NOT_GRANTED if is_base(method) else Reason.UNKNOWN_METHOD


@dataclass(frozen=True, slots=True)
class OutboundGrant:
    """A compiled outbound rule; `backend` is a name or `*`."""

    backend: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class InboundGrant:
    """A compiled inbound rule; `admits` tells whether an authenticated peer's SPIFFE ID is among its
    sources. `mcp_path` is None when it grants no MCP. `exact` are its sources where none is a pattern.
    """

    admits: Callable[[str], bool]
    rule: Rule
    mcp_path: str | None = None
    exact: frozenset[str] | None = None

    def at(self, path: str | None) -> Rule:
        """What counts of the rule at a declared MCP path, or off all of them (None).

        Its MCP counts at and below its own path only: it opens no other server of the workload, and nothing
        that is no server.
        """
        if path is None or (self.mcp_path is not None and not covers(self.mcp_path, path)):
            closed = Reason.INBOUND_PATH_NOT_DECLARED
            return Rule(self.rule.label, None, self.rule.http, closed, users=self.rule.users)
        return self.rule


@dataclass(frozen=True, slots=True)
class AgentRules:
    """A compiled AgentPolicy. `inbound` is None when it says nothing about callers. `left_out`: its grants do not
    count.
    """

    label: str
    enforce: bool
    egress_deny: bool
    outbound: tuple[OutboundGrant, ...]
    inbound: tuple[InboundGrant, ...] | None
    left_out: bool = False
