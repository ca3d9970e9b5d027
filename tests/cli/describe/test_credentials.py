from __future__ import annotations

import pytest

from cli.describe.credentials import credentials_told, users_told
from cli.describe.policies import Rights, rights
from mesh.policy import load_texts
from mesh.policy.user_auth import UserAuth
from tests.support import outrider_cluster as cluster

USERS = "{issuers: [{issuer: https://idp.example, audiences: [triage]}]}"


def text(credential: str = "", users: str = "") -> str:
    found = cluster.POLICIES
    if credential:
        found = found.replace("  path: /mcp\n", f"  path: /mcp\n  credential: {{{credential}}}\n")
    return found.replace("  outbound:\n", f"  users: {users}\n  outbound:\n") if users else found


def of_pod(credential: str = "", users: str = "") -> Rights:
    return rights(cluster.injected_pod(), cluster.policies(text(credential, users)), "agents")


def auth(users: str) -> UserAuth:
    (policy,) = load_texts([("p.yaml", text(users=users))]).policies
    assert policy.users is not None
    return policy.users


def test_of_a_pod_without_credentials_nothing_is_told() -> None:
    found = of_pod()
    assert (found.users, found.credentials) == ((), ())


@pytest.mark.parametrize(
    ("credential", "told"),
    [
        (
            "exchange: {issuer: https://idp.example}",
            "exchange from https://idp.example; for the user; proved by JWT-SVID",
        ),
        (
            "exchange: {issuer: https://idp.example, withoutUser: client-credentials, "
            "client: {method: secret-post, id: triage, secret: {name: idp, key: password}}}",
            "exchange from https://idp.example; for the user, else for the agent itself; Secret idp/password",
        ),
        (
            "clientCredentials: {tokenEndpoint: https://as.example/t, "
            "client: {method: secret-post, id: x, secret: {name: idp, key: k}}}",
            "clientCredentials from https://as.example/t; Secret idp/k",
        ),
        (
            "idJag: {idp: {issuer: https://idp.example}, server: {issuer: https://as.example}, "
            "resource: https://mcp.example/}",
            "idJag from https://idp.example, then https://as.example; for the user; proved by JWT-SVID",
        ),
        ("svid: {audience: x}", "svid for x"),
        ("secret: {name: pager, key: token}", "secret; Secret pager/token"),
        (
            "githubApp: {appId: '1', installationId: '2', privateKey: {name: app, key: k}}",
            "githubApp from https://api.github.com; Secret app/k",
        ),
        (
            "vault: {url: https://vault.example, role: r, path: p, field: f}",
            "vault from https://vault.example",
        ),
        ("hidden: {variables: [A, B]}", "hidden of A, B"),
    ],
)
def test_what_each_backend_gets_is_told(credential: str, told: str) -> None:
    assert of_pod(credential, USERS).credentials == (("github", told),)


def test_that_the_credential_of_another_namespaces_backend_does_not_count_is_told() -> None:
    found = text("svid: {audience: x}").replace("{name: github}", "{name: github, namespace: tools}")
    found = found.replace("backend: github", "backend: tools/github")
    told = rights(cluster.injected_pod(), cluster.policies(found), "agents").credentials
    message = "none: its credential (svid) does not count here, since it is of another namespace"
    assert told == (("tools/github", message),)


def test_that_there_is_nobody_to_exchange_for_is_told() -> None:
    (backend,) = load_texts([("p.yaml", text("exchange: {issuer: https://idp.example}"))]).backends
    ((_, told),) = credentials_told([backend], None)
    assert told.endswith("; refused, because there are no users")


def test_whose_users_it_hears_is_told() -> None:
    assert of_pod(users=USERS).users == (
        ("issuer https://idp.example", "for triage"),
        ("token", "required"),
        ("application gets", "the handle"),
        ("outbound known by", "handle, context, session, trace"),
    )


def test_everything_that_is_said_of_users_is_told() -> None:
    users = (
        "{issuers: [{issuer: https://idp.example, audiences: [a, b], introspection: {}}], required: false, "
        "scopes: [w, v], bypass: [/healthz], resource: https://triage.example/mcp, application: nothing, "
        "correlation: [sole]}"
    )
    assert users_told(auth(users)) == (
        ("issuer https://idp.example", "for a, b, asked about each token"),
        ("token", "not required; one that is not valid is refused"),
        ("scopes", "v, w"),
        ("without a token", "/healthz"),
        ("resource", "https://triage.example/mcp"),
        ("application gets", "nothing"),
        ("outbound known by", "sole"),
    )
