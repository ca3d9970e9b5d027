"""From the votes of several policies to one decision.

Each policy that speaks of a question has one verdict: deny if any of its rules denies, else grant if any
grants, else silent. Then, where E is mode enforce and O mode observe:

    a deny from E                      refused
    no deny, some grant                allowed
    deny from O only, some grant       passes, recorded as refused (observed)
    no grant, and E speaks             refused
    no grant, and only O speaks        passes, recorded as refused (observed)

So grants are a union, a deny of any wins, enforce beats observe, and policies in observe alone never block.
"""

from __future__ import annotations

from collections.abc import Iterable

from mesh.policy.decision import Decision
from mesh.policy.rules import Verdict, Vote
from mesh.reasons import Reason

# Of several silent rules the one that came closest to granting is named.
_VAGUE = {Reason.PEER_NOT_ALLOWED: 0, Reason.INBOUND_PATH_NOT_DECLARED: 1, Reason.PROTOCOL_NOT_ALLOWED: 2}
_CLEAR = 3
_NEAR = 4


def strongest(votes: Iterable[Vote]) -> Vote:
    """The verdict of one policy: of equal votes, the first. At least one vote is needed."""
    return max(votes, key=_strength)


def settle(votes: list[tuple[bool, Vote]]) -> Decision:
    """The decision on the (enforce, vote) of every policy that speaks of the question; at least one."""
    grant: Vote | None = None
    observed_deny: Vote | None = None
    for enforce, vote in votes:
        if vote.verdict is Verdict.DENY:
            if enforce:
                return Decision(False, vote.reason, vote.rule, message=vote.message)
            observed_deny = observed_deny or vote
        elif vote.verdict is Verdict.GRANT:
            grant = grant or vote
    if grant is not None:
        if observed_deny is not None:
            denied = observed_deny
            return Decision(True, denied.reason, denied.rule, observed=True, message=denied.message)
        return Decision(True, grant.reason, grant.rule)
    return refuse(votes)


def refuse(votes: list[tuple[bool, Vote]]) -> Decision:
    """The refusal that nobody's grant prevents: observed when no policy that speaks of it enforces."""
    blocking = [vote for enforce, vote in votes if enforce]
    vote = strongest(blocking or [vote for _, vote in votes])
    return Decision(not blocking, vote.reason, vote.rule, observed=not blocking, message=vote.message)


def _strength(vote: Vote) -> int:
    return vote.verdict.value * (_NEAR + 1) + (_NEAR if vote.near else _VAGUE.get(vote.reason, _CLEAR))
