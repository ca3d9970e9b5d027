"""Nobody is given another's configuration, whatever proves them and whatever they say of themselves."""

from __future__ import annotations

import pytest

from tests.support.control_stream import control
from tests.support.control_world import agent_policy, empty_world, pod, put
from webhook.distribution.kinds import AGENT_POLICY
from webhook.distribution.world import World

PODS = {
    "triage-1": pod("triage-1", app="triage"),
    "triage-2": pod("triage-2", app="triage"),
    "payroll-1": pod("payroll-1", account="payroll", app="payroll"),
}
FOREIGN = pod("triage-1", "finance", app="triage")
A = "agents triage triage-1 uid-agents-triage-1"
CERTIFICATE = "agents triage"


@pytest.fixture
def world() -> World:
    made = empty_world()
    for one in (*PODS.values(), FOREIGN):
        made.put_pod(one)
        put(made, AGENT_POLICY, f"of-{one.account}", agent_policy({"app": one.account}), one.namespace)
    return made


@pytest.mark.parametrize(
    ("caller", "namespace", "name", "uid", "status"),
    [
        (A, "agents", "triage-1", "uid-agents-triage-1", 200),
        (CERTIFICATE, "agents", "triage-1", "uid-agents-triage-1", 200),
        (CERTIFICATE, "agents", "triage-2", "uid-agents-triage-2", 200),
        ("", "agents", "triage-1", "uid-agents-triage-1", 401),
        # Another namespace.
        (A, "finance", "triage-1", "uid-finance-triage-1", 403),
        (CERTIFICATE, "finance", "triage-1", "uid-finance-triage-1", 403),
        ("finance triage", "agents", "triage-1", "uid-agents-triage-1", 403),
        ("finance triage triage-1 uid-agents-triage-1", "agents", "triage-1", "uid-agents-triage-1", 403),
        # Another account.
        (CERTIFICATE, "agents", "payroll-1", "uid-agents-payroll-1", 403),
        ("agents payroll", "agents", "triage-1", "uid-agents-triage-1", 403),
        ("agents payroll triage-1 uid-agents-triage-1", "agents", "triage-1", "uid-agents-triage-1", 403),
        # Another pod of the same account, with a token that is of one pod.
        (A, "agents", "triage-2", "uid-agents-triage-2", 403),
        (A, "agents", "triage-2", "uid-agents-triage-1", 403),
        (A, "agents", "triage-1", "uid-agents-triage-2", 403),
        # Nobody.
        (CERTIFICATE, "agents", "unheard-of", "uid-agents-unheard-of", 403),
        (CERTIFICATE, "agents", "triage-1", "", 403),
        (CERTIFICATE, "", "", "", 403),
        ("agents triage unheard-of uid-x", "agents", "unheard-of", "uid-x", 403),
        # A pod that is gone, whose name another has now.
        (CERTIFICATE, "agents", "triage-1", "uid-of-the-one-before", 403),
        (
            "agents triage triage-1 uid-of-the-one-before",
            "agents",
            "triage-1",
            "uid-of-the-one-before",
            403,
        ),
        ("agents triage triage-1 uid-of-the-one-before", "agents", "triage-1", "uid-agents-triage-1", 403),
    ],
)
async def test_whose_configuration_is_given(world, caller, namespace, name, uid, status) -> None:
    async with control(world) as running:
        sidecar = running.sidecar(caller)
        assert await sidecar.connect(name, uid, namespace) == status
        if status == 200:
            documents = (await sidecar.configuration()).documents
            assert [one["metadata"]["name"] for one in documents] == ["of-triage"]
            assert {one["metadata"]["namespace"] for one in documents} == {"agents"}
        else:
            refusal = await sidecar.refusal()
            assert refusal["error"] == ("caller_refused" if status == 403 else "token_missing")
            assert "documents" not in refusal
            assert list(running.hub.mailboxes()) == []
