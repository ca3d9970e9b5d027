"""Installation tokens of GitHub Apps, for an hour each. The App's key never leaves the sidecar."""

from __future__ import annotations

import asyncio

from mesh.policy.credentials import GithubApp, SecretKey
from mesh.protocol.github_app import ALGORITHM, app_claims, read_token, token_call
from mesh.protocol.oauth.signing_key import KeyInvalid, SigningKey, read_signing_key
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.mint.calling import asking, send
from sidecar.credentials.mint.fields import fields_of
from sidecar.credentials.mint.token_endpoint import Parts, refused
from sidecar.credentials.secret_files import SecretFiles
from sidecar.credentials.verified import Verified


class GithubApps:
    """Mints for all Apps; keeps their keys, since reading one costs more than signing."""

    def __init__(self, secrets: SecretFiles) -> None:
        self._secrets = secrets
        self._keys: dict[SecretKey, tuple[bytes, SigningKey]] = {}

    async def mint(
        self, config: GithubApp, subject: Verified | None, extra_scopes: frozenset[str], *, parts: Parts
    ) -> Issued:
        """A token of the installation, whoever the request belongs to. Raises CredentialRefused."""
        key = await self._key(config.key, parts)
        jwt = key.sign(app_claims(config.app_id, parts.now()))
        call = token_call(config.url, config.installation_id, jwt, config.repositories, config.permissions)
        answer = await send(call, parts)
        with asking(config.url, parts):
            given = read_token(answer.status, answer.headers, answer.body, call, parts.now())
        token = given.token.encode("ascii")
        return fields_of("authorization", "Bearer", token, expires=given.expires, others=(jwt.encode(),))

    async def _key(self, secret: SecretKey, parts: Parts) -> SigningKey:
        try:
            data = self._secrets.read(secret)
        except CredentialRefused as no:
            raise refused(no.reason, no.detail, parts) from no
        known = self._keys.get(secret)
        if known is not None and known[0] == data:
            return known[1]
        try:
            # Tens of milliseconds for an RSA key: it is checked.
            key = await asyncio.to_thread(read_signing_key, data)
        except KeyInvalid as invalid:
            raise _unusable(secret, str(invalid), parts) from None
        if key.algorithm != ALGORITHM:
            raise _unusable(secret, f"a key for {key.algorithm}, and GitHub's are for {ALGORITHM}", parts)
        self._keys[secret] = data, key
        return key


def _unusable(secret: SecretKey, why: str, parts: Parts) -> CredentialRefused:
    return refused(
        Reason.CREDENTIAL_SECRET_MISSING,
        f"Secret {secret.name}, key {secret.key} holds no private key of a GitHub App: {why}",
        parts,
    )
