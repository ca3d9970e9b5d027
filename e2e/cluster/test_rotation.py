"""Certificates of the webhook change, and are changed by hand, while pods are created all the time."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from e2e.cluster.api import JSON_PATCH, Json
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.handshakes import Handshakes, addresses, handshake, steady_handshakes
from e2e.cluster.installation import Installation, installed
from e2e.cluster.kube import Kube, pod
from e2e.cluster.node import Node
from e2e.cluster.steady import Steady, steady_creation
from mesh.settings import installation as names
from mesh.settings.table import SIDECAR_CONTAINER
from webhook.certificates.issue import dns_names, make_authority, make_leaf
from webhook.certificates.material import Material, read_certificates, write

# Certificates begin five minutes early, so a third of this one's life is left six seconds after it was made.
LEAF_SECONDS = 159
LIFETIMES = ("--leaf-lifetime", "159", "--authority-lifetime", "477", "--announce", "2")
POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: all}
spec:
  selector: {}
  outbound: [{backend: "*", tools: {allow: ["*"]}}]
"""
CONFIGURATIONS = {
    "MutatingWebhookConfiguration": names.INJECTOR,
    "ValidatingWebhookConfiguration": names.VALIDATOR,
}


@pytest.fixture(scope="module")
def outrider(kube: Kube) -> Iterator[Installation]:
    """Outrider whose serving certificates last as long as a test has patience."""
    with installed(kube) as made:
        more = [
            {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": v} for v in LIFETIMES
        ]
        kube.patch("Deployment", names.WEBHOOK, more, made.namespace, JSON_PATCH)
        made.ready()
        # The API server may still have connections to those that leave, and lose one of them with a call in it.
        kube.until(lambda: len(made.pods()) == 2 or None, "the old replicas are gone", made.namespace)
        # What was made before lasts for days: renewed at once.
        change(kube, made, {"tls.crt": None, "tls.key": None})
        serve_what_the_secret_holds(kube, made)
        yield made


@pytest.fixture
def agents(make_namespace: MakeNamespace) -> str:
    return make_namespace(**{"outrider.dev/injection": "enabled"})


@dataclass(slots=True)
class Traffic:
    """What is asked of the webhook meanwhile."""

    kube: Kube
    outrider: Installation
    creation: Steady
    handshakes: Handshakes

    def goes_on(self) -> None:
        """Returns after a few more pods were created and replicas connected to."""
        created, done = len(self.creation.created) + 10, self.handshakes.done + 4

        def look() -> bool:
            return len(self.creation.created) > created and self.handshakes.done > done

        self.kube.until(look, f"more pods: {self.creation.failed[-3:]}", self.outrider.namespace)

    def flawless(self) -> None:
        """No call failed, no connection was refused, and every pod has its sidecar."""
        assert not self.creation.failed, self.creation.failed[:3]
        assert not self.handshakes.failed, self.handshakes.failed[:3]
        assert all(map(injected, self.creation.created))


def injected(made: Json) -> bool:
    if made["kind"] != "Pod":
        return True
    return bool(made["spec"].get("initContainers", [{}])[0].get("name") == SIDECAR_CONTAINER)


def asked(number: int) -> Json:
    """Pods for one configuration, policies for the other."""
    if number % 4:
        return pod(f"agent-{number}")
    meta = {"name": f"policies-{number}", "labels": {"outrider.dev/policies": "true"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"policies.yaml": POLICY}}


@contextlib.contextmanager
def traffic(kube: Kube, outrider: Installation, namespace: str) -> Iterator[Traffic]:
    with steady_creation(kube, namespace, asked) as creation, steady_handshakes(outrider) as handshakes:
        made = Traffic(kube, outrider, creation, handshakes)
        made.goes_on()
        yield made
        made.goes_on()


def certificate(kube: Kube, outrider: Installation, key: str) -> x509.Certificate | None:
    """A certificate of the Secret."""
    held = kube.secret(names.WEBHOOK_SECRET, outrider.namespace).get(key)
    return None if not held else read_certificates(held)[0]


def change(kube: Kube, outrider: Installation, data: dict[str, bytes | None]) -> None:
    """Edit the Secret as an operator would; None removes a key."""
    encoded = {
        key: None if value is None else base64.b64encode(value).decode() for key, value in data.items()
    }
    kube.patch("Secret", names.WEBHOOK_SECRET, {"data": encoded}, outrider.namespace)


def published(outrider: Installation) -> tuple[x509.Certificate, ...]:
    """What every entry trusts, once all agree."""

    def look() -> str | None:
        found = outrider.authorities()
        return next(iter(found)) if len(found) == 1 else None

    text = outrider.kube.until(look, "every entry trusts the same", outrider.namespace)
    return read_certificates(base64.b64decode(text))


def acts(kubelet: Node, outrider: Installation) -> list[dict[str, Any]]:
    """What the control plane's logs tell of certificates."""
    found = []
    for _, log in kubelet.logs(outrider.namespace):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if '"certificates"' in line:
                with contextlib.suppress(json.JSONDecodeError):
                    found.append(json.loads(line))
    return [entry for entry in found if entry.get("event") == "certificates"]


def serve_what_the_secret_holds(kube: Kube, outrider: Installation) -> None:
    """Wait until every replica serves the Secret's certificate, and every entry trusts it."""

    def look() -> bool:
        held, trusted = certificate(kube, outrider, "tls.crt"), outrider.authorities()
        if held is None or len(trusted) != 1:
            return False
        bundle = base64.b64decode(next(iter(trusted)))
        try:
            return all(handshake(one, bundle, outrider.namespace) == held for one in addresses(outrider))
        except (OSError, ValueError):
            return False

    kube.until(look, "replicas serve what the Secret holds", outrider.namespace)


def test_serving_certificates_are_renewed_by_the_same_authority(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    authority = certificate(kube, outrider, "ca.crt")
    seen: set[int] = set()

    def look() -> bool:
        held = certificate(kube, outrider, "tls.crt")
        seen.update([held.serial_number] if held else [])
        return len(seen & went.handshakes.served) >= 3

    with traffic(kube, outrider, agents) as went:
        kube.until(look, "two renewals, served", outrider.namespace)
    went.flawless()
    assert certificate(kube, outrider, "ca.crt") == authority
    assert published(outrider) == (authority,)


def test_an_operator_gets_a_new_authority_which_is_trusted_before_it_signs_and_the_old_one_after(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    old = certificate(kube, outrider, "ca.crt")
    with traffic(kube, outrider, agents) as went:
        change(kube, outrider, {"rotate": b"now"})
        new = kube.until(lambda: certificate(kube, outrider, "next-ca.crt"), "it is announced")
        kube.until(lambda: set(published(outrider)) == {old, new} or None, "it is trusted")
        assert certificate(kube, outrider, "ca.crt") == old
        kube.until(lambda: certificate(kube, outrider, "ca.crt") == new or None, "it signs")
        serve_what_the_secret_holds(kube, outrider)
        assert set(published(outrider)) == {old, new}
        went.goes_on()
        # A week later the last certificate of the old one has expired.
        change(kube, outrider, {"old-ca.until": datetime.now(UTC).isoformat().encode()})
        kube.until(lambda: published(outrider) == (new,) or None, "the old one is withdrawn")
    went.flawless()
    assert not {"rotate", "next-ca.crt", "old-ca.crt"} & set(
        kube.secret(names.WEBHOOK_SECRET, outrider.namespace)
    )


def test_an_authority_that_comes_of_age_is_followed_by_another(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    now, life = datetime.now(UTC), timedelta(seconds=LEAF_SECONDS)
    aged = make_authority(now - timedelta(seconds=800), timedelta(seconds=1000))
    leaf = make_leaf(aged, dns_names(names.WEBHOOK, outrider.namespace, "cluster.local"), now, life)
    kube.patch("Deployment", names.WEBHOOK, {"spec": {"replicas": 0}}, outrider.namespace)
    kube.until(lambda: not outrider.pods(), "nobody serves", outrider.namespace)
    with contextlib.ExitStack() as stack:
        encoded = write(Material(aged, leaf))
        kube.patch(
            "Secret", names.WEBHOOK_SECRET, {"data": {**encoded, "old-ca.crt": None}}, outrider.namespace
        )
        kube.patch("Deployment", names.WEBHOOK, {"spec": {"replicas": 2}}, outrider.namespace)
        outrider.ready()
        went = stack.enter_context(traffic(kube, outrider, agents))

        def followed() -> bool:
            held = certificate(kube, outrider, "ca.crt")
            return held is not None and held != aged.certificate

        kube.until(followed, "another authority signs", outrider.namespace)
        serve_what_the_secret_holds(kube, outrider)
    went.flawless()
    assert aged.certificate in published(outrider)


@pytest.mark.parametrize(
    "damage",
    [
        {"tls.crt": b"garbled"},
        {"tls.key": b""},
        {"ca.key": b"garbled", "ca.crt": b"garbled"},
        {"ca.key": None, "ca.crt": None},
        dict.fromkeys(("ca.crt", "ca.key", "tls.crt", "tls.key", "old-ca.crt", "old-ca.until")),
    ],
    ids=["certificate", "key", "authority-garbled", "authority-removed", "emptied"],
)
def test_a_secret_that_is_damaged_by_hand_is_mended_without_a_refusal(
    damage: dict[str, bytes | None], outrider: Installation, kube: Kube, agents: str
) -> None:
    serve_what_the_secret_holds(kube, outrider)
    trusted = set(published(outrider))
    with traffic(kube, outrider, agents) as went:
        change(kube, outrider, damage)

        def mended() -> bool:
            held = kube.secret(names.WEBHOOK_SECRET, outrider.namespace)
            return all(b"BEGIN" in held.get(key, b"") for key in ("ca.crt", "ca.key", "tls.crt", "tls.key"))

        kube.until(mended, "the Secret is whole", outrider.namespace)
        serve_what_the_secret_holds(kube, outrider)
    went.flawless()
    assert trusted <= set(published(outrider))


def test_a_deleted_secret_costs_nothing_and_is_filled_as_soon_as_it_is_there_again(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    authority = certificate(kube, outrider, "ca.crt")
    lost = kube.the("Secret", names.WEBHOOK_SECRET, outrider.namespace)
    meta = {key: lost["metadata"][key] for key in ("name", "labels", "annotations")}
    with traffic(kube, outrider, agents) as went:
        kube.delete("Secret", names.WEBHOOK_SECRET, outrider.namespace)
        went.goes_on()
        kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta}, namespace=outrider.namespace)
        kube.until(lambda: certificate(kube, outrider, "tls.crt"), "it is filled", outrider.namespace)
        serve_what_the_secret_holds(kube, outrider)
    went.flawless()
    assert certificate(kube, outrider, "ca.crt") == authority


@pytest.mark.parametrize("bundle", [None, "foreign"])
def test_a_bundle_that_was_reset_by_hand_is_published_again_within_seconds(
    bundle: str | None, outrider: Installation, kube: Kube, agents: str
) -> None:
    trusted = outrider.authorities()
    text = None
    if bundle == "foreign":
        text = base64.b64encode(make_authority(datetime.now(UTC), timedelta(days=1)).certificate_pem).decode()
    restarts = [container_restarts(one) for one in outrider.pods()]
    with steady_creation(kube, agents, asked) as creation:
        kube.until(lambda: len(creation.created) > 10, "pods before", agents)
        began = time.monotonic()
        for kind, name in CONFIGURATIONS.items():
            reset(kube, kind, name, text)
        kube.until(lambda: outrider.authorities() == trusted or None, "it is put right", outrider.namespace)
        count = len(creation.created)
        kube.until(lambda: len(creation.created) > count + 10, "pods after", agents)
        took = time.monotonic() - began
    print(f"bundle reset: {len(creation.failed)} of {len(creation.created)} refused, {took:.2f} s in all")
    assert all("webhook" in error.message for error in creation.failed)
    assert len(creation.failed) < 100
    assert [container_restarts(one) for one in outrider.pods()] == restarts
    assert len(addresses(outrider)) == 2


def reset(kube: Kube, kind: str, name: str, bundle: str | None) -> None:
    entries = kube.the(kind, name)["webhooks"]
    path = "/webhooks/{}/clientConfig/caBundle"
    how = {"op": "remove"} if bundle is None else {"op": "replace", "value": bundle}
    kube.patch(kind, name, [{**how, "path": path.format(n)} for n in range(len(entries))], how=JSON_PATCH)


def container_restarts(one: Json) -> int:
    return sum(status["restartCount"] for status in one["status"]["containerStatuses"])


def test_the_leader_is_deleted_while_a_new_authority_is_announced(
    outrider: Installation, kube: Kube, agents: str, kubelet: Node
) -> None:
    old = certificate(kube, outrider, "ca.crt")
    with traffic(kube, outrider, agents) as went:
        change(kube, outrider, {"rotate": b"now"})
        kube.until(lambda: certificate(kube, outrider, "next-ca.crt"), "it is announced")
        leader = kube.the("Lease", names.WEBHOOK, outrider.namespace)["spec"]["holderIdentity"]
        kube.delete("Pod", leader, outrider.namespace, wait=False)
        kube.until(
            lambda: certificate(kube, outrider, "ca.crt") != old or None, "it signs", outrider.namespace
        )
        outrider.ready()
        serve_what_the_secret_holds(kube, outrider)
    assert not went.creation.failed, went.creation.failed[:3]
    assert old in published(outrider)
    assert kube.the("Lease", names.WEBHOOK, outrider.namespace)["spec"]["holderIdentity"] != leader


def test_replicas_that_are_restarted_go_on_with_the_same_authority(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    authority = certificate(kube, outrider, "ca.crt")
    stamp = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat()}
    template = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
    with steady_creation(kube, agents, asked) as creation:
        kube.patch("Deployment", names.WEBHOOK, template, outrider.namespace)
        outrider.ready()
        serve_what_the_secret_holds(kube, outrider)
    assert not creation.failed, creation.failed[:3]
    assert all(map(injected, creation.created))
    assert certificate(kube, outrider, "ca.crt") == authority
