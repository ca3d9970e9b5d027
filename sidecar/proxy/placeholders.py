"""Requests of an agent that holds placeholders for hidden secrets: each is searched before it leaves."""

from __future__ import annotations

from mesh.policy.credentials import Hidden
from mesh.protocol.http1.heads import Headers
from mesh.reasons import Reason
from sidecar.credentials.issued import OTHERWISE, CredentialRefused
from sidecar.hidden.secrets import HiddenSecrets
from sidecar.hidden.swap import Stopped, Unusable, may_hold, readable, swap_body, swap_headers, swap_target
from sidecar.hidden.watch import PlaceholderWatch
from sidecar.proxy.outgoing import outgoing
from sidecar.proxy.plan import Plan, Reply, Treatment
from sidecar.proxy.replies import no_credential, problem, refused_destination
from sidecar.proxy.withheld import withheld
from sidecar.telemetry.record import Recorder


class PlaceholderSearch:
    """Puts secrets in for the Backend that gets them, and stops what holds a placeholder elsewhere."""

    def __init__(self, hidden: HiddenSecrets, recorder: Recorder) -> None:
        self.hidden = hidden
        self._recorder = recorder

    def leave(self, plan: Plan, headers: Headers, body: bytes | None) -> bytes | Reply:
        """With the secrets for the placeholders that this Backend gets; none if it holds another one."""
        credential = plan.routed.credential
        grants = self.hidden.grants(credential.variables if isinstance(credential, Hidden) else ())
        # What an MCP request leaves as, whatever it came as.
        inspected = plan.treatment is Treatment.MCP
        media = b"application/json" if inspected else plan.head.fields.get(b"content-type")
        try:
            path = swap_target(plan.routed.path, grants)
            if headers is not plan.head.headers or may_hold(plan.head):
                headers = swap_headers(headers, grants)
            if grants.secrets:
                # An echo that is fetched in pieces would pass the search of answers piece by piece.
                headers = [field for field in headers if field[0] not in OTHERWISE]
            if body is None:
                plan.watch = PlaceholderWatch(grants.known.difference(grants.secrets))
                return outgoing(plan, headers, plan.head.body_length, path)
            if body and grants.secrets and not readable(plan.head):
                coding = plan.head.fields[b"content-encoding"].decode("latin-1")
                unreadable = CredentialRefused(Reason.PLACEHOLDER_UNREADABLE, f"Content-Encoding {coding!r}")
                withheld(self._recorder, plan, unreadable)
                return problem(415, unreadable.reason, unreadable.detail)
            body = swap_body(body, media, grants)
        except Stopped as stopped:
            return self.stop(plan, self.hidden.named(stopped.placeholders))
        except Unusable as unusable:
            detail = f"{self.hidden.named([unusable.placeholder])} (hide-secrets): {unusable.detail}"
            refused = CredentialRefused(unusable.reason, detail)
            withheld(self._recorder, plan, refused)
            return no_credential(plan, refused)
        return outgoing(plan, headers, len(body), path) + body

    def stopped(self, plan: Plan) -> Reply:
        """The watch over a body that streams has found something."""
        found = () if plan.watch is None or plan.watch.found is None else (plan.watch.found,)
        return self.stop(plan, self.hidden.named(found))

    def stop(self, plan: Plan, what: str) -> Reply:
        """The agent sent a placeholder where its secret does not belong."""
        routed = plan.routed
        self._recorder.placeholder_stopped(routed.backend, str(routed.destination), what)
        withheld(self._recorder, plan, CredentialRefused(Reason.PLACEHOLDER_STOPPED, what))
        return refused_destination(
            Reason.PLACEHOLDER_STOPPED, f"{what}, to {routed.destination}", plan.pending
        )
