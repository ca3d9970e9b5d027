"""An MCP request body: parse strictly, check its headers, decide each message.

What passes leaves as it was parsed and re-serialised, with headers that agree with it, so the backend cannot
read anything else than what was decided. One refused message refuses its whole batch. Where an external check has
to say yes first, the request is held as it would leave. What the agent writes for values that it was shown masked
is decided as these values, and told as what it wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.policy.compile import Policy
from mesh.policy.decision import Decision, Inbound
from mesh.policy.documents import Backend
from mesh.protocol.http1.heads import Headers, RequestHead, all_values
from mesh.protocol.jsonrpc import (
    INVALID_REQUEST,
    JsonRpcRefused,
    Kind,
    Message,
    error_response,
    messages,
)
from mesh.protocol.mcp.denials import denial, denial_status, refusal
from mesh.protocol.mcp.errors import McpRefused
from mesh.protocol.mcp.headers import check_headers, mirror_headers
from mesh.protocol.mcp.methods import TOOLS_CALL, removed_from_modern
from mesh.protocol.mcp.subjects import Subject, SubjectKind, subjects
from mesh.protocol.mcp.tasks import task_ids
from mesh.protocol.mcp.versions import LEGACY_VERSIONS, VERSION_HEADER, Era, body_version, era
from mesh.protocol.strict_json import JsonRefused, Parsed, encode, parse
from mesh.reasons import Reason
from sidecar.limits import Limits
from sidecar.proxy.plan import Held, Id, Plan, Reply
from sidecar.proxy.replies import rpc_error
from sidecar.proxy.task_memory import Task, TaskMemory
from sidecar.telemetry.record import Recorder

if TYPE_CHECKING:
    from sidecar.proxy.guard import Guard
    from sidecar.proxy.rated import Rates

_JSON = b"application/json"
_LEGACY = frozenset(version.encode() for version in LEGACY_VERSIONS)

REMOVED = "removed"
"""Asked about in place of a method that 2026-07-28 no longer has: no revision has one of this name."""


def inspect_post(
    plan: Plan,
    body: bytes,
    *,
    policy: Policy,
    limits: Limits,
    recorder: Recorder,
    tasks: TaskMemory,
    forbidden: bool = False,
    guard: Guard | None = None,
    rates: Rates | None = None,
) -> tuple[bytes, Headers] | Held | Reply:
    """Decide a POST to an MCP endpoint: its body and headers as they leave, or the refusal.

    Fills `plan.pending` and `plan.modern`. `forbidden`: how refusals read, as for `denial`.
    """
    fault = _check_media(plan.head)
    if fault is not None:
        recorder.refused_message("client", plan.principal.id, *fault)
        return rpc_error(415, None, INVALID_REQUEST, *fault)
    try:
        parsed = parse(body, max_depth=limits.json_depth)
        found, is_batch = messages(parsed.value, max_batch=limits.batch)
    except (JsonRefused, JsonRpcRefused) as refused:
        return _refused(plan, refused, None, recorder)
    return inspect_messages(
        plan,
        parsed,
        found,
        is_batch,
        policy=policy,
        recorder=recorder,
        tasks=tasks,
        forbidden=forbidden,
        guard=guard,
        rates=rates,
    )


def inspect_messages(
    plan: Plan,
    parsed: Parsed,
    found: tuple[Message, ...],
    is_batch: bool,
    *,
    policy: Policy,
    recorder: Recorder,
    tasks: TaskMemory,
    forbidden: bool = False,
    guard: Guard | None = None,
    rates: Rates | None = None,
) -> tuple[bytes, Headers] | Held | Reply:
    """Decide messages that were parsed."""
    headers = plan.head.headers
    try:
        if not (_says_nothing(plan.head) and all(body_version(m) is None for m in found)):
            for message in found:
                check_headers(headers, message)
            plan.modern = era(headers, found[0]) is Era.MODERN
        meant = found if guard is None else guard.meant(plan, found)
        denials = _decide_all(plan, found, meant, policy, recorder, tasks, forbidden)
    except McpRefused as refused:
        ident = next((m.id for m in found if m.kind is Kind.REQUEST), None)
        return _refused(plan, refused, ident, recorder)
    if denials:
        return denied(plan, found, denials, is_batch)
    plan.pending = tuple([m.id for m in found if m.kind is Kind.REQUEST and m.id is not None])
    plan.asked = found
    if rates is not None:
        counted = rates.begin(plan, found, is_batch=is_batch)
        if isinstance(counted, Reply):
            return counted
        if counted is not None:
            return Held(headers, parsed.canonical, found, is_batch, counted=counted)
    return inspect_content(plan, headers, parsed.canonical, found, is_batch, guard)


def inspect_content(
    plan: Plan,
    headers: Headers,
    body: bytes,
    found: tuple[Message, ...],
    is_batch: bool,
    guard: Guard | None,
) -> tuple[bytes, Headers] | Held | Reply:
    """Look at what messages say that are allowed."""
    screened = True
    if guard is not None:
        checked = guard.request(plan, found, headers, len(body))
        if checked.denials:
            return denied(plan, found, checked.denials, is_batch)
        headers, screened = checked.headers, checked.screened
        if checked.changed:
            body = encode_all(found, is_batch)
    if plan.modern:
        headers = mirror_headers(found[0], headers)
    if plan.checks or not screened:
        return Held(headers, body, found, is_batch, screened)
    return body, headers


def encode_all(found: tuple[Message, ...], is_batch: bool) -> bytes:
    """Messages as a body, as they are now."""
    values = [message.value for message in found]
    return encode(values if is_batch else values[0])


def unauthorized(plan: Plan, held: Held, reason: Reason, *, forbidden: bool) -> Reply:
    """The refusal of a request that was held: every message of it, since one question was asked about them all."""
    denials = {
        index: denial(message.id, reason, None, plan.modern, forbidden=forbidden)
        for index, message in enumerate(held.messages)
    }
    return denied(plan, held.messages, denials, held.is_batch)


def _says_nothing(head: RequestHead) -> bool:
    """Whether the head has none of the headers of 2026-07-28, and at most names an earlier revision.

    With a body that states no version either there is nothing to compare; so it is for every client of the
    handshake era, whose heads repeat.
    """
    known = head.memo.get(_says_nothing)
    if known is None:
        version = all_values(head.headers, VERSION_HEADER)
        known = b"mcp-method" not in head.fields and b"mcp-name" not in head.fields
        known = known and (not version or (len(version) == 1 and version[0] in _LEGACY))
        head.memo[_says_nothing] = known
    return bool(known)


def _check_media(head: RequestHead) -> tuple[Reason, str] | None:
    """What is wrong with the media type, worked out once for a head."""
    memo = head.memo
    if _check_media not in memo:
        memo[_check_media] = _media_fault(head)
    fault: tuple[Reason, str] | None = memo[_check_media]
    return fault


def _media_fault(head: RequestHead) -> tuple[Reason, str] | None:
    """Only plain application/json is what servers read alike: every stack refuses the rest."""
    media = head.fields.get(b"content-type")
    if media != _JSON:
        if media is None:
            return Reason.HTTP_CONTENT_TYPE, "no Content-Type"
        if not _is_json(media):
            return Reason.HTTP_CONTENT_TYPE, media.decode("latin-1")
    if b"content-encoding" in head.fields:
        for value in all_values(head.headers, b"content-encoding"):
            if value.lower() not in (b"", b"identity"):
                return Reason.HTTP_CONTENT_ENCODING, value.decode("latin-1")
    return None


def _is_json(value: bytes) -> bool:
    media, *parameters = value.lower().split(b";")
    charsets = [p.strip() for p in parameters if b"charset" in p]
    return media.strip() == _JSON and charsets in ([], [b"charset=utf-8"], [b'charset="utf-8"'])


def _decide_all(
    plan: Plan,
    found: tuple[Message, ...],
    meant: tuple[Message, ...],
    policy: Policy,
    recorder: Recorder,
    tasks: TaskMemory,
    forbidden: bool,
) -> dict[int, dict[str, object]]:
    """Index of each refused message -> its JSON-RPC error response."""
    denials: dict[int, dict[str, object]] = {}
    for index, message in enumerate(found):
        if message.method is None:
            # The answer to a question of the server's: it names nothing, but only who is granted may give it.
            answering = policy.decide(plan.principal, _target(plan), "ping", context=plan.context)
            if answering.checks:
                plan.wait_for(answering)
            if not answering.allowed:
                denials[index] = {}
            continue
        refused = _decide(plan, message, meant[index], policy, recorder, tasks)
        if refused is not None:
            decision, subject = refused
            denials[index] = denial(
                message.id,
                decision.reason,
                subject,
                plan.modern,
                method=message.method,
                message=decision.message,
                forbidden=forbidden,
            )
    return denials


def _decide(
    plan: Plan, message: Message, meant: Message, policy: Policy, recorder: Recorder, tasks: TaskMemory
) -> tuple[Decision, Subject | None] | None:
    """The first refusal of what one message asks for; None if all is allowed. `meant` is decided, and `message`
    is told of: values that the agent was not shown are for the server alone."""
    method = message.method or ""
    routed, target = plan.routed, _target(plan)
    try:
        asked = subjects(method, meant.params)
        written = asked if meant is message else subjects(method, message.params)
    except McpRefused:
        if not (plan.modern and removed_from_modern(method)):
            raise
        # Not the shape that it had, so it is a method that this revision does not know.
        asked, written, method = (), (), REMOVED
    for task_id in task_ids(method, message.params):
        decision = _decide_task(plan, tasks.get(plan.server, task_id), policy)
        if decision.checks:
            plan.wait_for(decision)
        if not decision.allowed:
            recorder.decision(routed.direction, plan.principal, routed.backend, method, None, decision)
            return decision, None
    if not asked or asked[0].method != method:
        # What is asked about under another method, a completion or a stream, is one of its own as well.
        decision = policy.decide(plan.principal, target, method, context=plan.context)
        if decision.checks:
            plan.checked(method, None, decision)
        elif not asked or not decision.allowed:
            plan.decided += ((method, None),)
            recorder.decision(routed.direction, plan.principal, routed.backend, method, None, decision)
        if not asked or not decision.allowed:
            return None if decision.allowed else (decision, None)
    for one, subject in zip(asked, written, strict=True):
        decision = policy.decide(
            plan.principal, target, one.method, one.name, one.arguments, context=plan.context
        )
        if decision.checks:
            plan.checked(method, subject.name, decision)
        else:
            plan.decided += ((method, subject.name),)
            recorder.decision(
                routed.direction, plan.principal, routed.backend, method, subject.name, decision
            )
        if not decision.allowed:
            return decision, subject
    if asked[0].kind is SubjectKind.TOOL:
        plan.tool = asked[0].name
    return None


def _decide_task(plan: Plan, task: Task | None, policy: Policy) -> Decision:
    """May the state of this task be asked for? As its tool may be called, by who called it."""
    if task is None:
        return policy.decide(plan.principal, _target(plan), "ping", context=plan.context)
    if task.principal != plan.principal.id:
        return Decision(False, Reason.TASK_OF_ANOTHER, "")
    # Its arguments were decided when it was called.
    return policy.shows(plan.principal, _target(plan), TOOLS_CALL, task.tool, plan.context)


def _target(plan: Plan) -> Backend | Inbound:
    assert plan.target is not None  # noqa: S101 - a plan that is inspected has a target
    return plan.target


def _refused(
    plan: Plan, refused: JsonRefused | JsonRpcRefused | McpRefused, ident: Id | None, recorder: Recorder
) -> Reply:
    """The answer to what could not be read in one way only."""
    recorder.refused_message("client", plan.principal.id, refused.reason, refused.detail)
    status, error = refusal(refused, ident)
    return Reply(status, encode(error))


def denied(
    plan: Plan, found: tuple[Message, ...], denials: dict[int, dict[str, object]], is_batch: bool
) -> Reply:
    """HTTP 200 with the errors; 202 without a body if nothing in it waits for an answer."""
    answers: list[dict[str, object]] = []
    for index, message in enumerate(found):
        if message.kind is not Kind.REQUEST:
            continue
        error = denials.get(index)
        if error is None:
            reason = Reason.BATCH_REFUSED
            error = error_response(message.id, INVALID_REQUEST, reason.sentence, {"reason": reason.value})
        answers.append(error)
    if not answers:
        return Reply(202, b"")
    if is_batch:
        return Reply(200, encode(answers))
    return Reply(denial_status(answers[0], plan.modern), encode(answers[0]))
