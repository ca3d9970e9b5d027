"""What an MCP endpoint says that is no message of MCP: error pages, and what comes with an acceptance.

No client takes a result from these, but many put them into the text of an error, which a model reads. They are
looked at as one text. Nothing is masked in them: where something would be, an error says so in their place.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from mesh.policy.guardrails import Action, Direction, Guardrails, Part, Processor
from mesh.protocol.http1.heads import ResponseHead
from mesh.protocol.jsonrpc import JsonRpcRefused, error_response, messages
from mesh.protocol.mcp.denials import OTHER_POLICY_CODE, POLICY_CODES
from mesh.protocol.mcp.places import Root
from mesh.protocol.strict_json import JsonRefused, encode, parse
from mesh.reasons import Reason
from sidecar.guardrails.verdict import Finding, Verdict
from sidecar.proxy.answers import Answer, PassedAnswer, WrappedAnswer
from sidecar.proxy.plan import Plan
from sidecar.telemetry.record import Recorder

if TYPE_CHECKING:
    from sidecar.guardrails.engine import Engine
    from sidecar.proxy.pipeline import Pipeline

MOST_BYTES: Final = 64 * 1024
"""That are looked at; nothing longer passes where something found in it would not."""
_CHARSET: Final = re.compile(rb"""charset\s*=\s*["']?([a-z0-9_.:-]{1,40})""", re.IGNORECASE)
_SLOW: Final = frozenset({"punycode", "idna"})
_MARKS: Final = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_JSON: Final = b"application/json"


def beside_messages(plan: Plan, head: ResponseHead, pipeline: Pipeline, *, closing: bool) -> Answer:
    """The Answer for what is passed on as it comes, and looked at where a rule says so."""
    passed = PassedAnswer(head, plan.head, closing=closing)
    look = _Look.of(plan, head, pipeline)
    if look is None or plan.head.method == "HEAD":
        return passed
    return _Kept(look, head, closing=closing) if look.enforces else _Watched(look, passed)


def beside_json(plan: Plan, head: ResponseHead, pipeline: Pipeline, body: bytes) -> bytes:
    """The same for a document: itself, if it is made of messages, which others have looked at."""
    look = _Look.of(plan, head, pipeline)
    if look is None or _is_message(body):
        return body
    reason = look.reason_against(body)
    return body if reason is None else look.error(reason)


class _Look:
    """What looks at one body."""

    __slots__ = ("enforces", "engine", "head", "pipeline", "plan")

    def __init__(
        self, plan: Plan, head: ResponseHead, pipeline: Pipeline, guardrails: Guardrails, engine: Engine
    ) -> None:
        self.plan = plan
        self.head = head
        self.pipeline = pipeline
        self.engine = engine
        self.enforces = any(map(_enforces, guardrails.processors))

    @classmethod
    def of(cls, plan: Plan, head: ResponseHead, pipeline: Pipeline) -> _Look | None:
        guard = pipeline.answers.guard
        held = None if guard is None else guard.in_force(plan)
        return None if held is None else cls(plan, head, pipeline, held.guardrails, held.engine)

    def reason_against(self, body: bytes) -> Reason | None:
        """Why this must not be passed on; None: it may. Writes down what was found."""
        holder: dict[str, Any] = {"body": list(_readings(body, self.head))}
        root = Root(holder, "body", Part.MESSAGES, (), False)
        tool = self.plan.tool if len(self.plan.asked) == 1 else None
        verdict = self.engine.examine((root,), Direction.RESPONSE, tool, len(body))
        write_down(self.pipeline.recorder, self.plan, verdict, "body")
        return verdict.reason if verdict.action is Action.BLOCK else None

    def error(self, reason: Reason) -> bytes:
        """What stands in its place."""
        ident = self.plan.pending[0] if self.plan.pending else None
        code = POLICY_CODES.get(reason, OTHER_POLICY_CODE)
        return encode(error_response(ident, code, reason.sentence, {"reason": str(reason)}))


