"""The MCP paths of a workload: where its inbound rules say that peers find MCP.

A request is decided as the longest declared path that covers it, whichever rule declared that path and for
whichever peer. Off all of them no rule speaks for MCP: what answers there is not the server that was granted.
"""

from __future__ import annotations

from collections.abc import Iterable

from mesh.policy.decision import INBOUND, Inbound
from mesh.policy.hosts import covers, folded_path
from mesh.policy.rules import AgentRules


class Entrances:
    """The declared MCP paths of one workload, the longest first. `others`: those of access policies' targets."""

    __slots__ = ("_folded", "declared")

    def __init__(self, agents: Iterable[AgentRules], others: Iterable[str] = ()) -> None:
        others = frozenset(others)
        found = {grant.mcp_path for agent in agents for grant in agent.inbound or ()}.union(others)
        paths = sorted((path for path in found if path is not None), key=lambda path: (-len(path), path))
        self.declared = tuple(map(Inbound, paths))
        self._folded: dict[str, list[str]] = {}
        for path in others:
            self._folded.setdefault(folded_path(path), []).append(path)

    def find(self, path: str) -> Inbound:
        """The longest declared path that covers `path`, INBOUND if none does."""
        for inbound in self.declared:
            if inbound.path is not None and covers(inbound.path, path):
                return inbound
        return INBOUND

    def is_doubtful(self, path: str) -> bool:
        """Whether a lenient server may take `path` to be at or below one of `others` that it is not decided as: in
        another case, or with parameters."""
        if not self._folded:
            return False
        bare, decided = folded_path(path), self.find(path).path
        return any(
            covers(folded, bare) and not (decided and any(covers(meant, decided) for meant in written))
            for folded, written in self._folded.items()
        )

    @property
    def only(self) -> Inbound:
        """The declared path if there is just one, else INBOUND: beside several it is anybody's guess."""
        return self.declared[0] if len(self.declared) == 1 else INBOUND
