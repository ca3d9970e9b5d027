"""What is written down about traffic: a counter and a log line for each decision, refusal and failure.

The rest of the sidecar calls these methods and knows no metric and no field name.
"""

from __future__ import annotations

from typing import Literal

from mesh.policy.decision import Decision
from mesh.policy.principal import Principal
from mesh.protocol.mcp.methods import METHODS
from mesh.reasons import Reason
from sidecar.telemetry import names
from sidecar.telemetry.log import Log, encode_fields
from sidecar.telemetry.metrics import Metrics

_TRANSPORT = frozenset({"http", "stream", "connect"})
"""What is decided without a JSON-RPC method."""

Which = Literal["all", "refused", "none"]
"""Which decisions get a log line; counters count all of them."""


MAX_LINES = 512
"""Decision lines that are kept encoded: an agent asks for the same things again and again."""

MAX_LINE_BYTES = 2048


class Recorder:
    """Counts and logs. Owned by one sidecar."""

    def __init__(self, metrics: Metrics, log: Log, *, agent: str, decisions: Which = "all") -> None:
        self.metrics = metrics
        self.log = log
        self._agent = agent
        self._log_allowed = decisions == "all"
        self._log_refused = decisions != "none"
        self._lines: dict[tuple[object, ...], bytes] = {}
        self._seconds = {d: metrics.histogram(names.REQUEST_SECONDS, (d,)) for d in ("outbound", "inbound")}

    def decision(
        self,
        direction: str,
        asking: Principal,
        backend: str,
        method: str,
        name: str | None,
        decision: Decision,
    ) -> None:
        """One message was decided."""
        reason = decision.reason
        label = method if method in METHODS or method in _TRANSPORT else "other"
        self.metrics.count(names.REQUESTS, (direction, backend, label, reason))
        if decision.observed:
            self.metrics.count(names.OBSERVED, (direction, backend, reason))
        refusal = not decision.allowed or decision.observed
        if self._log_refused if refusal else self._log_allowed:
            peer = asking.id if asking.user is None else asking
            key = (direction, peer, backend, method, name, decision.rule, reason, decision.observed)
            rest = self._lines.get(key)
            if rest is None:
                rest = self._decision_line(direction, asking, backend, method, name, decision)
                if len(self._lines) >= MAX_LINES:
                    self._lines.clear()
                # The key holds the names as they were sent, the line holds them cut.
                if len(method) + len(name or "") + len(rest) <= MAX_LINE_BYTES:
                    self._lines[key] = rest
            self.log.write_encoded(rest)

    def withheld(
        self,
        direction: str,
        asking: Principal,
        backend: str,
        method: str,
        name: str | None,
        decision: Decision,
        detail: str,
    ) -> None:
        """One message was allowed by the policy, and refused afterwards, for what it would have left with."""
        label = method if method in METHODS or method in _TRANSPORT else "other"
        self.metrics.count(names.REQUESTS, (direction, backend, label, decision.reason))
        if self._log_refused:
            line = self._decision_line(direction, asking, backend, method, name, decision, detail)
            self.log.write_encoded(line)

    def _decision_line(
        self,
        direction: str,
        asking: Principal,
        backend: str,
        method: str,
        name: str | None,
        decision: Decision,
        detail: str | None = None,
    ) -> bytes:
        user = asking.user
        fields = {
            "allowed": decision.allowed,
            "reason": decision.reason,
            "direction": direction,
            "agent": self._agent,
            "peer": asking.id,
            "user": None if user is None else str(user),
            "client": None if user is None else user.client,
            "actors": list(user.actors) if user is not None and user.actors else None,
            "backend": backend,
            "method": method,
            "name": name,
            "rule": decision.rule,
            "observed": decision.observed or None,
            "detail": detail or None,
        }
        return encode_fields("decision", fields)

    def hidden(self, direction: str, peer: str, backend: str, kind: str, count: int) -> None:
        """A list left without some of its items."""
        self.metrics.count(names.HIDDEN_ITEMS, (direction, backend, kind), count)
        if self._log_allowed:
            self.log.write(
                "hidden",
                direction=direction,
                agent=self._agent,
                peer=peer,
                backend=backend,
                kind=kind,
                count=count,
            )

    def refused_message(self, side: str, peer: str, reason: Reason, detail: str) -> None:
        """A message that could not be read safely. `side` is `client` or `upstream`."""
        self.metrics.count(names.REFUSED_MESSAGES, (side, reason))
        self.log.write(
            "refused_message", side=side, agent=self._agent, peer=peer, reason=reason, detail=detail
        )

    def upstream_failure(self, backend: str, destination: str, reason: Reason, detail: str) -> None:
        """A backend did not answer."""
        self.metrics.count(names.UPSTREAM_FAILURES, (backend, reason))
        self.log.write(
            "upstream_failure",
            agent=self._agent,
            backend=backend,
            destination=destination,
            reason=reason,
            detail=detail,
        )

    def finding(
        self,
        direction: str,
        peer: str,
        backend: str,
        tool: str | None,
        *,
        detector: str,
        kind: str,
        action: str,
        observed: bool,
        times: int,
        where: str,
    ) -> None:
        """Content that a guardrail is about, by its kind and place; what it says is written nowhere."""
        done = "observe" if observed else action
        self.metrics.count(names.FINDINGS, (direction, backend, detector, kind, done), times)
        if self._log_refused if action == "block" or observed else self._log_allowed:
            self.log.write(
                "finding",
                direction=direction,
                agent=self._agent,
                peer=peer,
                backend=backend,
                tool=tool,
                detector=detector,
                kind=kind,
                action=action,
                observed=observed or None,
                count=times,
                where=where,
            )

    def detector_failed(self, backend: str, detector: str, reason: Reason) -> None:
        """A content check did not come to an end."""
        self.metrics.count(names.DETECTOR_FAILURES, (backend, detector, reason))
        self.log.write(
            "detector_failed", agent=self._agent, backend=backend, detector=detector, reason=reason
        )

    def pin(
        self,
        direction: str,
        peer: str,
        backend: str,
        reason: Reason,
        *,
        tool: str | None,
        what: str,
        digest: str | None,
        observed: bool,
    ) -> None:
        """A tool that is not as it was pinned or approved, told once for what it is now."""
        self.log.write(
            "pin",
            direction=direction,
            agent=self._agent,
            peer=peer,
            backend=backend,
            tool=tool,
            reason=reason,
            what=what,
            digest=digest,
            observed=observed or None,
        )

    def rate_limited(
        self,
        direction: str,
        asking: Principal,
        backend: str,
        tool: str | None,
        reason: Reason,
        rule: str,
        retry_after: float | None,
        *,
        observed: bool,
    ) -> None:
        """A limit was exceeded. `retry_after` in seconds, where time helps."""
        self.metrics.count(names.OBSERVED if observed else names.RATE_LIMITED, (direction, backend, reason))
        if self._log_refused:
            self.log.write(
                "rate_limited",
                reason=reason,
                direction=direction,
                agent=self._agent,
                peer=asking.id,
                user=None if asking.user is None else str(asking.user),
                backend=backend,
                tool=tool,
                rule=rule,
                retryAfterSeconds=retry_after,
                observed=observed or None,
            )

    def rate_store(self, answers: bool, detail: str) -> None:
        """The store of shared limits answers, or does not any more."""
        self.log.write("rate_store", agent=self._agent, answers=answers, detail=detail or None)

    def external_auth(self, policy: str, service: str, outcome: str, seconds: float, detail: str) -> None:
        """An external authorization service was asked; `outcome` is `allowed` or the reason of the refusal."""
        self.metrics.count(names.EXTERNAL_AUTH, (policy, outcome))
        self.metrics.histogram(names.EXTERNAL_AUTH_SECONDS, (policy,)).observe(seconds)
        refused = outcome != Reason.ALLOWED
        if self._log_refused if refused else self._log_allowed:
            self.log.write(
                "external_auth",
                agent=self._agent,
                policy=policy,
                service=service,
                outcome=outcome,
                seconds=round(seconds, 6),
                detail=detail or None,
            )

    def caller_token(self, backend: str, destination: str, headers: list[str]) -> None:
        """A caller's token did not leave; `headers` are the names of the fields that carried it."""
        self.metrics.count(names.CALLER_TOKENS_STRIPPED, (backend,), len(headers))
        self._kept_back("caller_token", Reason.CALLER_TOKEN_STRIPPED, backend, destination, headers=headers)

    def handle_stripped(self, backend: str, destination: str, headers: list[str]) -> None:
        """A handle did not leave; `headers` are the names of the fields that carried it."""
        self.metrics.count(names.HANDLES_STRIPPED, (backend,), len(headers))
        self._kept_back("handle", Reason.HANDLE_STRIPPED, backend, destination, headers=headers)

    def placeholder_stopped(self, backend: str, destination: str, what: str) -> None:
        """A request did not leave, because it held placeholders; `what` names their variables."""
        self.metrics.count(names.PLACEHOLDERS_STOPPED, (backend,))
        self._kept_back("placeholder", Reason.PLACEHOLDER_STOPPED, backend, destination, variables=what)

    def _kept_back(
        self, event: str, reason: Reason, backend: str, destination: str, **what: str | list[str]
    ) -> None:
        self.log.write(
            event, agent=self._agent, backend=backend, destination=destination, **what, reason=reason
        )

    def observed_address(self, backend: str, destination: str, detail: str) -> None:
        """A name led to an address that is refused wherever a policy enforces."""
        reason = Reason.EGRESS_PRIVATE_ADDRESS
        self.metrics.count(names.OBSERVED, ("outbound", backend, reason))
        if self._log_refused:
            self.log.write(
                "observed_address",
                agent=self._agent,
                backend=backend,
                destination=destination,
                reason=reason,
                detail=detail,
            )

    def observed_token(self, peer: str, reason: Reason, detail: str) -> None:
        """A user's token, or that there was none, would be refused if one of the policies about users enforced."""
        self.metrics.count(names.OBSERVED, ("inbound", "application", reason))
        if self._log_refused:
            self.log.write(
                "observed_token", agent=self._agent, peer=peer, reason=reason, detail=detail, observed=True
            )

    def handshake(
        self, side: str, peer: str, reason: Reason, detail: str | None = None, serial: str | None = None
    ) -> None:
        """A mutual TLS handshake ended; ALLOWED means that it succeeded. `serial` is that of the peer's SVID."""
        self.metrics.count(names.HANDSHAKES, (side, reason))
        if reason is not Reason.ALLOWED or self._log_allowed:
            self.log.write(
                "handshake",
                side=side,
                agent=self._agent,
                peer=peer,
                serial=serial,
                reason=reason,
                detail=detail,
            )

    def seconds(self, direction: str, duration: float) -> None:
        """A request was answered after `duration` seconds."""
        self._seconds[direction].observe(duration)
