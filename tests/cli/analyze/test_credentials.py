from __future__ import annotations

import pytest

from cli.analyze.analyzers import analyze
from cli.analyze.inventory import Inventory, items_of
from cli.manifests import read_manifests

OURS = {"OUT0213", "OUT0214", "OUT0307", "OUT0308"}
CLIENT = "{method: secret-post, id: x, secret: {name: idp, key: k}}"
EXCHANGE = f"exchange: {{issuer: 'https://idp.example', client: {CLIENT}}}"
USERS = "users: {issuers: [{issuer: 'https://idp.example', audiences: [x]}]}"
TEXT = """apiVersion: v1
kind: Namespace
metadata: {name: agents, labels: {outrider.dev/injection: enabled}}
---
apiVersion: v1
kind: Pod
metadata:
  name: triage
  namespace: agents
  annotations: {ANNOTATIONS}
spec:
  containers:
  - name: agent
    image: triage
    env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: gh, key: token}}}]
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: crm, namespace: agents}
spec: {protocol: HTTP, host: crm.example, port: 443, tls: {mode: Public}, credential: {CREDENTIAL}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  outbound: [{backend: crm}]
  SAYS
"""


def found(credential: str, annotations: str = "", says: str = "", text: str = TEXT) -> list[str]:
    text = text.replace("CREDENTIAL", credential).replace("ANNOTATIONS", annotations).replace("SAYS", says)
    inventory = Inventory(tuple(items_of(read_manifests(text, "x.yaml"))))
    return [f"{one.code} {one.line} {one.message}" for one in analyze(inventory) if one.code in OURS]


MOUNTED = "outrider.dev/credential-secrets: idp"
HIDDEN = "outrider.dev/hide-secrets: TOKEN"


@pytest.mark.parametrize(
    ("credential", "annotations", "says", "expected"),
    [
        (EXCHANGE, MOUNTED, USERS, []),
        (
            EXCHANGE,
            "",
            USERS,
            ["OUT0307 7 its sidecar does not mount Secret idp, which Backend crm names"],
        ),
        (
            EXCHANGE,
            MOUNTED,
            "",
            [
                "OUT0213 7 it may call Backend crm, whose credential is exchanged for a user's token, "
                "and its policies have no users"
            ],
        ),
        (
            "jwtBearer: {issuer: 'http://idp.example'}",
            "",
            "",
            ["OUT0214 7 Backend crm: http://idp.example would be asked in plain text"],
        ),
        (
            "svid: {audience: x}",
            "",
            USERS.replace("https", "http"),
            ["OUT0214 7 users: http://idp.example would be asked in plain text"],
        ),
        ("hidden: {variables: [TOKEN, OTHER]}", HIDDEN, "", []),
        (
            "hidden: {variables: [OTHER]}",
            HIDDEN,
            "",
            ["OUT0308 7 it hides none of the variables of Backend crm: OTHER"],
        ),
    ],
)
def test_what_a_sidecar_would_not_have_is_found(credential, annotations, says, expected) -> None:
    assert found(credential, annotations, says) == expected


def test_workloads_that_no_policy_selects_have_to_do_with_none() -> None:
    assert found(EXCHANGE, says="selector: {matchLabels: {app: other}}") == []


def test_pods_without_a_sidecar_have_to_do_with_none() -> None:
    assert found(EXCHANGE, text=TEXT.replace("enabled", "disabled")) == []
