"""The control plane as one sidecar sees it: configurations come in, go in force, are answered for and kept.

What was put in force stays until something else is: while the control plane is away, while it sends what cannot be
compiled, and over a start of this process where there is a folder to keep it in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from mesh.distribution.messages import Configuration, FromSidecar, Hello, Refused
from mesh.identity.svid import X509Svid
from mesh.policy.decide import Policy
from mesh.reasons import Reason
from mesh.settings.table import VERSION
from sidecar.control.client import ControlClient
from sidecar.control.compiled import Compile, ConfigurationRefused, policy_of, policy_of_sent
from sidecar.control.conversation import NEVER, Over
from sidecar.control.failed import CallFailed, Cause
from sidecar.control.in_force import InForce
from sidecar.control.proof import Proof
from sidecar.control.saved import SavedState, SavedUnusable
from sidecar.control.trust import ControlTrust
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.kept_identity import KeptIdentity
from sidecar.identity.provider import Identity
from sidecar.identity.told_once import ToldOnce
from sidecar.readiness import ConfigurationHealth, Source
from sidecar.settings import AgentSettings, ControlSettings
from sidecar.tasks import spawn
from sidecar.telemetry import names
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics

T = TypeVar("T")


class ControlPlane:
    """Everything about the control plane that one sidecar holds.

    own_ca    whether the control plane's CA is that of our SVID: then the SVID proves us to it, and our bundle it
    compile   makes the policy of documents, off the event loop
    current   the policy in force
    use       puts another in force
    renew     has our SVID replaced, because the control plane refuses it
    """

    def __init__(
        self,
        settings: ControlSettings,
        agent: AgentSettings,
        identity: IdentityHolder,
        *,
        own_ca: bool,
        log: Log,
        metrics: Metrics,
        compile: Compile,
        current: Callable[[], Policy],
        use: Callable[[Policy], None],
        renew: Callable[[], None] = lambda: None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._agent = agent
        self._identity = identity
        self._own_ca = own_ca
        self._log = log
        self._metrics = metrics
        self._compile = compile
        self._current = current
        self._use = use
        self._renew = renew
        self._state = InForce(identity.clock)
        self._saved = None if settings.state is None else SavedState(settings.state, _owner(agent))
        self._not_saved = ToldOnce(lambda sentence: log.write("configuration_not_saved", detail=sentence))
        self._problem = ToldOnce(self._tell_problem)
        self._roots = self._saved_roots()
        self.trust = ControlTrust(settings.roots, self._learned)
        self._by_svid = False
        self._shown: X509Svid | None = None
        self._first = asyncio.Event()
        self._arrived = asyncio.Event()
        self._waiting: Configuration | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._client = ControlClient(
            settings.server,
            self.trust,
            prove=self._prove,
            hello=self._hello,
            configured=self._take,
            connected=self._connected,
            lost=self._lost,
            unforeseen=lambda sentence: self._problem.problem(sentence, sentence),
            clock=clock,
            sleep=sleep,
        )
        metrics.gauge(names.CONTROL_CONNECTED, lambda: {(): float(self._state.connected)})
        metrics.gauge(names.CONFIGURATION_AGE_SECONDS, self._age)

    # Start and stop.

    async def start(self) -> None:
        """Put what was saved in force, if anything was, and begin to listen to the control plane."""
        await self._restore()
        self._tasks = [
            spawn(self._apply(), name="configurations"),
            spawn(self._client.run(), name="control plane"),
        ]
        if self._own_ca:
            self._identity.subscribe(self._learn)
            if self._identity.current is not None:
                self._learn(self._identity.current)

    async def first(self) -> None:
        """Until there is a configuration in force."""
        await self._first.wait()

    async def stop(self) -> None:
        """Say no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def health(self) -> ConfigurationHealth:
        """For /readyz."""
        return self._state.health()

    def _age(self) -> dict[tuple[str, ...], float]:
        age = self._state.age()
        return {} if age is None else {(): age}

    # Who we are, and whom we trust.

    def _hello(self) -> Hello:
        agent = self._agent
        return Hello(agent.namespace or "", agent.name, agent.uid or "", VERSION, self._state.version)

    def _prove(self, failed: bool) -> tuple[Proof, float]:
        """By our SVID while there is one; where that was of no use, by the token for a change."""
        token, svid = self._settings.token, self.usable_svid()
        self._by_svid = svid is not None and not (failed and self._by_svid)
        self._shown = svid if self._by_svid else None
        if svid is None or not self._by_svid:
            return Proof(token), NEVER
        return Proof(token, svid), (svid.not_after - self._identity.clock()).total_seconds()

    def usable_svid(self) -> X509Svid | None:
        """The SVID that proves us to the control plane, if there is one."""
        current = self._identity.current
        if not self._own_ca or current is None or not self._identity.ready(self._identity.clock()):
            return None
        return current.svid

    def _learned(self) -> tuple[bytes, ...]:
        current = self._identity.current
        return self._roots if current is None or not self._own_ca else (*self._roots, *_own_roots(current))

    def _saved_roots(self) -> tuple[bytes, ...]:
        if self._saved is None or not self._own_ca:
            return ()
        try:
            return self._saved.roots()
        except SavedUnusable as unusable:
            self._log.write("saved_unusable", detail=str(unusable))
            return ()

    def _learn(self, identity: Identity) -> None:
        """Keep the roots of our trust domain for the next start."""
        roots = _own_roots(identity)
        if self._saved is not None and roots and roots != self._roots:
            self._roots = roots
            spawn(self._save(self._saved.save_roots, roots), name="save roots")

    def kept_identity(self) -> KeptIdentity | None:
        """Where an identity outlives this process; None where nothing does."""
        if self._saved is None:
            return None
        return KeptIdentity(
            self._saved,
            self._agent,
            unusable=lambda sentence: self._log.write("saved_unusable", detail=sentence),
            not_kept=lambda sentence: self._log.write("identity_not_kept", detail=sentence),
        )

    # What the control plane sends.

    def _take(self, configuration: Configuration) -> None:
        """Only the newest counts: one that has to wait is forgotten for the next."""
        self._waiting = configuration
        self._arrived.set()

    async def _apply(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            configuration, self._waiting = self._waiting, None
            if configuration is not None:
                await self._try(configuration)

    async def _try(self, configuration: Configuration) -> None:
        if configuration.version == self._state.version:
            self._state.applied(configuration.version, Source.STREAM)
            self._client.say(FromSidecar(applied=configuration.version))
            return
        try:
            policy = await self._policy(configuration, sent=True)
        except ConfigurationRefused as refused:
            self._refuse(configuration, refused)
            return
        self._put(configuration, policy, Source.STREAM)
        self._metrics.count(names.CONFIGURATIONS, ("applied",))
        self._client.say(FromSidecar(applied=configuration.version))
        if self._saved is not None:
            await self._save(self._saved.save_configuration, configuration)

    async def _policy(self, configuration: Configuration, *, sent: bool = False) -> Policy:
        """Compiled in a thread: a thousand documents take longer than traffic should wait."""
        make = policy_of_sent if sent else policy_of
        work = asyncio.to_thread(make, configuration, self._compile, self._current().backends)
        (outcome,) = await asyncio.gather(work, return_exceptions=True)
        if isinstance(outcome, Policy):
            return outcome
        if isinstance(outcome, ConfigurationRefused):
            raise outcome
        # A fault of ours must neither end this task nor look as if the configuration were in force.
        sentence = f"this sidecar failed to compile it: {type(outcome).__name__}: {outcome}"
        raise ConfigurationRefused(Reason.CONFIGURATION_INVALID, (sentence,))

    def _put(
        self, configuration: Configuration, policy: Policy, source: Source, at: datetime | None = None
    ) -> None:
        self._use(policy)
        self._state.applied(configuration.version, source, at)
        self._first.set()
        self._log.write(
            "configuration",
            source=source,
            version=configuration.version,
            documents=len(configuration.documents),
            policies=list(policy.policies),
            backends=len(policy.backends),
        )

    def _refuse(self, configuration: Configuration, refused: ConfigurationRefused) -> None:
        """What is in force stays; everybody is told."""
        version, reason = configuration.version, refused.reason
        self._state.refused(version, reason, refused.detail)
        self._metrics.count(names.CONFIGURATIONS, (reason,))
        self._log.write(
            "configuration_refused",
            version=version,
            reason=reason,
            in_force=self._state.version,
            errors=list(refused.errors),
        )
        self._client.say(FromSidecar(refused=Refused(version, reason, refused.detail)))

    # The connection.

    def _connected(self) -> None:
        self._problem.over()
        self._state.taken_on()
        self._log.write(
            "control_connected", by="svid" if self._by_svid else "token", version=self._state.version
        )

    def _lost(self, why: CallFailed | Over) -> None:
        if isinstance(why, Over):
            return  # connected again at once, or told then
        self._metrics.count(names.CONTROL_FAILURES, (why.cause,))
        self._state.lost(why.detail)
        self._problem.problem(why.cause, why.detail)
        if why.cause is Cause.CERTIFICATE_REFUSED and self._shown == self.usable_svid() is not None:
            self._renew()

    def _tell_problem(self, sentence: str) -> None:
        health = self._state.health()
        self._log.write(
            "control_problem",
            detail=sentence,
            in_force=health.version or None,
            since=None if health.since is None else health.since.isoformat(),
        )

    # What outlives the process.

    async def _restore(self) -> None:
        if self._saved is None:
            return
        try:
            kept = await asyncio.to_thread(self._saved.configuration)
            if kept is not None:
                policy = await self._policy(kept.configuration)
                self._put(kept.configuration, policy, Source.SAVED, kept.at)
        except SavedUnusable as unusable:
            self._log.write("saved_unusable", detail=str(unusable))
        except ConfigurationRefused as refused:
            detail = f"the configuration that was saved cannot be compiled any more: {refused.detail}"
            self._log.write("saved_unusable", detail=detail)

    async def _save(self, save: Callable[[T, datetime], None], what: T) -> None:
        """A disk that is full or gone takes nothing from what is in force."""
        try:
            await asyncio.to_thread(save, what, self._identity.clock())
        except OSError as failed:
            self._metrics.count(names.CONFIGURATION_SAVE_FAILURES)
            cause = failed.strerror or str(failed)
            self._not_saved.problem(cause, f"{self._settings.state}: {cause}")
        else:
            self._not_saved.over()


def _own_roots(identity: Identity) -> tuple[bytes, ...]:
    """The authorities (DER) of our own trust domain."""
    bundle = identity.bundles.get(identity.svid.spiffe_id.trust_domain)
    return () if bundle is None else tuple(bundle.authorities_der)


def _owner(agent: AgentSettings) -> str:
    return f"{agent.namespace}/{agent.name}/{agent.uid}"
