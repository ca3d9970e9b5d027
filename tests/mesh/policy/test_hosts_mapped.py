from __future__ import annotations

from mesh.policy.hosts import normal_host


def test_an_ipv4_mapped_host_is_the_ipv4_host_that_requests_name() -> None:
    assert normal_host("::ffff:127.0.0.1") == "127.0.0.1"
    assert normal_host("::1") == "::1"
