"""Nobody gets the configuration of another: whatever they stole, kept, made up or may have for something else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e.cluster.api import Json
from e2e.cluster.conftest import remove_namespace
from e2e.cluster.control_calls import TRUST_DOMAIN, Answered, ControlPort, hello_of
from e2e.cluster.control_clients import NOWHERE, token_of
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod
from e2e.pods import document
from mesh.distribution.messages import Hello
from mesh.identity.ca import make_authority
from mesh.identity.issuance import SVID_PATH
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from mesh.settings import installation as names
from webhook.identity.keyring.stored import KEYRING_KEY, read_keyring

ENABLED = {"outrider.dev/injection": "enabled"}
MARK = "only-for"
"""Every policy and destination here has a name that begins so; no refusal may hold it."""
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class People:
    """Pods that are not run: two of one account, one of another account, one of another namespace, one without
    a sidecar."""

    kube: Kube
    plane: ControlPlane
    port: ControlPort
    own: Json
    same: Json
    other: Json
    away: Json
    bare: Json

    def token(self, of: Json, **how: Any) -> str:
        account = of["spec"].get("serviceAccountName", "default")
        return token_of(self.kube, of["metadata"]["namespace"], account, **{"bound": of, **how})

    def svid(self, of: Json) -> X509Svid:
        return self.port.svid(self.token(of))

    def forged(self, of: Json, claims: Json, *, key: str = "") -> str:
        """A token like that of a pod but for `claims`; signed as the API server signs, or with `key`."""
        real = self.token(of)
        said = jwt.decode(real, options={"verify_signature": False})
        signer = key or (self.plane.folder / "pki" / "service-accounts.key").read_text(encoding="ascii")
        headers = {"kid": jwt.get_unverified_header(real)["kid"]}
        return jwt.encode({**said, **claims}, signer, algorithm="RS256", headers=headers)

    def signed(self, path: str, ago: timedelta = timedelta()) -> X509Svid:
        """What the CA's own key can make that the CA does not."""
        secret = self.kube.secret(names.CA_SECRET, self.port.outrider.namespace)
        keyring = read_keyring(secret[KEYRING_KEY], TRUST_DOMAIN)
        now = datetime.now(UTC)
        identity = SpiffeId.parse(f"spiffe://{TRUST_DOMAIN}{path}")
        return new_svid(keyring.issuer(now).authority, identity, now - ago, HOUR)


@pytest.fixture(scope="module")
def people(outrider: Installation, kube: Kube, plane: ControlPlane) -> Iterator[People]:
    with contextlib.ExitStack() as stack:
        for name in ("here", "there"):
            meta = {"name": name, "labels": ENABLED}
            kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
            stack.callback(remove_namespace, kube, name)
            kube.until(partial(kube.get, "ServiceAccount", "default", name), "the account is there")
            kube.apply(*documents(name), namespace=name)
        meta = {"name": "other"}
        kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}, namespace="here")

        def make(name: str, namespace: str = "here", **spec: Any) -> Json:
            return kube.create(pod(name, nodeSelector=NOWHERE, **spec), namespace=namespace)

        yield People(
            kube,
            plane,
            ControlPort(outrider),
            make("own"),
            make("same"),
            make("other", serviceAccountName="other"),
            make("away", "there"),
            make("bare", labels={"outrider.dev/inject": "false"}),
        )


def documents(namespace: str) -> list[Json]:
    name = f"{MARK}-{namespace}"
    backend = document(
        "Backend", name, protocol="MCP", host=f"{name}.example", port=443, tls={"mode": "Public"}
    )
    return [backend, document("AgentPolicy", name, outbound=[{"backend": name, "tools": {"allow": [name]}}])]


def policies(answered: Answered) -> set[str]:
    """The names of the policies that came."""
    for line in answered.body.splitlines():
        if configuration := json.loads(line).get("configuration"):
            return {
                one["metadata"]["name"] for one in configuration["documents"] if "name" in one["metadata"]
            }
    return set()


@pytest.mark.parametrize("whose", ["own", "same", "other", "away"])
def test_each_pod_gets_the_documents_of_its_own_namespace_by_its_own_token_and_by_its_svid(
    whose: str, people: People
) -> None:
    one: Json = getattr(people, whose)
    expected = f"{MARK}-{one['metadata']['namespace']}"
    for proof in ({"token": people.token(one)}, {"svid": people.svid(one)}):
        answered = people.port.stream(hello_of(one), **proof)
        assert answered.status == 200
        assert expected in policies(answered)
        assert {name for name in policies(answered) if name.startswith(MARK)} == {expected}


