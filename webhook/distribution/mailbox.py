"""What is to be said to one sidecar, and what it has said: the newest configuration, and no queue.

A sidecar that reads slowly is not sent what has been overtaken meanwhile, so that it never costs more memory than
one configuration, which it shares with all that are alike.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum

from mesh.distribution.messages import ALIVE_SECONDS, Refused
from webhook.distribution.cohorts import Cohort
from webhook.distribution.compile import Compiled
from webhook.distribution.objects import Pod

QUIET_SECONDS = 1.5 * ALIVE_SECONDS
"""Who has said nothing for so long has missed its turn, and may be gone."""


class End(StrEnum):
    """Why a stream is over; values of a metric's label."""

    CLOSED = "closed"
    """The sidecar hung up."""
    SILENT = "silent"
    """It has said nothing for too long."""
    SLOW = "slow"
    """It has not taken what was sent for too long."""
    MALFORMED = "malformed"
    """It said what nobody understands."""
    REPLACED = "replaced"
    """The same pod has connected anew."""
    POD_GONE = "pod_gone"
    EXPIRED = "expired"
    """What proved the caller has ended."""
    LEFT = "left"
    """This replica asked it to go."""


class Mailbox:
    """See the module. `news` is set whenever there is something to say.

    `address` is where the sidecar is, and `heard` when it last said anything, in seconds.

    `offered` is what the sidecar is to run, `running` what it runs as far as this replica has ever known it,
    `refusal` what it said of the last one that it does not run.
    """

    __slots__ = (
        "address",
        "changed_at",
        "cohort",
        "end",
        "heard",
        "in_force",
        "leave",
        "news",
        "offered",
        "pending",
        "pod",
        "refusal",
        "running",
    )

    def __init__(
        self, pod: Pod, cohort: Cohort, in_force: str, address: str = "", heard: float = 0.0
    ) -> None:
        self.pod = pod
        self.cohort = cohort
        self.address = address
        self.heard = heard
        self.news = asyncio.Event()
        self.in_force = in_force
        """The version that the sidecar says it runs."""
        self.offered: Compiled | None = None
        self.running: Compiled | None = None
        self.pending = False
        self.refusal: Refused | None = None
        self.leave: float | None = None
        self.end: End | None = None
        self.changed_at = 0.0
        """When the change happened that `offered` is about; 0 once the sidecar has answered."""

    def offer(self, compiled: Compiled, at: float) -> None:
        """This is the sidecar's configuration from now on."""
        before = self.offered.version if self.offered is not None else self.in_force
        self.offered = compiled
        if compiled.version == self.in_force:
            self.running = compiled
        if compiled.version != before:
            self.pending = True
            self.changed_at = at
            self.news.set()

    def may_be_another(self, address: str, now: float) -> bool:
        """Could one who comes from `address` now be somebody else than this sidecar?"""
        elsewhere = not address or address != self.address
        return elsewhere and self.end is None and now - self.heard < QUIET_SECONDS

    def take(self) -> Compiled | None:
        """What is to be sent now."""
        if not self.pending:
            return None
        self.pending = False
        return self.offered

    def ask_to_leave(self, seconds: float) -> None:
        """Say that the sidecar should connect anew after about so many seconds."""
        self.leave = seconds
        self.news.set()

    def finish(self, why: End) -> None:
        """The stream is over; the first reason counts."""
        if self.end is None:
            self.end = why
        self.news.set()

    def applied(self, version: str) -> bool:
        """The sidecar runs `version`; True where that is what it is to run."""
        self.in_force = version
        self.refusal = None
        current = self.offered is not None and self.offered.version == version
        if current:
            self.running = self.offered
        elif self.running is not None and self.running.version != version:
            self.running = None
        return current

    def refused(self, refusal: Refused) -> bool:
        """The sidecar does not run what it was sent; True where that is what it is to run."""
        self.refusal = refusal
        return self.offered is not None and self.offered.version == refusal.version
