"""Content of MCP messages, looked at both ways: a request before it leaves, an answer before the agent has it.

Here what the engine found becomes what happens: a message goes on with something else in the place of what was
found, or an error in its own place, or a list without the item that is poisoned. Everything found is written down
by its kind and place, never by what it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from mesh.policy.compile import Policy
from mesh.policy.content import guardrails_of
from mesh.policy.guardrails import Action, DetectorKind, Direction, Guardrails, Part, Processor
from mesh.protocol.http1.heads import Headers
from mesh.protocol.jsonrpc import Kind, Message, error_response
from mesh.protocol.mcp.denials import OTHER_POLICY_CODE, POLICY_CODES, denial
from mesh.protocol.mcp.headers import NAME_HEADER, encode_value
from mesh.protocol.mcp.methods import METHODS, TOOLS_CALL
from mesh.protocol.mcp.places import Root, places_of_answer, places_of_request
from mesh.protocol.strict_json import encode
from mesh.reasons import Reason
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.held_events import HeldEvents
from sidecar.guardrails.mask_message import mask_message
from sidecar.guardrails.mirrored import mirror_params
from sidecar.guardrails.restoring import restore_message
from sidecar.guardrails.stream import Span
from sidecar.guardrails.vault import Vault, VaultKey, Vaults
from sidecar.guardrails.verdict import Finding, Leaf, Verdict
from sidecar.proxy.held import HeldNotifications
from sidecar.proxy.offered import Offered, Whose
from sidecar.proxy.pinning import Pinning
from sidecar.proxy.plan import Plan
from sidecar.proxy.recent_results import RecentResults
from sidecar.telemetry.record import Recorder

MOST_ENGINES = 64
"""Different guardrails that are in use at a time; there are as many as rules that differ."""


_MIRRORING: Final = (b"mcp-param-", NAME_HEADER)


class Checked(NamedTuple):
    """A request that was looked at: who is refused, by index, and whether and how it leaves otherwise."""

    denials: dict[int, dict[str, object]]
    changed: bool
    headers: Headers
    screened: bool = True
    """False: detectors that are asked over HTTP have to see it as well."""


class Outside(Protocol):
    """Who asks detectors over HTTP."""

    async def examine(
        self,
        processors: Sequence[Processor],
        roots: Sequence[Root],
        direction: Direction,
        documents: Sequence[str],
    ) -> Verdict:
        """As `Engine.examine`. `documents` are what tools gave last in this session. Raises nothing: who does not
        answer is told in `failed`, and blocks where that is its processor's failure mode."""
        ...


class InForce(NamedTuple):
    """What looks at the messages between an agent and a target."""

    guardrails: Guardrails
    engine: Engine
    reversible: bool
    masks_messages: bool
    """Whether something is masked in free text of a server's."""
    grounds: bool
    """Whether a detector may ask what tools gave last."""


class _Request:
    """What becomes of a request while its messages are looked at."""

    __slots__ = ("changed", "denials", "headers", "plan")

    def __init__(self, plan: Plan, headers: Headers) -> None:
        self.plan = plan
        self.headers = headers
        self.denials: dict[int, dict[str, object]] = {}
        self.changed = False

    def mirrored(self, message: Message) -> dict[str, Any] | None:
        """The params as they are, where headers may repeat them: Mcp-Param-* and Mcp-Name of 2026-07-28, which
        are read for what they say in requests of other revisions too."""
        if type(message.params) is not dict:
            return None
        if not any(name.startswith(_MIRRORING) for name, _ in self.headers):
            return None
        copied: dict[str, Any] = _copied(message.params)
        return copied

    def mirror(self, before: dict[str, Any] | None, message: Message) -> None:
        """Have headers that repeated params repeat what they are now."""
        after = message.params
        if before is None or type(after) is not dict:
            return
        self.headers = mirror_params(self.headers, before.get("arguments"), after.get("arguments"))
        row = METHODS.get(message.method or "")
        if row is not None and row.mirrored is not None:
            self._mirror_name(before.get(row.mirrored), after.get(row.mirrored))

    def _mirror_name(self, before: Any, after: Any) -> None:
        if type(after) is str and before != after:
            name = encode_value(after)
            self.headers = [(field, name if field == NAME_HEADER else value) for field, value in self.headers]


