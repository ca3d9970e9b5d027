"""JWT-SVIDs for verifiers that know OpenID Connect and nothing of SPIFFE: cloud providers, Vault, other clusters.

    /.well-known/openid-configuration   who issues, and where the keys are
    /keys                               the keys as JWKS

Source: OpenID Connect Discovery 1.0, 3 and 4; RFC 8414. Only what verifying a token needs: nobody logs in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from mesh.identity.bundle_document import jwk_of
from mesh.identity.issuance import Refusal
from mesh.identity.jws import PublicKey, algorithms_of
from webhook.identity.authorities import Authorities, NotSigning
from webhook.identity.callers import CallRefused

CONFIGURATION_PATH: Final = "/.well-known/openid-configuration"
KEYS_PATH: Final = "/keys"
MAX_AGE_SECONDS: Final = 300
RETRY_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Discovery:
    """`issuer` is the URL that verifiers know us by, without a slash at its end; it is `iss` of each token."""

    authorities: Authorities
    issuer: str

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Both documents."""
        router.add_get(CONFIGURATION_PATH, self._configuration)
        router.add_get(KEYS_PATH, self._keys)

    async def _configuration(self, _request: web.Request) -> web.Response:
        return _public(
            {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}{KEYS_PATH}",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "claims_supported": ["iss", "sub", "aud", "exp", "iat"],
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        try:
            keys = self.authorities.bundle().jwt_keys
        except NotSigning as unknown:
            raise CallRefused(Refusal.UNAVAILABLE, str(unknown), RETRY_SECONDS) from unknown
        return _public({"keys": _signing_keys(keys)})


def _signing_keys(keys: Mapping[str, PublicKey]) -> list[dict[str, str]]:
    return [
        jwk_of(key, kid=name, use="sig", alg=algorithm)
        for name, key in keys.items()
        for algorithm in sorted(algorithms_of(key))
    ]


def _public(document: Mapping[str, Any]) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document),
        content_type="application/json",
        headers={"Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"},
    )
