"""Identity from a SPIFFE Workload API (SPIRE or another), through py-spiffe.

py-spiffe is synchronous and costs 30 MB of memory, so it is imported only when this provider runs, and only in
a thread of its own: neither its import nor a slow agent ever holds up the event loop. One thread lives for one
stream; when the stream ends, for whatever reason, the event loop waits with backoff and begins another.

Of py-spiffe we use its channel, its messages and its errors. Its own watcher gives neither the hint of an SVID
nor a way to wait for its thread, so the stream is read here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mesh.identity.bundle import TrustBundle
from mesh.identity.errors import IdentityInvalid, SvidInvalid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from sidecar.identity.backoff import Backoff
from sidecar.identity.provider import Identity

OnProblem = Callable[[str], None]


class WorkloadApiProvider:
    """Publishes the SVID and bundles of the Workload API at `socket` ("unix:///run/spire/agent.sock").

    spiffe_id   which SVID to take where there are several: its SPIFFE ID, or the hint that goes with it. None
                takes the first, which the specification calls the default identity.
    on_problem  told in a sentence of each failure: no socket, no identity yet, a message that cannot be used.
    """

    def __init__(
        self,
        socket: str,
        *,
        spiffe_id: str | None = None,
        on_problem: OnProblem = lambda sentence: None,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._socket = socket
        self._wanted = spiffe_id
        self._on_problem = on_problem
        self._backoff = backoff or Backoff()
        self._sleep = sleep

    async def run(self, publish: Callable[[Identity], None]) -> None:
        """Publish until cancelled. A stream that ended, and a server that is not there, are tried again.

        An SVID that was published stays in force meanwhile; the holder judges when it has expired.
        """

        def take(message: Any) -> None:
            try:
                publish(read_identity(message, self._wanted, self._on_problem))
            except IdentityInvalid as invalid:
                self._on_problem(f"the Workload API sent an identity that cannot be used: {invalid}")
            else:
                self._backoff.reset()

        while True:
            stream = _Stream(self._socket, asyncio.get_running_loop(), take)
            try:
                self._on_problem(await stream.ended())
            finally:
                await stream.stop()
            await self._sleep(self._backoff.next())


class _Stream:
    """One FetchX509SVID call, read in a thread; `take` gets each message in the loop's thread."""

    def __init__(self, socket: str, loop: asyncio.AbstractEventLoop, take: Callable[[Any], None]) -> None:
        self._socket = socket
        self._loop = loop
        self._take = take
        self._end: asyncio.Future[str] = loop.create_future()
        self._lock = threading.Lock()
        self._stopped = False
        self._client: Any = None
        self._thread = threading.Thread(target=self._run, name="workload-api", daemon=True)
        self._thread.start()

    async def ended(self) -> str:
        """Wait until the call is over; returns why, as a sentence."""
        return await asyncio.shield(self._end)

    async def stop(self) -> None:
        """End the call and its thread. The thread ends within the time that gRPC takes to cancel a call."""
        with self._lock:
            self._stopped = True
            client = self._client
        if client is not None:
            client.close()
        if not self._end.done():
            await asyncio.shield(self._end)
        self._thread.join()

    def _run(self) -> None:
        # gRPC writes its own notices to stderr, where the sidecar writes JSON lines; failures come as errors.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        from spiffe.errors import PySpiffeError

        try:
            self._read()
            why = "the Workload API ended the stream"
        except PySpiffeError as failed:
            why = f"the Workload API at {self._socket} gives no identity: {failed}"
        self._tell(self._end_with, why)

    def _read(self) -> None:
        from spiffe import WorkloadApiClient
        from spiffe._proto.workload_pb2 import X509SVIDRequest
        from spiffe.workloadapi.errors import FetchX509SvidError
        from spiffe.workloadapi.handle_error import handle_error

        client = WorkloadApiClient(self._socket)
        with self._lock:
            self._client = client
            if self._stopped:
                client.close()
                return
        try:
            messages = client._spiffe_workload_api_stub.FetchX509SVID(X509SVIDRequest())
            following = handle_error(error_cls=FetchX509SvidError)(next)
            while (message := following(messages, None)) is not None:
                self._tell(self._take_unless_stopped, message)
        finally:
            client.close()

    def _take_unless_stopped(self, message: Any) -> None:
        if not self._stopped:
            self._take(message)

    def _end_with(self, why: str) -> None:
        self._end.set_result(why)

    def _tell(self, what: Callable[[Any], None], argument: Any) -> None:
        # A loop that is closed has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, argument)


def read_identity(message: Any, wanted: str | None, on_problem: OnProblem) -> Identity:
    """Read an X509SVIDResponse; raises IdentityInvalid when the SVID or its own bundle cannot be used.

    A federated bundle that is malformed is reported and left out: its domain is not trusted, ours goes on.
    """
    chosen = _choose(message.svids, wanted)
    svid = X509Svid.parse(chosen.x509_svid, chosen.x509_svid_key)
    if str(svid.spiffe_id) != chosen.spiffe_id:
        raise SvidInvalid(f"the SVID announced as {chosen.spiffe_id} is that of {svid.spiffe_id}")
    bundles = {}
    for name, authorities in message.federated_bundles.items():
        try:
            bundle = TrustBundle.from_der(SpiffeId.parse(name).trust_domain, authorities)
        except IdentityInvalid as invalid:
            on_problem(f"the federated bundle {name} is left out: {invalid}")
        else:
            bundles[bundle.trust_domain] = bundle
    own = svid.spiffe_id.trust_domain
    bundles[own] = TrustBundle.from_der(own, chosen.bundle)
    return Identity(svid, bundles)


def _choose(svids: Sequence[Any], wanted: str | None) -> Any:
    for svid in svids:
        if wanted is None or wanted in (svid.spiffe_id, svid.hint):
            return svid
    there = ", ".join(svid.spiffe_id for svid in svids) or "none"
    raise SvidInvalid(f"no SVID has the identity or hint {wanted!r}; there are: {there}")
