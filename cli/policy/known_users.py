"""Whom a sidecar takes a request to be of, and what it refuses for want of a user, whatever policies grant.

Policies are asked about any user. A sidecar knows those only whose issuer its policies accept; and a credential
that is exchanged for a user's token cannot be had for a request of nobody.
"""

from __future__ import annotations

from dataclasses import replace

from cli.check.credential_needs import needs_user
from cli.policy.agents import Agent
from cli.policy.world import World, backend_title
from mesh.policy import Backend, Decision
from mesh.policy.decision import Target
from mesh.policy.principal import User
from mesh.reasons import Reason

NEEDED = "a user's token: a request of nobody is refused (subject_missing)"


def known(world: World, agent: Agent, user: User | None) -> User | None:
    """The user as the sidecar of an agent would have it: None where it would take the request for nobody's."""
    users = world.policy(agent).users
    return user if users is not None and user is not None and _accepted(world, agent, user) else None


def as_known(world: World, agent: Agent) -> World:
    """The world asked on behalf of whom the sidecar of an agent knows."""
    return replace(world, user=known(world, agent, world.user))


def refusal(world: World, agent: Agent, target: Target, user: User | None) -> tuple[Decision, str] | None:
    """The refusal of all that is asked of `target` on behalf of `user`, and a sentence; None for none."""
    users = world.policy(agent).users
    if users is not None and users.enforced and user is not None and not _accepted(world, agent, user):
        accepted = ", ".join(one.issuer for one in users.issuers) or "nobody"
        told = f"No policy of {agent.title} accepts tokens of {user.issuer}, only of {accepted}."
        return Decision(False, Reason.TOKEN_ISSUER, f"the users of {agent.title}"), told
    if not isinstance(target, Backend) or not needs_user(target.credential) or known(world, agent, user):
        return None
    title = backend_title(target, agent.namespace)
    told = f"Backend {title} needs a user's token to exchange: a request of nobody is refused (subject_missing). "
    told += "Here ask on behalf of a user with --user." if users else _no_users(agent)
    return Decision(False, Reason.SUBJECT_MISSING, f"Backend/{target.name} credential"), told


def _no_users(agent: Agent) -> str:
    return f"No policy of {agent.title} has users, so that every request is nobody's."


def _accepted(world: World, agent: Agent, user: User) -> bool:
    users = world.policy(agent).users
    return users is not None and user.issuer in {one.issuer for one in users.issuers}
