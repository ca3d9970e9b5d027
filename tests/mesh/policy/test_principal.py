from __future__ import annotations

from mesh.policy.principal import UNAUTHENTICATED, Principal


def test_only_a_spiffe_id_authenticates() -> None:
    assert Principal("spiffe://td/ns/a/sa/b").authenticated
    assert not UNAUTHENTICATED.authenticated
    assert not Principal("").authenticated
