"""The YAML files of the demo, read as Outrider reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cli.demo.cast import (
    CODE_HOST,
    FAKE_NOTES,
    HELPDESK,
    HELPDESK_AUDIENCE,
    IMPOSTOR,
    ISSUER,
    NOTES,
    NOTES_AUDIENCE,
    NOTES_HOST,
    PASTE_HOST,
    PORT,
    PUBLIC_HOST,
    PUBLIC_PORT,
    SPARE_HOST,
    TRIAGE,
    UNKNOWN_HOST,
    WORKLOADS,
    Workload,
)
from cli.demo.documents import misspelt, pod, policies, policy_file, without, write_pods, write_policies
from cli.demo.helpdesk import VARIABLE
from cli.demo.judgements import EVERY_TOOL
from cli.demo.tls_judgements import PUBLIC_GRANTED
from mesh.policy.compile import compile_policy
from mesh.policy.credentials import Exchange, Hidden
from mesh.policy.documents import TlsMode
from mesh.policy.errors import PolicyInvalid
from mesh.policy.load import load_texts
from mesh.policy.principal import Principal
from mesh.reasons import Reason


def compiled(workload: Workload):
    documents = load_texts([(f"{workload.name}.yaml", policies()[workload.name])])
    return compile_policy(documents, labels={"app": workload.name}, namespace=workload.namespace)


def test_the_agent_may_not_delete() -> None:
    policy = compiled(TRIAGE)
    backend = policy.route(NOTES_HOST, PORT, "/mcp").backend
    asked = {
        tool: policy.decide(Principal(TRIAGE.spiffe_id), backend, "tools/call", tool).reason
        for tool in ("list_notes", "read_note", "write_note", "delete_note")
    }
    assert asked.pop("delete_note") is Reason.TOOL_NOT_GRANTED
    assert set(asked.values()) == {Reason.ALLOWED}


def test_the_agent_may_only_read_at_the_public_server_which_it_alone_declares() -> None:
    policy = compiled(TRIAGE)
    backend = policy.route(PUBLIC_HOST, PUBLIC_PORT, "/mcp").backend
    assert backend is not None
    assert backend.tls.mode is TlsMode.PUBLIC
    allowed = [
        tool
        for tool in EVERY_TOOL
        if policy.decide(Principal(TRIAGE.spiffe_id), backend, "tools/call", tool).allowed
    ]
    assert tuple(allowed) == PUBLIC_GRANTED
    for other in set(WORKLOADS) - {TRIAGE}:
        assert not compiled(other).route(PUBLIC_HOST, PUBLIC_PORT, "/mcp").host_declared


def test_both_addresses_of_the_server_must_prove_the_same_identity() -> None:
    policy = compiled(TRIAGE)
    for host in (NOTES_HOST, SPARE_HOST):
        backend = policy.route(host, PORT, "/mcp").backend
        assert backend is not None
        assert backend.tls.identity == NOTES.spiffe_id


def test_the_unknown_host_is_declared_nowhere() -> None:
    assert compiled(TRIAGE).egress(UNKNOWN_HOST, PORT, "/mcp").reason is Reason.EGRESS_DENIED


def test_the_server_lets_the_agents_in_and_nobody_else() -> None:
    policy = compiled(NOTES)
    decisions = {
        workload.name: policy.decide(
            Principal(workload.spiffe_id), policy.inbound("/mcp"), "tools/list"
        ).reason
        for workload in WORKLOADS
    }
    for agent in (TRIAGE, HELPDESK):
        assert decisions.pop(agent.name) is Reason.ALLOWED_BASE_PROTOCOL
    assert set(decisions.values()) == {Reason.PEER_NOT_ALLOWED}


def test_impostor_and_fake_let_themselves_do_everything() -> None:
    policy = compiled(IMPOSTOR)
    backend = policy.route(NOTES_HOST, PORT, "/mcp").backend
    assert policy.decide(Principal(IMPOSTOR.spiffe_id), backend, "tools/call", "delete_note").allowed
    fake = compiled(FAKE_NOTES)
    assert fake.decide(Principal(TRIAGE.spiffe_id), fake.inbound("/mcp"), "tools/call", "delete_note").allowed


def test_a_tool_is_taken_out_of_the_agents_policy_and_a_slip_put_in() -> None:
    less = without(policies()[TRIAGE.name], "write_note")
    policy = compile_policy(load_texts([("a", less)]), labels={"app": TRIAGE.name}, namespace="agents")
    backend = policy.route(NOTES_HOST, PORT, "/mcp").backend
    asked = {
        tool: policy.decide(Principal(TRIAGE.spiffe_id), backend, "tools/call", tool).allowed
        for tool in EVERY_TOOL
    }
    assert asked == {tool: tool in ("list_notes", "read_note") for tool in EVERY_TOOL}
    with pytest.raises(PolicyInvalid, match="tolls"):
        load_texts([("a", misspelt(less))])


def test_the_helpdesk_takes_tokens_of_the_issuer_and_has_others_made_for_the_server() -> None:
    policy = compiled(HELPDESK)
    assert policy.users is not None
    assert [(one.issuer, one.audiences) for one in policy.users.issuers] == [(ISSUER, (HELPDESK_AUDIENCE,))]
    notes = policy.route(NOTES_HOST, PORT, "/mcp").backend
    assert notes is not None
    assert isinstance(notes.credential, Exchange)
    assert (notes.credential.server.issuer, notes.credential.audience) == (ISSUER, NOTES_AUDIENCE)


def test_the_hidden_secret_is_for_one_of_two_services() -> None:
    policy = compiled(HELPDESK)
    code, paste = (policy.route(host, PUBLIC_PORT, "/fixes").backend for host in (CODE_HOST, PASTE_HOST))
    assert code is not None
    assert paste is not None
    assert code.credential == Hidden((VARIABLE,))
    assert paste.credential is None


def test_the_pod_knows_nothing_of_outrider() -> None:
    assert "outrider" not in yaml.safe_dump(pod())


def test_files_are_written_where_the_sidecars_look_for_them(tmp_path: Path) -> None:
    write_policies(tmp_path, policies())
    for workload in WORKLOADS:
        assert policy_file(tmp_path, workload).read_text(encoding="utf-8") == policies()[workload.name]
    assert len(list(policy_file(tmp_path, TRIAGE).parent.iterdir())) == len(WORKLOADS)


def test_pods_are_written_as_yaml(tmp_path: Path) -> None:
    write_pods(tmp_path, {"kind": "Pod"}, {"kind": "Pod", "more": 1})
    assert yaml.safe_load((tmp_path / "pod.yaml").read_text(encoding="utf-8")) == {"kind": "Pod"}
    assert yaml.safe_load((tmp_path / "pod-injected.yaml").read_text(encoding="utf-8"))["more"] == 1
