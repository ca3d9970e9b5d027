"""Runs an authorization server: HTTPS on loopback, and plain HTTP beside it for the test that steers it.

`python -m e2e.oauth.serve SETTINGS.json` prints `{"port": ..., "admin": ...}` when both listen. The issuer is
`https://localhost:PORT`, with the setting `path` behind it.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from e2e.oauth.authorization_server import Request, Server
from e2e.oauth.lies import JSON, LIES, Answer
from e2e.oauth.records import Behaviour, Records
from e2e.oauth.strict import Form, Violation, check_introspection, check_token_request, read_form

HANDSHAKE_SECONDS = 10
LIMIT = 64 * 1024
BEARERS = ("subject_token", "actor_token", "client_assertion", "assertion")


class Site(ThreadingHTTPServer):
    """What handlers share. TLS shakes hands in the handler's thread, so a silent client holds up nobody."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(
        self, handler: type[BaseHTTPRequestHandler], port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.tls = tls
        self.oauth: Server
        self.settings: dict[str, Any] = {}

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is not None:
            request.settimeout(HANDSHAKE_SECONDS)
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                return
            request.settimeout(None)
        try:
            super().finish_request(request, client_address)
        finally:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients come and go as the tests want; a fault of ours is told where every test looks."""
        fault = sys.exc_info()[1]
        if not isinstance(fault, OSError):
            self.oauth.records.violation(f"the server itself failed: {traceback.format_exc()}")


class Handler(BaseHTTPRequestHandler):
    """Common to both sites."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # head and body are two writes, of which the second would wait for the first
    )
    server: Site

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        elif int(headers["Content-Length"]) != len(body):
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def answer(self, value: Any, status: int = 200) -> None:
        self.send(status, JSON, json.dumps(value).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Requests hold tokens; nothing is logged."""


class PublicHandler(Handler):
    """What clients see."""

    def do_GET(self) -> None:
        site, oauth = self.server, self.server.oauth
        path = site.settings.get("path", "")
        known = {
            f"/.well-known/oauth-authorization-server{path}": ("metadata", oauth.metadata),
            f"{path}/jwks": ("jwks", oauth.keys.public),
        }
        found = known.get(self.path)
        oauth.records.count(found[0] if found else "not-found")
        if found is None:
            self.answer({"error": "not_found"}, 404)
        elif site.settings.get("down"):
            self.answer({}, 503)
        else:
            self.answer({**found[1](), **site.settings.get(found[0], {})})

    def do_POST(self) -> None:
        oauth = self.server.oauth
        if self.headers.get("Content-Length") is None or int(self.headers["Content-Length"]) > LIMIT:
            self.close_connection = True
            self._violation(Violation("there is no Content-Length, or the body is larger than 64 KiB"))
            return
        body = self.body()
        try:
            kind = self._kind()
            form = read_form(self.headers.get_all("Content-Type", []), body)
            self._check_fields()
            authorization = self.headers.get_all("Authorization", [])
            if kind == "introspection":
                check_introspection(form, authorization)
                grant = kind
            else:
                extensions = frozenset(self.server.settings.get("extensions", ()))
                grant = check_token_request(form, authorization, extensions)
        except Violation as violation:
            self._violation(violation)
            return
        oauth.records.count(grant)
        oauth.records.token(*(form.one(name) for name in BEARERS))
        self._granted(grant, form)

    def _kind(self) -> str:
        oauth, place = self.server.oauth, urlsplit(self.path)
        if place.query:
            raise Violation("the token endpoint has no query")
        if f"{self._origin()}{place.path}" == oauth.token_endpoint:
            return "token"
        if f"{self._origin()}{place.path}" == f"{oauth.issuer}/introspect":
            return "introspection"
        raise Violation(f"nobody published {self.path}")

    def _origin(self) -> str:
        return f"https://localhost:{self.server.server_port}"

    def _check_fields(self) -> None:
        if self.headers.get_all("Host", []) != [f"localhost:{self.server.server_port}"]:
            raise Violation(f"the Host is {self.headers.get_all('Host')}")
        for name in ("Cookie", "Mcp-Session-Id", "Referer", "Origin"):
            if name in self.headers:
                raise Violation(f"a token request has no business with {name}")

    def _violation(self, violation: Violation) -> None:
        self.server.oauth.records.violation(str(violation))
        self.answer({"error": "invalid_request", "error_description": str(violation)}, 400)

    def _granted(self, grant: str, form: Form) -> None:
        oauth, how = self.server.oauth, self.server.oauth.records.behaviour()
        time.sleep(how.delay)
        if how.status is not None:
            self.send(how.status, {**JSON, **how.headers}, b"{}")
            return
        request = Request(self._origin() + self.path, self.headers, form)
        with LYING:
            oauth.lie = how.lie
            made = (
                oauth.create_endpoint_response("introspection", request)
                if grant == "introspection"
                else oauth.create_token_response(request)
            )
            oauth.lie = None
        self.send(*_told(made, how, form))


# The lie is told where the token is made, which other requests must not be caught in.
LYING = threading.Lock()


def _told(made: Any, how: Behaviour, form: Form) -> Answer:
    """The honest answer, or what becomes of it."""
    status, headers, body = made
    content = body if isinstance(body, dict) else json.loads(body)
    if status == 200 and how.lie == "subject-back":
        content = {**content, "access_token": form.one("subject_token") or form.one("assertion")}
    elif status == 200 and how.lie in LIES:
        return LIES[how.lie](content, how.location or "")
    return status, {**headers, **how.headers}, json.dumps(content).encode()


class AdminHandler(Handler):
    """What the test sees. Everything is JSON."""

    def do_GET(self) -> None:
        self.answer(self.server.oauth.records.read(self.path.lstrip("/")))

    def do_POST(self) -> None:
        wanted = json.loads(self.body() or b"{}")
        oauth, settings = self.server.oauth, self.server.settings
        match self.path:
            case "/behave":
                oauth.records.behave(Behaviour(**wanted))
            case "/clear":
                oauth.records.clear()
                settings.update({name: {} for name in ("metadata", "jwks")}, down=False)
            case "/rotate":
                oauth.keys.rotate(retire=wanted.get("retire", True), kind=wanted.get("kind", "EC"))
            case "/seconds":
                oauth.seconds = wanted["seconds"]
            case "/sign-in":
                self.answer({"token": oauth.sign_in(wanted)})
                return
            case "/revoke":
                oauth.revoke(wanted["token"])
            case "/documents":  # members that replace those of the metadata or the keys; or "down"
                settings.update(wanted)
            case _:
                self.answer({}, 404)
                return
        self.answer({})


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(settings["certificate"])
    public, admin = Site(PublicHandler, settings.get("port", 0), tls), Site(AdminHandler)
    issuer = f"https://localhost:{public.server_port}{settings.get('path', '')}"
    public.oauth = admin.oauth = Server(issuer, settings, Records())
    public.settings = admin.settings = settings
    threading.Thread(target=admin.serve_forever, daemon=True).start()
    print(json.dumps({"port": public.server_port, "admin": admin.server_port, "issuer": issuer}), flush=True)
    public.serve_forever()


if __name__ == "__main__":
    main()
