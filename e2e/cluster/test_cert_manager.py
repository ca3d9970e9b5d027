"""Certificates from cert-manager, which the test stands in for: the control plane only follows its files."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from e2e.cluster.api import JSON_PATCH, ApiError, Json
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.handshakes import addresses, handshake, steady_handshakes
from e2e.cluster.installation import Installation, installed
from e2e.cluster.kube import Kube, pod
from e2e.cluster.steady import steady_creation
from mesh.settings import installation as names
from mesh.settings.table import SIDECAR_CONTAINER
from webhook.certificates.issue import dns_names, make_authority, make_leaf
from webhook.certificates.material import Pair, bundle

ENABLED = {"outrider.dev/injection": "enabled"}


@pytest.fixture
def agents(make_namespace: MakeNamespace) -> str:
    return make_namespace(**ENABLED)


def injected(made: Json) -> bool:
    return bool((made["spec"].get("initContainers") or [{}])[0].get("name") == SIDECAR_CONTAINER)


CERT_MANAGER = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: PLURAL.cert-manager.io}
spec:
  group: cert-manager.io
  scope: Namespaced
  names: {kind: KIND, plural: PLURAL, singular: SINGULAR, listKind: KINDList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""


@pytest.fixture
def cert_manager(kube: Kube) -> Iterator[None]:
    """The kinds that cert-manager adds to a cluster, which nobody acts upon but the test."""
    kinds = ("Certificate", "Issuer")
    for kind in kinds:
        text = CERT_MANAGER.replace("KIND", kind).replace("PLURAL", f"{kind.lower()}s")
        kube.apply(yaml.safe_load(text.replace("SINGULAR", kind.lower())))
    for kind in kinds:
        kube.until(lambda kind=kind: known(kube, kind), f"the kind {kind}")
    yield
    for kind in kinds:
        kube.delete("CustomResourceDefinition", f"{kind.lower()}s.cert-manager.io")


def known(kube: Kube, kind: str) -> bool:
    try:
        return kube.items(kind) == []
    except (KeyError, ApiError):
        return False


def issued(authority: Pair, namespace: str) -> Json:
    """What cert-manager writes into the Secret of a Certificate."""
    leaf = make_leaf(
        authority,
        dns_names(names.WEBHOOK, namespace, "cluster.local"),
        datetime.now(UTC),
        timedelta(days=7),
    )
    data = {"tls.crt": leaf.certificate_pem, "tls.key": leaf.key_pem, "ca.crt": authority.certificate_pem}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": names.WEBHOOK_SECRET, "namespace": namespace},
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def trust(kube: Kube, *authorities: Pair) -> None:
    """What cert-manager's CA injector writes where its annotation is."""
    text = base64.b64encode(bundle(tuple(one.certificate for one in authorities))).decode()
    for kind, name in (
        ("MutatingWebhookConfiguration", names.INJECTOR),
        ("ValidatingWebhookConfiguration", names.VALIDATOR),
    ):
        found = kube.the(kind, name)
        source = found["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
        assert source == f"{names.NAMESPACE}/{names.WEBHOOK}"
        places = range(len(found["webhooks"]))
        value = {"op": "add", "value": text}
        patch = [{**value, "path": f"/webhooks/{number}/clientConfig/caBundle"} for number in places]
        kube.patch(kind, name, patch, how=JSON_PATCH)


def test_with_cert_manager_the_control_plane_follows_its_files(
    kube: Kube, agents: str, cert_manager: None
) -> None:
    now = datetime.now(UTC)
    first, second = (make_authority(now, timedelta(days=365)) for _ in range(2))
    with installed_by_cert_manager(kube, first) as outrider:
        (certificate,) = [
            one
            for one in kube.items("Certificate", outrider.namespace)
            if one["spec"]["secretName"] == names.WEBHOOK_SECRET
        ]
        assert certificate["metadata"]["name"] == names.WEBHOOK
        assert injected(kube.create(pod("agent"), namespace=agents, dry_run=True))
        with (
            steady_creation(kube, agents, lambda number: pod(f"agent-{number}")) as creation,
            steady_handshakes(outrider) as handshakes,
        ):
            trust(kube, second, first)
            renewed = issued(second, outrider.namespace)
            kube.apply(renewed)
            expected = base64.b64decode(renewed["data"]["tls.crt"])

            def followed() -> bool:
                text = bundle((second.certificate,))
                try:
                    served = [handshake(one, text, outrider.namespace) for one in addresses(outrider)]
                except (OSError, ValueError):
                    return False
                return {bundle((one,)) for one in served} == {expected}

            kube.until(followed, "both replicas serve what was issued", outrider.namespace)
            trust(kube, second)
            count = len(creation.created)
            kube.until(lambda: len(creation.created) > count + 10, "pods after", agents)
        assert not creation.failed, creation.failed[:3]
        assert not handshakes.failed, handshakes.failed[:3]


@contextlib.contextmanager
def installed_by_cert_manager(kube: Kube, authority: Pair) -> Iterator[Installation]:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": names.NAMESPACE}}
    kube.apply(namespace, issued(authority, names.NAMESPACE))
    try:
        with installed(kube, certificates={"mode": "cert-manager"}) as made:
            trust(kube, authority)
            yield made
    finally:
        kube.delete("Secret", names.WEBHOOK_SECRET, names.NAMESPACE)
