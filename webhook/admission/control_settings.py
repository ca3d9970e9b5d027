"""Where sidecars find the control plane: the part of the platform's settings called `controlPlane`.

controlPlane:
  url: https://outrider-control.outrider-system.svc:15012     # "": none, policies come from a ConfigMap
  audience: outrider-control       # of the ServiceAccount tokens that prove sidecars to it, and of no others
  tokenSeconds: 3600               # how long such a token lasts
  issuer: https://oidc.example     # `iss` of JWT-SVIDs; "": the Service of the control plane
  roots: |                         # PEM; the running control plane knows its own, and needs none here
    -----BEGIN CERTIFICATE-----
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from mesh.identity.certificate import load_certificate
from mesh.identity.errors import IdentityInvalid
from mesh.identity.pem import read_certificates
from mesh.policy.errors import shown
from mesh.policy.fields import Field, integer, text
from mesh.settings.installation import CONTROL_AUDIENCE
from webhook.admission.settings_readers import filled, section


class Denials(StrEnum):
    """How a refused tool, prompt or resource looks; the values are those of OUTRIDER_DENIALS."""

    HIDDEN = "hidden"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The control plane as sidecars reach it; there is none where `url` is "".

    `issuer` is the URL by which verifiers of OpenID Connect know it; "" is that of its Service. `roots` (PEM)
    vouch for its certificate. They stand in the pod itself, so that nobody in its namespace chooses them; "" is
    what nobody knows yet. `token_seconds`: how long a ServiceAccount token lasts.
    """

    url: str = ""
    audience: str = CONTROL_AUDIENCE
    token_seconds: int = 3600
    roots: str = field(default="", repr=False)
    issuer: str = ""

    @property
    def present(self) -> bool:
        """Is there one?"""
        return bool(self.url)


def _https(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        fine = parts.scheme == "https" and parts.hostname and parts.port != 0
        fine = fine and parts.path in ("", "/") and not parts.query and not parts.username
    except ValueError:
        fine = False
    if fine or not value:
        return None
    return f'{shown(value)} is not an https:// URL of a host alone; "" means that there is no control plane'


def _issuer(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        fine = parts.scheme == "https" and parts.hostname and not parts.query and not parts.fragment
    except ValueError:
        fine = False
    return None if fine or not value else f"{shown(value)} is not an https:// URL without query and fragment"


def _roots(value: str) -> str | None:
    try:
        for der in read_certificates(value.encode("utf-8", "surrogatepass")) if value else ():
            load_certificate(der)
    except IdentityInvalid as malformed:
        return f"not certificates in PEM: {malformed}"
    return None


_CONTROL_PLANE = {
    "url": Field(text(_https)),
    "audience": Field(text(filled)),
    "tokenSeconds": Field(integer(600, 86400)),
    "roots": Field(text(_roots)),
    "issuer": Field(text(_issuer)),
}
read_control_plane = section(_CONTROL_PLANE, ControlPlane)
"""The reader of the section."""
