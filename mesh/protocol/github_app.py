"""Installation tokens of GitHub Apps: what is asked for and what is answered.

Source: GitHub REST API, "Generating a JSON Web Token (JWT) for a GitHub App" and "Create an installation access
token for an app" (version 2022-11-28). A token has no fixed length and no fixed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from mesh.protocol.api_answer import Call, failed, field_value, object_of, words
from mesh.protocol.http1.heads import Headers, header
from mesh.protocol.oauth.token_refusal import NoToken, invalid

ACCEPT: Final = b"application/vnd.github+json"
API_VERSION: Final = b"2022-11-28"
ALGORITHM: Final = "RS256"
"""The only one that GitHub verifies."""

PAST_SECONDS: Final = 60
"""A JWT is issued so long ago, since GitHub refuses those of the future."""
FUTURE_SECONDS: Final = 9 * 60
"""At most ten minutes are accepted."""

MOST_SECONDS: Final = 24 * 3600.0
"""No token is taken to live longer, whatever is answered; GitHub's live one hour."""

_ADVICE: Final = {
    401: "GitHub does not accept the App's signature: compare appId and the private key, and the clock",
    403: "the App is suspended or may not do this: look at the installation's settings",
    404: "this App has no such installation: compare appId, installationId and url",
    422: "the installation lacks one of the repositories or permissions: compare with its settings",
}


@dataclass(frozen=True, slots=True)
class InstallationToken:
    """What was given; `expires` in seconds since 1970."""

    token: str = field(repr=False)
    expires: float


def app_claims(app_id: str, now: float) -> dict[str, Any]:
    """The claims by which an App says who it is; `app_id` may be the client id. `now`: seconds since 1970."""
    issued = int(now)
    return {"iat": issued - PAST_SECONDS, "exp": issued + FUTURE_SECONDS, "iss": app_id}


def token_call(
    url: str,
    installation_id: str,
    jwt: str,
    repositories: Sequence[str] = (),
    permissions: Sequence[tuple[str, str]] = (),
) -> Call:
    """The request for a token; without repositories and permissions it gets all that the installation has."""
    wanted: dict[str, Any] = {}
    if repositories:
        wanted["repositories"] = list(repositories)
    if permissions:
        wanted["permissions"] = dict(permissions)
    headers = [
        (b"accept", ACCEPT),
        (b"authorization", b"Bearer " + jwt.encode("ascii")),
        (b"content-type", b"application/json"),
        (b"x-github-api-version", API_VERSION),
    ]
    where = f"{url.rstrip('/')}/app/installations/{quote(installation_id, safe='')}/access_tokens"
    return Call("POST", where, headers, msgspec.json.encode(wanted), (jwt,))


def read_token(status: int, headers: Headers, body: bytes, call: Call, now: float) -> InstallationToken:
    """The token of an answer; raises NoToken. `now`: when it is read, in seconds since 1970."""
    if status not in (200, 201):
        raise _refusal(status, headers, body, call)
    said = object_of(body)
    token = field_value(said.get("token"), "token")
    if token in call.sent:
        raise invalid("the server gave back the token that was sent to it")
    return InstallationToken(token, min(_seconds(said.get("expires_at")), now + MOST_SECONDS))


def _refusal(status: int, headers: Headers, body: bytes, call: Call) -> NoToken:
    try:
        said = words(object_of(body).get("message"), call.sent)
    except NoToken:
        said = ""
    # Rate limits, primary and secondary, are a 403 too.
    spent = header(headers, b"x-ratelimit-remaining") == b"0" or header(headers, b"retry-after") is not None
    return failed(status, headers, said, _ADVICE.get(status, ""), busy=status == 403 and spent)


def _seconds(text: object) -> float:
    if not isinstance(text, str):
        raise invalid("expires_at is missing")
    try:
        ends = datetime.fromisoformat(text)
        if ends.tzinfo is None:
            raise invalid("expires_at has no time zone")
        return ends.timestamp()
    except (ValueError, OverflowError):
        raise invalid("expires_at is no date") from None
