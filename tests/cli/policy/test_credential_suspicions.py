"""What `policy validate` warns of about users and credentials."""

from __future__ import annotations

import pytest

from cli.policy.credential_suspicions import credential_suspicions
from mesh.policy import load_texts

USERS = "users: {issuers: [{issuer: 'https://idp.example', audiences: [a]}]}"
TEXT = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: crm, namespace: SPACE}
spec: {protocol: HTTP, host: crm.example, port: 443, tls: {mode: Public}, credential: {CREDENTIAL}}
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: idp, namespace: agents}
spec: {protocol: HTTP, host: idp.tools.svc, port: 8080, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  selector: {matchLabels: {app: triage}}
  outbound:
  - backend: SPACE/crm
  - backend: idp
    RULE
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: doors, namespace: OTHER}
spec:
  selector: {matchLabels: {LABELS}}
  SAYS
"""


def told(
    credential: str = "svid: {audience: a}",
    *,
    space: str = "agents",
    rule: str = "",
    says: str = USERS,
    other: str = "agents",
    labels: str = "tier: one",
) -> list[str]:
    text = TEXT.replace("CREDENTIAL", credential).replace("SPACE", space).replace("RULE", rule)
    text = text.replace("SAYS", says).replace("OTHER", other).replace("LABELS", labels)
    return [f"{one.where}: {one.message}" for one in credential_suspicions(load_texts([("p.yaml", text)]))]


def test_what_is_meant_is_not_told() -> None:
    assert told() == []
    assert told("exchange: {issuer: 'https://idp.example', preset: keycloak, audience: crm}") == []
    assert told("exchange: {issuer: 'https://idp.example'}") == []


def test_a_backend_of_another_namespace_comes_without_its_credential() -> None:
    (said,) = told(space="tools")
    assert said == (
        "AgentPolicy/triage outbound[0]: Backend tools/crm is of another namespace, and its credential does not "
        "count here: requests leave without it"
    )


def test_keycloak_wants_an_audience() -> None:
    (said,) = told("exchange: {issuer: 'https://idp.example', preset: keycloak}")
    assert said.startswith("Backend/crm credential.exchange: preset keycloak without audience")


@pytest.mark.parametrize(
    ("rule", "how", "found"),
    [
        ('users: ["https://idp.example#alice"]', {}, False),
        ('users: ["https://*#alice"]', {}, False),
        ('users: ["*#*"]', {}, False),
        ('users: ["https://idp.exmaple#alice"]', {}, True),
        ('users: ["https://idp.example#alice"]', {"labels": "app: other"}, True),
        ('users: ["https://idp.example#alice"]', {"other": "tools"}, True),
        ('users: ["*#*"]', {"says": "egress: deny"}, True),
    ],
)
def test_users_of_an_issuer_that_nobody_accepts_are_told(rule: str, how: dict[str, str], found: bool) -> None:
    said = told(rule=rule, **how)
    assert [one.partition(":")[0] for one in said] == (
        ["AgentPolicy/triage outbound[1] users[0]"] if found else []
    )
    assert all("no policy that can select the same agents accepts" in one for one in said)


@pytest.mark.parametrize(
    ("credential", "plain"),
    [
        ("exchange: {issuer: 'http://idp.example'}", "http://idp.example"),
        ("clientCredentials: {tokenEndpoint: 'http://idp.example/token'}", "http://idp.example/token"),
        ("clientCredentials: {tokenEndpoint: 'http://localhost:9/token'}", ""),
        ("clientCredentials: {tokenEndpoint: 'http://idp.tools.svc:8080/token'}", ""),
    ],
)
def test_plain_text_is_told_but_to_this_machine_and_declared_hosts(credential: str, plain: str) -> None:
    said = told(credential)
    assert [one.partition(": ")[0] for one in said] == (["Backend/crm credential"] if plain else [])
    assert all(f"{plain} would be asked in plain text" in one for one in said)


def test_plain_text_to_issuers_of_users_is_told() -> None:
    (said,) = told(says=USERS.replace("https", "http"))
    assert said.startswith("AgentPolicy/doors users: http://idp.example would be asked in plain text")
