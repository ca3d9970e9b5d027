"""What annotations of a pod and of its namespace take away from what policies grant. They never add anything.

So they are asked after the policies, and only about what those let pass: whatever an annotation holds, nothing
passes with it that would not pass without. A policy that annotations leave out grants nothing any more. What it
denies, its `egress: deny` and its mode stay, else leaving it out would be a way around them. What annotations take
away is refused in every mode, because whoever wrote them meant it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mesh.policy.ballot import settle
from mesh.policy.decision import Decision
from mesh.policy.entries import well_formed_name
from mesh.policy.floors import rate_entry
from mesh.policy.globs import EntryList
from mesh.policy.guardrails import Action, DetectorKind, Rate
from mesh.policy.rules import Verdict, Vote
from mesh.reasons import Reason
from mesh.settings.table import POLICY, TOOLS_ALLOW, TOOLS_DENY


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The annotations of one pod, those of its namespace and of the platform added to them.

    `policies` are the names of those that may grant; None: every one that selects the agent. A tool has to match
    an entry of each tuple in `tools_allow`, and none of `tools_deny`; entries are globs `backend/tool`. `enforce`:
    no policy is in mode observe. `guardrails` are actions that content checks have at least, `rates` globs
    `backend/tool` and how often what they match may be asked: each one counts.
    """

    policies: frozenset[str] | None = None
    tools_allow: tuple[tuple[str, ...], ...] = ()
    tools_deny: tuple[str, ...] = ()
    enforce: bool = False
    guardrails: tuple[tuple[DetectorKind, Action], ...] = ()
    rates: tuple[tuple[str, Rate], ...] = ()

    @property
    def about_tools(self) -> bool:
        """Whether tools are narrowed one by one."""
        return bool(self.tools_allow or self.tools_deny)

    def told(self) -> dict[str, object] | None:
        """What it takes away, in the words of the sidecar's file; None: nothing."""
        said = {
            "policies": None if self.policies is None else sorted(self.policies),
            "toolsAllow": self.tools_allow,
            "toolsDeny": self.tools_deny,
            "mode": "enforce" if self.enforce else None,
            "guardrails": {kind.value: action.name.lower() for kind, action in self.guardrails} or None,
            "rates": tuple(rate_entry(glob, rate) for glob, rate in self.rates),
        }
        return {key: value for key, value in said.items() if value not in (None, ())} or None

    def leaves_out(self, policy: str) -> bool:
        """Whether a policy may not grant."""
        return self.policies is not None and policy not in self.policies

    def idle(self, policies: Iterable[str], backends: Iterable[str]) -> dict[str, list[str]] | None:
        """What in it is about nothing that there is: names of no policy that selects the agent, and entries for no
        Backend, by their keys; None: nothing. Likely misspelt, and in `tools_deny` a hole."""
        known = tuple(backends)
        said = {
            "policies": sorted((self.policies or frozenset()).difference(policies)),
            "toolsAllow": [entry for layer in self.tools_allow for entry in layer if _idle(entry, known)],
            "toolsDeny": [entry for entry in self.tools_deny if _idle(entry, known)],
            "rates": [rate_entry(glob, rate) for glob, rate in self.rates if _idle(glob, known)],
        }
        return {key: entries for key, entries in said.items() if entries} or None


def _idle(entry: str, backends: Iterable[str]) -> bool:
    glob = EntryList((entry.partition("/")[0],))
    return all(glob.find(backend) is None for backend in backends)


class _OfBackend:
    """The entries that are about one Backend."""

    __slots__ = ("_allow", "_denied", "_deny")

    def __init__(self, narrowing: Narrowing, backend: str) -> None:
        self._allow = tuple(EntryList(_tools(backend, layer)) for layer in narrowing.tools_allow)
        self._denied = _tools(backend, narrowing.tools_deny)
        self._deny = EntryList(self._denied)

    def refusal(self, tool: str) -> str | None:
        """What refuses a tool. As in policies, patterns of allow match only well-formed names."""
        denied = self._deny.find(tool)
        if denied is not None:
            return f"annotation {TOOLS_DENY.name}, entry for the tool {self._denied[denied]!r}"
        well_formed = well_formed_name(tool)
        for entries in self._allow:
            if (entries.find(tool) if well_formed else entries.find_exact(tool)) is None:
                return f"annotation {TOOLS_ALLOW.name}"
        return None

    @property
    def total(self) -> bool:
        return not self._denied and all(entries.everything is not None for entries in self._allow)


class ToolNarrowing:
    """Which tools of each Backend are left."""

    __slots__ = ("_backends", "_narrowing")

    def __init__(self, narrowing: Narrowing, backends: Iterable[str]) -> None:
        self._narrowing = narrowing
        self._backends = {name: _OfBackend(narrowing, name) for name in backends}

    def refusal(self, backend: str, tool: str) -> str | None:
        """The rule that takes the tool away, or None."""
        return self._of(backend).refusal(tool)

    def total(self, backend: str) -> bool:
        """True when every well-formed tool of the Backend is left."""
        return self._of(backend).total

    def _of(self, backend: str) -> _OfBackend:
        return self._backends.get(backend) or _OfBackend(self._narrowing, backend)


def _tools(backend: str, entries: Sequence[str]) -> tuple[str, ...]:
    """The tool parts of the entries whose Backend part matches."""
    parts = (entry.partition("/") for entry in entries)
    return tuple(tool for glob, _, tool in parts if EntryList((glob,)).find(backend) is not None)


def without_left_out(decision: Decision, votes: list[tuple[bool, bool, Vote]]) -> Decision:
    """What becomes of a decision that passes when policies are left out.

    `votes` are (left out, enforce, vote) of every policy that speaks of the question. What passes needs a policy
    that was not left out: its grant, or, where nobody enforces, that it speaks and is in observe.
    """
    grants = [vote for _, _, vote in votes if vote.verdict is Verdict.GRANT]
    kept = [
        (enforce, vote)
        for left_out, enforce, vote in votes
        if not (left_out and vote.verdict is Verdict.GRANT)
    ]
    if any(vote.verdict is Verdict.GRANT for _, vote in kept):
        return settle(kept)
    observers = any(not left_out for left_out, _, _ in votes)
    if observers and not any(enforce for _, enforce, _ in votes):
        return settle(kept)
    return left_out_refusal(grants[0].rule if grants else decision.rule)


def left_out_refusal(rule: str) -> Decision:
    """The refusal of what `rule` would have let pass."""
    return Decision(False, Reason.NARROWED_BY_POD, f"annotation {POLICY.name} leaves out {rule}")


def closed(names: Iterable[str]) -> Decision:
    """The refusal of everything: no policy of those names selects the agent."""
    listed = ", ".join(sorted(names)) or "none"
    rule = f"annotation {POLICY.name} ({listed}) names no AgentPolicy that selects this agent"
    return Decision(False, Reason.NARROWED_BY_POD, rule)
