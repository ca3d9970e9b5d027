"""What the application's probes say, asked on loopback and told to the kubelet without a word of the application.

The telemetry port is open to other workloads and speaks plain text. So only what the pod's author declared can be
asked, by its name; only the verdict is answered; and however many ask, and however often, the application is asked
at most about once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from mesh.protocol.http1.write import encode_request_head
from sidecar.app_probes import AppProbe, GrpcProbe, HttpProbe
from sidecar.tasks import spawn
from sidecar.telemetry.grpc_health import GrpcUnhealthy, check

Verdict = tuple[int, bytes]
"""Status for the kubelet (200 or 503; 404 where there is no such probe), and a sentence of our own."""

USER_AGENT: Final = b"kube-probe/outrider"
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?:[ \r\n]|$)")
# The shortest period of a probe is a second.
_KEPT_SECONDS: Final = 1.0
_MAX_INTERIM: Final = 16
_LINE_BYTES: Final = 8192


class Unhealthy(Exception):
    """The application does not answer as it should; the text says how."""


class AppHealth:
    """Asks the probes of `probes`, by `container/probe`, at `host`, and where nobody listens there at `pod_ip`:
    the kubelet would have asked there, and some applications listen on nothing else. A verdict holds for a second
    of `clock`."""

    def __init__(
        self,
        probes: Mapping[str, AppProbe],
        host: str,
        pod_ip: str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probes = probes
        self._host = host
        self._pod_ip = pod_ip
        self._clock = clock
        self._asking: dict[str, asyncio.Task[Verdict]] = {}
        self._said_last: dict[str, tuple[float, Verdict]] = {}

    async def verdict(self, name: str) -> Verdict:
        """What a probe says now, or said within the last second, or says to somebody who is asking already."""
        probe = self._probes.get(name)
        if probe is None:
            return 404, b"no such probe\n"
        asking = self._asking.get(name)
        if asking is None:
            since, verdict = self._said_last.get(name, (0.0, None))
            if verdict is not None and self._clock() - since < _KEPT_SECONDS:
                return verdict
            asking = self._asking[name] = spawn(self._asked(name, probe), name=f"probe {name}")
            asking.add_done_callback(lambda _: self._asking.pop(name, None))
        # Whoever asked first may leave; the others still wait.
        return await asyncio.shield(asking)

    async def _asked(self, name: str, probe: AppProbe) -> Verdict:
        verdict = await self._ask(probe)
        self._said_last[name] = self._clock(), verdict
        return verdict

    async def _ask(self, probe: AppProbe) -> Verdict:
        try:
            async with asyncio.timeout(probe.seconds):
                said = await self._said(probe)
        except TimeoutError:
            return 503, f"the application did not answer within {probe.seconds:g} s\n".encode()
        except ssl.SSLError as error:
            return 503, f"TLS with the application failed: {error.reason}\n".encode()
        except OSError as error:
            return 503, f"the application cannot be reached: {error.strerror or error}\n".encode()
        except (Unhealthy, GrpcUnhealthy) as error:
            return 503, f"{error}\n".encode()
        return 200, f"{said}\n".encode()

    async def _said(self, probe: AppProbe) -> str:
        tls = _unverified() if isinstance(probe, HttpProbe) and probe.https else None
        async with _connection(self._host, self._pod_ip, probe.port, tls) as (reader, writer):
            if isinstance(probe, HttpProbe):
                writer.write(_request(probe, self._host))
                return await _status(reader)
            if isinstance(probe, GrpcProbe):
                await check(reader, writer, f"{self._host}:{probe.port}", probe.service)
                return "serving"
            return "connected"


NO_PROBES: Final = AppHealth({}, "")


@contextlib.asynccontextmanager
async def _connection(
    host: str, pod_ip: str | None, port: int, tls: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=_LINE_BYTES)
    except ConnectionRefusedError:
        if pod_ip is None:
            raise
        # From loopback: what the sidecar sends to the pod's own address otherwise is brought back to it.
        source = ("::1" if ":" in pod_ip else "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(
            pod_ip, port, ssl=tls, limit=_LINE_BYTES, local_addr=source
        )
    try:
        yield reader, writer
    finally:
        # Without the goodbyes of TLS: the verdict is known, and whoever asked waits.
        writer.transport.abort()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _request(probe: HttpProbe, host: str) -> bytes:
    authority = f"[{host}]:{probe.port}" if ":" in host else f"{host}:{probe.port}"
    ours = {b"host": authority.encode(), b"user-agent": USER_AGENT, b"accept": b"*/*"}
    named = {name for name, _ in probe.headers}
    headers = [
        *((name, value) for name, value in ours.items() if name not in named),
        *((name, value.strip()) for name, value in probe.headers if name != b"connection"),
        (b"connection", b"close"),
    ]
    return encode_request_head("GET", probe.path.encode("ascii"), headers)


async def _status(reader: asyncio.StreamReader) -> str:
    """The status of the final answer; from 200 to 399 is healthy, as to the kubelet."""
    for _ in range(_MAX_INTERIM):
        match = _STATUS.match(await _line(reader))
        if match is None:
            raise Unhealthy("the application's answer is no HTTP/1.1")
        status = int(match[1])
        if 200 <= status < 400:
            return f"status {status}"
        if status >= 400:
            raise Unhealthy(f"the application answers with status {status}")
        while (await _line(reader)).strip():
            """Headers of an interim answer."""
    raise Unhealthy("the application answers with nothing but interim answers")


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        raise Unhealthy("the application hung up before its answer was complete") from error
    except asyncio.LimitOverrunError as error:
        raise Unhealthy("a line of the application's answer is too long") from error
