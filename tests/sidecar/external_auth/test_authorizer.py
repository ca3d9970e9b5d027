from __future__ import annotations

import pytest

from mesh.policy.boundary import Reach
from mesh.policy.compile import compile_policy
from mesh.policy.decision import AuthProtocol, ExternalCheck
from mesh.policy.load import load_texts
from sidecar.external_auth.authorizer import destination_of_check
from sidecar.proxy.pool import Destination, TlsMode

CHECK = ExternalCheck("XAccessPolicy/tools/gate", AuthProtocol.HTTP, "authz.tools.svc.cluster.local", 9191)
BACKEND = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: %(name)s}
spec: {protocol: HTTP, host: %(host)s, port: 9191, path: /%(name)s, tls: %(tls)s}
"""
MESH = "{mode: Mesh, identity: 'spiffe://test.mesh/ns/tools/sa/authz'}"


def destination(*backends: dict[str, str]) -> Destination:
    text = "\n---\n".join(BACKEND % backend for backend in backends)
    policy = compile_policy(load_texts([("p.yaml", text)]), labels={}, namespace=None)
    return destination_of_check(CHECK, policy)


def test_a_service_that_nobody_declared_is_asked_in_plain_text_but_never_at_an_address_of_the_node() -> None:
    found = destination()
    assert (found.host, found.port, found.tls, found.reach) == (CHECK.host, 9191, TlsMode.NONE, Reach.ROUTED)


@pytest.mark.parametrize("host", ["authz.tools.svc.cluster.local", "authz.tools.svc", "authz.tools"])
def test_a_declared_service_is_reached_as_its_backend_says_by_whichever_name(host: str) -> None:
    found = destination({"name": "a", "host": host, "tls": MESH})
    assert (found.host, found.tls, found.identity) == (
        host,
        TlsMode.MESH,
        "spiffe://test.mesh/ns/tools/sa/authz",
    )


def test_of_several_backends_at_a_service_the_one_with_most_tls_counts() -> None:
    plain = {"name": "a", "host": "authz.tools.svc", "tls": "{mode: None}"}
    assert destination(plain, {"name": "b", "host": "authz.tools.svc", "tls": MESH}).tls == TlsMode.MESH
