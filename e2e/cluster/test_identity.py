"""The mesh's own CA in a cluster: what it issues, who can verify that, and how its keys are changed."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from e2e.cluster.api import Json
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.control_calls import TRUST_DOMAIN, ControlPort, hello_of
from e2e.cluster.control_clients import NOWHERE, control_host, roots, token_of
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod
from e2e.cluster.node import Node
from e2e.cluster.readyz import readyz, sidecar_restarts, wait_restarted
from mesh.identity.errors import PeerRefused
from mesh.identity.issuance import JWT_SVID_PATH
from mesh.identity.svid import X509Svid
from mesh.settings import installation as names
from mesh.settings.table import SIDECAR_CONTAINER
from sidecar.identity.contexts import load_chain
from webhook.identity.keyring.in_force import REPLACE_NOW, ROTATE
from webhook.identity.keyring.stored import KEYRING_KEY, read_keyring, write_keyring
from webhook.identity.keyring.values import Keyring

ENABLED = {"outrider.dev/injection": "enabled"}
EXPLICIT = {"outrider.dev/capture": "explicit"}
INBOUND = 15443
AUDIENCE = "https://orders.example"


@pytest.fixture
def agents(make_namespace: MakeNamespace) -> str:
    return make_namespace(**ENABLED)


@pytest.fixture
def port(outrider: Installation) -> ControlPort:
    return ControlPort(outrider)


@pytest.fixture
def token(kube: Kube, agents: str) -> str:
    """A sidecar's: of a pod that is not run."""
    return token_of(kube, agents, bound=kube.create(pod("asks", nodeSelector=NOWHERE), namespace=agents))


