"""Requests to a token endpoint, written by hand: to show what the server refuses."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from e2e.oauth.running import OAuthServer
from e2e.oauth.strict import FORM

SECRET = "s:ec ret/+&="
Answer = tuple[int, dict[str, Any]]
Form = list[tuple[str, str]]


def send(
    server: OAuthServer,
    body: str,
    headers: list[tuple[str, str]],
    path: str = "/token",
    method: str = "POST",
) -> tuple[int, dict[str, str], bytes]:
    """Send exactly this; status, fields and body of the answer."""
    place = urlsplit(server.issuer)
    connection = http.client.HTTPSConnection(
        "localhost", place.port, context=server.authority.context(), timeout=10
    )
    try:
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value)
        if method == "POST":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode() if method == "POST" else None)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def ask(server: OAuthServer, form: Form, *headers: tuple[str, str], path: str = "/token") -> Answer:
    """POST a form; status and JSON of the answer."""
    status, _, body = send(server, urlencode(form), [("Content-Type", FORM), *headers], path)
    return status, json.loads(body)


def basic(client: str = "basic", secret: str = SECRET) -> tuple[str, str]:
    """The Authorization field of client_secret_basic (RFC 6749 2.3.1)."""
    pair = f"{quote(client, safe='')}:{quote(secret, safe='')}"
    return "Authorization", "Basic " + base64.b64encode(pair.encode()).decode()