class Guard:
    """What looks at the messages of one sidecar."""

    __slots__ = (
        "_ask",
        "_clock",
        "_in_force",
        "_outside",
        "_policy",
        "_recorder",
        "offered",
        "pinning",
        "recent",
        "vaults",
    )

    def __init__(
        self,
        policy: Policy,
        recorder: Recorder,
        clock: Callable[[], float],
        ask: Callable[[], Outside],
        pinning: Pinning | None = None,
    ) -> None:
        """`clock` in seconds. `ask` makes what asks detectors over HTTP, when a policy first has one. `pinning`
        keeps pins; by default in memory only."""
        self._policy = policy
        self._recorder = recorder
        self._clock = clock
        self._ask = ask
        self._outside: Outside | None = None
        self._in_force: dict[int, InForce] = {}
        self.vaults = Vaults(clock)
        self.offered = Offered()
        self.recent = RecentResults()
        self.pinning = pinning or Pinning(policy, recorder)

    def use(self, policy: Policy) -> None:
        """Another policy is in force."""
        self._policy = policy
        self.pinning.use(policy)

    def in_force(self, plan: Plan) -> InForce | None:
        """What looks at the messages of this exchange; None where nothing does."""
        if plan.target is None:
            return None
        guardrails = self._policy.content(plan.principal, plan.target)[0]
        if not guardrails:
            return None
        known = self._in_force.get(id(guardrails))
        if known is None or known.guardrails is not guardrails:
            if len(self._in_force) >= MOST_ENGINES:
                self._in_force.clear()
            # By a clock of its own: an event loop's may stand still while it works.
            engine = Engine(guardrails)
            masks_messages = any(map(_masks_messages, guardrails.processors))
            grounds = any(one.detector is DetectorKind.EXTERNAL for one in guardrails.processors)
            known = InForce(guardrails, engine, guardrails.reversible, masks_messages, grounds)
            self._in_force[id(guardrails)] = known
        return known

    @staticmethod
    def warm() -> None:
        """Make what every engine shares: it takes a while, which the first message need not wait for. May run in a
        thread of its own."""
        Engine(guardrails_of(()))

    # What the agent says.

    def request(self, plan: Plan, found: Sequence[Message], headers: Headers, size: int) -> Checked:
        """Look at the messages of a request, and change them in place where something has to be masked."""
        unpinned = self.pinning.refused(plan, found)
        if unpinned:
            denials = {index: _denied(plan, found[index], reason) for index, reason in unpinned.items()}
            return Checked(denials, False, headers)
        held = self.in_force(plan)
        if held is None:
            return Checked({}, False, headers)
        engine = held.engine
        work = _Request(plan, headers)
        screened = True
        for index, message in enumerate(found):
            tool = _tool_of(message)
            withheld = self.offered.withheld(_whose(plan), message)
            if withheld is not None:
                # What was hidden is not called by its name either.
                work.denials[index] = _denied(plan, message, withheld)
                continue
            roots = places_of_request(message.value)
            verdict = engine.examine(roots, Direction.REQUEST, tool, size)
            if verdict.findings or verdict.failed:
                self._act_on_request(work, index, message, verdict, held)
            if held.reversible and index not in work.denials:
                self._put_back_in_request(work, message, roots)
            screened = screened and not engine.external(Direction.REQUEST, tool)
        return Checked(work.denials, work.changed, work.headers, screened)

    async def screen(self, plan: Plan, found: Sequence[Message], headers: Headers) -> Checked:
        """The same by detectors that are asked over HTTP; they see what is left after the local ones."""
        held = self.in_force(plan)
        work = _Request(plan, headers)
        if held is None:
            return Checked({}, False, headers)
        documents = self.recent.of(self._key(plan))
        for index, message in enumerate(found):
            processors = held.engine.external(Direction.REQUEST, _tool_of(message))
            roots = places_of_request(message.value)
            verdict = await self._others().examine(processors, roots, Direction.REQUEST, documents)
            if verdict.findings or verdict.failed:
                self._act_on_request(work, index, message, verdict, held)
        return Checked(work.denials, work.changed, work.headers)

    def _act_on_request(
        self, work: _Request, index: int, message: Message, verdict: Verdict, held: InForce
    ) -> None:
        plan = work.plan
        self._record(plan, message.method, verdict)
        reason = verdict.reason
        if reason is None and any(map(_masks, verdict.findings)):
            before = work.mirrored(message)
            masked = mask_message(
                message.value,
                verdict,
                self.vault(plan),
                self.offered.input_schema(plan.server, _tool_of(message)),
                direction=Direction.REQUEST,
                reversible=held.reversible,
            )
            work.changed = work.changed or masked.changed
            work.mirror(before, message)
            reason = Reason.GUARD_UNMASKABLE if masked.unmaskable else None
        if reason is not None:
            work.denials[index] = _denied(plan, message, reason)

    def _put_back_in_request(self, work: _Request, message: Message, roots: tuple[Root, ...]) -> None:
        """What the server's answers held before they were masked is its own."""
        vault = self.vaults.get(self._key(work.plan))
        if vault is None:
            return
        before = work.mirrored(message)
        if restore_message(message.value, vault, roots, Direction.REQUEST):
            work.changed = True
            work.mirror(before, message)

    # What the server says.

    def answer(self, plan: Plan, message: Message, value: dict[str, Any]) -> dict[str, Any] | None:
        """One message of the server's as it goes on: the very same where nothing is to be done, None where it does
        not go on and nobody waits for it."""
        held = self.in_force(plan)
        if held is None:
            return value
        method, tool = _asked(plan, message)
        roots = places_of_answer(value, method)
        size = len(encode(value)) if held.engine.sized else 0
        verdict = held.engine.examine(roots, Direction.RESPONSE, tool, size)
        shown: dict[str, Any] | None = value
        if verdict.findings or verdict.failed:
            self._record(plan, message.method, verdict)
            shown = self._acted(plan, message, value, verdict, held)
        if shown is None or self.waits(plan):
            return shown
        return self._settled(plan, message, value, shown, held)

    def _settled(
        self, plan: Plan, message: Message, value: dict[str, Any], shown: dict[str, Any], held: InForce
    ) -> dict[str, Any]:
        """The message when everybody has looked at it: with what the agent itself had sent, and remembered."""
        method, tool = _asked(plan, message)
        result = shown.get("result")
        if type(result) is dict:
            self.offered.learn(_whose(plan), result)
            if tool is not None and held.grounds:
                self.recent.add(self._key(plan), result)
        vault = self.vaults.get(self._key(plan)) if held.reversible else None
        if vault is None:
            return shown
        roots = places_of_answer(shown, method)
        if restore_message(shown, vault, roots, Direction.RESPONSE) and shown is value:
            return {**shown}
        return shown

    def held(self, plan: Plan) -> HeldNotifications | None:
        """What holds notifications of this exchange's stream back whose text may go on in the next one; None where
        nothing in them is masked."""
        known = self.in_force(plan)
        if known is None or not known.masks_messages:
            return None
        engine, back = known.engine, Direction.REQUEST if known.reversible else None

        def examine(text: str) -> list[Span]:
            holder = {"text": text}
            root = Root(holder, "text", Part.MESSAGES, ())
            verdict = engine.examine((root,), Direction.RESPONSE, _tool_of_stream(plan))
            return [Span(one.start, one.end, one.kind) for one in verdict.findings if _masks(one)]

        def mask(kind: str, value: str) -> str:
            return self.vault(plan).token(kind, value, back)

        return HeldNotifications(HeldEvents(examine, mask), self._clock)

    def waits(self, plan: Plan) -> bool:
        """Whether answers to this have to wait for detectors that are asked over HTTP."""
        held = self.in_force(plan)
        return held is not None and bool(held.engine.external(Direction.RESPONSE, _tool_of_stream(plan)))

    async def screen_answer(
        self, plan: Plan, message: Message, value: dict[str, Any]
    ) -> dict[str, Any] | None:
        """`answer`, by detectors that are asked over HTTP."""
        held = self.in_force(plan)
        if held is None:
            return value
        method, tool = _asked(plan, message)
        processors = held.engine.external(Direction.RESPONSE, tool)
        roots = places_of_answer(value, method)
        documents = self.recent.of(self._key(plan))
        verdict = await self._others().examine(processors, roots, Direction.RESPONSE, documents)
        shown: dict[str, Any] | None = value
        if verdict.findings or verdict.failed:
            self._record(plan, message.method, verdict)
            shown = self._acted(plan, message, value, verdict, held)
        return None if shown is None else self._settled(plan, message, value, shown, held)

    def _acted(
        self, plan: Plan, message: Message, value: dict[str, Any], verdict: Verdict, held: InForce
    ) -> dict[str, Any] | None:
        """The message after what had to be done to it; None: nothing is left, and nobody waits for it."""
        blocking: list[Finding] = []
        if verdict.action is Action.BLOCK:
            blocking = [one for one in verdict.findings if _blocks(one)]
            if not blocking or _unread(verdict, blocking, held.engine):
                return _kept_back(message, verdict.reason or Reason.GUARD_FAILED)
        shown = value
        if any(map(_masks, verdict.findings)):
            schema = self.offered.output_schema(plan.server, _asked(plan, message)[1])
            masked = mask_message(
                value,
                verdict,
                self.vault(plan),
                schema,
                direction=Direction.RESPONSE,
                reversible=held.reversible,
            )
            if masked.unmaskable:
                return _kept_back(message, Reason.GUARD_UNMASKABLE)
            shown = {**value} if masked.changed else value
        if not blocking:
            return shown
        left = self.offered.without(_whose(plan), shown, blocking)
        return left or _kept_back(message, verdict.reason or Reason.GUARD_FAILED)

    def _others(self) -> Outside:
        if self._outside is None:
            self._outside = self._ask()
        return self._outside

    # Beside.

    def vault(self, plan: Plan) -> Vault:
        """What was masked in this session of this agent's with this server."""
        return self.vaults.of(self._key(plan))

    def _key(self, plan: Plan) -> VaultKey:
        principal = plan.principal
        user = None if principal.user is None else str(principal.user)
        session = plan.head.fields.get(b"mcp-session-id")
        return VaultKey(
            principal.id, user, plan.server, None if session is None else session.decode("latin-1")
        )

    def _record(self, plan: Plan, method: str | None, verdict: Verdict) -> None:
        routed = plan.routed
        for told in _told(verdict.findings):
            self._recorder.finding(
                routed.direction, plan.principal.id, routed.backend, plan.tool, **told._asdict()
            )
        for name, reason in verdict.failed:
            self._recorder.detector_failed(routed.backend, name, reason)