def served_by(one: Json, trusted: str, svid: X509Svid) -> Mapping[str, Any]:
    """The certificate with which a sidecar takes calls, verified by roots (PEM). Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=trusted)
    load_chain(context, svid.chain_der, svid.key_pkcs8_der)
    with (
        socket.create_connection((one["status"]["podIP"], INBOUND), 5) as plain,
        context.wrap_socket(plain) as wrapped,
    ):
        return wrapped.getpeercert() or {}


def keyring(outrider: Installation) -> Keyring:
    held = outrider.kube.secret(names.CA_SECRET, outrider.namespace)
    return read_keyring(held[KEYRING_KEY], TRUST_DOMAIN)


def store(outrider: Installation, changed: Keyring) -> None:
    encoded = base64.b64encode(write_keyring(changed)).decode()
    outrider.kube.patch("Secret", names.CA_SECRET, {"data": {KEYRING_KEY: encoded}}, outrider.namespace)


def ask(outrider: Installation, wish: str) -> None:
    """As `kubectl annotate` does."""
    stamp = datetime.now(UTC).isoformat()
    meta = {"metadata": {"annotations": {wish: stamp}}}
    outrider.kube.patch("Secret", names.CA_SECRET, meta, outrider.namespace)


def published(outrider: Installation, count: int, other_than: str = "") -> str:
    """The roots, once there are so many."""

    def look() -> str | None:
        found = roots(outrider)
        return found if found.count("BEGIN") == count and found != other_than else None

    return outrider.kube.until(look, f"{count} roots are published", outrider.namespace)


def test_the_svid_of_a_running_sidecar_chains_to_the_published_roots(
    outrider: Installation, kube: Kube, port: ControlPort, agents: str, token: str
) -> None:
    kube.create(pod("agent", annotations=EXPLICIT, ports=[{"containerPort": 9000}]), namespace=agents)
    served = served_by(kube.wait_ready("agent", agents), roots(outrider), port.svid(token))
    assert ("URI", f"spiffe://{TRUST_DOMAIN}/ns/{agents}/sa/default") in served["subjectAltName"]
    left = datetime.strptime(served["notAfter"], "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC) - datetime.now(
        UTC
    )
    assert timedelta() < left <= timedelta(hours=1)


def test_whoever_knows_openid_connect_verifies_a_jwt_svid_by_what_the_control_port_publishes(
    outrider: Installation, port: ControlPort, agents: str, token: str
) -> None:
    asked = port.post(JWT_SVID_PATH, {"audience": [AUDIENCE]}, token=token)
    issuer = f"https://{control_host(outrider)}:{names.CONTROL_PORT}"
    discovery = json.loads(port.get("/.well-known/openid-configuration").body)
    assert discovery["issuer"] == issuer
    assert discovery["jwks_uri"] == f"{issuer}/keys"
    keys = jwt.PyJWKSet.from_json(port.get("/keys").body.decode())
    svid = json.loads(asked.body)["token"]
    key = keys[jwt.get_unverified_header(svid)["kid"]]
    claims = jwt.decode(svid, key.key, algorithms=["ES256"], audience=AUDIENCE, issuer=issuer)
    assert claims["sub"] == f"spiffe://{TRUST_DOMAIN}/ns/{agents}/sa/default"
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(svid, key.key, algorithms=["ES256"], audience="https://else.example", issuer=issuer)


def test_a_new_root_is_trusted_before_it_signs_and_the_old_one_as_long_as_what_it_signed(
    outrider: Installation, kube: Kube, kubelet: Node, port: ControlPort, agents: str, token: str
) -> None:
    kube.create(pod("agent", annotations=EXPLICIT, ports=[{"containerPort": 9000}]), namespace=agents)
    agent = kube.wait_ready("agent", agents)
    old, first = published(outrider, 1), port.svid(token)
    ask(outrider, ROTATE)
    published(outrider, 2)
    assert issuer_of(port.svid(token)) == issuer_of(first), "announced, and not used yet"

    begun(outrider)  # a day later

    def followed() -> X509Svid | None:
        made = port.svid(token)
        return made if issuer_of(made) != issuer_of(first) else None

    second = kube.until(followed, "the new root's issuer signs", outrider.namespace)
    port.verified(first)
    port.verified(second)
    assert port.stream(hello_of(kube.the("Pod", "asks", agents)), svid=first).status == 200
    assert served_by(agent, roots(outrider), second), "peers of before still have an SVID that verifies"

    withdrawn(outrider)  # an hour after the last SVID of the old one has expired
    new = published(outrider, 1, old)
    port.verified(second)
    with pytest.raises(PeerRefused):
        port.verified(first)
    kube.until(lambda: refused(port, kube.the("Pod", "asks", agents), first) or None, "it proves nobody")
    # What stands in this pod are roots of before: it comes back by the certificate that links them to the new one.
    kubelet.worker(agents, "agent").container(SIDECAR_CONTAINER).kill()
    wait_restarted(kube, "agent", agents, sidecar_restarts(agent))
    agent = kube.wait_ready("agent", agents)
    kube.until(lambda: readyz(agent)["configuration"].get("connected"), "it is connected", agents)
    assert served_by(agent, new, second)


def issuer_of(svid: X509Svid) -> bytes:
    """The certificate that travels with it."""
    return svid.chain_der[1]


def begun(outrider: Installation) -> None:
    """Have what was announced be in use from now on: the Secret as a day makes it."""
    held, now = keyring(outrider), datetime.now(UTC)

    def aged(one: Any) -> Any:
        return replace(one, begins=min(one.begins, now))

    store(
        outrider,
        replace(
            held,
            roots=tuple(map(aged, held.roots)),
            issuers=tuple(map(aged, held.issuers)),
            token_keys=tuple(map(aged, held.token_keys)),
        ),
    )


def withdrawn(outrider: Installation) -> None:
    """Have the time of what has an end be over."""
    held, over = keyring(outrider), datetime.now(UTC)
    ended = tuple(one if one.until is None else replace(one, until=over) for one in held.roots)
    store(outrider, replace(held, roots=ended))


def refused(port: ControlPort, one: Json, svid: X509Svid) -> bool:
    try:
        return port.stream(hello_of(one), svid=svid).status == 403
    except OSError:
        return True


def test_keys_that_leaked_are_replaced_at_once_and_what_they_signed_proves_nothing(
    outrider: Installation, kube: Kube, port: ControlPort, agents: str, token: str
) -> None:
    old, before = published(outrider, 1), port.svid(token)
    ask(outrider, REPLACE_NOW)
    new = published(outrider, 1, old)
    kube.until(lambda: refused(port, kube.the("Pod", "asks", agents), before) or None, "it proves nobody")
    port.verified(kube.until(lambda: port.svid(token), "the new one signs"))
    kube.create(pod("agent", annotations=EXPLICIT, ports=[{"containerPort": 9000}]), namespace=agents)
    agent = kube.wait_ready("agent", agents)
    assert served_by(agent, new, port.svid(token))
    assert len(outrider.ready()) == 2


@pytest.fixture(autouse=True)
def replicas_stay(outrider: Installation) -> Iterator[None]:
    """Nothing of all this takes a restart."""
    before = restarts(outrider)
    yield
    assert restarts(outrider) == before


def restarts(outrider: Installation) -> dict[str, int]:
    return {
        one["metadata"]["name"]: one["status"]["containerStatuses"][0]["restartCount"]
        for one in outrider.pods()
    }
