"""The section `credential` of a Backend: each kind into its value, and every fault with what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import Documents, compile_policy
from mesh.policy.credentials import (
    ClientAuth,
    ClientCredentials,
    ClientMethod,
    Credential,
    Exchange,
    GithubApp,
    Hidden,
    IdJag,
    JwtBearer,
    Preset,
    SecretKey,
    StaticSecret,
    SubjectKind,
    SvidToken,
    TokenServer,
    Vault,
    WithoutUser,
)

Load = Callable[..., Documents]
Faults = Callable[..., list[str]]
Make = Callable[..., str]
HEAD = "protocol: MCP, host: crm.example.com, port: 443, tls: {mode: Public}"
SERVER = TokenServer("https://i", None, ClientAuth())
KEY = "{name: s, key: k}"


def spec(credential: str, head: str = HEAD) -> str:
    return f"{{{head}, credential: {credential}}}"


@pytest.mark.parametrize(
    ("credential", "value"),
    [
        ("{exchange: {issuer: https://i}}", Exchange(SERVER)),
        (
            "{exchange: {issuer: https://i, tokenEndpoint: 'https://t:8443/x', preset: keycloak, audience: crm, "
            "scopes: [a, 'b:c'], subjectToken: jwt, withoutUser: client-credentials, stepUp: [w], "
            f"client: {{method: secret-basic, id: me, secret: {KEY}}}}}}}",
            Exchange(
                TokenServer(
                    "https://i",
                    "https://t:8443/x",
                    ClientAuth(ClientMethod.SECRET_BASIC, "me", None, SecretKey("s", "k")),
                ),
                Preset.KEYCLOAK,
                "crm",
                None,
                ("a", "b:c"),
                SubjectKind.JWT,
                False,
                WithoutUser.CLIENT_CREDENTIALS,
                ("w",),
            ),
        ),
        (
            "{exchange: {issuer: https://i, preset: entra, scopes: ['api://x/.default'], "
            "client: {method: jwt-bearer, id: x, audience: 'api://AzureADTokenExchange'}}}",
            Exchange(
                TokenServer(
                    "https://i", None, ClientAuth(ClientMethod.JWT_BEARER, "x", "api://AzureADTokenExchange")
                ),
                Preset.ENTRA,
                scopes=("api://x/.default",),
            ),
        ),
        (
            "{exchange: {issuer: https://i, resource: https://r/mcp, actor: true}}",
            Exchange(SERVER, resource="https://r/mcp", actor=True),
        ),
        (
            "{clientCredentials: {tokenEndpoint: http://localhost/t, audience: a, resource: https://r}}",
            ClientCredentials(TokenServer(None, "http://localhost/t", ClientAuth()), "a", "https://r"),
        ),
        (
            "{jwtBearer: {issuer: https://i, assertionAudience: a, client: {method: none}}}",
            JwtBearer(TokenServer("https://i", None, ClientAuth(ClientMethod.NONE)), "a"),
        ),
        (
            f"{{jwtBearer: {{issuer: https://i, assertion: {KEY}}}}}",
            JwtBearer(SERVER, assertion=SecretKey("s", "k")),
        ),
        (
            "{idJag: {idp: {issuer: https://i}, server: {issuer: https://i}, resource: https://r}}",
            IdJag(SERVER, SERVER, "https://r"),
        ),
        ("{svid: {audience: crm}}", SvidToken("crm")),
        (f"{{secret: {KEY}}}", StaticSecret(SecretKey("s", "k"))),
        (
            "{secret: {name: s, key: k, header: X-Api-Key}}",
            StaticSecret(SecretKey("s", "k"), "x-api-key", ""),
        ),
        (
            "{secret: {name: s, key: k, header: X-Api-Key, scheme: Bearer}}",
            StaticSecret(SecretKey("s", "k"), "x-api-key", "Bearer"),
        ),
        (
            "{secret: {name: s, key: k, header: Authorization}}",
            StaticSecret(SecretKey("s", "k"), "authorization", "Bearer"),
        ),
        (
            "{vault: {url: 'https://v:8200', role: r, path: p, field: t, header: X-Api-Key}}",
            Vault("https://v:8200", "r", "p", "t", header="x-api-key", scheme=""),
        ),
        (
            "{secret: {name: s, key: .k, header: X-Api-Key, scheme: ''}}",
            StaticSecret(SecretKey("s", ".k"), "x-api-key", ""),
        ),
        (
            f"{{githubApp: {{appId: Iv1.x, installationId: '2', privateKey: {KEY}, repositories: [a], "
            "permissions: {contents: read}}}",
            GithubApp(
                "Iv1.x", "2", SecretKey("s", "k"), repositories=("a",), permissions=(("contents", "read"),)
            ),
        ),
        (
            "{vault: {url: 'https://v:8200', role: r, path: secret/data/x, field: token}}",
            Vault("https://v:8200", "r", "secret/data/x", "token"),
        ),
        ("{hidden: {variables: [A, B_2]}}", Hidden(("A", "B_2"))),
    ],
)
def test_each_kind_is_read_into_its_value(
    load: Load, backend: Make, credential: str, value: Credential
) -> None:
    (found,) = load(backend("crm", spec(credential))).backends
    assert found.credential == value


@pytest.mark.parametrize(
    ("credential", "path", "fault"),
    [
        ("{}", "", "missing; write one of exchange, clientCredentials"),
        (f"{{svid: {{audience: a}}, secret: {KEY}}}", "", "svid, secret: a Backend has one credential"),
        ("{exchnge: {}}", ".exchnge", "did you mean exchange?"),
        ("{exchange: {}}", ".exchange.issuer", "missing; write issuer: https://..., whose metadata"),
        (
            "{idJag: {idp: {}, server: {issuer: https://i}, resource: https://r}}",
            ".idJag.idp.issuer",
            "missing",
        ),
        (
            "{idJag: {idp: {issuer: https://i}, server: {tokenEndpoint: https://i}, resource: https://r}}",
            ".idJag.audience",
            "it is the issuer of server",
        ),
        ("{exchange: {issuer: i}}", ".exchange.issuer", "no absolute URL"),
        ("{exchange: {issuer: 'ftp://i'}}", ".exchange.issuer", "no absolute URL"),
        ("{exchange: {issuer: 'https://me:pw@i'}}", ".exchange.issuer", "no user or password"),
        ("{exchange: {issuer: 'https://i?x'}}", ".exchange.issuer", "no query"),
        ("{exchange: {issuer: 'https://i#x'}}", ".exchange.issuer", "no fragment"),
        ("{exchange: {issuer: 'https://i:70000'}}", ".exchange.issuer", "no port"),
        ("{exchange: {issuer: 'https://*.i.example'}}", ".exchange.issuer", "no wildcard"),
        ("{exchange: {issuer: 'https://i_x'}}", ".exchange.issuer", "its host"),
        ("{exchange: {issuer: 'https://i/a b'}}", ".exchange.issuer", "cannot be read"),
        ("{exchange: {issuer: https://i, scopes: [a b]}}", ".exchange.scopes[0]", "each scope as an entry"),
        ("{exchange: {issuer: https://i, scopes: ['a\"']}}", ".exchange.scopes[0]", "is no scope"),
        ("{exchange: {issuer: https://i, stepUp: ['']}}", ".exchange.stepUp[0]", "is no scope"),
        ("{exchange: {issuer: https://i, audience: ''}}", ".exchange.audience", "1 to 2048"),
        ("{exchange: {issuer: https://i, preset: okta}}", ".exchange.preset", "rfc8693, keycloak, entra"),
        (
            "{exchange: {issuer: https://i, preset: keycloak, actor: true}}",
            ".exchange.actor",
            "takes no actor token",
        ),
        (
            "{exchange: {issuer: https://i, preset: keycloak, resource: https://r}}",
            ".exchange.resource",
            "knows no resource; write audience",
        ),
        (
            "{exchange: {issuer: https://i, preset: entra, client: {method: jwt-bearer, id: x}}}",
            ".exchange.scopes",
            "missing; Entra's scopes name the audience",
        ),
        (
            "{exchange: {issuer: https://i, preset: entra, scopes: [a], client: {method: jwt-bearer}}}",
            ".exchange.client.id",
            "missing; Entra needs",
        ),
        (
            "{exchange: {issuer: https://i, preset: entra, scopes: [a], audience: b, "
            "client: {method: jwt-bearer, id: x}}}",
            ".exchange.audience",
            "knows no audience",
        ),
        (
            "{exchange: {issuer: https://i, preset: entra, scopes: [a], client: {id: x}}}",
            ".exchange.client.method",
            "Entra does not know jwt-spiffe; write method: jwt-bearer",
        ),
        (
            "{exchange: {issuer: https://i, preset: entra, scopes: [a], client: {method: jwt-spiffe, id: x}}}",
            ".exchange.client.method",
            "Entra does not know jwt-spiffe; write method: jwt-bearer",
        ),
        (
            "{exchange: {issuer: https://i, withoutUser: client-credentials, client: {method: none}}}",
            ".exchange.client.method",
            "for clients that prove who they are (RFC 6749, section 4.4); leave method out for jwt-spiffe",
        ),
        (
            "{clientCredentials: {issuer: https://i, client: {method: none}}}",
            ".clientCredentials.client.method",
            "for clients that prove who they are (RFC 6749, section 4.4); leave method out for jwt-spiffe",
        ),
        (
            "{exchange: {issuer: https://i, client: {method: private-key, id: x}}}",
            ".exchange.client.secret",
            "missing; private-key needs the private key",
        ),
        (
            f"{{exchange: {{issuer: https://i, client: {{method: secret-post, secret: {KEY}}}}}}}",
            ".exchange.client.id",
            "missing; secret-post needs the client id",
        ),
        (
            f"{{exchange: {{issuer: https://i, client: {{secret: {KEY}}}}}}}",
            ".exchange.client.secret",
            "jwt-spiffe has no secret",
        ),
        (
            "{jwtBearer: {issuer: https://i, client: {method: none, audience: a}}}",
            ".jwtBearer.client.audience",
            "none has none",
        ),
        (
            f"{{jwtBearer: {{issuer: https://i, assertionAudience: a, assertion: {KEY}}}}}",
            ".jwtBearer.assertionAudience",
            "it is the JWT-SVID's, and assertion takes its place",
        ),
        (
            "{jwtBearer: {issuer: https://i, assertion: eyJ}}",
            ".jwtBearer.assertion",
            "a secret itself is never written here",
        ),
        ("{secret: {name: ../x, key: k}}", ".secret.name", "is no name"),
        ("{secret: {name: a/b, key: k}}", ".secret.name", "is no name"),
        ("{secret: {name: s, key: ../k}}", ".secret.key", "no key of a Secret"),
        ("{secret: {name: s, key: ..}}", ".secret.key", "no key of a Secret"),
        ("{secret: {name: s, key: .}}", ".secret.key", "no key of a Secret"),
        ("{secret: {name: s, key: a/b}}", ".secret.key", "no key of a Secret"),
        (
            "{exchange: {issuer: 'https://i', withoutUser: true}}",
            ".exchange.withoutUser",
            '"true" is not allowed; allowed: refuse, client-credentials',
        ),
        ("{secret: {name: s, key: k, scheme: 'a b'}}", ".secret.scheme", "one word like Bearer"),
        ("{svid: {}}", ".svid.audience", "missing"),
        (
            f"{{githubApp: {{appId: a/b, installationId: '1', privateKey: {KEY}}}}}",
            ".githubApp.appId",
            "neither",
        ),
        (
            f"{{githubApp: {{appId: a, installationId: x, privateKey: {KEY}}}}}",
            ".githubApp.installationId",
            "a number in quotes",
        ),
        (
            f"{{githubApp: {{appId: a, installationId: '1', privateKey: {KEY}, repositories: [o/r]}}}}",
            ".githubApp.repositories[0]",
            "without the owner",
        ),
        (
            f"{{githubApp: {{appId: a, installationId: '1', privateKey: {KEY}, permissions: [contents]}}}}",
            ".githubApp.permissions",
            "expected a mapping like {contents: read}",
        ),
        (
            f"{{githubApp: {{appId: a, installationId: '1', privateKey: {KEY}, permissions: {{x: all}}}}}}",
            ".githubApp.permissions.x",
            "allowed: read, write, admin",
        ),
        ("{vault: {url: https://v, role: r, path: a/../b, field: f}}", ".vault.path", "is no path"),
        ("{vault: {url: https://v, role: r, path: /a, field: f}}", ".vault.path", "is no path"),
        ("{vault: {url: https://v, role: r, path: 'a?b', field: f}}", ".vault.path", "is no path"),
        ("{vault: {url: https://v, role: r, path: 'a%2fb', field: f}}", ".vault.path", "is no path"),
        ("{vault: {url: https://v, role: r, path: a, field: f, mount: a//b}}", ".vault.mount", "is no path"),
        ("{hidden: {variables: []}}", ".hidden.variables", "allowed: 1 to"),
        ("{hidden: {variables: ['A=B']}}", ".hidden.variables[0]", "is no name of an environment variable"),
    ],
)
def test_each_fault_is_told_where_it_is(
    faults: Faults, backend: Make, credential: str, path: str, fault: str
) -> None:
    (found,) = faults(backend("crm", spec(credential)))
    assert f"spec.credential{path}: " in found
    assert fault in found


@pytest.mark.parametrize(
    "header",
    [
        *(
            "Host",
            "content-length",
            "Connection",
            "Transfer-Encoding",
            "TE",
            "Upgrade",
            "Keep-Alive",
            "Trailer",
        ),
        *("Proxy-Authorization", "Mcp-Session-Id", "MCP-Protocol-Version", "X-Forwarded-For", "traceparent"),
        *("Cookie", "Content-Type", "a b", "a:b", "", "Zé"),
    ],
)
def test_a_credential_is_put_into_no_header_that_means_something_else(
    faults: Faults, backend: Make, header: str
) -> None:
    (fault,) = faults(backend("crm", spec(f"{{secret: {{name: s, key: k, header: '{header}'}}}}")))
    assert "spec.credential.secret.header: " in fault


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        ("protocol: TCP, host: a.b, port: 443, tls: {mode: Public}", "protocol TCP is not looked into"),
        ("protocol: HTTP, host: '*.a.b', port: 443, tls: {mode: Public}", "belongs to one host"),
        ("protocol: HTTP, host: a.b, port: 80, tls: {mode: None}", "leave in plain text"),
        ("protocol: HTTP, host: localhost.a.b, port: 80, tls: {mode: None}", "leave in plain text"),
        ("protocol: HTTP, host: 10.0.0.1, port: 80, tls: {mode: None}", "leave in plain text"),
    ],
)
def test_some_backends_can_have_none(faults: Faults, backend: Make, head: str, fault: str) -> None:
    (found,) = faults(backend("crm", spec("{hidden: {variables: [A]}}", head)))
    assert "spec.credential: " in found
    assert fault in found


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.3.2.1", "'::1'"])
def test_plain_text_may_stay_on_the_machine(load: Load, backend: Make, host: str) -> None:
    head = f"protocol: HTTP, host: {host}, port: 80, tls: {{mode: None}}"
    assert load(backend("crm", spec("{svid: {audience: a}}", head))).backends[0].credential


def test_every_fault_is_told_at_once(faults: Faults, backend: Make) -> None:
    credential = (
        "{exchange: {issuer: x, preset: keycloak, actor: true, resource: y, scopes: [a b], "
        "client: {method: secret-basic, secret: {name: A, key: /}}}}"
    )
    found = faults(backend("crm", spec(credential)))
    assert [fault.split(": ")[1].removeprefix("spec.credential.exchange.") for fault in found] == [
        "actor",
        "client.id",
        "client.secret.key",
        "client.secret.name",
        "issuer",
        "resource",
        "scopes[0]",
    ]


@pytest.mark.parametrize(
    "credential",
    [
        "{secret: hunter2}",
        "{githubApp: {appId: a, installationId: '1', privateKey: hunter2}}",
        "{clientCredentials: {issuer: https://i, client: {method: secret-basic, id: x, secret: hunter2}}}",
        "{clientCredentials: {issuer: 'https://me:hunter2@i'}}",
        "{clientCredentials: {issuer: 'me:hunter2@i'}}",
    ],
)
def test_a_secret_in_a_wrong_place_is_not_repeated(faults: Faults, backend: Make, credential: str) -> None:
    found = faults(backend("crm", spec(credential)))
    assert found
    assert "hunter2" not in str(found)


def test_nobody_elsewhere_decides_on_secrets_and_tokens_of_a_namespace(
    load: Load, backend: Make, agent_policy: Make
) -> None:
    documents = load(
        backend("own", spec(f"{{secret: {KEY}}}"), "agents"),
        backend("theirs", spec(f"{{secret: {KEY}}}").replace("crm.", "other."), "tools"),
        agent_policy("{outbound: [{backend: own}, {backend: tools/theirs}]}", namespace="agents"),
    )
    backends = compile_policy(documents, labels={}, namespace="agents").backends
    assert {one.name: one.credential is not None for one in backends} == {"own": True, "theirs": False}
