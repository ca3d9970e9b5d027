"""What is written down about credentials: who asked whom, for whom, and how it ended."""

from __future__ import annotations

from mesh.reasons import Reason
from sidecar.telemetry import names
from sidecar.telemetry.credential_record import ISSUED, CredentialRecord
from tests.support.fakes import Lines, recorder


def last(lines: Lines) -> dict[str, object]:
    """The last line, as it is written: without what is None."""
    event, fields = lines.lines[-1]
    return {"event": event, **{name: value for name, value in fields.items() if value is not None}}


def test_a_credential_that_was_issued_is_a_line_and_a_count() -> None:
    written, lines = recorder()
    record = CredentialRecord(written.metrics, written.log, agent="agents/triage")
    record.credential(
        "crm",
        "exchange",
        "https://idp.example",
        ISSUED,
        0.0123456789,
        expires_in=299.7,
        scopes=frozenset({"b", "a"}),
        user="https://idp.example#alice",
        actor="spiffe://test.mesh/ns/agents/sa/triage",
    )
    assert last(lines) == {
        "event": "credential",
        "agent": "agents/triage",
        "backend": "crm",
        "kind": "exchange",
        "server": "https://idp.example",
        "outcome": "issued",
        "seconds": 0.012346,
        "expires_in": 300,
        "scopes": ["a", "b"],
        "user": "https://idp.example#alice",
        "actor": "spiffe://test.mesh/ns/agents/sa/triage",
    }
    assert written.metrics.value(names.CREDENTIALS, ("crm", "exchange", "issued")) == 1
    assert written.metrics.histogram(names.CREDENTIAL_SECONDS, ("crm",)).total > 0


def test_a_refusal_says_why() -> None:
    written, lines = recorder()
    record = CredentialRecord(written.metrics, written.log, agent="agents/triage")
    record.credential("crm", "vault", "https://v", Reason.CREDENTIAL_REFUSED, 0.1, detail="403: denied")
    assert last(lines)["detail"] == "403: denied"
    assert last(lines)["outcome"] == "credential_refused"
    assert "user" not in last(lines)


def test_a_file_is_no_question_to_anybody() -> None:
    written, lines = recorder()
    record = CredentialRecord(written.metrics, written.log, agent="agents/triage")
    record.credential("crm", "secret", "", ISSUED, 0.0)
    assert "seconds" not in last(lines)
    assert "server" not in last(lines)
    assert 'outrider_credential_seconds_count{backend="crm"}' not in written.metrics.exposition()


def test_what_was_not_simply_there_is_counted() -> None:
    written, _ = recorder()
    record = CredentialRecord(written.metrics, written.log, agent="agents/triage")
    record.credential_cache("crm", "miss")
    assert written.metrics.value(names.CREDENTIAL_CACHE, ("crm", "miss")) == 1
