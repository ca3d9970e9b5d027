"""Users of whom policies are asked: read, told, and those that rules tell apart."""

from __future__ import annotations

from collections.abc import Iterable

from cli.policy.agents import Agent
from cli.policy.judging import selecting
from cli.policy.world import World
from mesh.policy.documents import InboundRule, OutboundRule
from mesh.policy.principal import User

MAX_USERS = 64
_WILDCARDS = str.maketrans("*?", "xx")


def read_user(text: str, scopes: Iterable[str]) -> User | None:
    """A user as rules name them; None where the text is none."""
    issuer, _, subject = text.partition("#")
    return User(issuer, subject, frozenset(scopes)) if issuer and subject else None


def told(user: User | None) -> str:
    """A user in words, with a space in front; empty for nobody."""
    if user is None:
        return ""
    return f" on behalf of {user}" + (f" with {' '.join(sorted(user.scopes))}" if user.scopes else "")


def users_of(worlds: Iterable[World], agent: Agent) -> list[User]:
    """For each entry and each set of scopes in rules about an agent a user with them, and one with all scopes."""
    entries: dict[str, None] = {}
    scopes: dict[frozenset[str], None] = {}
    for world in worlds:
        for policy in selecting(world, agent):
            rules: tuple[OutboundRule | InboundRule, ...] = (*policy.outbound, *(policy.inbound or ()))
            for rule in rules:
                if rule.users or rule.scopes:
                    entries |= dict.fromkeys(rule.users)
                    scopes |= dict.fromkeys([frozenset(), rule.scopes])
    if not scopes:
        return []
    entries["any#user"] = None
    scopes[frozenset().union(*scopes)] = None
    found = (read_user(entry.translate(_WILDCARDS), held) for entry in entries for held in scopes)
    return [one for one in dict.fromkeys(found) if one is not None][:MAX_USERS]
