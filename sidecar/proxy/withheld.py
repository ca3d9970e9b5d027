"""Requests that the policy allows and that do not leave all the same, for what they would have left with.

Who reads the log must not take the decision that allowed one for the last word. Where the request itself is why, a
decision follows that refuses each of its messages; else it is a failure of whoever should have had the secret.
"""

from __future__ import annotations

from mesh.policy.decision import Decision
from sidecar.credentials.issued import CredentialRefused
from sidecar.proxy.plan import Plan
from sidecar.proxy.replies import status_without
from sidecar.telemetry.record import Recorder

SERVER_ERROR = 500


def withheld(recorder: Recorder, plan: Plan, refused: CredentialRefused) -> None:
    """Write down why `plan`, which was decided, does not leave."""
    routed = plan.routed
    if status_without(refused.reason) >= SERVER_ERROR:
        recorder.upstream_failure(routed.backend, str(routed.destination), refused.reason, refused.detail)
        return
    # What is hidden is kept from destinations that have no credential, too.
    rule = "hide-secrets" if routed.credential is None else f"Backend/{routed.backend} credential"
    decision = Decision(False, refused.reason, rule)
    for method, name in plan.decided:
        recorder.withheld(
            routed.direction, plan.principal, routed.backend, method, name, decision, refused.detail
        )
