"""Plays the conformance suite's OAuth scenarios with the sidecar as the OAuth client ("owner mode").

The suite starts this program with the URL of its MCP server. From what it says in MCP_CONFORMANCE_CONTEXT a
Backend with a credential is written, as an operator would, a sidecar is started with it, and behind that an SDK
client that knows nothing of OAuth. See README.md for what each scenario gives and wants.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from e2e import sidecars
from e2e.authority import trust_domain
from e2e.oauth.mesh_client import mesh_context
from e2e.oauth.ready import inbound_port
from e2e.oauth.recovered_key import key_that_verifies
from e2e.processes import environment
from e2e.sidecars import Sidecar
from mesh.identity.bundle_document import jwk_of

SECONDS = 60
SECRET = {"name": "suite", "key": "secret"}
PLAIN = [sys.executable, "-m", "e2e.oauth.plain_client"]
Context = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Play:
    """How a scenario is played: the Backend's credential, and the Secret `suite` that it may name.

    `user`: the token with which a user calls the agent first, and what its issuer is told to be.
    """

    credential: dict[str, Any]
    secret: str = field(repr=False)
    user: str | None = field(default=None, repr=False)


def by_secret(url: str, context: Context) -> Play:
    client = {"method": "secret-basic", "id": context["client_id"], "secret": SECRET}
    server = {"issuer": authorization_server(url), "client": client}
    return Play({"clientCredentials": {**server, "resource": url}}, context["client_secret"])


def by_private_key(url: str, context: Context) -> Play:
    client = {"method": "private-key", "id": context["client_id"], "secret": SECRET}
    server = {"issuer": authorization_server(url), "client": client}
    return Play({"clientCredentials": {**server, "resource": url}}, context["private_key_pem"])


def by_workload_token(url: str, context: Context) -> Play:
    """The workload's token is not an SVID, so it comes as a file, as a platform projects it."""
    client = {"method": "none", "id": context["client_id"]}
    server = {"issuer": claims_of(context["valid_jwt"])["aud"], "client": client}
    return Play({"jwtBearer": {**server, "assertion": SECRET, "resource": url}}, context["valid_jwt"])


def by_id_jag(url: str, context: Context) -> Play:
    idp = {"issuer": context["idp_issuer"], "client": {"method": "none", "id": context["idp_client_id"]}}
    client = {"method": "secret-basic", "id": context["client_id"], "secret": SECRET}
    server = {"issuer": authorization_server(url), "client": client}
    credential = {"idJag": {"idp": idp, "server": server, "resource": url, "subjectToken": "id_token"}}
    return Play(credential, context["client_secret"], context["idp_id_token"])


SCENARIOS: dict[str, Callable[[str, Context], Play]] = {
    "auth/client-credentials-basic": by_secret,
    "auth/client-credentials-jwt": by_private_key,
    "auth/wif-jwt-bearer": by_workload_token,
    "auth/enterprise-managed-authorization": by_id_jag,
}


def authorization_server(url: str) -> str:
    """What an operator reads in the server's own metadata (RFC 9728): the context does not say it."""
    place = urlsplit(url)
    metadata = f"{place.scheme}://{place.netloc}/.well-known/oauth-protected-resource{place.path}"
    with urllib.request.urlopen(metadata, timeout=SECONDS) as answer:  # noqa: S310 - the suite's own
        return str(json.load(answer)["authorization_servers"][0])


def claims_of(token: str) -> dict[str, Any]:
    """Not verified: the suite made it."""
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def documents(url: str, play: Play, users: dict[str, Any] | None) -> list[Any]:
    """The suite's server as a Backend with a credential, and a policy that grants it whole."""
    place = urlsplit(url)
    assert place.hostname is not None
    assert place.port is not None
    backend = sidecars.backend("subject", place.port, place.path, host=place.hostname)
    backend["spec"]["credential"] = play.credential
    policy = sidecars.policy(sidecars.allow_all("subject"))
    if users is not None:
        policy["spec"]["users"] = users
        policy["spec"]["inbound"] = [{"from": ["*"], "http": {"allow": True}}]
    return [backend, policy]


