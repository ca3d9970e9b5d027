"""The sidecars that are connected to this replica, and what each of them is to run.

Configurations are worked out a moment after a change, so that changes which come together cost one; for cohorts
that a change concerns and of which somebody is connected; a few milliseconds at a time, because admission waits
on the same loop. What is equal is kept, and encoded, once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mesh.distribution.messages import Refused
from mesh.identity.issuance import Refusal
from webhook.admission import metrics as series
from webhook.admission.metrics import AdmissionMetrics
from webhook.distribution.cohorts import Cohort
from webhook.distribution.compile import compile_cohort
from webhook.distribution.handshakes import Handshakes
from webhook.distribution.lines import Lines
from webhook.distribution.mailbox import End, Mailbox
from webhook.distribution.objects import Pod
from webhook.distribution.world import World
from webhook.identity.callers import CallRefused, Proven

GATHER_SECONDS = 0.02
SLICE_SECONDS = 0.005
MOST_STREAMS = 20_000
MOST_HANDSHAKES = 512
MOST_OF_ONE = 4
"""Handshakes of one caller at once."""
POD_SECONDS = 3.0
"""How long to wait for a pod that proves to be there, and that the watch has not brought yet."""
MOST_WAITING = 4
"""Of one caller at once: a pod without a sidecar can have a token, too, and must not take all the room."""
LEAVE_PER_SECOND = 200.0
"""How many sidecars are asked to connect elsewhere, per second."""
RETRY_SECONDS = 2


@dataclass(slots=True)
class Limits:
    """How much this replica takes on."""

    streams: int = MOST_STREAMS
    handshakes: int = MOST_HANDSHAKES
    of_one: int = MOST_OF_ONE
    pod_seconds: float = POD_SECONDS


class Hub:
    """See the module. `synced` says whether all objects have been listed: half of them is another policy."""

    def __init__(
        self,
        world: World,
        metrics: AdmissionMetrics,
        synced: Callable[[], bool] = lambda: True,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.world = world
        self.metrics = metrics
        self.limits = limits or Limits()
        self.lines = Lines()
        self.clock = clock
        self.answered: Callable[[], object] = lambda: None
        self.introduce: Callable[[str, str, str, Proven], object] = lambda *_: None
        """Told of who says hello, before it is looked up: where pods come from nowhere else."""
        self.draining = False
        self._synced = synced
        self._mailboxes: dict[str, Mailbox] = {}
        self._by_cohort: dict[Cohort, dict[str, Mailbox]] = {}
        self._handshakes = Handshakes(self.limits.handshakes, self.limits.of_one, clock)
        self._waiting: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._arrived = asyncio.Event()
        self._changed_at = 0.0
        world.changed = self._changed
        world.pod_changed = self._pod_changed

    # Who may have what

    async def pod_of(self, namespace: str, name: str, uid: str, proven: Proven) -> Pod:
        """The pod that a caller may speak for; raises CallRefused."""
        if not self._synced() or self.draining:
            why = "it is about to stop" if self.draining else "it has not seen all policies yet"
            raise CallRefused(
                Refusal.UNAVAILABLE, f"this replica gives no configurations: {why}", RETRY_SECONDS
            )
        if proven.uid is not None and (proven.namespace, proven.pod, proven.uid) != (namespace, name, uid):
            raise CallRefused(
                Refusal.CALLER_REFUSED, f"the token is not that of pod {namespace}/{name} ({uid})"
            )
        if proven.namespace != namespace:
            raise CallRefused(Refusal.CALLER_REFUSED, f"{proven.spiffe_id} is not of namespace {namespace}")
        self.introduce(namespace, name, uid, proven)
        pod = await self._known(namespace, name, uid, proven.caller)
        if pod is None:
            detail = f"there is no pod {namespace}/{name} ({uid}) with a sidecar"
            raise CallRefused(Refusal.CALLER_REFUSED, detail)
        if pod.account != proven.service_account:
            detail = f"pod {namespace}/{name} does not run as {proven.service_account}"
            raise CallRefused(Refusal.CALLER_REFUSED, detail)
        return pod

    async def _known(self, namespace: str, name: str, uid: str, caller: str) -> Pod | None:
        pod = self._find(namespace, name, uid)
        if pod is not None or self._waiting[caller] >= MOST_WAITING:
            return pod
        self._waiting[caller] += 1
        try:
            async with asyncio.timeout(self.limits.pod_seconds):
                while (pod := self._find(namespace, name, uid)) is None:
                    await self._arrived.wait()
        except TimeoutError:
            return None
        finally:
            self._waiting[caller] -= 1
            if not self._waiting[caller]:
                del self._waiting[caller]
        return pod

    def _find(self, namespace: str, name: str, uid: str) -> Pod | None:
        pod = self.world.cohorts.pods.get((namespace, name))
        return pod if pod is not None and uid and pod.uid == uid else None

    # Streams

    @contextmanager
    def handshake(self, caller: str) -> Iterator[None]:
        """Room for one who has not been taken on yet; raises CallRefused where there is none for `caller`."""
        if len(self._mailboxes) >= self.limits.streams:
            detail = "this replica has as many sidecars as it takes"
            raise CallRefused(Refusal.UNAVAILABLE, detail, RETRY_SECONDS)
        with self._handshakes.room(caller):
            yield

    def connect(self, pod: Pod, version: str, address: str = "", *, certain: bool = True) -> Mailbox:
        """Take a sidecar on; whoever was connected for the same pod is not any longer.

        Unless it is `certain` that the pod itself comes, as its token proves, and an SVID, which all pods of an
        account have, does not: then it must come from where the other one is, who otherwise stays. Raises
        CallRefused.
        """
        older, now = self._mailboxes.get(pod.uid), self.clock()
        if older is not None:
            if not certain and older.may_be_another(address, now):
                detail = (
                    f"pod {pod.namespace}/{pod.name} is connected from another address:"
                    " its token is needed to take its place"
                )
                raise CallRefused(Refusal.CALLER_REFUSED, detail)
            self.disconnect(older, End.REPLACED)
        mailbox = Mailbox(pod, self.world.cohorts.of(pod), version, address, now)
        self._mailboxes[pod.uid] = mailbox
        self._join(mailbox)
        if self.draining:
            mailbox.ask_to_leave(0.0)
        self._counted()
        return mailbox

    def disconnect(self, mailbox: Mailbox, why: End) -> None:
        """A stream is over."""
        mailbox.finish(why)
        uid = mailbox.pod.uid
        if self._mailboxes.get(uid) is mailbox:
            del self._mailboxes[uid]
            self._part(mailbox)
            self.metrics.add(series.STREAMS_ENDED, str(mailbox.end))
            self._counted()

    def drain(self, seconds: float) -> None:
        """Ask every sidecar to connect elsewhere, spread over at most `seconds`."""
        self.draining = True
        spread = min(seconds, len(self._mailboxes) / LEAVE_PER_SECOND)
        for mailbox in self._mailboxes.values():
            mailbox.ask_to_leave(spread * random.random())  # noqa: S311 - spreads load

    def stop(self) -> None:
        """End every stream."""
        self.draining = True
        for mailbox in self._mailboxes.values():
            mailbox.finish(End.LEFT)

    def mailboxes(self) -> Iterator[Mailbox]:
        """Those who are connected."""
        yield from self._mailboxes.values()

    def heard(self, mailbox: Mailbox, *, applied: str | None = None, refused: Refused | None = None) -> None:
        """What a sidecar said of a configuration."""
        current = mailbox.applied(applied) if applied is not None else False
        if refused is not None:
            current = mailbox.refused(refused)
        self.metrics.add(series.CONFIGURATIONS_ANSWERED, "applied" if refused is None else "refused")
        if current and mailbox.changed_at:
            self.metrics.observe(series.PUSH_SECONDS, self.clock() - mailbox.changed_at)
            mailbox.changed_at = 0.0
        self.answered()

    # Changes

    async def run(self) -> None:
        """Work out what changes come to, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            at, self._changed_at = self._changed_at, 0.0
            await self.flush(at)

    async def flush(self, at: float) -> None:
        """Work out what has changed since the last time; `at` is when that began."""
        self.world.settle()
        dirty, self.world.dirty = self.world.dirty, set()
        began = self.clock()
        for cohort in dirty:
            if not cohort.streams:
                continue
            self._compile(cohort, at)
            if self.clock() - began > SLICE_SECONDS:
                await asyncio.sleep(0)
                began = self.clock()
        self.answered()

    def _changed(self) -> None:
        self._changed_at = self._changed_at or self.clock()
        self._wake.set()
        self._arrived.set()
        self._arrived = asyncio.Event()

    def _pod_changed(self, before: Pod, after: Pod | None) -> None:
        mailbox = self._mailboxes.get(before.uid)
        if mailbox is None:
            return
        if after is None or after.uid != before.uid or after.account != before.account:
            self.disconnect(mailbox, End.POD_GONE)
            return
        cohort = self.world.cohorts.of(after)
        mailbox.pod = after
        if cohort is not mailbox.cohort:
            self._part(mailbox)
            mailbox.cohort = cohort
            self._join(mailbox)

    def _join(self, mailbox: Mailbox) -> None:
        cohort = mailbox.cohort
        cohort.streams += 1
        self._by_cohort.setdefault(cohort, {})[mailbox.pod.uid] = mailbox
        if cohort.content is None:
            self.world.settle()
            self._compile(cohort, self.clock())
        else:
            mailbox.offer(cohort.content, self.clock())

    def _part(self, mailbox: Mailbox) -> None:
        cohort = mailbox.cohort
        boxes = self._by_cohort[cohort]
        del boxes[mailbox.pod.uid]
        cohort.streams -= 1
        if not boxes:
            del self._by_cohort[cohort]
            self.world.forget(cohort)

    def _compile(self, cohort: Cohort, at: float) -> None:
        compiled, topics = compile_cohort(cohort, self.world)
        self.metrics.add(series.COMPILED)
        self.world.remember(cohort, topics)
        if cohort.content is None or cohort.content.version != compiled.version:
            cohort.content = compiled
        for mailbox in self._by_cohort[cohort].values():
            mailbox.offer(cohort.content, at)

    def _counted(self) -> None:
        self.metrics.set(series.STREAMS, len(self._mailboxes))
        self.answered()
