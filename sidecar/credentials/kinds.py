"""Which kind of credential is had in which way: the one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from mesh.policy.credentials import (
    ClientCredentials,
    Credential,
    Exchange,
    GithubApp,
    Hidden,
    IdJag,
    JwtBearer,
    StaticSecret,
    SvidToken,
    TokenServer,
    Vault,
)
from mesh.policy.documents import Backend
from mesh.reasons import Reason
from sidecar.credentials.fetch import Fetcher
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.mint import client_credentials, exchange, id_jag, svid
from sidecar.credentials.mint.github_app import GithubApps
from sidecar.credentials.mint.jwt_bearer import JwtBearers
from sidecar.credentials.mint.token_endpoint import Metadata, Parts, Proofs
from sidecar.credentials.mint.vault import Vaults
from sidecar.credentials.secret_files import SecretFiles
from sidecar.credentials.verified import Verified

NAMES: Final[dict[type, str]] = {
    Exchange: "exchange",
    ClientCredentials: "clientCredentials",
    JwtBearer: "jwtBearer",
    IdJag: "idJag",
    SvidToken: "svid",
    StaticSecret: "secret",
    GithubApp: "githubApp",
    Vault: "vault",
    Hidden: "hidden",
}
"""As users write them."""

Mint = Callable[..., Awaitable[Issued]]
"""Of one kind: its configuration, the user's token, additional scopes, and `parts`."""


class Kinds:
    """Mints credentials of every kind but `secret` and `hidden`, which nobody is asked for.

    `now`: seconds since 1970.
    """

    def __init__(
        self,
        fetch: Fetcher,
        issuers: Metadata,
        proof: Proofs,
        secrets: SecretFiles,
        now: Callable[[], float],
    ) -> None:
        self._common = _Common(fetch, issuers, proof, now)
        self._mints: dict[type, Mint] = {
            Exchange: exchange.mint,
            ClientCredentials: client_credentials.mint,
            JwtBearer: JwtBearers(secrets).mint,
            IdJag: id_jag.mint,
            SvidToken: svid.mint,
            GithubApp: GithubApps(secrets).mint,
            Vault: Vaults().mint,
        }

    def kind(self, credential: Credential) -> str:
        """As users write it."""
        return NAMES[type(credential)]

    def server(self, credential: Credential) -> str:
        """Who is asked first; empty where nobody is."""
        match credential:
            case Exchange() | ClientCredentials() | JwtBearer():
                return _server(credential.server)
            case IdJag():
                return _server(credential.idp)
            case GithubApp() | Vault():
                return credential.url
            case SvidToken() | StaticSecret() | Hidden():
                return ""

    async def mint(self, backend: Backend, subject: Verified | None, scopes: frozenset[str]) -> Issued:
        """A new credential for `backend`, with `scopes` besides its own. Raises CredentialRefused."""
        mint = self._mints.get(type(backend.credential))
        if mint is None:
            raise CredentialRefused(
                Reason.CREDENTIAL_UNAVAILABLE, f"Backend {backend.name} has no credential that is issued"
            )
        return await mint(backend.credential, subject, scopes, parts=Parts(*self._common, backend.name))


class _Common(NamedTuple):
    """The Parts of all Backends."""

    fetch: Fetcher
    issuers: Metadata
    proof: Proofs
    now: Callable[[], float]


def _server(server: TokenServer) -> str:
    return server.issuer or server.endpoint or ""