class Told(NamedTuple):
    """One line about findings of one kind that have one thing done to them."""

    detector: str
    kind: str
    action: str
    observed: bool
    times: int
    where: str


MOST_PLACES = 8
"""Named in one line; the count says how many there are."""


MOST_NAME = 64
_NAME = re.compile(rf"[\w$./-]{{1,{MOST_NAME}}}", re.ASCII)


def _told(findings: Sequence[Finding]) -> list[Told]:
    groups: dict[tuple[Processor, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.processor, one.kind), []).append(one)
    found = frozenset(one.leaf.text for one in findings)
    return [
        Told(
            processor.name,
            kind,
            processor.action.name.lower(),
            processor.observe,
            len(same),
            ", ".join(dict.fromkeys(_where(one.leaf, found) for one in same[:MOST_PLACES])),
        )
        for (processor, kind), same in groups.items()
    ]


def _where(leaf: Leaf, found: frozenset[str]) -> str:
    """Where it stands. Keys are the sender's words too: one in which something was found is not told, nor one that
    is no name."""
    steps = (*leaf.path, leaf.key)
    told = [
        str(step) if type(step) is int or (step not in found and _NAME.fullmatch(str(step))) else "*"
        for step in steps
    ]
    return ".".join(told)[:128]


def _masks_messages(processor: Processor) -> bool:
    return (
        processor.action is Action.MASK
        and not processor.observe
        and processor.direction is not Direction.REQUEST
        and Part.MESSAGES in processor.parts
    )


