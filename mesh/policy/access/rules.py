"""One rule of a policy, compiled: whether it matches, or on which condition.

    match = the source is the one  AND  the words for MCP cover the request  AND  the HTTP fields do  AND  the
            expression holds

The first two are settled once for a principal, method and name. A rule without MCP restriction matches whatever is
sent, MCP or not; one with an expression matches tools/call alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from mesh.policy.access.conditions import Condition, Envelope, Said, Session, all_hold
from mesh.policy.access.documents import AccessRule, Authorization, MethodMatch, ServiceAccount
from mesh.policy.access.methods import MethodTable, is_base
from mesh.policy.expressions import NoExpression, access_expression
from mesh.policy.facts import Facts, Question

ANYBODY = ""
"""The key of rules without a source."""
_SESSION = Session()
_CALLS = MethodTable((MethodMatch("tools/call"),))


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything that has still to hold for a rule to match, cheapest first."""

    parts: tuple[Condition, ...]

    def holds(self, facts: Facts) -> bool | None:
        return all_hold(part.holds(facts) for part in self.parts)

    def may_hold(self, facts: Facts) -> bool:
        """Whether all could, in some reading of the request."""
        return all(part.may_hold(facts) for part in self.parts)

    @property
    def message(self) -> str:
        """What the author has to say where it does not hold."""
        return next((part.message for part in self.parts if isinstance(part, Said)), "")


ALWAYS = Conditions(())


class CompiledRule:
    """One rule. `key` is the SPIFFE ID of its source, ANYBODY, or None where nobody can be it."""

    __slots__ = ("_base", "_envelope", "_said", "_table", "_wide", "key", "label")

    def __init__(self, rule: AccessRule, label: str, trust_domain: str | None) -> None:
        said = rule.authorization or Authorization()
        self.label = label
        self.key = source_id(rule, trust_domain)
        self._base = said.base
        self._wide = said.methods is None and said.cel is None
        self._table = MethodTable(said.methods or ())
        self._envelope = Envelope.of(said)
        self._said: Said | None = None
        if said.cel is not None:
            try:
                self._said = Said(access_expression(said.cel), said.message)
            except NoExpression:
                self.key = None
            if not said.methods:
                self._table = _CALLS

    def match(self, question: Question) -> Conditions | None:
        """On which condition the rule matches what its source asks; None: on none."""
        said = None
        if self._wide:
            pass
        elif question.plain:
            if not (question.transport and self._base):
                return None
        elif not (self._base and is_base(question.method)):
            said = self._said
            if not self._table.covers(question.method, question.name):
                return None
            if said is not None and question.method != "tools/call":
                return None
        return self._on(question, said)

    def _on(self, question: Question, said: Said | None) -> Conditions | None:
        parts: list[Condition] = []
        if not self._wide and question.transport and question.http_method == "DELETE":
            parts.append(_SESSION)
        if self._envelope is not None:
            parts.append(self._envelope)
        if said is not None:
            known = said.known(question)
            if known is False:
                return None
            if known is None:
                parts.append(said)
        return Conditions(tuple(parts)) if parts else ALWAYS

    @property
    def needs_context(self) -> bool:
        """Whether it asks about the HTTP request."""
        return self._envelope is not None or (self._said is not None and self._said.needs_context)

    def always_all(self, method: str) -> bool:
        """Whether every request of a method matches, on no condition."""
        if self._envelope is not None or self._said is not None:
            return False
        return self._wide or self._table.covers_all(method)


def source_id(rule: AccessRule, trust_domain: str | None) -> str | None:
    """The SPIFFE ID of a rule's source; ANYBODY; None for a ServiceAccount where no trust domain is known."""
    source = rule.source
    if source is None:
        return ANYBODY
    if not isinstance(source, ServiceAccount):
        return source
    if trust_domain is None:
        return None
    return f"spiffe://{trust_domain}/ns/{source.namespace}/sa/{source.name}"
