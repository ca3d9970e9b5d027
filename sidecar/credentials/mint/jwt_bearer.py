"""A JWT as the grant itself (RFC 7523, section 2.1): workload identity federation, with our JWT-SVID or a token of
another issuer that a Secret holds."""

from __future__ import annotations

import re
from typing import Protocol

from mesh.policy.credentials import JwtBearer, SecretKey
from mesh.protocol.oauth.grants import jwt_bearer
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.mint.token_endpoint import Parts, ask, bearer, own_svid, refused, scopes_of
from sidecar.credentials.verified import Verified

_JWT = re.compile(rb"[\w-]+(?:\.[\w-]*){2}(?:(?:\.[\w-]*){2})?")
"""Three parts, or the five of an encrypted one. A password in its place goes to no server."""


class Secrets(Protocol):
    """sidecar.credentials.secret_files.SecretFiles."""

    def read_field(self, secret: SecretKey) -> bytes:
        """Raises CredentialRefused (CREDENTIAL_SECRET_MISSING)."""
        ...


class JwtBearers:
    """Mints for all Backends; a Secret is looked at for each token, since platforms rotate what is in it."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    async def mint(
        self, config: JwtBearer, subject: Verified | None, extra_scopes: frozenset[str], *, parts: Parts
    ) -> Issued:
        """A token of the agent's own, whoever the request belongs to. Raises CredentialRefused."""
        scopes = scopes_of(config.scopes, extra_scopes)
        if config.assertion is None:
            assertion = await own_svid(config.assertion_audience, config.server, parts)
        else:
            assertion = self._held(config.assertion, parts)
        form = jwt_bearer(assertion, resource=config.resource, scopes=scopes)
        return bearer(await ask(config.server, form, parts, scopes=scopes))

    def _held(self, secret: SecretKey, parts: Parts) -> str:
        try:
            value = self._secrets.read_field(secret)
        except CredentialRefused as no:
            raise refused(no.reason, no.detail, parts) from no
        if not _JWT.fullmatch(value):
            raise refused(
                Reason.CREDENTIAL_SECRET_MISSING,
                f"Secret {secret.name}, key {secret.key} holds no JWT, which jwtBearer.assertion is",
                parts,
            )
        return value.decode("ascii")