def _masks(finding: Finding) -> bool:
    return finding.processor.action is Action.MASK and not finding.processor.observe


def _blocks(finding: Finding) -> bool:
    return finding.processor.action is Action.BLOCK and not finding.processor.observe


def _unread(verdict: Verdict, blocking: Sequence[Finding], engine: Engine) -> bool:
    """Whether a message that is blocked was not read to its end, so that it may hold more than what was found."""
    too_large = any(one.processor.detector is DetectorKind.SHAPE for one in blocking)
    return too_large or engine.blocks_unread(verdict.failed)


def _copied(value: Any) -> Any:
    """Containers anew, so that what is masked below does not show."""
    if type(value) is dict:
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if type(value) is list else value


def _asked(plan: Plan, answer: Message) -> tuple[str | None, str | None]:
    """The method that a message of the server's answers and the tool that this called, as far as that is sure: a
    client takes the answer to another request of its session from any stream."""
    if answer.method is not None:
        return None, _tool_of_stream(plan)
    asked = plan.asked_for(answer)
    if asked is None or (answer.id is not None and str(asked.id) != str(answer.id)):
        return None, None
    return asked.method, _tool_of(asked)


def _tool_of_stream(plan: Plan) -> str | None:
    """The tool that what comes on a stream beside answers is about; None: any."""
    return plan.tool if len(plan.asked) == 1 else None


def _whose(plan: Plan) -> Whose:
    principal = plan.principal
    return Whose(plan.server, principal.id, None if principal.user is None else str(principal.user))


def _tool_of(message: Message) -> str | None:
    params = message.params
    if message.method != TOOLS_CALL or type(params) is not dict:
        return None
    name = params.get("name")
    return name if type(name) is str else None


def _denied(plan: Plan, message: Message, reason: Reason) -> dict[str, object]:
    """The refusal of a request; nothing for what nobody waits for an answer to."""
    if message.kind is not Kind.REQUEST:
        return {}
    return denial(message.id, reason, None, plan.modern)


def _kept_back(message: Message, reason: Reason) -> dict[str, Any] | None:
    """What comes in place of a server's message: an error for whoever waits for it."""
    if message.kind not in (Kind.RESULT, Kind.ERROR):
        return None
    code = POLICY_CODES.get(reason, OTHER_POLICY_CODE)
    return error_response(message.id, code, reason.sentence, {"reason": str(reason)})
