"""How the sidecar comes to its SVID, with each provider, and that nobody else in the pod does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.reasons import Reason
from webhook.admission.ephemeral import admit_ephemeral
from webhook.admission.identity import needed_driver
from webhook.admission.identity_settings import Builtin, CsiVolume, Files, PodCertificate
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Namespace, Refusal
from webhook.admission.settings import Identity, IdentityProvider, IdentityVolume, InjectionSettings

BUILTIN = InjectionSettings(
    identity=Identity(
        provider=IdentityProvider.BUILTIN, builtin=Builtin("https://ca.test:8444", "ca-root", "mesh-ca", 900)
    )
)


def files(**of):
    return InjectionSettings(identity=Identity(provider=IdentityProvider.FILES, files=Files(**of)))


SECRET = files(secret="svid")
CSI = files(csi=CsiVolume("spiffe.csi.cert-manager.io", {"a": "b"}), certificate="chain.pem")
KUBELET = files(pod_certificate=PodCertificate("a.test/b", trust_bundle="a.test:b:c"))


def parts(injection):
    spec = injection.pod["spec"]
    (sidecar,) = [one for one in spec["initContainers"] if one["name"] == "outrider-sidecar"]
    env = {one["name"]: one["value"] for one in sidecar["env"] if "value" in one}
    mounts = {one["name"]: one for one in sidecar["volumeMounts"]}
    return {one["name"]: one for one in spec["volumes"]}, mounts, env


def test_the_builtin_ca_is_shown_a_token_that_only_the_sidecar_mounts(pod, enabled) -> None:
    became = inject(pod(automountServiceAccountToken=False), enabled, BUILTIN)
    volumes, mounts, env = parts(became)
    assert volumes["outrider-token"] == {
        "name": "outrider-token",
        "projected": {
            "sources": [
                {
                    "serviceAccountToken": {
                        "audience": "mesh-ca",
                        "expirationSeconds": 900,
                        "path": "token",
                    }
                },
                {"configMap": {"name": "ca-root", "items": [{"key": "root.pem", "path": "root.pem"}]}},
            ]
        },
    }
    assert mounts["outrider-token"] == {
        "name": "outrider-token",
        "mountPath": "/run/outrider/token",
        "readOnly": True,
    }
    assert {name: value for name, value in env.items() if "IDENTITY" in name} == {
        "OUTRIDER_IDENTITY_PROVIDER": "builtin",
        "OUTRIDER_IDENTITY_BUILTIN_URL": "https://ca.test:8444",
        "OUTRIDER_IDENTITY_BUILTIN_ROOT": "/run/outrider/token/root.pem",
        "OUTRIDER_IDENTITY_BUILTIN_TOKEN": "/run/outrider/token/token",
    }
    assert "outrider-identity" not in volumes
    assert became.pod["spec"]["automountServiceAccountToken"] is False
    assert all("volumeMounts" not in one for one in became.pod["spec"]["containers"])


@pytest.mark.parametrize(
    ("settings", "source", "names"),
    [
        (SECRET, {"secret": {"secretName": "svid"}}, ("tls.crt", "tls.key", "ca.crt")),
        (
            CSI,
            {
                "csi": {
                    "driver": "spiffe.csi.cert-manager.io",
                    "readOnly": True,
                    "volumeAttributes": {"a": "b"},
                }
            },
            ("chain.pem", "tls.key", "ca.crt"),
        ),
        (
            KUBELET,
            {
                "projected": {
                    "sources": [
                        {
                            "podCertificate": {
                                "signerName": "a.test/b",
                                "keyType": "ECDSAP256",
                                "credentialBundlePath": "credential-bundle.pem",
                            }
                        },
                        {"clusterTrustBundle": {"name": "a.test:b:c", "path": "trust-bundle.pem"}},
                    ]
                }
            },
            ("credential-bundle.pem", None, "trust-bundle.pem"),
        ),
    ],
)
def test_files_come_from_a_volume_of_the_platforms_choice(pod, enabled, settings, source, names) -> None:
    volumes, mounts, env = parts(inject(pod(), enabled, settings))
    assert volumes["outrider-identity"] == {"name": "outrider-identity", **source}
    assert mounts["outrider-identity"]["readOnly"] is True
    folder = mounts["outrider-identity"]["mountPath"]
    found = tuple(env.get(f"OUTRIDER_IDENTITY_FILES_{part}") for part in ("CERTIFICATE", "KEY", "BUNDLE"))
    assert found == tuple(name and f"{folder}/{name}" for name in names)


def test_a_signer_without_a_bundle_of_its_own_name_is_trusted_by_all_it_publishes(pod, enabled) -> None:
    settings = files(pod_certificate=PodCertificate("a.test/b"))
    volumes, _, _ = parts(inject(pod(), enabled, settings))
    _, trust = volumes["outrider-identity"]["projected"]["sources"]
    assert trust == {
        "clusterTrustBundle": {"signerName": "a.test/b", "labelSelector": {}, "path": "trust-bundle.pem"}
    }


def test_a_provider_that_is_none_gives_nothing_whatever_the_volume(pod, enabled) -> None:
    for identity in (Identity(IdentityVolume.NONE), Identity(provider=IdentityProvider.NONE)):
        volumes, mounts, env = parts(inject(pod(), enabled, InjectionSettings(identity=identity)))
        assert not {"outrider-identity", "outrider-token"} & {*volumes, *mounts}
        assert env["OUTRIDER_IDENTITY_PROVIDER"] == "none"


@pytest.mark.parametrize(
    ("identity", "driver"),
    [
        (Identity(), "csi.spiffe.io"),
        (Identity(IdentityVolume.HOST_PATH), ""),
        (Identity(IdentityVolume.NONE), ""),
        (BUILTIN.identity, ""),
        (CSI.identity, "spiffe.csi.cert-manager.io"),
        (SECRET.identity, ""),
        (Identity(provider=IdentityProvider.BUILTIN), ""),
    ],
)
def test_the_driver_that_nodes_must_have_is_known(identity, driver) -> None:
    assert needed_driver(identity) == driver


def mounting(volume):
    container = {"name": "agent", "volumeMounts": [{"name": "own", "mountPath": "/own"}]}
    return {"containers": [container], "volumes": [{"name": "own", **volume}]}


TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"audience": "mesh-ca", "path": "t"}}]}}
EXPOSED = [
    (BUILTIN, mounting(TOKEN), "container agent, volume own holds a token for the audience mesh-ca"),
    (SECRET, mounting({"secret": {"secretName": "svid"}}), "volume own holds Secret svid"),
    (
        SECRET,
        {
            "containers": [
                {
                    "name": "a",
                    "env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "svid", "key": "tls.key"}}}],
                }
            ]
        },
        "variable K is key tls.key of Secret svid",
    ),
    (
        SECRET,
        {"containers": [{"name": "a", "envFrom": [{"secretRef": {"name": "svid"}}]}]},
        "envFrom of Secret svid",
    ),
    (
        KUBELET,
        mounting({"projected": {"sources": [{"podCertificate": {"signerName": "a.test/b"}}]}}),
        "volume own holds a certificate of the signer a.test/b",
    ),
]


@pytest.mark.parametrize(("settings", "spec", "told"), EXPOSED)
def test_what_the_identity_comes_by_is_for_the_sidecar_alone(pod, enabled, settings, spec, told) -> None:
    refusal = inject(pod(**spec), enabled, settings)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.IDENTITY_EXPOSED
    assert told in refusal.sentence


@pytest.mark.parametrize(
    ("settings", "spec"),
    [
        (BUILTIN, {**mounting(TOKEN), "containers": [{"name": "agent"}]}),
        (BUILTIN, mounting({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}})),
        (BUILTIN, mounting({"projected": {"sources": [3, {"serviceAccountToken": None}]}})),
        (BUILTIN, mounting({"secret": {"secretName": "svid"}})),
        (SECRET, mounting({"secret": {"secretName": "other"}})),
        (SECRET, mounting(TOKEN)),
        (KUBELET, mounting({"projected": {"sources": [{"podCertificate": {"signerName": "a.test/c"}}]}})),
    ],
)
def test_what_only_looks_like_it_is_let_be(pod, enabled, settings, spec) -> None:
    assert isinstance(inject(pod(**spec), enabled, settings), Injection)


def test_a_container_that_mounts_the_driver_itself_is_warned_of(pod, enabled) -> None:
    spec = mounting({"csi": {"driver": "spiffe.csi.cert-manager.io", "readOnly": True}})
    (warning,) = inject(pod(**spec), enabled, CSI).warnings
    assert warning == (
        "container agent mounts spiffe.csi.cert-manager.io itself and can act without its sidecar"
    )


@pytest.mark.parametrize(
    "name", ["outrider-token", "outrider-identity", "outrider-hidden-secrets", "outrider-policy"]
)
def test_each_reserved_volume_that_an_application_mounts_is_refused(pod, enabled, name) -> None:
    spec = {
        "containers": [{"name": "agent", "volumeMounts": [{"name": name, "mountPath": "/own"}]}],
        "volumes": [{"name": name, "emptyDir": {}}],
    }
    assert inject(pod(**spec), enabled, BUILTIN).reason is Reason.RESERVED_VOLUME


def test_a_container_that_is_added_later_may_not_mount_it_either(pod, enabled) -> None:
    spec = {**mounting(TOKEN), "containers": [{"name": "agent"}]}
    became = inject(pod(**spec), enabled, BUILTIN)
    for volume, reason in (
        ("own", Reason.IDENTITY_EXPOSED),
        ("outrider-token", Reason.RESERVED_VOLUME),
    ):
        after = unshared(became.pod)
        mounts = [{"name": volume, "mountPath": "/x"}]
        after["spec"]["ephemeralContainers"] = [{"name": "debug", "volumeMounts": mounts}]
        refusal = admit_ephemeral(after, became.pod, Namespace("agents"), BUILTIN)
        assert refusal.reason is reason


@pytest.mark.parametrize("capture", ["explicit", "transparent"])
@pytest.mark.parametrize("name", ["ca.test", "CA.test.", "ca.test.agents.svc.cluster.local"])
def test_a_pod_may_not_say_where_the_meshs_ca_is(pod, enabled, name, capture) -> None:
    settings = replace(BUILTIN, allow=frozenset({"host-aliases"}), defaults={"outrider.dev/capture": capture})
    spec = {"hostAliases": [{"ip": "10.0.0.5", "hostnames": ["other.test", name]}]}
    refusal = inject(pod(**spec), enabled, settings)
    assert (type(refusal), refusal.reason) == (Refusal, Reason.IDENTITY_EXPOSED)
    assert f"spec.hostAliases decides where {name} leads" in refusal.sentence


def test_other_host_aliases_are_no_matter_of_identity(pod, enabled) -> None:
    spec = {
        "hostAliases": [{"ip": "10.0.0.5", "hostnames": ["other.test", "not-ca.test"]}, {"ip": "10.0.0.6"}]
    }
    assert isinstance(inject(pod(**spec), enabled, BUILTIN), Injection)
    spec = {"hostAliases": [{"ip": "10.0.0.5", "hostnames": ["ca.test"]}]}
    assert isinstance(inject(pod(**spec), enabled, InjectionSettings()), Injection)
