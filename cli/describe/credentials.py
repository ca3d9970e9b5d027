"""Whose users a pod hears, and which credential each Backend that it may call gets, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cli.check.credential_needs import needs_user, secret_keys, token_servers
from mesh.policy.credentials import (
    ClientMethod,
    Credential,
    Exchange,
    GithubApp,
    Hidden,
    IdJag,
    SvidToken,
    TokenServer,
    Vault,
)
from mesh.policy.documents import Backend
from mesh.policy.user_auth import Issuer, UserAuth
from sidecar.credentials.kinds import NAMES


def users_told(users: UserAuth | None) -> tuple[tuple[str, str], ...]:
    """What the policies of a pod together say of users, as pairs of name and value; empty where they do not."""
    if users is None:
        return ()
    told = [(f"issuer {one.issuer}", _issuer(one)) for one in users.issuers]
    told += (
        []
        if users.enforced
        else [("mode", "observe: what would be refused is recorded, and passes as it is")]
    )
    told.append(("token", "required" if users.required else "not required; one that is not valid is refused"))
    told += [("scopes", ", ".join(sorted(users.scopes)))] if users.scopes else []
    told += [("without a token", ", ".join(users.bypass))] if users.bypass else []
    told += [("resource", users.resource)] if users.resource else []
    told.append(("application gets", f"the {users.given}" if users.given != "nothing" else "nothing"))
    known_by = [*(["handle"] if users.given == "handle" else []), *sorted(users.correlation)]
    return (*told, ("outbound known by", ", ".join(known_by) or "nothing"))


def credentials_told(backends: Iterable[Backend], users: UserAuth | None) -> Iterator[tuple[str, str]]:
    """Pairs of Backend and credential."""
    for backend in backends:
        if backend.credential is not None:
            alone = users is None and needs_user(backend.credential)
            nobody = "; refused, because there are no users" if alone else ""
            yield backend.name, f"{_credential(backend.credential)}{nobody}"


def foreign_told(backends: Iterable[Backend], namespace: str) -> Iterator[tuple[str, str]]:
    """Backends of other namespaces, whose credentials are not for a pod of this one."""
    for backend in backends:
        if backend.credential is not None and backend.namespace not in (None, namespace):
            kind = NAMES[type(backend.credential)]
            told = f"none: its credential ({kind}) does not count here, since it is of another namespace"
            yield f"{backend.namespace}/{backend.name}", told


def _issuer(issuer: Issuer) -> str:
    asked = "" if issuer.introspection is None else ", asked about each token"
    return f"for {', '.join(issuer.audiences)}{asked}"


def _credential(credential: Credential) -> str:
    told = [f"{NAMES[type(credential)]}{_from(credential)}", *_whose(credential)]
    keys = [f"{key.name}/{key.key}" for key in secret_keys(credential)]
    told += [f"Secret {', '.join(keys)}"] if keys else []
    if any(_proves_by_svid(server) for server in token_servers(credential)):
        told.append("proved by JWT-SVID")
    return "; ".join(told)


def _from(credential: Credential) -> str:
    match credential:
        case GithubApp() | Vault():
            return f" from {credential.url}"
        case SvidToken():
            return f" for {credential.audience}"
        case Hidden():
            return f" of {', '.join(credential.variables)}"
        case _:
            servers = [server.issuer or server.endpoint or "" for server in token_servers(credential)]
            return f" from {', then '.join(servers)}" if servers else ""


def _whose(credential: Credential) -> list[str]:
    if isinstance(credential, Exchange | IdJag):
        return ["for the user" if needs_user(credential) else "for the user, else for the agent itself"]
    return []


def _proves_by_svid(server: TokenServer) -> bool:
    return server.client.method in (ClientMethod.JWT_SPIFFE, ClientMethod.JWT_BEARER)