def write_down(recorder: Recorder, plan: Plan, verdict: Verdict, where: str) -> None:
    """Tell what was found in something that is no message, and who failed."""
    routed = plan.routed
    groups: dict[tuple[Processor, str], list[Finding]] = {}
    for one in verdict.findings:
        groups.setdefault((one.processor, one.kind), []).append(one)
    for (processor, kind), same in groups.items():
        recorder.finding(
            routed.direction,
            plan.principal.id,
            routed.backend,
            plan.tool,
            detector=processor.name,
            kind=kind,
            action=processor.action.name.lower(),
            observed=processor.observe,
            times=len(same),
            where=where,
        )
    for name, reason in verdict.failed:
        recorder.detector_failed(routed.backend, name, reason)


class _Watched(WrappedAnswer):
    """As it comes; what is found in it is written down."""

    __slots__ = ("_look", "_seen")

    def __init__(self, look: _Look, inner: Answer) -> None:
        super().__init__(inner)
        self._look = look
        self._seen = bytearray()

    def body(self, data: bytes) -> bytes:
        if len(self._seen) < MOST_BYTES:
            self._seen += data[: MOST_BYTES - len(self._seen)]
        return self.inner.body(data)

    def end(self) -> bytes:
        self._look.reason_against(bytes(self._seen))
        return self.inner.end()


class _Kept:
    """Kept until it was looked at; then as it came, or an error with the same status."""

    __slots__ = ("_closing", "_head", "_look", "_seen", "begun", "closes", "endless")

    def __init__(self, look: _Look, head: ResponseHead, *, closing: bool) -> None:
        self._look = look
        self._head = head
        self._closing = closing
        self._seen = bytearray()
        self.begun = False
        self.closes = closing
        self.endless = False

    def begin(self) -> bytes:
        return b""

    def body(self, data: bytes) -> bytes:
        if self.begun:
            return b""
        self._seen += data
        return self._replaced(Reason.HTTP_BODY_TOO_LARGE) if len(self._seen) > MOST_BYTES else b""

    def end(self) -> bytes:
        if self.begun:
            return b""
        body = bytes(self._seen)
        reason = self._look.reason_against(body)
        return self._written(self._head, body) if reason is None else self._replaced(reason)

    def _replaced(self, reason: Reason) -> bytes:
        headers = [field for field in self._head.headers if field[0] != b"content-type"]
        headers.append((b"content-type", _JSON))
        head = structs.replace(self._head, headers=headers, fields=dict(headers), memo={})
        return self._written(head, self._look.error(reason))

    def _written(self, head: ResponseHead, body: bytes) -> bytes:
        self.begun = True
        head = structs.replace(head, body_length=len(body), memo={})
        answer = PassedAnswer(head, self._look.plan.head, closing=self._closing)
        return answer.begin() + answer.body(body) + answer.end()


def _enforces(processor: Processor) -> bool:
    return (
        processor.action >= Action.MASK
        and not processor.observe
        and processor.direction is not Direction.REQUEST
        and Part.MESSAGES in processor.parts
    )


def _readings(body: bytes, head: ResponseHead) -> Iterator[Any]:
    """What a client may read in it: JSON; otherwise text in UTF-8, and in the charset that it names."""
    try:
        yield parse(body).value
    except JsonRefused:
        text = body.decode("utf-8", "replace")
        yield text
        for charset in _charsets(body, head):
            other = _decoded(body, charset)
            if other not in (None, text):
                yield other


def _charsets(body: bytes, head: ResponseHead) -> Iterator[str]:
    for found in _CHARSET.findall(head.fields.get(b"content-type", b"")):
        yield found.decode("ascii")
    for mark, charset in _MARKS:
        if body.startswith(mark):
            yield charset


def _decoded(body: bytes, charset: str) -> str | None:
    try:
        codec = codecs.lookup(charset)
        return None if codec.name in _SLOW else body.decode(codec.name, "replace")
    except (LookupError, ValueError):
        return None


def _is_message(body: bytes) -> bool:
    if not body:
        return True
    try:
        messages(parse(body).value, max_batch=len(body))
    except (JsonRefused, JsonRpcRefused):
        return False
    return True
