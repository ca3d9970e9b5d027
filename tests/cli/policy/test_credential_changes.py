"""A changed credential is told by its kind and the fields that differ, as they are written."""

from __future__ import annotations

import pytest

from cli.main import main
from cli.policy.credential_changes import credential_change
from mesh.policy import load_texts
from mesh.policy.credentials import Credential

TEXT = """apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: crm, namespace: agents}
spec: {protocol: MCP, host: crm.example, port: 443, tls: {mode: Public}, path: /mcp, credential: CREDENTIAL}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  outbound: [{backend: crm, tools: {allow: [get]}}]
"""
IDP = "issuer: 'https://idp.example'"


def read(text: str) -> Credential | None:
    return load_texts([("p.yaml", TEXT.replace("CREDENTIAL", text))]).backends[0].credential


@pytest.mark.parametrize(
    ("old", "new", "was", "now"),
    [
        (
            "{svid: {audience: a}}",
            f"{{exchange: {{{IDP}}}}}",
            "the credential svid",
            "the credential exchange",
        ),
        (
            f"{{exchange: {{{IDP}, audience: a}}}}",
            f"{{exchange: {{{IDP}, scopes: [r, w], actor: true, withoutUser: client-credentials}}}}",
            "the credential exchange with audience a, no scopes, actor false, withoutUser refuse",
            "the credential exchange with no audience, scopes [r, w], actor true, withoutUser client-credentials",
        ),
        (
            f"{{clientCredentials: {{{IDP}}}}}",
            "{clientCredentials: {tokenEndpoint: 'https://t.example', client: {method: jwt-bearer}}}",
            "the credential clientCredentials with issuer https://idp.example, no tokenEndpoint, "
            "client.method jwt-spiffe",
            "the credential clientCredentials with no issuer, tokenEndpoint https://t.example, "
            "client.method jwt-bearer",
        ),
        (
            "{secret: {name: s, key: k}}",
            "{secret: {name: t, key: k, header: X-Key}}",
            "the credential secret with name s, header authorization, scheme Bearer",
            "the credential secret with name t, header x-key, no scheme",
        ),
        (
            "{githubApp: {appId: '1', installationId: '2', privateKey: {name: a, key: k}}}",
            "{githubApp: {appId: '1', installationId: '2', privateKey: {name: b, key: k}, "
            "permissions: {contents: read}}}",
            "the credential githubApp with privateKey.name a, no permissions",
            "the credential githubApp with privateKey.name b, permissions [contents: read]",
        ),
        (
            f"{{idJag: {{idp: {{{IDP}}}, server: {{{IDP}}}, resource: 'https://m.example/'}}}}",
            f"{{idJag: {{idp: {{{IDP}}}, server: {{issuer: 'https://as.example'}}, resource: 'https://m.example/'}}}}",
            "the credential idJag with server.issuer https://idp.example",
            "the credential idJag with server.issuer https://as.example",
        ),
    ],
)
def test_what_differs_is_told(old: str, new: str, was: str, now: str) -> None:
    assert credential_change(read(old), read(new)) == (was, now)


def test_diff_says_it_and_the_footer_has_its_mark(tmp_path, capsys) -> None:
    files = []
    for name, text in (("old", "{svid: {audience: a}}"), ("new", "{svid: {audience: b}}")):
        (tmp_path / f"{name}.yaml").write_text(TEXT.replace("CREDENTIAL", text))
        files.append(str(tmp_path / f"{name}.yaml"))
    assert main(["policy", "diff", *files, "--agent", "agents/triage", "--labels", "app=triage"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "needs the credential svid with audience b" in out
    assert "needs the credential svid with audience a" in out
    assert "widen (marked ±)" in out
    assert credential_change(None, read("{svid: {audience: a}}")) == ("no credential", "the credential svid")
