"""One sidecar process: start, serve, drain, stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mesh.policy.access.level import Trust
from mesh.policy.compile import compile_policy
from mesh.policy.decide import Policy
from mesh.policy.documents import Documents
from mesh.policy.principal import Principal
from mesh.reasons import Reason
from sidecar.capture.inbound import Application
from sidecar.capture.inbound_redirect import InboundRedirect
from sidecar.capture.mesh import accept_mesh
from sidecar.capture.original_destination import original_destination
from sidecar.capture.outbound_redirect import OutboundRedirect
from sidecar.config import Address, Denials, PrivateAddresses, Provider, SidecarConfig
from sidecar.descriptors import raise_limit, shortage
from sidecar.external_auth.authorizer import Authorizer
from sidecar.external_auth.grpc_channels import GrpcChannels
from sidecar.guardrails.check import check_detectors
from sidecar.identity.chosen import chosen_provider
from sidecar.identity.holder import IdentityHolder, utc_now
from sidecar.identity.jwt_source import jwt_source_of
from sidecar.identity.keeper import IdentityKeeper
from sidecar.identity.provider import IdentityProvider, Renewable
from sidecar.proxy.channel import Channel
from sidecar.proxy.dial import NetworkDialer
from sidecar.proxy.downstream import Downstream
from sidecar.proxy.guard import Guard, Outside
from sidecar.proxy.listener import Listener
from sidecar.proxy.ourselves import Ourselves
from sidecar.proxy.pinning import Pinning, PinStore
from sidecar.proxy.pipeline import Pipeline
from sidecar.proxy.pool import Pool
from sidecar.proxy.resolve import Resolver
from sidecar.proxy.revoked import cut_revoked
from sidecar.proxy.routing import UNDECLARED
from sidecar.proxy.ticker import Ticker
from sidecar.readiness import FROM_FILES, Readiness, assess, bound, identity_health
from sidecar.tasks import spawn
from sidecar.telemetry import names
from sidecar.telemetry.app_health import AppHealth
from sidecar.telemetry.health import Health, HealthConnection
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.probe_listener import PROBE_CONNECTIONS, ProbeListener
from sidecar.telemetry.record import Recorder

if TYPE_CHECKING:
    from sidecar.control.plane import ControlPlane
    from sidecar.credentials.desk import Desk
    from sidecar.proxy.rated import Rates
    from sidecar.rates.shared import Store

AGENT = "agent"
"""Principal of outbound traffic before there is an SVID."""


class Sidecar:
    """Everything that one process holds. `start`, then `serve` until a signal, then `drain`."""

    def __init__(
        self, config: SidecarConfig, documents: Documents, provider: IdentityProvider | None = None
    ) -> None:
        """`provider`: where identity comes from; by default what the configuration says."""
        loop = asyncio.get_running_loop()
        self.config = config
        self._documents = None if config.control is not None else documents
        self._clock = loop.time
        self.metrics = Metrics()
        self.log = Log(dropped=lambda lines: self.metrics.count(names.LOG_LINES_DROPPED, (), lines))
        self.recorder = Recorder(
            self.metrics, self.log, agent=config.agent.label, decisions=config.decisions.value
        )
        self.identity = IdentityHolder()
        self._ticker = Ticker(config.limits.tick_seconds, self._clock)
        self._own = Ourselves()
        self._dialer = NetworkDialer(
            self.identity,
            connect=config.connect,
            own=self._own,
            authorities_file=str(config.authorities) if config.authorities else None,
            more_authorities=config.more_authorities,
            observed=partial(self.recorder.observed_address, UNDECLARED),
            handshake=partial(self.recorder.handshake, "outbound"),
        )
        self._pool = Pool(self._dialer, config.limits, self._ticker, self._clock)
        self._application = Application(
            config.application.host,
            config.application.ports,
            redirected=config.listen.redirect_inbound is not None,
        )
        self._rate_store: Store | None = None
        self.pipeline = Pipeline(
            self._compiled(documents, config.agent.labels),
            limits=config.limits,
            pool=self._pool,
            dialer=self._dialer,
            recorder=self.recorder,
            clock=self._clock,
            application=self._application,
            authorizer=self._authorizer(),
            desk=self._desk,
            guard=self._guard,
            rates=self._rates,
            forbidden=config.denials is Denials.FORBIDDEN,
        )
        if config.hidden_secrets:
            self.pipeline.equip()
        self._app_health = AppHealth(
            config.application.probes, config.application.host, config.agent.pod_ip, clock=self._clock
        )
        self._listeners: dict[str, Listener] = {}
        self._control = self._control_plane()
        self._keeper = IdentityKeeper(self.identity, self.log, self.metrics, self._pool.renew)
        self._source = provider or self._chosen_source()
        self._intercepted: tuple[str, ...] = ()
        self._stop = asyncio.Event()
        self._register_gauges()

    # Start.

    async def start(self) -> dict[str, str]:
        """Bind every listener, wait for the first SVID; returns the bound addresses."""
        listen = self.config.listen
        self._tell_shortage()
        self._ticker.start()
        await self._listen("telemetry", listen.telemetry, self._health_connection)
        detectors = spawn(asyncio.to_thread(Guard.warm), name="make detectors")
        self._keeper.begin(self._source)
        # Plain text is never a fallback, and no policy is not a policy: nothing is accepted before both are there.
        await self._unless_stopped(self._keeper.first())
        if self._documents is not None and self.identity.current is not None:
            self.pipeline.use(self._compiled(self._documents, self.config.agent.labels))
        await self._first_configuration()
        await detectors
        if self._stop.is_set():
            return self.addresses
        self._trust_interception()
        self._rate_store = self._connected_store()
        await self._listen("forward", listen.forward, self._outbound_connection)
        await self._listen("redirectOutbound", listen.redirect_outbound, self._outbound_redirect().accept)
        await self._listen("inbound", listen.inbound, self._inbound_connection)
        await self._listen("redirectInbound", listen.redirect_inbound, self._inbound_redirect().accept)
        self._announce()
        return self.addresses

    def _tell_shortage(self) -> None:
        listen = self.config.listen
        traffic = (listen.forward, listen.redirect_outbound, listen.inbound, listen.redirect_inbound)
        listeners = sum(address is not None for address in traffic)
        told = shortage(raise_limit(), self.config.limits.connections, listeners)
        if told is not None:
            self.log.write("few_descriptors", detail=told)

    @property
    def addresses(self) -> dict[str, str]:
        """Listener -> bound `host:port`."""
        return {name: listener.address for name, listener in self._listeners.items()}

    async def _listen(
        self, name: str, address: Address | None, make: Callable[[Listener], asyncio.Protocol]
    ) -> None:
        if address is None:
            return
        crowded = partial(
            self.recorder.refused_message,
            "client",
            "unknown",
            Reason.TOO_MANY_CONNECTIONS,
            f"listener {name}",
        )
        kind, most = Listener, self.config.limits.connections
        if name == "telemetry":
            kind, most = ProbeListener, min(most, PROBE_CONNECTIONS)
        listener = kind(name, make, self._ticker, most, crowded)
        await listener.start(*address)
        self._listeners[name] = listener
        self._own.add(address, listener.bound)

    async def _first_configuration(self) -> None:
        if self._control is not None and not self._stop.is_set():
            await self._control.start()
            await self._unless_stopped(self._control.first())

    async def _unless_stopped(self, awaited: Coroutine[Any, Any, None]) -> None:
        """Until `awaited` has come to an end, or the sidecar shall."""
        tasks = spawn(awaited, name="starting"), spawn(self._stop.wait(), name="stop while starting")
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    # Policy.

    def _authorizer(self) -> Authorizer:
        channels = GrpcChannels(self.config.authorities, self.config.more_authorities)
        address = self._dialer.address
        return Authorizer(
            self._pool, self.config.limits, self.recorder, self._clock, address=address, channels=channels
        )

    def _desk(self) -> Desk:
        # Imported here, because most sidecars know of no users and credentials.
        from sidecar.credentials.assembly import assembled

        return assembled(
            self._pool,
            lambda: self.pipeline.policy,
            self.metrics,
            self.log,
            agent=self.config.agent.label,
            secrets=self.config.credentials,
            hidden=self.config.hidden_secrets,
            jwt_source=lambda: jwt_source_of(self._source),
            own=lambda: self.identity.own_id,
        )

    def _guard(self, policy: Policy) -> Guard:
        pinning = Pinning(policy, self.recorder, store=self._pin_store())
        return Guard(policy, self.recorder, self._clock, self._outside, pinning)

    def _pin_store(self) -> PinStore | None:
        """Where pins outlive the process; None where there is no folder for what does."""
        control, agent = self.config.control, self.config.agent
        if control is None or control.state is None:
            return None
        # Imported here, because a sidecar without a control plane keeps nothing.
        from sidecar.control.saved_pins import SavedPins

        return SavedPins(control.state, agent, self.log, self.metrics)

    def _connected_store(self) -> Store | None:
        """What counts the limits that are shared, if anything does."""
        config = self.config
        if config.rate_store is None:
            return None
        # Imported here, because most sidecars share nothing.
        from sidecar.rates.shared import Missing, connected

        try:
            store = connected(
                config.rate_store.url,
                timeout=config.limits.rate_store_seconds,
                password_file=config.rate_store.password_file,
                authorities=config.authorities,
                more_authorities=config.more_authorities,
                told=self.recorder.rate_store,
            )
        except Missing as missing:
            self.recorder.rate_store(False, str(missing))
            return None
        self.metrics.gauge(names.RATE_STORE_ANSWERS, lambda: {(): float(store.answers)})
        store.start()
        return store

    def _rates(self, policy: Policy) -> Rates:
        # Imported here, because most sidecars limit nothing.
        from sidecar.proxy.rated import Rates

        return Rates(
            policy,
            self.recorder,
            time.monotonic_ns,
            store=lambda: self._rate_store,
            own=lambda: self.identity.own_id,
        )

    def _outside(self) -> Outside:
        # Imported here, because most sidecars ask nobody.
        from sidecar.guardrails.external.assembly import externals

        return externals(self._pool, lambda: self.pipeline.policy, self.metrics, self.log, self._clock)

    def _compiled(self, documents: Documents, labels: Mapping[str, str]) -> Policy:
        config = self.config
        private = config.egress.private_addresses is PrivateAddresses.ALLOW
        policy = compile_policy(
            documents,
            labels=labels,
            namespace=config.agent.namespace,
            boundary=self._dialer.boundary(private_addresses=private),
            narrowing=config.narrowing,
            trust=self._trust(),
        )
        check_detectors(policy.detectors)
        return policy

    def _trust(self) -> Trust:
        """ServiceAccounts of access policies are those of our own trust domain, known since the first SVID."""
        current = self.identity.current
        return Trust(None if current is None else current.svid.spiffe_id.trust_domain)

    def _chosen_source(self) -> IdentityProvider | None:
        identity, control, problem = self.config.identity, self._control, self._keeper.problem
        if control is None:
            return chosen_provider(identity, problem)
        own, kept = control.usable_svid, control.kept_identity()
        return chosen_provider(identity, problem, self.config.control, control.trust, own=own, kept=kept)

    def _renew_identity(self) -> None:
        if isinstance(self._source, Renewable):
            self._source.renew_now()

    def _control_plane(self) -> ControlPlane | None:
        config = self.config
        if config.control is None:
            return None
        # Imported here, because a sidecar whose policies are files needs none of it.
        from sidecar.control.plane import ControlPlane

        return ControlPlane(
            config.control,
            config.agent,
            self.identity,
            own_ca=config.identity.provider is Provider.BUILTIN,
            log=self.log,
            metrics=self.metrics,
            compile=self._compiled,
            current=lambda: self.pipeline.policy,
            use=self.use,
            renew=self._renew_identity,
            clock=self._clock,
        )

    def use(self, policy: Policy) -> None:
        """Put another policy in force while this one serves."""
        self.pipeline.use(policy)
        connections = (x for listener in self._listeners.values() for x in listener.connections)
        for direction, peer, reason in cut_revoked(self.pipeline, connections):
            self.metrics.count(names.REVOKED_CONNECTIONS, (direction,))
            self.log.write("revoked", direction=direction, peer=peer, reason=reason)
        interception = self.pipeline.interception
        beyond = () if interception is None else interception.beyond(policy.backends)
        if beyond:
            reason = Reason.INTERCEPTION_UNAVAILABLE
            self.log.write("interception_incomplete", reason=reason, hosts=beyond, detail=reason.sentence)

    # Connections.

    def _agent(self) -> Principal:
        return Principal(self.identity.own_id or AGENT)

    def _outbound_connection(self, listener: Listener) -> asyncio.Protocol:
        return Downstream(self.pipeline, listener, Channel("outbound", self._agent(), AGENT))

    def _outbound_redirect(self) -> OutboundRedirect:
        resolver = Resolver(self._dialer.declared, self._clock)
        return OutboundRedirect(self.pipeline, self._agent, original_destination, resolver.addresses)

    def _inbound_redirect(self) -> InboundRedirect:
        permissive = self.config.inbound.permissive
        return InboundRedirect(
            self.pipeline, self.identity, self._application, permissive, original_destination
        )

    def _trust_interception(self) -> None:
        """Make the interception CA and the files by which the application trusts it."""
        directory = self.config.interception
        if directory is None:
            return
        # Imported here, because making certificates costs memory that only who intercepts should pay for.
        from sidecar.capture.intercepted import begin_interception

        additional = self.config.authorities, self.config.more_authorities
        begun = begin_interception(self.pipeline, directory, additional, os.environ)
        self._intercepted = begun.hosts
        detail = None if begun.hosts else "no Backend declares a host whose TLS can be inspected"
        self.log.write("interception", hosts=begun.hosts, public_roots=begun.public_roots, detail=detail)

    def _inbound_connection(self, listener: Listener) -> asyncio.Protocol:
        return accept_mesh(self.pipeline, self.identity, listener)

    def _health_connection(self, listener: Listener) -> asyncio.Protocol:
        health = Health(self.metrics.exposition, self.readiness, self._app_health)
        return HealthConnection(health, listener, self._clock)

    # Health.

    def readiness(self) -> Readiness:
        """The states of the parts, and why this sidecar cannot serve now if it cannot."""
        config, current = self.config, self.identity.current
        return assess(
            identity_health(
                None if current is None else current.svid,
                self.identity.clock(),
                wanted=config.identity.provider is not Provider.NONE,
            ),
            bound(config.listen, self.addresses),
            policies=self.pipeline.policy.policies,
            interception=None if config.interception is None else self._intercepted,
            draining=self._stop.is_set(),
            trouble=self._keeper.trouble,
            configuration=FROM_FILES if self._control is None else self._control.health(),
        )

    def _register_gauges(self) -> None:
        gauge = self.metrics.gauge
        gauge(names.CONNECTIONS, lambda: {(n,): float(x.count) for n, x in self._listeners.items()})
        gauge(names.UPSTREAM_CONNECTIONS, self._pool.counts)
        gauge(names.IDENTITY_READY, lambda: {(): float(self.identity.ready(utc_now()))})
        gauge(names.IDENTITY_EXPIRY_SECONDS, self._expiry)

    def _expiry(self) -> dict[tuple[str, ...], float]:
        seconds = self.identity.seconds_to_expiry(utc_now())
        return {} if seconds is None else {(): seconds}

    def _announce(self) -> None:
        # What start-up made lives as long as the process: take it out of the collector's rounds.
        gc.collect()
        gc.freeze()
        policy = self.pipeline.policy
        self.log.write(
            "ready",
            policies=list(policy.policies),
            narrowed=policy.narrowing.told(),
            idle=policy.idle,
            **self.addresses,
        )

    # Serve, drain, stop.

    def handle_signals(self) -> None:
        """Let SIGTERM and SIGINT end `serve`, also while the first SVID is awaited."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def serve(self) -> None:
        """Until `stop`."""
        sweeper = spawn(self._sweep(), name="pool sweeper")
        await self._stop.wait()
        sweeper.cancel()

    def stop(self) -> None:
        """Ask the sidecar to end."""
        self._stop.set()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.config.limits.upstream_keep_alive_seconds)
            self._pool.sweep()

    async def drain(self) -> None:
        """Let what is under way finish, within limits.drainSeconds, then close everything."""
        self.pipeline.draining = True
        traffic = [x for name, x in self._listeners.items() if name != "telemetry"]
        results = await asyncio.gather(*(x.drain(self.config.limits.drain_seconds) for x in traffic))
        if self._control is not None:
            await self._control.stop()
        await self._keeper.stop()
        await self.pipeline.authorizer.close()
        await self.pipeline.departure.close()
        if self._rate_store is not None:
            await self._rate_store.close()
        self._pool.close()
        if telemetry := self._listeners.get("telemetry"):
            await telemetry.drain(0.1)
        self._ticker.stop()
        self.log.write("stopped", complete=all(results))
        self.log.close()
