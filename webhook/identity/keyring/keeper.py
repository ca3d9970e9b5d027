"""The leader's hands for the CA: carries out what the plan decides, and publishes the roots in a ConfigMap.

Each write names the resourceVersion that it follows; after a conflict the object is read again and the decision is
made anew. Whether we still lead is asked before every single write. What is broken, or belongs to somebody else,
is never written over.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from mesh.settings.installation import ROOTS, ROOTS_KEY
from webhook.certificates.observed import One
from webhook.cluster.client import ApiClient, Collection, Document, decode
from webhook.cluster.failures import ApiFailed, Failure, Log, Troubles
from webhook.cluster.pace import Pace, work_when_woken
from webhook.identity.keyring.in_force import InForce
from webhook.identity.keyring.plan import Act, Step, next_step, perform
from webhook.identity.keyring.stored import KEYRING_KEY, write_keyring
from webhook.identity.keyring.values import Keyring

_SUBJECT: Final = "ca"
_MOST_STEPS: Final = 20
IDLE_SECONDS: Final = 60.0


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


class PublishedRoots:
    """The ConfigMap with the roots, as the watch brings it; None where it is not there."""

    def __init__(self) -> None:
        self.known = False
        self.document: Document | None = None
        self.pem = ""

    def store(self, changed: Callable[[], None]) -> One:
        """Where the watch brings what it sees."""
        return One(self.take, changed)

    def take(self, item: bytes | None) -> None:
        """The ConfigMap as it is now, or None. Raises ApiFailed for what is none."""
        self.document = None if item is None else decode(item, dict[str, Any])
        self.pem = "" if item is None else (decode(item, _ConfigMap).data or {}).get(ROOTS_KEY, "")
        self.known = True


@dataclass(slots=True)
class CaKeeper:
    """Keeps Secret and ConfigMap in order while `leading()`. `written` is told of each act, for metrics."""

    client: ApiClient
    namespace: str
    secret: str
    in_force: InForce
    roots: PublishedRoots
    leading: Callable[[], bool]
    pace: Pace
    troubles: Troubles
    log: Log
    now: Callable[[], datetime]
    written: Callable[[Act], None] = lambda _act: None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _attempt: int = 0

    async def run(self) -> None:
        """Work whenever something changes or is due, until cancelled."""
        await work_when_woken(self.changed, self.work)

    async def work(self) -> float:
        """Do what can be done now; in how many seconds to look again, if nothing changes before."""
        try:
            seconds = await self._steps()
            await self._publish()
        except ApiFailed as error:
            self.troubles.failed(_SUBJECT, error)
            self._attempt += 1
            return self.pace.delay(self._attempt - 1, error.retry_after)
        self._attempt = 0
        self.troubles.well(_SUBJECT)
        return seconds

    async def _steps(self) -> float:
        for _ in range(_MOST_STEPS):
            if not self._ours:
                return IDLE_SECONDS
            if self.in_force.empty and self.in_force.keyring is not None:
                await self._store(Step(Act.FOUND, "the Secret was emptied"), self.in_force.keyring)
                continue
            now, force = self.now(), self.in_force
            step = next_step(force.keyring, force.asked, now, force.times)
            if step.act is Act.REST:
                return min(IDLE_SECONDS, max(0.1, ((step.until or now) - now).total_seconds()))
            made = perform(step, force.keyring, force.trust_domain, force.asked, now, force.times)
            await self._store(step, made)
        return self.pace.delay(self._attempt)

    @property
    def _ours(self) -> bool:
        """May we write the Secret: do we lead, is it whole, and does nobody else look after it?

        An empty one is filled by whoever sees it first, and the others take that: during an upgrade from a release
        without a CA the leader may be a replica that knows of none, and that stays until we are ready.
        """
        force = self.in_force
        first = force.empty and force.keyring is None
        return (
            (first or self.leading())
            and force.secret is not None
            and not force.fault
            and not force.others_sign
        )

    async def _store(self, step: Step, keyring: Keyring) -> None:
        secret = self.in_force.secret or {}
        encoded = base64.b64encode(write_keyring(keyring)).decode("ascii")
        document = {**secret, "data": {**(secret.get("data") or {}), KEYRING_KEY: encoded}}
        collection = Collection("/api/v1", "secrets", self.namespace)
        stored, ours = await self._replace(collection, self.secret, document)
        if ours:
            self.log({"event": "ca", "act": str(step.act), "why": step.why})
            self.written(step.act)
        self.in_force.take(stored)
        self.in_force.tell()

    async def _publish(self) -> None:
        """Have the ConfigMap say what the roots are."""
        wanted, held = self.in_force.roots_pem, self.roots
        if not self.leading() or not wanted or held.document is None or held.pem == wanted:
            return
        document = {**held.document, "data": {**(held.document.get("data") or {}), ROOTS_KEY: wanted}}
        collection = Collection("/api/v1", "configmaps", self.namespace)
        stored, ours = await self._replace(collection, ROOTS, document)
        if ours:
            self.log({"event": "ca", "act": "publish_roots", "roots": wanted.count("BEGIN CERTIFICATE")})
        held.take(stored)

    async def _replace(self, collection: Collection, name: str, document: Document) -> tuple[bytes, bool]:
        """The object after a write, and whether the write was ours: after a conflict it is what is there now."""
        try:
            return await self.client.replace(collection, name, document), True
        except ApiFailed as error:
            if error.failure is not Failure.CONFLICT:
                raise
            return await self.client.get(collection, name), False
