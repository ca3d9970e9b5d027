"""The conformance suite's OAuth extensions find a client in the sidecar; the one behind it knows no OAuth."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from e2e import conformance
from e2e.conformance import LEGACY, MODERN
from e2e.environments import NodeParts

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
    outcome = conformance.client_scenario(node, DRIVER, scenario, revision, tmp_path)
    assert not outcome.failures, outcome.output[-6000:]
    assert not outcome.counted("WARNING"), outcome.output[-6000:]
    for proof in PROOFS[scenario]:
        assert outcome.checks[(scenario, proof, "SUCCESS")], outcome.output[-6000:]
    assert "CLIENT EXITED WITH ERROR" not in outcome.output, outcome.output[-6000:]
