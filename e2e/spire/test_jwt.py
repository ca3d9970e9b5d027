"""JWT-SVIDs of real SPIRE: for whom, until when, and whether our own reader finds them signed."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.spire.domain import Domain
from e2e.spire.workload import with_packages
from mesh.identity.bundle_document import read_bundle_document
from mesh.identity.errors import JwtInvalid
from mesh.identity.jwt_svid import validate_jwt_svid

SECONDS = 40
ATTEMPTS = 20


def ask(python: Path, endpoint: str, spiffe_id: str, *audience: str) -> dict[str, Any]:
    command = [str(python), "-m", "e2e.spire.jwt_program", endpoint, spiffe_id, *audience]
    done = subprocess.run(
        command, env=with_packages(), capture_output=True, text=True, timeout=SECONDS, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def until_synced(python: Path, endpoint: str, spiffe_id: str, *audience: str) -> dict[str, Any]:
    """The agent learns of an entry within a second; each attempt takes about half of one."""
    for _ in range(ATTEMPTS):
        found = ask(python, endpoint, spiffe_id, *audience)
        if "unavailable" not in found:
            break
    return found


def test_a_token_is_for_the_workload_and_its_audience_and_signed_by_its_domain(hasty: Domain) -> None:
    python, expected = hasty.workload("minter"), hasty.id("minter")
    found = until_synced(python, hasty.agent.endpoint, expected, "https://idp.test", "other")
    assert found["spiffe_id"] == expected
    assert found["audience"] == ["https://idp.test", "other"]
    now = datetime.now(UTC)
    assert now < datetime.fromisoformat(found["expires_at"]) < now + timedelta(seconds=21)

    keys = {hasty.name: read_bundle_document(hasty.name, hasty.server.bundle().encode()).jwt_keys}
    subject, _ = validate_jwt_svid(found["token"], "other", keys, now)
    assert str(subject) == expected
    with pytest.raises(JwtInvalid, match="not for the audience"):
        validate_jwt_svid(found["token"], "somebody else", keys, now)
    head, body, signature = found["token"].split(".")
    with pytest.raises(JwtInvalid):
        validate_jwt_svid(f"{head}.{body}.{signature[::-1]}", "other", keys, now)


def test_without_an_entry_there_is_no_token_and_the_reason_is_said(hasty: Domain) -> None:
    python = hasty.workload("nobody", registered=False)
    assert "PERMISSION_DENIED" in ask(python, hasty.agent.endpoint, "", "x")["unavailable"]


def test_the_token_of_another_workload_is_not_given(hasty: Domain) -> None:
    python = hasty.workload("curious")
    assert until_synced(python, hasty.agent.endpoint, "", "x")["spiffe_id"] == hasty.id("curious")
    assert "unavailable" in ask(python, hasty.agent.endpoint, hasty.id("minter"), "x")
