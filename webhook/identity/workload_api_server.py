"""An embedded SPIFFE Workload API for one machine: demo, tests and benchmarks without SPIRE.

Who calls is told by the socket that is called: one Unix socket per workload, which only its owner may open
(mode 0600). That is honest for one machine and one user: whoever may open the file is the workload, and
nothing is guessed from process identifiers. It attests nothing beyond file permissions, so it is no
replacement for SPIRE where users or containers must be told apart.

Source: SPIFFE Workload API, sections 4 to 6. The messages are those of the `spiffe` package.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
from spiffe._proto import workload_pb2 as messages
from spiffe._proto import workload_pb2_grpc as service

from mesh.identity.bundle_document import read_bundle_document, write_jwks
from mesh.identity.errors import IdentityInvalid
from mesh.identity.jwt_svid import issue_jwt_svid, validate_jwt_svid
from mesh.identity.spiffe_id import SCHEME
from webhook.identity.registry import Registry, Workload

JWT_LIFETIME: Final = timedelta(minutes=5)

M = TypeVar("M")
Context = Any  # grpc.aio.ServicerContext, which has no types


class WorkloadApiServer:
    """Serves `registry` on one Unix socket per workload. Everything happens on the running event loop."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._servers: dict[Path, Any] = {}

    async def serve(self, path: Path) -> None:
        """Begin to serve the workload of the socket `path`; whether it has an identity may change later.

        Raises OSError when there can be no socket at `path`. A socket file left behind by a server that is
        gone is replaced.
        """
        _make_way(path)
        server = grpc.aio.server()
        service.add_SpiffeWorkloadAPIServicer_to_server(_Api(self._registry, path), server)  # type: ignore[no-untyped-call]
        before = os.umask(0o177)
        try:
            server.add_insecure_port(f"unix:{path}")
        except RuntimeError as refused:
            raise OSError(f"cannot listen at {path}: {refused}") from refused
        finally:
            os.umask(before)
        await server.start()
        self._servers[path] = server

    async def stop(self) -> None:
        """Stop serving and remove the sockets; streams are ended."""
        while self._servers:
            path, server = self._servers.popitem()
            await server.stop(None)
            path.unlink(missing_ok=True)


class _Api(service.SpiffeWorkloadAPIServicer):
    """The calls of the API, for the workload behind one socket."""

    def __init__(self, registry: Registry, path: Path) -> None:
        self._registry = registry
        self._path = path

    async def FetchX509SVID(self, request: Any, context: Context) -> AsyncIterator[messages.X509SVIDResponse]:
        """Stream SVIDs with the bundles that they and their peers are verified with."""
        async for message in self._each_change(context, self._x509_svids):
            yield message

    async def FetchX509Bundles(
        self, request: Any, context: Context
    ) -> AsyncIterator[messages.X509BundlesResponse]:
        """Stream all bundles."""
        async for message in self._each_change(context, self._x509_bundles):
            yield message

    async def FetchJWTBundles(
        self, request: Any, context: Context
    ) -> AsyncIterator[messages.JWTBundlesResponse]:
        """Stream the JWKS document of each trust domain."""
        async for message in self._each_change(context, self._jwt_bundles):
            yield message

    async def FetchJWTSVID(self, request: Any, context: Context) -> messages.JWTSVIDResponse:
        """Issue tokens for the audience asked for: one per identity, or for the one that is named."""
        workloads = await self._entitled(context)
        if not request.audience or not all(request.audience):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "an audience must be given")
        wanted = [each for each in workloads if request.spiffe_id in ("", str(each.spiffe_id))]
        if not wanted:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"not entitled to {request.spiffe_id}")
        return messages.JWTSVIDResponse(
            svids=[self._jwt_svid(each, list(request.audience)) for each in wanted]
        )

    async def ValidateJWTSVID(self, request: Any, context: Context) -> messages.ValidateJWTSVIDResponse:
        """Check a token against the bundles that this workload has."""
        await self._entitled(context)
        if not request.audience or not request.svid:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "audience and svid must be given")
        try:
            documents = self._jwks().items()
            keys = {name: read_bundle_document(name, document).jwt_keys for name, document in documents}
            subject, claims = validate_jwt_svid(request.svid, request.audience, keys, self._registry.clock())
        except IdentityInvalid as invalid:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(invalid))
        response = messages.ValidateJWTSVIDResponse(spiffe_id=str(subject))
        response.claims.update(claims)
        return response

    async def _each_change(
        self, context: Context, message: Callable[[tuple[Workload, ...]], M]
    ) -> AsyncIterator[M]:
        """The message now, and again whenever the registry changes: each holds everything (section 4.4)."""
        sent: M | None = None
        while True:
            # Taken before the message is made, so that a change meanwhile is not missed.
            changed = self._registry.changed
            current = message(await self._entitled(context))
            if current != sent:
                yield current
                sent = current
            await changed.wait()

    async def _entitled(self, context: Context) -> tuple[Workload, ...]:
        metadata = dict(context.invocation_metadata())
        if metadata.get("workload.spiffe.io") != "true":
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "the metadata workload.spiffe.io: true is missing"
            )
        if not self._registry.ready:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not ready yet")
        workloads = self._registry.workloads(self._path)
        if not workloads:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no identity issued")
        return workloads

    def _x509_svids(self, workloads: tuple[Workload, ...]) -> messages.X509SVIDResponse:
        own = b"".join(self._registry.bundle.authorities_der)
        return messages.X509SVIDResponse(
            svids=[
                messages.X509SVID(
                    spiffe_id=str(each.spiffe_id),
                    x509_svid=b"".join(each.svid.chain_der),
                    x509_svid_key=each.svid.key_pkcs8_der,
                    bundle=own,
                    hint=each.hint,
                )
                for each in workloads
            ],
            federated_bundles=self._foreign_authorities(),
        )

    def _x509_bundles(self, _workloads: tuple[Workload, ...]) -> messages.X509BundlesResponse:
        own = {SCHEME + self._registry.trust_domain: b"".join(self._registry.bundle.authorities_der)}
        return messages.X509BundlesResponse(bundles=own | self._foreign_authorities())

    def _jwt_bundles(self, _workloads: tuple[Workload, ...]) -> messages.JWTBundlesResponse:
        return messages.JWTBundlesResponse(
            bundles={SCHEME + name: document for name, document in self._jwks().items()}
        )

    def _foreign_authorities(self) -> dict[str, bytes]:
        foreign = self._registry.foreign
        return {SCHEME + name: b"".join(each.x509.authorities_der) for name, each in foreign.items()}

    def _jwks(self) -> dict[str, bytes]:
        documents = {name: each.jwks for name, each in self._registry.foreign.items()}
        known = {name: document for name, document in documents.items() if document is not None}
        own = {key.key_id: key.public for key in self._registry.jwt_keys}
        return {self._registry.trust_domain: write_jwks(own)} | known

    def _jwt_svid(self, workload: Workload, audience: list[str]) -> messages.JWTSVID:
        key, now = self._registry.jwt_keys[0], self._registry.clock()
        token = issue_jwt_svid(key, workload.spiffe_id, audience, now, JWT_LIFETIME)
        return messages.JWTSVID(spiffe_id=str(workload.spiffe_id), svid=token, hint=workload.hint)


def _make_way(path: Path) -> None:
    """Remove the socket of a server that is gone; raises OSError for anything else that is in the way."""
    if not path.exists():
        return
    if not path.is_socket():
        raise FileExistsError(f"{path} exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise FileExistsError(f"{path} is served by another process")
    path.unlink()
