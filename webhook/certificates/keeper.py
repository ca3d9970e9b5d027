"""The leader's hands: carries out what `plan` decides, against the API server.

Each write names the resourceVersion that it follows; after a conflict the object is read again and the decision is
made anew. Whether we still lead is asked before every single write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from webhook.certificates.bundles import PREFIX, Configuration
from webhook.certificates.issue import Lifetimes
from webhook.certificates.material import KEYS, Material, write
from webhook.certificates.observed import Observed
from webhook.certificates.plan import Act, Step, next_step, perform
from webhook.cluster.client import ApiClient, Collection
from webhook.cluster.failures import ApiFailed, Failure, Log, Troubles
from webhook.cluster.pace import Pace, work_when_woken

MUTATING = Collection(PREFIX, "mutatingwebhookconfigurations")
VALIDATING = Collection(PREFIX, "validatingwebhookconfigurations")
_SUBJECT = "certificates"
_MOST_STEPS = 20
_IDLE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are: the Secret, and the configurations by name."""

    namespace: str
    secret: str
    configurations: dict[str, Collection]

    @property
    def secrets(self) -> Collection:
        return Collection("/api/v1", "secrets", self.namespace)


@dataclass(slots=True)
class Keeper:
    """Keeps Secret and configurations in order while `leading()`. `written` is told of each act, for metrics."""

    client: ApiClient
    places: Places
    observed: Observed
    leading: Callable[[], bool]
    lifetimes: Lifetimes
    pace: Pace
    troubles: Troubles
    log: Log
    now: Callable[[], datetime]
    written: Callable[[Act], None]
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _attempt: int = 0
    _missing: bool = False

    async def run(self) -> None:
        """Work whenever something changes or is due, until cancelled."""
        await work_when_woken(self.changed, self.work)

    async def work(self) -> float:
        """Do what can be done now; in how many seconds to look again, if nothing changes before."""
        if not self.leading() or not self.observed.secret_known:
            return _IDLE_SECONDS
        if self._secret_missing():
            return _IDLE_SECONDS
        try:
            seconds = await self._steps()
        except ApiFailed as error:
            self.troubles.failed(_SUBJECT, error)
            self._attempt += 1
            return self.pace.delay(self._attempt - 1, error.retry_after)
        self._attempt = 0
        self.troubles.well(_SUBJECT)
        return seconds

    async def _steps(self) -> float:
        for _ in range(_MOST_STEPS):
            if not self.leading() or self.observed.secret is None:
                return _IDLE_SECONDS
            scene = self.observed.scene()
            step = next_step(scene, self.lifetimes)
            if step.act is Act.REST:
                return max(0.1, ((step.until or scene.now) - scene.now).total_seconds())
            if step.act is Act.PUBLISH:
                if not await self._publish():
                    return self.pace.delay(self._attempt)
            else:
                await self._store(step, perform(step, scene, self.lifetimes))
        return self.pace.delay(self._attempt)

    async def _store(self, step: Step, material: Material) -> None:
        places, secret = self.places, self.observed.secret or {}
        kept = {name: value for name, value in (secret.get("data") or {}).items() if name not in KEYS}
        document = {**secret, "data": {**kept, **write(material)}}
        try:
            stored = await self.client.replace(places.secrets, places.secret, document)
        except ApiFailed as error:
            if error.failure is not Failure.CONFLICT:
                raise
            stored = await self.client.get(places.secrets, places.secret)
        else:
            self.log({"event": "certificates", "act": str(step.act), "why": step.why})
            self.written(step.act)
        self.observed.take_secret(stored)
        self.observed.refresh()

    async def _publish(self) -> bool:
        """Set what differs; False where nothing could be set, because something is not known yet."""
        done = False
        for configuration in self.observed.present:
            operations = configuration.patch(self.observed.trusted)
            if operations and self.leading():
                await self._patch(configuration, operations)
                done = True
        self.observed.refresh()
        return done

    async def _patch(self, configuration: Configuration, operations: list[dict[str, object]]) -> None:
        name = configuration.name
        collection = self.places.configurations[name]
        try:
            stored = await self.client.patch(collection, name, operations)
        except ApiFailed as error:
            if error.failure is not Failure.CONFLICT:
                raise
            stored = await self.client.get(collection, name)
        else:
            self.log({"event": "certificates", "act": str(Act.PUBLISH), "configuration": name})
            self.written(Act.PUBLISH)
        self.observed.take_configuration(name, stored)

    def _secret_missing(self) -> bool:
        missing = self.observed.secret is None
        if missing and not self._missing:
            hint = "the chart makes it, empty: helm upgrade brings it back"
            error = f"Secret {self.places.secret} in namespace {self.places.namespace} is not there; {hint}"
            self.log({"event": "secret_missing", "error": error})
        self._missing = missing
        return missing
