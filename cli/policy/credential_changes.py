"""What two credentials of a Backend differ in, called as documents call it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from mesh.policy.credentials import Credential, IdJag
from sidecar.credentials.kinds import NAMES

_WRITTEN = {
    "endpoint": "tokenEndpoint",
    "subject": "subjectToken",
    "without_user": "withoutUser",
    "step_up": "stepUp",
    "assertion_audience": "assertionAudience",
    "app_id": "appId",
    "installation_id": "installationId",
}
_INLINE = ("server", "secret")
"""Fields whose own fields stand where they would: those of a section `exchange`, and of a section `secret`."""


def credential_change(old: Credential | None, new: Credential | None) -> tuple[str, str]:
    """Both in words, without what they agree in."""
    if old is None or new is None or type(old) is not type(new):
        return _kind(old), _kind(new)
    before, after = dict(_flat(old)), dict(_flat(new))
    other = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    was, now = (", ".join(_said(key, one.get(key)) for key in other) for one in (before, after))
    return f"{_kind(old)} with {was}", f"{_kind(new)} with {now}"


def _kind(credential: Credential | None) -> str:
    return "no credential" if credential is None else f"the credential {NAMES[type(credential)]}"


def _said(key: str, value: object) -> str:
    if value in (None, (), ""):
        return f"no {key}"
    if isinstance(value, tuple):
        pairs = (": ".join(one) if isinstance(one, tuple) else str(one) for one in value)
        return f"{key} [{', '.join(pairs)}]"
    return f"{key} {str(value).lower() if isinstance(value, bool) else value}"


def _flat(value: Any, above: str = "") -> Iterator[tuple[str, object]]:
    """Fields by path, like client.method; none of them is a secret, only where it lies."""
    for field in fields(value):
        found = getattr(value, field.name)
        name = "privateKey" if field.name == "key" and is_dataclass(found) else field.name
        path = f"{above}{_WRITTEN.get(name, name)}"
        if not is_dataclass(found):
            yield path, found
        elif not above and name in _INLINE and not isinstance(value, IdJag):
            yield from _flat(found)
        else:
            yield from _flat(found, f"{path}.")
