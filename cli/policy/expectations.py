"""What a platform team expects of its policies, written down, and whether it is so.

- {agent: agents/triage, backend: github, tool: get_issue, allowed: true}
- {agent: agents/triage, backend: github, tool: get_issue, arguments: {owner: other}, allowed: false}
- {agent: agents/triage, from: spiffe://cluster.local/ns/x/sa/y, tool: ask, allowed: false}
- {agent: agents/triage, backend: crm, tool: put, user: "https://idp#alice", scopes: [w], allowed: true}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.manifests import Manifest, ManifestInvalid, read_manifests
from cli.policy.naming import NoSuchAgent, agent_named
from cli.policy.questions import MCP_PATH, NoSuchBackend, Question, ask
from cli.policy.users import read_user
from cli.policy.world import World

_KINDS = ("tool", "prompt", "resource", "method")
_REQUEST = ("user", "scopes", "arguments", "headers", "time")
_KEYS = ("agent", "backend", "from", "path", *_KINDS, *_REQUEST, "allowed", "rule")
_SHAPE = "expected a list like [{agent: agents/triage, backend: github, tool: get_issue, allowed: true}]"


@dataclass(frozen=True, slots=True)
class Expectation:
    """A question, whether it shall be allowed, and part of the rule that shall decide, "" for any. `number`
    from 0.
    """

    number: int
    question: Question
    allowed: bool
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`failure` says in a sentence what is otherwise than expected; "" where nothing is."""

    expectation: Expectation
    failure: str = ""
    reason: str = ""
    rule: str = ""


def read_expectations(path: Path) -> list[Expectation]:
    """Raises ManifestInvalid with every fault of the file."""
    try:
        manifests = read_manifests(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestInvalid(str(path), 1, f"cannot be read: {error}") from error
    value = manifests[0].value if len(manifests) == 1 else None
    listed = value.get("expect") if isinstance(value, dict) else value
    if not isinstance(listed, list) or not listed:
        raise ManifestInvalid(str(path), 1, _SHAPE)
    faults = [fault for number, one in enumerate(listed) for fault in _faults(number, one)]
    if faults:
        raise ManifestInvalid(str(path), _line(manifests), "\n  ".join(faults))
    return [_expectation(number, one) for number, one in enumerate(listed)]


def _line(manifests: list[Manifest]) -> int:
    return manifests[0].line


def _faults(number: int, one: Any) -> list[str]:
    where = f"[{number}]"
    if not isinstance(one, dict):
        return [f"{where}: expected a mapping, found {one!r}"]
    found = [f"{where}.{key}: unknown; allowed: {', '.join(_KEYS)}" for key in one if key not in _KEYS]
    if not isinstance(one.get("agent"), str):
        found.append(f"{where}.agent: write NAMESPACE/NAME")
    if not isinstance(one.get("allowed"), bool):
        found.append(f"{where}.allowed: write true or false")
    if len([kind for kind in _KINDS if isinstance(one.get(kind), str)]) != 1:
        found.append(f"{where}: write one of {', '.join(_KINDS)}")
    if ("backend" in one) == ("from" in one):
        found.append(f"{where}: write backend (what the agent calls) or from (who calls it), one of them")
    found += [
        f"{where}.{key}: expected a mapping"
        for key in ("arguments", "headers")
        if not isinstance(one.get(key, {}), dict)
    ]
    if "user" in one and read_user(str(one["user"]), ()) is None:
        found.append(f"{where}.user: write ISSUER#SUBJECT")
    scopes = one.get("scopes", [])
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        found.append(f"{where}.scopes: expected a list of strings")
    elif scopes and "user" not in one:
        found.append(f"{where}.scopes: they are a user's; write user, too")
    if "time" in one and read_time(str(one["time"])) is None:
        found.append(f"{where}.time: write it like 2026-07-01T09:30:00Z")
    return found


def _expectation(number: int, one: Mapping[str, Any]) -> Expectation:
    kind = next(kind for kind in _KINDS if isinstance(one.get(kind), str))
    question = Question(
        str(one["agent"]),
        kind,
        str(one[kind]),
        str(one.get("backend") or ""),
        str(one.get("from") or ""),
        str(one.get("path") or MCP_PATH),
        one.get("arguments"),
        {str(key): str(value) for key, value in (one.get("headers") or {}).items()},
        read_time(str(one["time"])) if "time" in one else None,
        read_user(str(one["user"]), one.get("scopes", [])) if "user" in one else None,
    )
    return Expectation(number, question, bool(one["allowed"]), str(one.get("rule") or ""))


def read_time(text: str) -> datetime | None:
    """A time of RFC 3339; without a zone it is UTC. None where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def check(world: World, expectations: list[Expectation]) -> list[Outcome]:
    """Ask each of the agents that it names."""
    return [_check(world, one) for one in expectations]


def _check(world: World, one: Expectation) -> Outcome:
    try:
        agent = agent_named(one.question.agent, world.agents, "default")
        decision = ask(world, agent, one.question)
    except (NoSuchAgent, NoSuchBackend) as error:
        return Outcome(one, str(error))
    reason, rule = str(decision.reason), decision.rule
    by = f"{rule} ({reason})"
    if decision.allowed and one.allowed and decision.checks:
        names = ", ".join(check.name for check in decision.checks)
        return Outcome(one, f"it is allowed only if {names} says yes; by {by}", reason, rule)
    if decision.allowed != one.allowed:
        verb = "allowed" if decision.allowed else "refused"
        observed = ", because nothing enforces" if decision.observed else ""
        return Outcome(one, f"it is {verb}{observed}, by {by}", reason, rule)
    if one.rule not in rule:
        return Outcome(one, f"it is decided by {by}, not by {one.rule}", reason, rule)
    return Outcome(one, "", reason, rule)
