"""New connections to every replica all the time, by somebody who trusts what the API server was told to trust.

API servers keep connections, over which no certificate is looked at again: pods that are created all the time show
that calls work, and this shows that new connections do.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography import x509

from e2e.cluster.api import ApiError, Json
from e2e.cluster.installation import Installation
from mesh.settings import installation as names

PORT = 10250
SECONDS = 5.0


@dataclass(slots=True)
class Handshakes:
    """How it went so far; `served` are the serial numbers of all certificates that were seen."""

    done: int = 0
    failed: list[str] = field(default_factory=list)
    served: set[int] = field(default_factory=set)


@contextlib.contextmanager
def connected(address: str, trusted: bytes, namespace: str) -> Iterator[ssl.SSLSocket]:
    """A connection by somebody who trusts these authorities (PEM). Raises OSError where it is refused."""
    context = ssl.create_default_context(cadata=trusted.decode("ascii"))
    host = f"{names.WEBHOOK}.{namespace}.svc"
    with (
        socket.create_connection((address, PORT), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        yield wrapped


def handshake(address: str, trusted: bytes, namespace: str) -> x509.Certificate:
    """What a replica serves. Raises OSError where the connection is refused."""
    with connected(address, trusted, namespace) as wrapped:
        served = wrapped.getpeercert(binary_form=True)
    assert served is not None
    return x509.load_der_x509_certificate(served)


def ask(address: str, outrider: Installation, pod: Json, namespace: str) -> Json:
    """What one replica answers to a pod, as the API server would ask it. Raises OSError."""
    request = {"uid": "asked", "operation": "CREATE", "dryRun": True, "namespace": namespace, "object": pod}
    request |= {"kind": {"group": "", "version": "v1", "kind": "Pod"}}
    request |= {"resource": {"group": "", "version": "v1", "resource": "pods"}}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    body = json.dumps(review).encode()
    head = f"POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    trusted = base64.b64decode(next(iter(outrider.authorities())))
    with connected(address, trusted, outrider.namespace) as wrapped:
        wrapped.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        answer = http.client.HTTPResponse(wrapped)
        answer.begin()
        response: Json = json.loads(answer.read())["response"]
    return response


def addresses(outrider: Installation) -> list[str]:
    """Of all replicas that are ready."""
    return [
        pod["status"]["podIP"]
        for pod in outrider.pods()
        if not pod["metadata"].get("deletionTimestamp")
        and any(
            one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ())
        )
    ]


@contextlib.contextmanager
def steady_handshakes(outrider: Installation, *, pause: float = 0.05) -> Iterator[Handshakes]:
    """Connect to all ready replicas again and again, until the block ends."""
    went, over = Handshakes(), threading.Event()

    def once() -> None:
        # In this order: whoever knew what to trust before a certificate changed must accept it afterwards.
        every = outrider.authorities()
        for address in addresses(outrider):
            for trusted in every:
                served = handshake(address, base64.b64decode(trusted), outrider.namespace)
                went.served.add(served.serial_number)
                went.done += 1

    def run() -> None:
        while not over.is_set():
            try:
                once()
            except (OSError, ApiError, ValueError) as error:
                went.failed.append(f"{type(error).__name__}: {error}")
            over.wait(pause)
        outrider.kube.api.forget()

    thread = threading.Thread(target=run, name="steady handshakes", daemon=True)
    thread.start()
    try:
        yield went
    finally:
        over.set()
        thread.join(60)
