"""Our identity over a start of this process: kept beside the configuration, so that neither waits for the CA.

A key never touches a disk: it is kept only in a folder that is in memory, and goes from there when its SVID ends.
What is found at a start is used only if it is ours, whole, valid now, and one that peers with its bundles accept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mesh.identity.errors import SvidInvalid
from mesh.identity.spiffe_id import SpiffeId
from sidecar.control.in_memory import disk_below
from sidecar.control.saved import IDENTITY_FILE, SavedState, SavedUnusable
from sidecar.identity.own_identity import SvidOutOfDate, check_own_identity
from sidecar.identity.provider import Identity
from sidecar.identity.told_once import ToldOnce
from sidecar.settings import AgentSettings


class KeptIdentity:
    """The one in `saved`.

    agent     whose identity it must be
    unusable  is told why what was found is not used
    not_kept  is told why nothing is kept, once
    disk      see disk_below
    """

    def __init__(
        self,
        saved: SavedState,
        agent: AgentSettings,
        *,
        unusable: Callable[[str], None],
        not_kept: Callable[[str], None],
        disk: Callable[[Path], str | None] = disk_below,
    ) -> None:
        self._saved = saved
        self._agent = agent
        self._unusable = unusable
        self._not_kept = ToldOnce(not_kept)
        self._disk = disk
        self._in_memory = False
        self._last: Identity | None = None

    async def restore(self, now: datetime, wanted: str | None = None) -> Identity | None:
        """What was kept, if it can be used at `now` (aware) and is `wanted`; never raises for what was found."""
        if not await self._may_be_kept():
            return None
        try:
            found = await asyncio.to_thread(self._saved.identity)
        except SavedUnusable as unusable:
            self._unusable(str(unusable))
            return None
        if found is None:
            return None
        self._last = found
        if fault := self._fault(found, now, wanted):
            self._unusable(f"{self._saved.folder / IDENTITY_FILE}: {fault}")
            if now >= found.svid.not_after:
                await self.forget()
            return None
        return found

    async def keep(self, identity: Identity, now: datetime) -> None:
        """Keep this one instead, where it may be kept."""
        if identity == self._last or not self._in_memory:
            return
        try:
            await asyncio.to_thread(self._saved.save_identity, identity, now)
        except OSError as failed:
            self._failed(failed)
        else:
            self._last = identity
            self._not_kept.over()

    async def forget(self) -> None:
        """Keep none: it has ended, or its authority was withdrawn."""
        if self._last is None:
            return
        try:
            await asyncio.to_thread(self._saved.remove_identity)
        except OSError as failed:
            self._failed(failed)
        else:
            self._last = None

    async def _may_be_kept(self) -> bool:
        folder = self._saved.folder
        disk = await asyncio.to_thread(self._disk, folder)
        self._in_memory = disk is None
        if disk is not None:
            sentence = (
                f"{folder} is on {disk}, not in memory, and a key never touches a disk:"
                " a start while the control plane is away will wait for it"
            )
            self._not_kept.problem("disk", sentence)
        return self._in_memory

    def _fault(self, identity: Identity, now: datetime, wanted: str | None) -> str | None:
        found = identity.svid.spiffe_id
        if not self._ours(found):
            agent = self._agent
            return f"it is that of {found}, not of ServiceAccount {agent.namespace}/{agent.service_account}"
        try:
            check_own_identity(identity, now, wanted)
        except SvidOutOfDate as ended:
            return f"it is out of date: {ended}"
        except SvidInvalid as refused:
            return str(refused)
        return None

    def _ours(self, found: SpiffeId) -> bool:
        """As far as the configuration says who we are."""
        agent = self._agent
        if agent.namespace is None or agent.service_account is None:
            return True
        return found.path == f"/ns/{agent.namespace}/sa/{agent.service_account}"

    def _failed(self, failed: OSError) -> None:
        cause = failed.strerror or str(failed)
        self._not_kept.problem(cause, f"{self._saved.folder / IDENTITY_FILE}: {cause}")
