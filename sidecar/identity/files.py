"""Identity from files that somebody else renews: spiffe-helper, or Kubernetes' projected volumes.

Volumes replace files by swapping a symbolic link and send no reliable events about it, so contents are read and
hashed now and then. What cannot be used is looked at again before it is told: whoever writes several files is
sometimes caught halfway. The identity before it stays in force all the while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path

from mesh.identity.errors import IdentityInvalid
from mesh.identity.jwt_svid import JwtSvid
from sidecar.identity.backoff import Backoff
from sidecar.identity.endless import endless
from sidecar.identity.holder import utc_now
from sidecar.identity.identity_files import (
    Contents,
    Drop,
    FileLayout,
    FileUnreadable,
    digest,
    read_drop,
    read_files,
)
from sidecar.identity.jwt_source import JwtUnavailable, jwt_fault
from sidecar.identity.own_identity import SvidOutOfDate, check_own_identity
from sidecar.identity.provider import Identity
from sidecar.identity.told_once import ToldOnce

POLL_SECONDS = 5.0
RETRY_SECONDS = 1.0
SLOW_SECONDS = 10.0


class FilesProvider:
    """Publishes the identity that the files of `layout` hold, and each change of it.

    jwt_svids   the file that holds the JWT-SVID for an audience, by audience
    spiffe_id   which identity it must be; None takes any
    on_problem  told in a sentence when something becomes wrong, once
    poll        seconds between two looks at the files; `retry` while they cannot be used
    """

    def __init__(
        self,
        layout: FileLayout,
        *,
        jwt_svids: Mapping[str, Path] | None = None,
        spiffe_id: str | None = None,
        on_problem: Callable[[str], None] = lambda sentence: None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        poll: float = POLL_SECONDS,
        retry: float = RETRY_SECONDS,
    ) -> None:
        self._layout = layout
        self._jwt_svids = jwt_svids or {}
        self._wanted = spiffe_id
        self._told = ToldOnce(on_problem)
        self._restarts = Backoff(first=1.0)
        self._clock = clock
        self._sleep = sleep
        self._poll = poll
        self._retry = retry
        self._current: Identity | None = None
        self._current_digest = b""
        self._suspect_digest = b""
        self._left_out = ""

    async def run(self, publish: Callable[[Identity], None]) -> None:
        """Look at the files until cancelled."""
        await endless(lambda: self._keep(publish), self._unforeseen, self._restarts, self._sleep)

    async def _keep(self, publish: Callable[[Identity], None]) -> None:
        while True:
            usable = self._look(await self._read(), publish)
            await self._sleep(self._poll if usable else self._retry)

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvid:
        """The token in the file for the first of `audience`, if it is for all of them; raises JwtUnavailable."""
        path = self._jwt_svids.get(audience[0]) if audience else None
        if path is None:
            known = ", ".join(sorted(self._jwt_svids)) or "none"
            raise JwtUnavailable(f"no file is configured for the audience {audience}; there are: {known}")
        content = (await asyncio.to_thread(read_files, (path,)))[path]
        if isinstance(content, FileUnreadable):
            raise JwtUnavailable(str(content))
        try:
            svid = JwtSvid.parse(content.decode("ascii", "replace").strip())
        except IdentityInvalid as invalid:
            raise JwtUnavailable(f"{path}: {invalid}") from invalid
        current = self._current.svid.spiffe_id if self._current else None
        if fault := jwt_fault(svid, audience, current, self._clock()):
            raise JwtUnavailable(f"{path}: {fault}")
        return svid

    async def _read(self) -> Contents:
        """Read in a thread; a volume that hangs is told, and waited for rather than asked again."""
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(None, read_files, self._layout.paths)
        done, _ = await asyncio.wait((reading,), timeout=SLOW_SECONDS)
        if not done:
            self._told.problem("slow", f"reading the identity files takes more than {SLOW_SECONDS:g} s")
        return await reading

    def _look(self, contents: Contents, publish: Callable[[Identity], None]) -> bool:
        """Take what the files hold now; False when they should be looked at again soon."""
        found = digest(contents)
        if self._current is not None and found == self._current_digest:
            self._suspect_digest = b""
            self._check_date(self._current)
            return True
        seen_before, self._suspect_digest = found == self._suspect_digest, found
        try:
            drop = read_drop(self._layout, contents)
            if drop.faults and not seen_before:
                return False
            identity = self._completed(drop)
            check_own_identity(identity, self._clock(), self._wanted)
            publish(identity)
        except IdentityInvalid as invalid:
            if seen_before:
                self._refused(invalid)
            return False
        self._current, self._current_digest, self._suspect_digest = identity, found, b""
        self._left_out = "; ".join(drop.faults.values())
        self._check_date(identity)
        return True

    def _completed(self, drop: Drop) -> Identity:
        """With the last good bundle of each federated domain whose file is of no use now."""
        before = self._current.bundles if self._current else {}
        kept = {name: before[name] for name in drop.faults if name in before}
        return Identity(drop.identity.svid, {**drop.identity.bundles, **kept})

    def _refused(self, invalid: IdentityInvalid) -> None:
        kept = "; the one before it stays in force" if self._current else ""
        cause = "date" if isinstance(invalid, SvidOutOfDate) else str(invalid)
        self._told.problem(cause, f"the identity files cannot be used: {invalid}{kept}")

    def _unforeseen(self, sentence: str) -> None:
        self._told.problem(sentence, sentence)

    def _check_date(self, current: Identity) -> None:
        svid = current.svid
        if self._clock() >= svid.not_after:
            renewer = "whoever writes the files has not renewed them"
            self._told.problem("expired", f"{svid.spiffe_id} expired at {svid.not_after}; {renewer}")
        elif self._left_out:
            sentence = f"federated bundles are left as they were, or out: {self._left_out}"
            self._told.problem(self._left_out, sentence)
        else:
            self._told.over()
