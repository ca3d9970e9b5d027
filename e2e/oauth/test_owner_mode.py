"""The conformance suite's OAuth extensions find a client in the sidecar; the one behind it knows no OAuth."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

import pytest

from e2e import conformance
from e2e.conformance import LEGACY, MODERN
from e2e.conftest import skip
from e2e.environments import NodeParts
from e2e.oauth.ready import missing
from mesh.policy.credentials import JwtBearer

DRIVER = f"{sys.executable} -m e2e.oauth.owner_client"
# What has to have succeeded: a scenario without these has not looked.
PROOFS = {
    "auth/client-credentials-basic": ["client-credentials-basic-auth"],
    "auth/client-credentials-jwt": ["client-credentials-jwt-verified"],
    "auth/wif-jwt-bearer": ["wif-assertion-verified"],
    "auth/enterprise-managed-authorization": ["complete-flow-token-exchange", "complete-flow-jwt-bearer"],
}


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
@pytest.mark.parametrize("scenario", PROOFS)
def test_the_sidecar_is_the_oauth_client(
    scenario: str, revision: str, node: NodeParts, tmp_path: Path
) -> None:
    if reason := missing():
        skip("the sidecar as OAuth client", reason)
    if scenario == "auth/wif-jwt-bearer" and "assertion" not in {each.name for each in fields(JwtBearer)}:
        skip("workload identity federation by a projected token", "jwtBearer has no `assertion`")
    outcome = conformance.client_scenario(node, DRIVER, scenario, revision, tmp_path)
    assert not outcome.failures, outcome.output[-6000:]
    assert not outcome.counted("WARNING"), outcome.output[-6000:]
    for proof in PROOFS[scenario]:
        assert outcome.checks[(scenario, proof, "SUCCESS")], outcome.output[-6000:]
    assert "CLIENT EXITED WITH ERROR" not in outcome.output, outcome.output[-6000:]
