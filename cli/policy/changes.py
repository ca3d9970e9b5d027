"""What is different between two sets of policies: for each agent, whatever one lets pass and the other not.

Names are compared by classes (`symbols`), so that no change hides in a glob. With an inventory the tools in it are
compared one by one, and the classes are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from cli.describe.content import content_change, pin_told
from cli.policy.agents import Agent
from cli.policy.credential_changes import credential_change
from cli.policy.inventory import Tools
from cli.policy.judging import State, Verdict, judge, judge_inbound, judge_method, verdict_of
from cli.policy.patterns import caller_classes, classes_for, expressions, inbound_classes_for, patterns_for
from cli.policy.strictness import content_as_strict, pin_as_strict
from cli.policy.symbols import telling
from cli.policy.users import told, users_of
from cli.policy.world import World, backend_title
from mesh.policy import INBOUND, Backend, BackendProtocol, HttpRequest, Policy
from mesh.policy.boundary import Reach
from mesh.policy.documents import ServerRequest
from mesh.policy.guardrails import Guardrails

_UNDECLARED = "undeclared.invalid"  # RFC 2606: nobody's
_UNKNOWN_METHOD = "x-unknown/method"
OLD = "what OLD says"
NOTHING = Verdict(State.HIDDEN, "", "(not there)")


class Effect(StrEnum):
    """WIDER: something passes that did not. CHANGED: conditions are others, which may let pass more."""

    WIDER = "wider"
    NARROWER = "narrower"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """`target` is a Backend or `from CALLER`; `kind` and `name` what is used there, `pattern` if it is one.

    `ordered`: needs of `before` and `after` of which is known which lets pass more.
    """

    agent: str
    target: str
    kind: str
    name: str
    before: Verdict
    after: Verdict
    pattern: bool = False
    ordered: tuple[tuple[str, str, Effect], ...] = ()

    @property
    def effect(self) -> Effect | None:
        """None where it makes no difference."""
        known = {need for was, now, _ in self.ordered for need in (was, now)}
        before, after = (set(one.needs) - known for one in (self.before, self.after))
        more = self.after.passes and not (self.before.passes and before <= after)
        less = self.before.passes and not (self.after.passes and after <= before)
        if self.before.passes and self.after.passes:
            effects = {effect for _, _, effect in self.ordered}
            more |= not effects.isdisjoint((Effect.WIDER, Effect.CHANGED))
            less |= not effects.isdisjoint((Effect.NARROWER, Effect.CHANGED))
        if more and less:
            return Effect.CHANGED
        return Effect.WIDER if more else Effect.NARROWER if less else None

    @property
    def outcome(self) -> object:
        """What makes it another change than that of a wider pattern."""
        effect = self.effect
        return effect and (effect, self.before, self.after)

    @property
    def widens(self) -> bool:
        return self.effect in (Effect.WIDER, Effect.CHANGED)


def changes(old: World, new: World, tools: Tools) -> list[Change]:
    """The changes for every agent of either world; those without effect are left out."""
    agents = {agent.title: agent for agent in (*old.agents, *new.agents)}
    found = [change for agent in agents.values() for change in _of_agent(old, new, agent, tools)]
    return list(dict.fromkeys(found))


def _of_agent(old: World, new: World, agent: Agent, tools: Tools) -> Iterator[Change]:
    """The changes without a user, and for users those that are others."""
    known: set[object] = set()
    for user in (old.user, *users_of((old, new), agent)):
        was, now = replace(old, user=user), replace(new, user=user)
        for change in (*_outbound(was, now, agent, tools), *_inbound(was, now, agent)):
            alike = (
                change.target,
                change.kind,
                change.name,
                change.before.state,
                change.after.state,
                change.effect,
            )
            if change.effect is None or alike in known:
                continue
            if user == old.user:
                known.add(alike)
            yield replace(change, target=f"{change.target}{told(user)}")


def _outbound(old: World, new: World, agent: Agent, tools: Tools) -> Iterator[Change]:
    yield from _egress(old.policy(agent), new.policy(agent), agent)
    before = {backend_title(one, agent.namespace): one for one in old.backends(agent)}
    after = {backend_title(one, agent.namespace): one for one in new.backends(agent)}
    for title in sorted({*before, *after}):
        yield from _of_backend(old, new, agent, title, before.get(title), after.get(title), tools)


def _of_backend(
    old: World,
    new: World,
    agent: Agent,
    title: str,
    before: Backend | None,
    after: Backend | None,
    tools: Tools,
) -> Iterator[Change]:
    yield from _reached(old, new, agent, title, before, after)
    if after is None or BackendProtocol.MCP is not after.protocol:
        return
    was = before if before is not None and before.protocol is BackendProtocol.MCP else None
    for kind in ("tool", "prompt", "resource"):
        listed = tools.get(title, tools.get(after.name, tools.get(""))) if kind == "tool" else None
        if listed is None:
            yield from _unlooked(old, new, agent, after, title, kind)
            yield from _by_class(old, new, agent, title, kind, was, after)
        else:
            for name in listed:
                earlier = NOTHING if was is None else judge(old, agent, was, kind, name)
                yield Change(agent.title, title, kind, name, earlier, judge(new, agent, after, kind, name))


def _by_class(
    old: World, new: World, agent: Agent, title: str, kind: str, before: Backend | None, after: Backend
) -> Iterator[Change]:
    """The changes by pattern, without those that wider patterns tell already."""
    classes = classes_for([old, new], agent, after, kind).classes
    found = [
        Change(
            agent.title,
            title,
            kind,
            one.title,
            NOTHING if before is None else judge(old, agent, before, kind, one.example),
            judge(new, agent, after, kind, one.example),
            pattern=True,
        )
        for one in classes
    ]
    yield from (found[index] for index in telling(classes, [one.outcome for one in found]))


def _unlooked(
    old: World, new: World, agent: Agent, backend: Backend, title: str, kind: str
) -> Iterator[Change]:
    """Changes that cannot be told by names: what is not told may let pass more."""
    added = (
        tuple(sorted(set(expressions(new, agent)) - set(expressions(old, agent)))) if kind == "tool" else ()
    )
    if added:
        was, now = (
            Verdict(State.CONDITIONAL, "", "expressions of access policies", x) for x in ((OLD,), added)
        )
        yield Change(agent.title, title, kind, "(names by expressions)", was, now, pattern=True)
    before, after = (set(patterns_for([world], agent, backend, kind)) for world in (old, new))
    if before != after and not classes_for([old, new], agent, backend, kind).complete:
        was, now = (Verdict(State.CONDITIONAL, "", "(not looked through)", (one,)) for one in (OLD, "NEW"))
        yield Change(agent.title, title, kind, "(names in too many patterns)", was, now, pattern=True)


def _reached(
    old: World, new: World, agent: Agent, title: str, before: Backend | None, after: Backend | None
) -> Iterator[Change]:
    """Whether the Backend may be used at all, where it is, and what else than names is granted there."""
    was = NOTHING if before is None else judge_method(old, agent, before, "ping")
    now = NOTHING if after is None else judge_method(new, agent, after, "ping")
    if before is not None and after is not None and (place := _place(after)) != _place(before):
        was, now = _at(was, _place(before)), _at(now, place)
    if before is not None and after is not None and after.credential != before.credential:
        said, says = credential_change(before.credential, after.credential)
        was, now = _at(was, said), _at(now, says)
    ordered: list[tuple[str, str, Effect]] = []
    if before is not None and after is not None:
        ordered += _of_content(old, new, agent, before, after)
    for said, says, _ in ordered:
        was, now = _at(was, said), _at(now, says)
    yield Change(agent.title, title, "backend", "(any use)", was, now, ordered=tuple(ordered))
    if before is None or after is None or before.protocol is not after.protocol:
        return
    if after.protocol is BackendProtocol.MCP:
        was = judge_method(old, agent, before, _UNKNOWN_METHOD)
        now = judge_method(new, agent, after, _UNKNOWN_METHOD)
        yield Change(agent.title, title, "method", "(unknown methods)", was, now)
        for asked in ServerRequest:
            was = verdict_of(old.policy(agent).server_request(old.principal(agent), before, asked))
            now = verdict_of(new.policy(agent).server_request(new.principal(agent), after, asked))
            yield Change(agent.title, title, "server request", str(asked), was, now)


def _of_content(
    old: World, new: World, agent: Agent, before: Backend, after: Backend
) -> Iterator[tuple[str, str, Effect]]:
    """What is pinned, and what is done with content and how often, where one side is stricter or another."""
    if effect := _order(pin_as_strict(after.pin, before.pin), pin_as_strict(before.pin, after.pin)):
        yield pin_told(before.pin), pin_told(after.pin), effect
    done = old.policy(agent).content(old.principal(agent), before)
    does = new.policy(agent).content(new.principal(agent), after)
    if after.protocol is not BackendProtocol.MCP:
        done, does = (
            (Guardrails(), done[1]),
            (Guardrails(), does[1]),
        )  # of what is no MCP requests are counted
    if effect := _order(content_as_strict(does, done), content_as_strict(done, does)):
        yield (*content_change(done, does), effect)


def _order(tighter: bool, looser: bool) -> Effect | None:
    if tighter and looser:
        return None
    return Effect.NARROWER if tighter else Effect.WIDER if looser else Effect.CHANGED


def _users(old: Policy, new: Policy, agent: Agent) -> Iterator[Change]:
    """Another way to verify users may let in others."""
    if old.users != new.users:
        was, now = (
            Verdict(State.CONDITIONAL, "", "users", (said,)) for said in (OLD, "what NEW says of users")
        )
        yield Change(agent.title, "(callers)", "users", "(whose tokens count)", was, now)


def _place(backend: Backend) -> str:
    identity = f" as {backend.tls.identity}" if backend.tls.identity else ""
    path = backend.path.rstrip("/")
    return f"{backend.protocol} at {backend.host}:{backend.port}{path}, tls {backend.tls.mode}{identity}"


def _at(verdict: Verdict, place: str) -> Verdict:
    """Another place is another condition: what it lets pass is not what was let pass before."""
    return Verdict(verdict.state, verdict.reason, verdict.rule, (*verdict.needs, place))


def _egress(old: Policy, new: Policy, agent: Agent) -> Iterator[Change]:
    before, after = (verdict_of(one.egress(_UNDECLARED, 443)) for one in (old, new))
    yield Change(agent.title, "(no Backend)", "egress", "public addresses", before, after)
    was, now = (_private(one) for one in (old, new))
    yield Change(agent.title, "(no Backend)", "egress", "private addresses", was, now)


def _private(policy: Policy) -> Verdict:
    verdict = verdict_of(policy.egress(_UNDECLARED, 443))
    public = policy.reach(_UNDECLARED, 443) == Reach.PUBLIC
    return Verdict(State.HIDDEN, "egress_private_address", verdict.rule) if public else verdict


def _inbound(old: World, new: World, agent: Agent) -> Iterator[Change]:
    yield from _users(old.policy(agent), new.policy(agent), agent)
    paths = {one.path for world in (old, new) for one in world.policy(agent).entrances.declared if one.path}
    classes = inbound_classes_for([old, new], agent, "tool").classes
    for caller in caller_classes([old, new], agent):
        target = f"from {caller.title}"
        for path in sorted(paths):
            found = [
                Change(
                    agent.title,
                    target,
                    "tool",
                    one.title,
                    judge_inbound(old, agent, caller.example, path, "tool", one.example),
                    judge_inbound(new, agent, caller.example, path, "tool", one.example),
                    pattern=True,
                )
                for one in classes
            ]
            yield from (found[index] for index in telling(classes, [one.outcome for one in found]))
        was, now = (_http(world, agent, caller.example) for world in (old, new))
        yield Change(agent.title, target, "http", "(any path)", was, now)


def _http(world: World, agent: Agent, caller: str) -> Verdict:
    http = HttpRequest("POST", "/")
    return verdict_of(
        world.policy(agent).decide(world.principal(agent, caller), INBOUND, "", None, None, http)
    )