TOKENS: dict[str, tuple[Callable[[People], tuple[str, Hello]], int, str]] = {
    "nobody": (lambda p: ("", hello_of(p.own)), 401, "token_missing"),
    "garbage": (lambda p: ("garbage", hello_of(p.own)), 403, "token_refused"),
    "stolen, same account": (lambda p: (p.token(p.same), hello_of(p.own)), 403, "caller_refused"),
    "stolen, other account": (lambda p: (p.token(p.other), hello_of(p.own)), 403, "caller_refused"),
    "of another namespace": (lambda p: (p.token(p.away), hello_of(p.own)), 403, "caller_refused"),
    "of a pod without a sidecar": (lambda p: (p.token(p.bare), hello_of(p.own)), 403, "caller_refused"),
    "of no sidecar, for itself": (lambda p: (p.token(p.bare), hello_of(p.bare)), 403, "caller_refused"),
    "own, with another's uid": (
        lambda p: (p.token(p.own), hello_of(p.own, uid=p.same["metadata"]["uid"])),
        403,
        "caller_refused",
    ),
    "own, without uid": (lambda p: (p.token(p.own), hello_of(p.own, uid="")), 403, "caller_refused"),
    "own, for another namespace": (
        lambda p: (p.token(p.own), hello_of(p.own, namespace="there")),
        403,
        "caller_refused",
    ),
    "wrong audience": (
        lambda p: (p.token(p.own, audience="somebody-else"), hello_of(p.own)),
        403,
        "token_refused",
    ),
    "audience of the API server": (
        lambda p: (p.token(p.own, audience="https://kubernetes.default.svc"), hello_of(p.own)),
        403,
        "token_refused",
    ),
    "unbound": (lambda p: (p.token(p.own, bound=None), hello_of(p.own)), 403, "token_refused"),
    "expired": (
        lambda p: (p.forged(p.own, dates(timedelta(hours=2))), hello_of(p.own)),
        401,
        "token_expired",
    ),
    "signed by somebody else": (
        lambda p: (p.forged(p.own, {}, key=foreign_key()), hello_of(p.own)),
        403,
        "token_refused",
    ),
    "of a pod that never was": (
        lambda p: (p.forged(p.own, {"kubernetes.io": bound_to("ghost")}), hello_of(p.own, pod="ghost")),
        403,
        "token_refused",
    ),
}


def dates(ago: timedelta) -> dict[str, int]:
    then = int((datetime.now(UTC) - ago).timestamp())
    return {"iat": then, "nbf": then, "exp": then + 3600}


def bound_to(name: str) -> Json:
    account = {"name": "default", "uid": "00000000-0000-0000-0000-000000000000"}
    return {"namespace": "here", "serviceaccount": account, "pod": {"name": name, "uid": account["uid"]}}


def foreign_key() -> str:
    """An RSA key (PEM) that signs no tokens in this cluster."""
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


@pytest.mark.parametrize("case", TOKENS)
def test_a_token_that_is_not_the_pods_own_gets_nothing(case: str, people: People) -> None:
    make, status, error = TOKENS[case]
    token, hello = make(people)
    answered = people.port.stream(hello, token=token)
    assert (answered.status, answered.error) == (status, error), answered
    assert MARK.encode() not in answered.body


@pytest.mark.parametrize(
    "case", [name for name, (_, _, error) in TOKENS.items() if error != "caller_refused"]
)
def test_a_token_that_proves_nobody_gets_no_svid(case: str, people: People) -> None:
    make, status, error = TOKENS[case]
    answered = people.port.post(SVID_PATH, {"csr": ""}, token=make(people)[0])
    assert (answered.status, answered.error) == (status, error)


SVIDS: dict[str, tuple[Callable[[People], X509Svid], str]] = {
    "of another namespace": (lambda p: p.svid(p.away), "caller_refused"),
    "of another account": (lambda p: p.svid(p.other), "caller_refused"),
    "of no workload": (lambda p: p.signed("/ns/here"), "certificate_refused"),
    "with more path": (lambda p: p.signed("/ns/here/sa/default/x"), "certificate_refused"),
    "of the control plane itself": (
        lambda p: p.signed("/ns/outrider-system/sa/outrider-webhook"),
        "caller_refused",
    ),
    "expired": (lambda p: p.signed("/ns/here/sa/default", ago=2 * HOUR), ""),
    "of another authority": (lambda _: foreign("/ns/here/sa/default"), ""),
}


def foreign(path: str) -> X509Svid:
    """By an authority that calls itself as ours does."""
    now = datetime.now(UTC)
    authority = make_authority(TRUST_DOMAIN, now, timedelta(days=1))
    return new_svid(authority, SpiffeId.parse(f"spiffe://{TRUST_DOMAIN}{path}"), now, HOUR)


@pytest.mark.parametrize("also", ["alone", "with the pod's own token"])
@pytest.mark.parametrize("case", SVIDS)
def test_an_svid_that_is_not_of_the_pods_account_gets_nothing(case: str, also: str, people: People) -> None:
    make, error = SVIDS[case]
    token = people.token(people.own) if also != "alone" else ""
    try:
        answered = people.port.stream(hello_of(people.own), token=token, svid=make(people))
    except OSError:
        assert not error, "only what TLS can tell is refused by TLS"
        return
    assert (answered.status, answered.error) == (403, error or "certificate_refused"), answered
    assert MARK.encode() not in answered.body


def test_tokens_of_a_pod_that_is_gone_prove_nothing_even_if_they_did_a_moment_ago(people: People) -> None:
    kube, port = people.kube, people.port
    short = kube.create(pod("short", nodeSelector=NOWHERE), namespace="here")
    used, unused = people.token(short), people.token(short, seconds=4000)
    svid = port.svid(used)
    assert port.stream(hello_of(short), token=used).status == 200
    kube.delete("Pod", "short", "here", grace=0)
    again = kube.create(pod("short", nodeSelector=NOWHERE), namespace="here")
    assert port.stream(hello_of(again), token=people.token(again)).status == 200
    for token in (used, unused):
        for hello in (hello_of(short), hello_of(again)):
            answered = port.stream(hello, token=token)
            assert answered.status == 403, answered
            assert MARK.encode() not in answered.body
    # Its identity is that of the account, which others have as well; but there is no pod to speak for.
    assert port.stream(hello_of(short), svid=svid).status == 403
