"""An authority of the company signs for the mesh: the control plane uses what somebody else put there."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e.cluster.api import ApiError, Json
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.control_calls import TRUST_DOMAIN, ControlPort
from e2e.cluster.control_clients import NOWHERE, roots, token_of
from e2e.cluster.installation import Installation, installed
from e2e.cluster.kube import Kube, pod
from mesh.identity.ca import Authority, make_authority, make_intermediate
from mesh.identity.pem import CERTIFICATE, write_pem
from mesh.settings import installation as names

LIFE = timedelta(days=30)


@pytest.fixture(scope="module")
def company() -> Authority:
    return make_authority(TRUST_DOMAIN, datetime.now(UTC), LIFE)


@pytest.fixture(scope="module")
def outrider(kube: Kube, company: Authority) -> Iterator[Installation]:
    """Outrider on a cluster where the company has put an issuer into the Secret."""
    with contextlib.suppress(ApiError):
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": names.NAMESPACE}})
    kube.create(secret(company), namespace=names.NAMESPACE)
    try:
        with installed(kube, identity={"ownAuthority": True}) as made:
            yield made
    finally:
        kube.delete("Secret", names.CA_SECRET, names.NAMESPACE)


def secret(company: Authority) -> Json:
    """A new issuer of the company, as cert-manager stores it."""
    issuer = make_intermediate(company, datetime.now(UTC), LIFE / 2)
    key = issuer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files = {
        "ca.crt": write_pem(CERTIFICATE, company.der).encode(),
        "tls.crt": write_pem(CERTIFICATE, *issuer.intermediates_der).encode(),
        "tls.key": key,
    }
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": names.CA_SECRET}, "data": data}


def test_everybody_has_identities_of_the_companys_authority_and_its_secret_is_not_written(
    outrider: Installation, kube: Kube, make_namespace: MakeNamespace, company: Authority
) -> None:
    agents, port = make_namespace(**{"outrider.dev/injection": "enabled"}), ControlPort(outrider)
    held = kube.the("Secret", names.CA_SECRET, outrider.namespace)
    kube.create(pod("agent"), namespace=agents)
    kube.wait_ready("agent", agents)
    asks = kube.create(pod("asks", nodeSelector=NOWHERE), namespace=agents)
    token = token_of(kube, agents, bound=asks)
    assert x509.load_pem_x509_certificate(roots(outrider).encode()) == company.certificate
    assert str(port.verified(port.svid(token)).spiffe_id).endswith(f"/ns/{agents}/sa/default")
    assert kube.the("Secret", names.CA_SECRET, outrider.namespace) == held

    kube.patch("Secret", names.CA_SECRET, {"data": secret(company)["data"]}, outrider.namespace)
    (renewed,) = read(kube, outrider)

    def followed() -> bool:
        return port.svid(token).chain_der[1] == renewed.public_bytes(Encoding.DER)

    kube.until(followed, "the next issuer signs", outrider.namespace)
    port.verified(port.svid(token))


def read(kube: Kube, outrider: Installation) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(kube.secret(names.CA_SECRET, outrider.namespace)["tls.crt"])
