"""What is written down about credentials: a line for each one that was asked for, and never the credential."""

from __future__ import annotations

from sidecar.telemetry import names
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics

ISSUED = "issued"


class CredentialRecord:
    """Counts and logs for one sidecar; the Tell of sidecar.credentials.sources."""

    def __init__(self, metrics: Metrics, log: Log, *, agent: str) -> None:
        self._metrics = metrics
        self._log = log
        self._agent = agent

    def credential(
        self,
        backend: str,
        kind: str,
        server: str,
        outcome: str,
        seconds: float,
        *,
        expires_in: float | None = None,
        scopes: frozenset[str] = frozenset(),
        user: str | None = None,
        actor: str | None = None,
        detail: str | None = None,
    ) -> None:
        """A server was asked for the credential of a Backend, or a file was read (`server` is empty).

        `outcome` is `issued` or the reason of the refusal; `expires_in` in seconds, None where it does not.
        `user` is ISSUER#SUBJECT, where the credential is for one, and `actor` who acts for them.
        """
        self._metrics.count(names.CREDENTIALS, (backend, kind, outcome))
        if server:
            self._metrics.histogram(names.CREDENTIAL_SECONDS, (backend,)).observe(seconds)
        self._log.write(
            "credential",
            agent=self._agent,
            backend=backend,
            kind=kind,
            server=server or None,
            outcome=outcome,
            seconds=round(seconds, 6) if server else None,
            expires_in=None if expires_in is None else round(expires_in),
            scopes=sorted(scopes) or None,
            user=user,
            actor=actor,
            detail=detail,
        )

    def credential_cache(self, backend: str, outcome: str) -> None:
        """`miss`: asked for, since it was not there; `refresh`: renewed ahead of its end; `negative`: refused a
        moment ago, and not asked for again. What was simply there is not counted: that is every request.
        """
        self._metrics.count(names.CREDENTIAL_CACHE, (backend, outcome))

    def user_keys(self, issuer: str, problem: str | None, keys: int) -> None:
        """The keys of an issuer of users' tokens were had (how many), or could not be (`problem`)."""
        self._metrics.count(names.USER_KEYS, ("had" if problem is None else "failed",))
        self._log.write(
            "user_keys",
            agent=self._agent,
            issuer=issuer,
            keys=keys if problem is None else None,
            problem=problem,
        )

    def hidden_secret(self, sentence: str) -> None:
        """A file with a hidden secret cannot be used."""
        self._log.write("hidden_secret", agent=self._agent, detail=sentence)
