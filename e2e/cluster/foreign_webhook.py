"""Somebody else's mutating webhook: what a test makes of pods before and after ours."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from e2e.cluster.api import Json
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.kube import Kube

Mutate = Callable[[Json], list[Json]]
"""From the pod as it is at that moment to a JSON Patch; [] leaves it alone."""


@dataclass(slots=True)
class ForeignWebhook:
    """What a webhook was asked: each pod as it saw it, in order."""

    name: str
    seen: list[Json] = field(default_factory=list)


@contextlib.contextmanager
def foreign_webhook(
    plane: ControlPlane, kube: Kube, name: str, mutate: Mutate, namespace: str, **settings: Any
) -> Iterator[ForeignWebhook]:
    """A webhook for new pods of one namespace until the block ends; `settings` are of its entry.

    API servers call webhooks in the order of their configurations' names: one before "outrider-injector" sees the
    pod first, one after it sees the sidecar. With `reinvocationPolicy="IfNeeded"` both are asked again.
    """
    asked = ForeignWebhook(name)
    server = _serve(plane, asked, mutate)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name=name, daemon=True)
    thread.start()
    url = f"https://{server.server_address[0]!s}:{server.server_address[1]}/mutate"
    try:
        kube.create(_configuration(plane, name, url, namespace, settings))
        yield asked
    finally:
        kube.delete("MutatingWebhookConfiguration", name)
        server.shutdown()
        thread.join(10)
        server.server_close()


def _configuration(
    plane: ControlPlane, name: str, url: str, namespace: str, settings: dict[str, Any]
) -> Json:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    authority = base64.b64encode(plane.authority.file.read_bytes()).decode()
    entry = {
        "name": f"{name}.e2e.test",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"url": url, "caBundle": authority},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        **settings,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [entry],
    }


def _serve(plane: ControlPlane, asked: ForeignWebhook, mutate: Mutate) -> ThreadingHTTPServer:
    address = plane.addresses.machine[0]
    pair = plane.authority.issue(f"webhook-{asked.name}", hosts=[address])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)

    server = _Server((address, 0), _Handler)
    server.asked, server.mutate = asked, mutate
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    asked: ForeignWebhook
    mutate: Mutate


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        pod = review["request"]["object"]
        self.server.asked.seen.append(pod)
        response = {"uid": review["request"]["uid"], "allowed": True}
        if patch := self.server.mutate(pod):
            encoded = base64.b64encode(json.dumps(patch).encode()).decode()
            response |= {"patchType": "JSONPatch", "patch": encoded}
        body = json.dumps(
            {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written for a request."""
