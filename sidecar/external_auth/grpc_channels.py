"""Channels to authorization services that speak gRPC: one for each, made when it is first asked.

The gRPC library costs more memory than the rest of the sidecar, so it is loaded only where a policy in force names
such a service, and it need not be there at all: then nothing that the policy is about passes. Messages are encoded
by `mesh.protocol.ext_authz_grpc`; of the library only the transport is used.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import ssl
import sys
from pathlib import Path
from typing import Any, Final

from mesh.protocol.ext_authz_grpc import METHOD
from mesh.reasons import Reason
from sidecar.external_auth.answer import Refusal
from sidecar.proxy.pool import Destination, TlsMode
from sidecar.tasks import spawn

MAX_ANSWER_BYTES: Final = 64 * 1024

MAX_CHANNELS: Final = 64
"""Services come and go with policies: beyond this many the channel that was made first is closed."""

OPTIONS: Final = (
    # A service that was away is tried again soon: until then everything is refused.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.service_config_disable_resolution", 1),
)


class CannotAsk(Exception):
    """This service cannot be asked from here: the policy's side, or what is installed."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(reason, detail)


class GrpcChannels:
    """The channels that are open. `authorities` (a PEM file) replaces the public roots, and `more_authorities`
    (PEM text) are trusted besides."""

    def __init__(self, authorities: Path | None = None, more_authorities: str = "") -> None:
        self._authorities = authorities
        self._more_authorities = more_authorities
        self._channels: dict[tuple[Destination, str], Any] = {}

    async def ask(self, destination: Destination, address: str, message: bytes, seconds: float) -> bytes:
        """One answer. `address` is where the destination is dialled. Raises CannotAsk."""
        aio = await _library("grpc.aio")
        check = self._channel(destination, address, aio).unary_unary(METHOD)
        try:
            answer: bytes = await check(message, timeout=seconds)
        except aio.AioRpcError as error:
            detail = f"{error.code().name}: {error.details()}"
            raise CannotAsk(Reason.EXTERNAL_AUTH_FAILED, detail) from error
        return answer

    def _channel(self, destination: Destination, address: str, aio: Any) -> Any:
        key = (destination, address)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._open(destination, address, aio)
            if len(self._channels) >= MAX_CHANNELS:
                first = self._channels.pop(next(iter(self._channels)))
                spawn(first.close(grace=5.0), name="close an authorization service's channel")
            self._channels[key] = channel
        return channel

    def _open(self, destination: Destination, address: str, aio: Any) -> Any:
        if destination.tls == TlsMode.MESH:
            detail = (
                "gRPC in mutual TLS of the mesh: let the service speak HTTP, or declare it with another tls"
            )
            raise CannotAsk(Reason.EXTERNAL_AUTH_FAILED, detail)
        if destination.tls == TlsMode.NONE:
            return aio.insecure_channel(address, options=OPTIONS)
        credentials = sys.modules["grpc"].ssl_channel_credentials(root_certificates=self._roots())
        return aio.secure_channel(address, credentials, options=_named(destination))

    def _roots(self) -> bytes | None:
        """As PEM; None where the library's own are meant, which it does not let anybody add to."""
        more = self._more_authorities.encode("ascii")
        if self._authorities is not None:
            return self._authorities.read_bytes() + b"\n" + more
        if not more:
            return None
        # Imported here, because making certificates comes with it.
        from sidecar.interception.bundle import system_roots

        _, public = system_roots(os.environ)
        return "".join(map(ssl.DER_cert_to_PEM_cert, public)).encode("ascii") + more

    async def close(self) -> None:
        """Close every channel; what is under way fails."""
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            await channel.close()


def _named(destination: Destination) -> tuple[tuple[str, Any], ...]:
    """The certificate is for the declared name, whatever address is dialled."""
    name = destination.server_name
    return (*OPTIONS, ("grpc.ssl_target_name_override", name), ("grpc.default_authority", name))


async def _library(name: str) -> Any:
    """The module, loaded beside the event loop when it is first needed: that takes a third of a second."""
    try:
        return sys.modules.get(name) or await asyncio.to_thread(importlib.import_module, name)
    except ImportError as error:
        detail = f"{name} cannot be imported"
        raise CannotAsk(Reason.EXTERNAL_AUTH_GRPC_MISSING, detail) from error
