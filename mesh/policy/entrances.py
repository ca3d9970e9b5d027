"""The MCP paths of a workload: where its inbound rules say that peers find MCP.

A request is decided as the longest declared path that covers it, whichever rule declared that path and for
whichever peer. Off all of them no rule speaks for MCP: what answers there is not the server that was granted.
"""

from __future__ import annotations

from collections.abc import Iterable

from mesh.policy.decision import INBOUND, Inbound
from mesh.policy.hosts import covers
from mesh.policy.rules import AgentRules


class Entrances:
    """The declared MCP paths of one workload, the longest first."""

    __slots__ = ("declared",)

    def __init__(self, agents: Iterable[AgentRules], others: Iterable[str] = ()) -> None:
        found = {grant.mcp_path for agent in agents for grant in agent.inbound or ()}.union(others)
        paths = sorted((path for path in found if path is not None), key=lambda path: (-len(path), path))
        self.declared = tuple(map(Inbound, paths))

    def find(self, path: str) -> Inbound:
        """The longest declared path that covers `path`, INBOUND if none does."""
        for inbound in self.declared:
            if inbound.path is not None and covers(inbound.path, path):
                return inbound
        return INBOUND

    @property
    def only(self) -> Inbound:
        """The declared path if there is just one, else INBOUND: beside several it is anybody's guess."""
        return self.declared[0] if len(self.declared) == 1 else INBOUND
