"""The conformance suite's OAuth extensions find a client in the sidecar; the one behind it knows no OAuth."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from e2e import conformance
from e2e.conformance import LEGACY, MODERN, Outcome
from e2e.environments import NodeParts

DRIVER = f"{sys.executable} -m e2e.oauth.owner_client"
# What has to have succeeded: a scenario without these has not looked.
PROOFS = {
    "auth/client-credentials-basic": ["client-credentials-basic-auth"],
    "auth/client-credentials-jwt": ["client-credentials-jwt-verified"],
    "auth/wif-jwt-bearer": ["wif-assertion-verified"],
    "auth/enterprise-managed-authorization": ["complete-flow-token-exchange", "complete-flow-jwt-bearer"],
}


Play = tuple[str, str]
"""Scenario and revision."""


@pytest.fixture(scope="module")
def playing(
    request: pytest.FixtureRequest, node: NodeParts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Play, Future[Outcome]]]:
    """Those that were chosen, two at a time: each is a row of programs of which one starts after the other."""
    chosen = [item.callspec.params for item in request.session.items if item.module is request.module]
    with ThreadPoolExecutor(2) as pool:
        yield {
            (each["scenario"], each["revision"]): pool.submit(
                conformance.client_scenario,
                node,
                DRIVER,
                each["scenario"],
                each["revision"],
                tmp_path_factory.mktemp("owner"),
            )
            for each in chosen
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
@pytest.mark.parametrize("scenario", PROOFS)
def test_the_sidecar_is_the_oauth_client(
    scenario: str, revision: str, playing: dict[Play, Future[Outcome]]
) -> None:
    outcome = playing[scenario, revision].result()
    assert not outcome.failures, outcome.output[-6000:]
    assert not outcome.counted("WARNING"), outcome.output[-6000:]
    for proof in PROOFS[scenario]:
        assert outcome.checks[(scenario, proof, "SUCCESS")], outcome.output[-6000:]
    assert "CLIENT EXITED WITH ERROR" not in outcome.output, outcome.output[-6000:]
