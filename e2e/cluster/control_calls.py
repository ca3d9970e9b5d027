"""Single calls of the control port by whoever a test wants to be: with any token, any certificate, any hello."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e.cluster.api import Json
from e2e.cluster.control_clients import control_address, control_host, roots
from e2e.cluster.installation import Installation
from mesh.distribution.messages import CONFIGURATION_PATH, FromSidecar, Hello, write_line
from mesh.identity.bundle import TrustBundle
from mesh.identity.csr import make_csr
from mesh.identity.issuance import SVID_PATH
from mesh.identity.pem import read_certificates
from mesh.identity.svid import X509Svid
from mesh.identity.verify import VerifiedPeer, verify_chain
from mesh.settings import installation as names
from sidecar.identity.contexts import load_chain

SECONDS: Final = 15.0
TRUST_DOMAIN: Final = "cluster.local"


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back. Of a stream: every line up to the first configuration."""

    status: int
    body: bytes

    @property
    def error(self) -> str:
        """The code of a refusal."""
        return str(json.loads(self.body)["error"])


def hello_of(of: Json, /, **other: str) -> Hello:
    """What the sidecar of a pod says first, but for what `other` says instead."""
    meta = of["metadata"]
    said = {"namespace": meta["namespace"], "pod": meta["name"], "uid": meta["uid"], "sidecar": "0", **other}
    return Hello(**said)


@dataclass(frozen=True, slots=True)
class ControlPort:
    """The control port of an installation, by its Service."""

    outrider: Installation

    def stream(self, hello: Hello, *, token: str = "", svid: X509Svid | None = None) -> Answered:
        """Ask for a configuration. Raises OSError where the handshake is refused."""
        line = write_line(FromSidecar(hello=hello))
        body = f"{len(line):x}\r\n".encode() + line + b"\r\n"
        fields = {"Transfer-Encoding": "chunked", **_bearer(token)}
        with self._asked("POST", CONFIGURATION_PATH, fields, body, svid) as answer:
            if answer.status != 200:
                return Answered(answer.status, answer.read())
            lines: list[bytes] = []
            while not lines or (lines[-1] and b'"configuration"' not in lines[-1]):
                lines.append(answer.readline())
            return Answered(answer.status, b"".join(lines))

    def post(self, path: str, document: Any, *, token: str = "", svid: X509Svid | None = None) -> Answered:
        """A call of the CA. Raises OSError where the handshake is refused."""
        body = json.dumps(document).encode()
        fields = {"Content-Length": str(len(body)), "Content-Type": "application/json", **_bearer(token)}
        with self._asked("POST", path, fields, body, svid) as answer:
            return Answered(answer.status, answer.read())

    def get(self, path: str) -> Answered:
        """By nobody in particular."""
        with self._asked("GET", path, {}, b"", None) as answer:
            return Answered(answer.status, answer.read())

    def svid(self, token: str) -> X509Svid:
        """An SVID for whoever a token proves."""
        key = ec.generate_private_key(ec.SECP256R1())
        answered = self.post(SVID_PATH, {"csr": make_csr(key)}, token=token)
        assert answered.status == 200, answered
        chain = read_certificates(json.loads(answered.body)["chain"].encode())
        return X509Svid.parse(chain, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    def verified(self, svid: X509Svid) -> VerifiedPeer:
        """Who an SVID is by the published roots; raises PeerRefused."""
        bundle = TrustBundle(TRUST_DOMAIN, tuple(read_certificates(roots(self.outrider).encode())))
        return verify_chain(svid.chain_der, {TRUST_DOMAIN: bundle}, datetime.now(UTC))

    @contextlib.contextmanager
    def _asked(
        self, method: str, path: str, fields: dict[str, str], body: bytes, svid: X509Svid | None
    ) -> Iterator[http.client.HTTPResponse]:
        host = control_host(self.outrider)
        context = ssl.create_default_context(cadata=roots(self.outrider))
        if svid is not None:
            load_chain(context, svid.chain_der, svid.key_pkcs8_der)
        head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": host, **fields}.items())
        with (
            socket.create_connection((control_address(self.outrider), names.CONTROL_PORT), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            wrapped.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            answer = http.client.HTTPResponse(wrapped, method=method)
            answer.begin()
            yield answer


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
