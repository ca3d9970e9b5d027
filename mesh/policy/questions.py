"""What is asked of rules, for each kind of request and target."""

from __future__ import annotations

from collections.abc import Callable

from mesh.policy.ballot import strongest
from mesh.policy.decision import Decision, HttpRequest, Inbound, Target
from mesh.policy.documents import Backend, BackendProtocol
from mesh.policy.facts import Question
from mesh.policy.methods import SUBJECT_METHODS, Section
from mesh.policy.narrowing import ToolNarrowing
from mesh.policy.panel import Speaker
from mesh.policy.principal import Principal
from mesh.policy.rules import Rule, Verdict, Vote
from mesh.reasons import Reason

_MCP_TRANSPORT = frozenset({"GET", "DELETE"})


def question_of(
    principal: Principal, target: Target, method: str, name: str | None, http: HttpRequest | None
) -> Question:
    """The question that a request puts to the rules of `target`."""
    mcp = isinstance(target, Backend) and target.protocol is BackendProtocol.MCP
    plain = http is not None or (isinstance(target, Backend) and not mcp)
    http_method = None if http is None else http.method
    transport = mcp and http_method in _MCP_TRANSPORT
    inbound = isinstance(target, Inbound)
    return Question(principal.id, method, name, plain, http_method, transport, inbound)


def ballot_paper(target: Target, question: Question, http: HttpRequest | None) -> Callable[[Rule], Vote]:
    """What to ask each rule of an AgentPolicy."""
    if isinstance(target, Backend) and target.protocol is not BackendProtocol.MCP:
        return lambda rule: rule.held(Vote(Verdict.GRANT, Reason.ALLOWED, rule.label))
    if question.transport:
        # The stream that servers push on, and the end of a session (Streamable HTTP, up to 2025-11-25).
        return lambda rule: rule.held(Vote(Verdict.GRANT, Reason.ALLOWED_BASE_PROTOCOL, rule.label))
    if http is not None:
        return Rule.vote_http
    method, name = question.method, question.name
    return lambda rule: rule.vote(method, name)


def ballot_of(speaker: Speaker, ask: Callable[[Rule], Vote], question: Question | None) -> Vote:
    """The verdict of one policy."""
    if not speaker.rules:
        return Vote(Verdict.SILENT, Reason.PEER_NOT_ALLOWED, f"{speaker.label} inbound")
    return strongest(map(ask, speaker.about(question)))


def narrowed(tools: ToolNarrowing, target: Target, method: str, name: str) -> Decision | None:
    """The refusal of a tool of an MCP Backend that annotations take away, or None."""
    if not isinstance(target, Backend) or target.protocol is not BackendProtocol.MCP:
        return None
    if SUBJECT_METHODS.get(method) is not Section.TOOLS:
        return None
    rule = tools.refusal(target.name, name)
    return None if rule is None else Decision(False, Reason.NARROWED_BY_POD, rule)
