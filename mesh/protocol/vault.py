"""Vault and OpenBao: a login with a JWT, and one field of one secret.

Source: their HTTP API: JWT/OIDC auth method (`/v1/auth/MOUNT/login`), key-value engines 1 and 2, leases. A secret
with a lease ends with it, or with the token that read it, because Vault revokes the one with the other. One
without (key-value) has no end of its own, and is read again now and then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import msgspec

from mesh.protocol.api_answer import Call, failed, field_value, object_of, words
from mesh.protocol.http1.heads import Headers
from mesh.protocol.oauth.token_refusal import NoToken, invalid
from mesh.reasons import Reason

KEPT_SECONDS: Final = 300.0
"""After so long a secret without a lease is read again."""
MOST_SECONDS: Final = 24 * 3600.0

_LOGIN_ADVICE: Final = {
    400: "compare role with those of the auth method, and audience with the role's bound_audiences",
    403: "the auth method does not accept our JWT-SVID: compare mount, role, its bound claims and its keys",
    404: "there is no such auth method: compare mount and namespace",
}
_READ_ADVICE: Final = {
    400: "compare path and field with the engine",
    403: "the role's policies do not let it read this path: compare them with path (a KV v2 path has data/ in it)",
    404: "there is nothing at this path: compare it with the engine (a KV v2 path has data/ in it), and namespace",
}
_STANDBY: Final = frozenset({412, 472, 473})
"""Replicas that are behind, or stand by."""


@dataclass(frozen=True, slots=True)
class Login:
    """A token of Vault's own; `expires` in seconds since 1970, infinity where it does not."""

    token: str = field(repr=False)
    expires: float


@dataclass(frozen=True, slots=True)
class Secret:
    """One field. `seconds`: for how long it counts; `leased`: no longer than the login either."""

    value: str = field(repr=False)
    seconds: float
    leased: bool


class LoginEnded(NoToken):
    """Vault does not accept the token of the login, or not for this path: 403 says both."""


def login_call(url: str, mount: str, role: str, jwt: str, namespace: str | None) -> Call:
    """The login with a JWT in a role."""
    where = f"{_base(url)}/v1/auth/{_path(mount)}/login"
    headers = [(b"content-type", b"application/json"), *_namespace(namespace)]
    return Call("POST", where, headers, msgspec.json.encode({"role": role, "jwt": jwt}), (jwt,))


def read_login(status: int, headers: Headers, body: bytes, call: Call, now: float) -> Login:
    """The token of an answer to a login; raises NoToken. `now`: when it was asked for, in seconds since 1970."""
    if status != 200:
        raise _refusal(status, headers, body, call, _LOGIN_ADVICE)
    auth = object_of(body).get("auth")
    if not isinstance(auth, dict):
        raise invalid("the answer to the login holds no auth")
    token = field_value(auth.get("client_token"), "auth.client_token")
    seconds = _seconds(auth.get("lease_duration"), "auth.lease_duration")
    return Login(token, now + seconds if seconds else float("inf"))


def secret_call(url: str, path: str, login: Login, namespace: str | None) -> Call:
    """The request for a secret."""
    headers = [(b"x-vault-token", login.token.encode("ascii")), *_namespace(namespace)]
    return Call("GET", f"{_base(url)}/v1/{_path(path)}", headers, b"", (login.token,))


def read_secret(status: int, headers: Headers, body: bytes, call: Call, name: str) -> Secret:
    """The field `name` of the secret that was answered; raises NoToken, LoginEnded where a new login may help."""
    if status == 403:
        refused = _refusal(status, headers, body, call, _READ_ADVICE)
        raise LoginEnded(refused.reason, refused.detail)
    if status != 200:
        raise _refusal(status, headers, body, call, _READ_ADVICE)
    said = object_of(body)
    data = _data(said)
    if name not in data:
        raise NoToken(
            Reason.CREDENTIAL_REFUSED, f"the secret has no field {name}: compare field with its keys"
        )
    value = field_value(data[name], f"the field {name}")
    if value in call.sent:
        raise invalid("the server gave back the token that was sent to it")
    lease = _seconds(said.get("lease_duration"), "lease_duration")
    leased = bool(said.get("lease_id"))
    if leased and lease:
        return Secret(value, lease, True)
    # Without a lease lease_duration is but advice on when to read it again (key-value, version 1).
    return Secret(value, min(KEPT_SECONDS, lease or KEPT_SECONDS), leased)


def _data(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields, which version 2 of the key-value engine puts one level deeper, beside `metadata`."""
    data = said.get("data")
    if not isinstance(data, dict):
        raise invalid("the answer holds no data")
    if isinstance(data.get("metadata"), dict) and "data" in data:
        inner = data["data"]
        if not isinstance(inner, dict):
            raise NoToken(Reason.CREDENTIAL_REFUSED, "the newest version of the secret was deleted")
        return inner
    return data


def _refusal(status: int, headers: Headers, body: bytes, call: Call, advice: Mapping[int, str]) -> NoToken:
    """503 is a Vault that is sealed or down for maintenance."""
    try:
        said = object_of(body)
    except NoToken:
        said = {}
    told = [one for name in ("errors", "warnings") for one in _texts(said.get(name))]
    text = words("; ".join(told), call.sent)
    return failed(status, headers, text, advice.get(status, ""), busy=status in _STANDBY)


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)][:4] if isinstance(value, list) else []


def _seconds(value: object, what: str) -> float:
    """0 where there is no end."""
    if value is None:
        return 0.0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise invalid(f"{what} is no number of seconds")
    return float(min(value, MOST_SECONDS))


def _namespace(namespace: str | None) -> Headers:
    return [] if namespace is None else [(b"x-vault-namespace", namespace.encode())]


def _base(url: str) -> str:
    return url.rstrip("/")


def _path(path: str) -> str:
    """Below /v1/ and nowhere else: segments that readers would resolve are refused."""
    segments = path.strip("/").split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise NoToken(Reason.CREDENTIAL_REFUSED, "the path has an empty segment or one of dots")
    return "/".join(quote(segment, safe="-._~@:+=") for segment in segments)
