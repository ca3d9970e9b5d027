from __future__ import annotations

from mesh.policy.documents import AgentPolicy, Backend, BackendProtocol, BackendTls, Egress, Mode, TlsMode


def test_backends_are_compared_by_identity_since_they_key_every_cached_decision() -> None:
    def made() -> Backend:
        return Backend("x", None, BackendProtocol.MCP, "x.svc", 80, "/", BackendTls(TlsMode.NONE))

    one, other = made(), made()
    assert one != other
    assert len({one, other, one}) == 2


def test_a_policy_that_says_nothing_denies() -> None:
    policy = AgentPolicy("x", None)
    assert (policy.mode, policy.egress, policy.outbound, policy.inbound) == (
        Mode.ENFORCE,
        Egress.DENY,
        (),
        None,
    )
