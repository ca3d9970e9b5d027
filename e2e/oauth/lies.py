"""Answers of a token endpoint that lies, breaks off or floods: what a client must not fall for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
JSON = {"Content-Type": "application/json", "Cache-Control": "no-store"}
HUGE = 16 * 1024 * 1024


def _changed(**members: Any) -> Callable[[dict[str, Any], str], Answer]:
    def lie(answer: dict[str, Any], _: str) -> Answer:
        changed = {**answer, **members}
        return (
            200,
            JSON,
            json.dumps({key: value for key, value in changed.items() if value is not None}).encode(),
        )

    return lie


def _redirect(status: int) -> Callable[[dict[str, Any], str], Answer]:
    return lambda answer, location: (status, {"Location": location}, b"")


def _html(answer: dict[str, Any], _: str) -> Answer:
    return 200, {"Content-Type": "text/html"}, b"<html><body>sign in</body></html>"


def _plain(answer: dict[str, Any], _: str) -> Answer:
    return 200, {"Content-Type": "text/plain"}, json.dumps(answer).encode()


def _truncated(answer: dict[str, Any], _: str) -> Answer:
    body = json.dumps(answer).encode()
    return 200, {**JSON, "Content-Length": str(len(body) + 100)}, body


def _huge(answer: dict[str, Any], _: str) -> Answer:
    return 200, JSON, json.dumps({**answer, "more": "x" * HUGE}).encode()


def _twice(answer: dict[str, Any], _: str) -> Answer:
    first = json.dumps({"access_token": "first"})[:-1].encode()
    return 200, JSON, first + b"," + json.dumps(answer).encode()[1:]


def _deep(answer: dict[str, Any], _: str) -> Answer:
    return 200, JSON, b'{"access_token":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


LIES: dict[str, Callable[[dict[str, Any], str], Answer]] = {
    "redirect": _redirect(307),
    "redirect-see-other": _redirect(303),
    "html": _html,
    "plain-text": _plain,
    "truncated": _truncated,
    "huge": _huge,
    "name-twice": _twice,
    "deep": _deep,
    "no-token": _changed(access_token=None),
    "empty-token": _changed(access_token=""),
    "number-for-token": _changed(access_token=7),
    "header-in-token": _changed(access_token="a\r\nX-Injected: yes"),
    "long-token": _changed(access_token="a" * 100_000),
    "foreign-token-type": _changed(token_type="mac"),
    "no-token-type": _changed(token_type=None),
    "foreign-issued-type": _changed(issued_token_type="urn:ietf:params:oauth:token-type:saml2"),
    "negative-life": _changed(expires_in=-1),
    "endless-life": _changed(expires_in=10**18),
    "life-in-words": _changed(expires_in="an hour"),
    "wider-scope": _changed(scope="admin everything"),
    "error-with-200": _changed(access_token=None, error="invalid_grant"),
}
"""By name. Two more are made where the token is: `other-audience` and `subject-back`."""
