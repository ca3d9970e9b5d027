"""Which credential a Backend gets: its section `credential`, as values.

None of them holds a secret. A `SecretKey` names one that only the sidecar mounts; whoever writes a Backend can
name no other file of the sidecar.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One key of a Secret that the sidecar mounts (annotation `credential-secrets`): the file NAME/KEY."""

    name: str
    key: str


class ClientMethod(StrEnum):
    """How we prove ourselves to an authorization server."""

    JWT_SPIFFE = "jwt-spiffe"
    """Our JWT-SVID as assertion of the type jwt-spiffe (draft-ietf-oauth-spiffe-client-auth)."""
    JWT_BEARER = "jwt-bearer"
    """Our JWT-SVID as assertion of the type jwt-bearer (RFC 7523, section 2.2)."""
    PRIVATE_KEY = "private-key"
    """An assertion that we sign with a key of our own (private_key_jwt)."""
    SECRET_BASIC = "secret-basic"  # noqa: S105 - a method
    SECRET_POST = "secret-post"  # noqa: S105 - a method
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ClientAuth:
    """Who we are at an authorization server. `id` None: our SPIFFE ID, or what the assertion says.

    `audience`: that of the assertion; None: the issuer, or the token endpoint where no issuer is named.
    `secret`: the client secret, or the private key (PEM or JWK) of PRIVATE_KEY.
    """

    method: ClientMethod = ClientMethod.JWT_SPIFFE
    id: str | None = None
    audience: str | None = None
    secret: SecretKey | None = None


@dataclass(frozen=True, slots=True)
class TokenServer:
    """An authorization server: by its issuer, whose metadata name the token endpoint, or by that endpoint; both
    where it publishes none. At least one is set."""

    issuer: str | None
    endpoint: str | None
    client: ClientAuth


class Preset(StrEnum):
    """What an authorization server understands by an exchange."""

    RFC8693 = "rfc8693"
    KEYCLOAK = "keycloak"
    """Standard token exchange: audience and scope, never `resource`, nor an actor token."""
    ENTRA = "entra"
    """On-behalf-of: jwt-bearer with requested_token_use; scopes name the audience."""


class WithoutUser(StrEnum):
    """What becomes of a request that belongs to no user."""

    REFUSE = "refuse"
    CLIENT_CREDENTIALS = "client-credentials"
    """The agent acts for itself."""


class SubjectKind(StrEnum):
    """What kind of token the user's is to be called in an exchange (RFC 8693, section 3)."""

    ACCESS_TOKEN = "access_token"  # noqa: S105 - a kind
    ID_TOKEN = "id_token"  # noqa: S105 - a kind
    JWT = "jwt"


@dataclass(frozen=True, slots=True)
class Exchange:
    """The user's token for one of this Backend (RFC 8693). `actor`: our JWT-SVID goes along as actor token.

    `step_up`: scopes that may be asked for when the server says insufficient_scope.
    """

    server: TokenServer
    preset: Preset = Preset.RFC8693
    audience: str | None = None
    resource: str | None = None
    scopes: tuple[str, ...] = ()
    subject: SubjectKind = SubjectKind.ACCESS_TOKEN
    actor: bool = False
    without_user: WithoutUser = WithoutUser.REFUSE
    step_up: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A token for the agent itself (RFC 6749, section 4.4)."""

    server: TokenServer
    audience: str | None = None
    resource: str | None = None
    scopes: tuple[str, ...] = ()
    step_up: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JwtBearer:
    """A JWT as the grant itself (RFC 7523, section 2.1): workload identity federation.

    `assertion`: the JWT that a Secret holds; None: our JWT-SVID, for `assertion_audience`, or where that is None
    for the issuer, or the token endpoint. `server.client` may be of method none.
    """

    server: TokenServer
    assertion_audience: str | None = None
    resource: str | None = None
    scopes: tuple[str, ...] = ()
    step_up: tuple[str, ...] = ()
    assertion: SecretKey | None = None


@dataclass(frozen=True, slots=True)
class IdJag:
    """Cross-app access: an identity assertion from `idp`, which `server` turns into a token.

    `audience` None: the issuer of `server`. `resource` is always sent: the URL of the MCP server.
    """

    idp: TokenServer
    server: TokenServer
    resource: str
    audience: str | None = None
    scopes: tuple[str, ...] = ()
    subject: SubjectKind = SubjectKind.ID_TOKEN


@dataclass(frozen=True, slots=True)
class SvidToken:
    """Our JWT-SVID itself, for this audience."""

    audience: str


@dataclass(frozen=True, slots=True)
class StaticSecret:
    """What a Secret holds, read anew when its file changes. `scheme` empty: the value alone,
    as it is in other headers than Authorization unless one is written."""

    secret: SecretKey
    header: str = "authorization"
    scheme: str = "Bearer"


@dataclass(frozen=True, slots=True)
class GithubApp:
    """An installation token of a GitHub App. `url`: the API's; `app_id` may be the client id."""

    app_id: str
    installation_id: str
    key: SecretKey
    url: str = "https://api.github.com"
    repositories: tuple[str, ...] = ()
    permissions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Vault:
    """One field of a secret of Vault or OpenBao, after a login with our JWT-SVID.

    `mount`: of the auth method. `path` as in the HTTP API below /v1/ (`secret/data/github` of a KV v2 engine).
    """

    url: str
    role: str
    path: str
    field: str
    mount: str = "jwt"
    audience: str = "vault"
    namespace: str | None = None
    header: str = "authorization"
    scheme: str = "Bearer"


@dataclass(frozen=True, slots=True)
class Hidden:
    """The placeholders of these environment variables (annotation `hide-secrets`) become their secrets here."""

    variables: tuple[str, ...]


Credential = (
    Exchange | ClientCredentials | JwtBearer | IdJag | SvidToken | StaticSecret | GithubApp | Vault | Hidden
)
