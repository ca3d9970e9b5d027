"""One stream of the SPIFFE Workload API, through py-spiffe, in a thread of its own.

py-spiffe is synchronous and costs 30 MB of memory, so it is imported only in that thread: neither its import nor
a slow agent ever holds up the event loop. Each stream has a channel of its own, so that an agent which was
replaced, and has another socket file by now, is found.

Of py-spiffe we use its channel, its messages and its errors. Its own watcher gives neither the hint of an SVID
nor a way to wait for its thread, so the stream is read here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

NOT_INSTALLED = "the Workload API is spoken through py-spiffe, which is not installed: add outrider[spire]"


class StreamOver(Exception):
    """The stream ended or failed, as the sentence says. The Workload API is at fault, or not there."""


class Stream:
    """One FetchX509SVID call: `next` until it raises, then `stop`."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._lock = threading.Lock()
        self._stopped = False
        self._client: Any = None
        self._thread = threading.Thread(target=self._run, name="workload-api", daemon=True)
        self._thread.start()

    async def next(self) -> Any:
        """The next X509SVIDResponse; raises StreamOver. May be cancelled and called again."""
        message = await self._messages.get()
        if message is None:
            raise StreamOver(self._over.result())
        return message

    async def stop(self) -> None:
        """End the call and its thread. The thread ends within the time that gRPC takes to cancel a call."""
        with self._lock:
            self._stopped = True
            client = self._client
        if client is not None:
            client.close()
        if not self._over.done():
            await asyncio.shield(self._over)
        self._thread.join()

    def _run(self) -> None:
        why = "the thread that reads from the Workload API failed"
        try:
            why = _ending(self._socket, self._read)
        finally:
            # Whatever happened: somebody waits for the end.
            self._tell(self._end, why)

    def _read(self) -> None:
        from spiffe import WorkloadApiClient
        from spiffe._proto.workload_pb2 import X509SVIDRequest
        from spiffe.workloadapi.errors import FetchX509SvidError
        from spiffe.workloadapi.handle_error import handle_error

        guarded = handle_error(error_cls=FetchX509SvidError)
        client = WorkloadApiClient(self._socket)
        with self._lock:
            self._client = client
            if self._stopped:
                client.close()
                return
        try:
            messages = guarded(client._spiffe_workload_api_stub.FetchX509SVID)(X509SVIDRequest())
            while (message := guarded(next)(messages, None)) is not None:
                self._tell(self._messages.put_nowait, message)
        finally:
            client.close()

    def _end(self, why: str) -> None:
        self._over.set_result(why)
        self._messages.put_nowait(None)

    def _tell(self, what: Callable[[Any], None], argument: Any) -> None:
        # A loop that is closed has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, argument)


def _ending(socket: str, call: Callable[[], None]) -> str:
    """Make the call; returns in a sentence how it ended."""
    # gRPC writes its own notices to stderr, where the sidecar writes JSON lines; failures come as errors.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from spiffe.errors import PySpiffeError
    except ImportError:
        return NOT_INSTALLED
    try:
        call()
    except PySpiffeError as failed:
        return f"the Workload API at {socket} gives no identity: {failed}"
    return f"the Workload API at {socket} ended the stream"
