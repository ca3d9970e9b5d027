"""What a rule asks of the request that carries a message: its HTTP fields, and an expression over it.

Each answer is True, False, or None where it cannot be told: something is not known, or the expression fails. What
cannot be told grants nothing, and is asked about where a rule says what to ask about. For the latter what a caller
can spell at will is read in every way that a server might, so that nobody can choose not to be asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from mesh.policy.access.documents import Authorization, HeaderMatch, MatchType, PathMatch
from mesh.policy.access.methods import SESSION_HEADER
from mesh.policy.access.regular import full_match
from mesh.policy.expressions import holds
from mesh.policy.facts import ANY_ARGUMENTS, Facts, Question
from mesh.policy.hosts import covers, folded_path, normal_path

if TYPE_CHECKING:
    from mesh.cel import Expression

ARGUMENTS = "request.mcp.arguments"
_PATHS = frozenset({"request.path", "request.url_path"})
_REMEMBERED = frozenset({"request.mcp.tool_name", "source.spiffe_id"})
_UNTOLD = frozenset({"content-length", "host", "transfer-encoding"})
"""How a body is framed each hop does anew. Host is not told where the caller could choose it."""


class Condition(Protocol):
    """Something that is to hold of a request."""

    def holds(self, facts: Facts) -> bool | None:
        """Whether it does; None: that cannot be told."""
        ...

    def may_hold(self, facts: Facts) -> bool:
        """Whether it could, in some reading of the request."""
        ...


class Session:
    """The request names a session that it ends."""

    __slots__ = ()

    def holds(self, facts: Facts) -> bool | None:
        headers = None if facts.context is None else facts.context.headers
        return None if headers is None else SESSION_HEADER in headers

    def may_hold(self, facts: Facts) -> bool:
        return self.holds(facts) is not False


class Envelope:
    """The HTTP fields of an authorization: each kind that is restricted has to match."""

    __slots__ = ("_folded", "_headers", "_hosts", "_methods", "_paths", "_ports", "_suffixes")

    def __init__(self, said: Authorization) -> None:
        self._methods = frozenset(said.http_methods)
        self._paths = tuple(_path_test(path) for path in said.paths)
        self._folded = tuple(_path_test(_folded(path)) for path in said.paths)
        self._headers = tuple((match.name, _value_test(match)) for match in said.headers)
        self._hosts = frozenset(host for host in said.hosts if not host.startswith("*."))
        self._suffixes = tuple(host[1:] for host in said.hosts if host.startswith("*."))
        self._ports = frozenset(said.ports)

    @staticmethod
    def of(said: Authorization) -> Envelope | None:
        """The fields, None where none is restricted."""
        restricted = said.http_methods or said.paths or said.headers or said.hosts or said.ports
        return Envelope(said) if restricted else None

    def holds(self, facts: Facts) -> bool | None:
        answers = self._method, self._port, self._host, self._path, self._header
        return all_hold(answer(facts) for answer in answers)

    def may_hold(self, facts: Facts) -> bool:
        facts = _doubted(facts)
        answers = self._method, self._port, self._host, self._any_path, self._header
        return not any(answer(facts) is False for answer in answers)

    def _method(self, facts: Facts) -> bool | None:
        if not self._methods:
            return True
        method = facts.http_method
        return None if method is None else method in self._methods

    def _port(self, facts: Facts) -> bool | None:
        if not self._ports:
            return True
        port = None if facts.context is None else facts.context.port
        return None if port is None else port in self._ports

    def _host(self, facts: Facts) -> bool | None:
        if not self._hosts and not self._suffixes:
            return True
        host = None if facts.context is None else facts.context.host
        return None if host is None else host in self._hosts or host.endswith(self._suffixes)

    def _path(self, facts: Facts) -> bool | None:
        if not self._paths:
            return True
        path = facts.path
        return None if path is None else any(test(path) for test in self._paths)

    def _any_path(self, facts: Facts) -> bool | None:
        told, path = self._path(facts), facts.path
        if told is not False or path is None:
            return told
        bare = folded_path(path)
        return any(test(bare) for test in self._folded)

    def _header(self, facts: Facts) -> bool | None:
        if not self._headers:
            return True
        headers = None if facts.context is None else facts.context.headers
        if headers is None:
            return None
        return all_hold(_field(headers, name, test) for name, test in self._headers)


def _field(headers: Mapping[str, str], name: str, test: Callable[[str], bool]) -> bool | None:
    """Whether a field is there and passes. None for one that is not told, though each request has it."""
    return test(headers[name]) if name in headers else None if name in _UNTOLD else False


def all_hold(answers: Iterable[bool | None]) -> bool | None:
    """False if any is, else None if any is, else True."""
    known = True
    for answer in answers:
        if answer is False:
            return False
        known = known and answer is True
    return True if known else None


def _path_test(match: PathMatch) -> Callable[[str], bool]:
    value = match.value
    if match.type is MatchType.EXACT:
        return lambda path: path == value
    if match.type is MatchType.PATH_PREFIX:
        prefix = normal_path(value)
        return lambda path: covers(prefix, path)
    return full_match(value)


def _folded(match: PathMatch) -> PathMatch:
    """What `folded_path` of a path has to match."""
    if match.type is MatchType.REGULAR_EXPRESSION:
        return replace(match, value=f"(?i:{match.value})")
    return replace(match, value=folded_path(match.value))


def _doubted(facts: Facts) -> Facts:
    """The facts without what a peer could say otherwise: which host it means."""
    context = facts.context
    if context is None or not facts.question.inbound:
        return facts
    headers = context.headers and {name: said for name, said in context.headers.items() if name != "host"}
    return replace(facts, context=replace(context, host=None, headers=headers))


def _value_test(match: HeaderMatch) -> Callable[[str], bool]:
    value = match.value
    return (lambda said: said == value) if match.type is MatchType.EXACT else full_match(value)


class Said:
    """An expression of a rule, over one request."""

    __slots__ = ("_expression", "message")

    def __init__(self, expression: Expression, message: str) -> None:
        self._expression = expression
        self.message = message

    @property
    def needs_context(self) -> bool:
        """Whether it asks about the HTTP request."""
        return not self._expression.variables <= {*_REMEMBERED, ARGUMENTS}

    def known(self, question: Question) -> bool | None:
        """The answer, where it depends on what is remembered with it alone; None where on more, and where there is
        none, which is no refusal of a trigger."""
        if not self._expression.variables <= _REMEMBERED:
            return None
        return self.holds(Facts(question, None, None, None))

    def holds(self, facts: Facts) -> bool | None:
        if facts.arguments is ANY_ARGUMENTS and ARGUMENTS in self._expression.variables:
            return True
        return holds(self._expression, _values(facts))

    def may_hold(self, facts: Facts) -> bool:
        facts = _doubted(facts)
        if self.holds(facts) is not False:
            return True
        context = facts.context
        if context is None or context.path is None or not self._expression.variables & _PATHS:
            return False
        path, mark, query = context.path.partition("?")
        folded = replace(context, path=folded_path(path) + mark + query)
        return folded != context and self.holds(replace(facts, context=folded)) is not False


def _values(facts: Facts) -> dict[str, Any]:
    """The variables that are known."""
    context, path = facts.context, facts.path
    values: dict[str, Any] = {
        "request.mcp.tool_name": facts.question.name,
        ARGUMENTS: facts.arguments or {},
        "source.spiffe_id": facts.question.principal,
        "request.method": facts.http_method,
        "request.url_path": path,
        "request.path": path if context is None or context.path is None else context.path,
    }
    if context is not None:
        values["request.host"] = context.host
        values["request.headers"] = context.headers
        values["request.time"] = context.time
    return {name: value for name, value in values.items() if value is not None}