@contextlib.contextmanager
def owner(folder: Path, url: str, play: Play, **settings: Any) -> Iterator[Sidecar]:
    """A sidecar that owns the credential."""
    secrets = folder / "credentials" / SECRET["name"]
    secrets.mkdir(parents=True)
    (secrets / SECRET["key"]).write_text(play.secret, encoding="utf-8")
    users = settings.pop("users", None)
    with sidecars.running(
        folder,
        documents(url, play, users),
        credentials={"directory": str(folder / "credentials")},
        log={"decisions": "all"},
        **settings,
    ) as sidecar:
        yield sidecar


def for_itself(folder: Path, url: str, play: Play) -> int:
    """Nobody has called: the agent acts for itself."""
    with owner(folder, url, play) as sidecar:
        status = _plain(url, sidecar.proxy)
        _explain(sidecar, status)
        return status


def _plain(url: str, proxy: str, authorization: str = "") -> int:
    """Run the SDK's client; its exit status."""
    env = environment(HTTP_PROXY=proxy)
    return subprocess.run([*PLAIN, url], env=env, input=authorization.encode(), check=False).returncode


def for_a_user(folder: Path, url: str, play: Play) -> int:
    """A user calls the agent with an ID token; the agent forwards what it got in place of it."""
    assert play.user is not None
    claims, agent = claims_of(play.user), _Agent(url)
    keys = {"keys": [jwk_of(key_that_verifies(play.user), kid="suite", use="sig")]}
    published = _serve(_document(json.dumps(keys).encode()))
    issuer = {
        "issuer": claims["iss"],
        "audiences": [claims["aud"]],
        "jwksUri": f"http://127.0.0.1:{published.server_port}/jwks",
        "algorithms": ["ES256"],
    }
    application = _serve(agent.handler())
    socket = folder / "agent.sock"
    with trust_domain("suite.test") as domain:
        domain.serve(socket, "ns/agents/sa/e2e", os.getuid())
        with owner(
            folder,
            url,
            play,
            users={"issuers": [issuer], "required": True, "application": "handle"},
            identity={"provider": "workload-api", "socket": f"unix://{socket}"},
            listen={"forward": "127.0.0.1:0", "inbound": "127.0.0.1:0", "telemetry": None},
            application={"host": "127.0.0.1", "ports": [application.server_port]},
        ) as sidecar:
            agent.proxy = sidecar.proxy
            gateway = mesh_context(domain, "ns/agents/sa/gateway", folder)
            status = _call(inbound_port(sidecar), gateway, play.user)
            _explain(sidecar, 0 if status == 200 else status)
            return 0 if status == 200 else 1


class _Agent:
    """An application that does its work when it is called, and forwards the Authorization that it was given."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.proxy = ""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status = _plain(agent._url, agent.proxy, self.headers.get("Authorization", ""))
                self.send_response(500 if status else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """What it is sent is nobody's business."""

        return Handler


def _document(body: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    return Handler


def _serve(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _call(port: int, context: ssl.SSLContext, token: str) -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)
    try:
        connection.request("POST", "/", b"", {"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def _explain(sidecar: Sidecar, status: int) -> None:
    """The suite shows what a failed client printed."""
    if status:
        sys.stderr.write(sidecar.log.read_text(encoding="utf-8"))


def main() -> int:
    url, scenario = sys.argv[-1], os.environ["MCP_CONFORMANCE_SCENARIO"]
    play = SCENARIOS[scenario](url, json.loads(os.environ["MCP_CONFORMANCE_CONTEXT"]))
    with tempfile.TemporaryDirectory() as folder:
        return (for_itself if play.user is None else for_a_user)(Path(folder), url, play)


if __name__ == "__main__":
    sys.exit(main())
