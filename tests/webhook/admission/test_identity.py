"""How the sidecar comes to its SVID, with each provider, and that nobody else in the pod does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.reasons import Reason
from webhook.admission.control_settings import ControlPlane
from webhook.admission.ephemeral import admit_ephemeral
from webhook.admission.identity import needed_driver
from webhook.admission.identity_settings import CsiVolume, Files, PodCertificate
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Namespace, Refusal
from webhook.admission.settings import Denials, Identity, IdentityProvider, IdentityVolume, InjectionSettings

CONTROL = ControlPlane("https://control.test:15012", "mesh", 900, "-----BEGIN")
BUILTIN = InjectionSettings(identity=Identity(provider=IdentityProvider.BUILTIN), control_plane=CONTROL)


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


@pytest.mark.parametrize("provider", IdentityProvider)
def test_whatever_the_provider_the_control_plane_is_shown_a_token_that_only_the_sidecar_mounts(
    pod, enabled, provider
) -> None:
    identity = replace(SECRET.identity, provider=provider)
    settings = InjectionSettings(identity=identity, control_plane=CONTROL)
    became = inject(pod(automountServiceAccountToken=False), enabled, settings)
    volumes, mounts, env = parts(became)
    token = {"audience": "mesh", "expirationSeconds": 900, "path": "token"}
    assert volumes["outrider-token"]["projected"] == {"sources": [{"serviceAccountToken": token}]}
    assert mounts["outrider-token"] == {
        "name": "outrider-token",
        "mountPath": "/run/outrider/token",
        "readOnly": True,
    }
    assert volumes["outrider-state"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "32Mi"}
    assert mounts["outrider-state"] == {"name": "outrider-state", "mountPath": "/run/outrider/state"}
    assert {name: value for name, value in env.items() if "CONTROL" in name} == {
        "OUTRIDER_CONTROL_URL": "https://control.test:15012",
        "OUTRIDER_CONTROL_ROOTS": "-----BEGIN",
        "OUTRIDER_CONTROL_TOKEN": "/run/outrider/token/token",
        "OUTRIDER_CONTROL_STATE": "/run/outrider/state",
    }
    assert env["OUTRIDER_IDENTITY_PROVIDER"] == provider
    assert became.pod["spec"]["automountServiceAccountToken"] is False
    assert all("volumeMounts" not in one for one in became.pod["spec"]["containers"])


def test_with_a_control_plane_no_policies_are_mounted_and_the_pod_is_told_its_uid(pod, enabled) -> None:
    volumes, _, env = parts(inject(pod(), enabled, BUILTIN))
    assert "outrider-policy" not in volumes
    assert "OUTRIDER_POLICIES" not in env
    (sidecar, *_) = inject(pod(), enabled, BUILTIN).pod["spec"]["initContainers"]
    fields = {
        one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in sidecar["env"] if "valueFrom" in one
    }
    assert fields["OUTRIDER_AGENT_UID"] == "metadata.uid"


def test_without_a_control_plane_there_is_no_trace_of_one(pod, enabled) -> None:
    became = inject(pod(), enabled, InjectionSettings())
    volumes, _, env = parts(became)
    assert "outrider-policy" in volumes
    assert not {"outrider-token", "outrider-state"} & {*volumes}
    assert not [name for name in env if "CONTROL" in name or "AGENT_UID" in name or "DENIALS" in name]


def test_a_pod_is_refused_while_the_roots_are_not_known(pod, enabled) -> None:
    refusal = inject(pod(), enabled, replace(BUILTIN, control_plane=replace(CONTROL, roots="")))
    assert (type(refusal), refusal.reason) == (Refusal, Reason.CONTROL_ROOTS_UNKNOWN)
    assert "https://control.test:15012" in refusal.sentence
    assert isinstance(inject(pod(), enabled, BUILTIN.with_roots("new")), Injection)


def test_new_roots_reach_new_pods_alone_and_leave_the_rest_of_the_settings(pod, enabled) -> None:
    became = inject(pod(), enabled, BUILTIN.with_roots("new"))
    assert parts(became)[2]["OUTRIDER_CONTROL_ROOTS"] == "new"
    assert BUILTIN.with_roots("new").with_roots(CONTROL.roots) == BUILTIN


@pytest.mark.parametrize(("denials", "told"), [(Denials.HIDDEN, None), (Denials.FORBIDDEN, "forbidden")])
def test_how_refusals_look_is_told_where_it_is_not_the_default(pod, enabled, denials, told) -> None:
    env = parts(inject(pod(), enabled, InjectionSettings(denials=denials)))[2]
    assert env.get("OUTRIDER_DENIALS") == told


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
    ],
)
def test_the_driver_that_nodes_must_have_is_known(identity, driver) -> None:
    assert needed_driver(identity) == driver


def mounting(volume):
    container = {"name": "agent", "volumeMounts": [{"name": "own", "mountPath": "/own"}]}
    return {"containers": [container], "volumes": [{"name": "own", **volume}]}


TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"audience": "mesh", "path": "t"}}]}}
EXPOSED = [
    (BUILTIN, mounting(TOKEN), "container agent, volume own holds a token for the audience mesh"),
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
    "name",
    ["outrider-token", "outrider-state", "outrider-identity", "outrider-hidden-secrets", "outrider-policy"],
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


def test_a_pod_that_leads_the_sidecar_elsewhere_gains_nothing(pod, enabled) -> None:
    """Nobody else has a certificate that the roots vouch for, and they stand in the sidecar's own container."""
    spec = {"hostAliases": [{"ip": "10.0.0.5", "hostnames": ["control.test"]}]}
    assert isinstance(inject(pod(**spec), enabled, BUILTIN), Injection)
