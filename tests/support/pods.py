"""Hypothesis strategies for pods: what people write, what is left half done, and what somebody forges."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from mesh.settings.placeholders import placeholder
from webhook.admission.control_settings import ControlPlane
from webhook.admission.identity_settings import (
    CsiVolume,
    Files,
    Identity,
    IdentityProvider,
    IdentityVolume,
    PodCertificate,
)
from webhook.admission.inject import unshared
from webhook.admission.permission import PERMISSIONS
from webhook.admission.settings import InjectionSettings, NativeSidecars

PROXY = "http://127.0.0.1:15002"


def secret(name: str, of: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": of, "key": key, **more}}}


PLAIN_ENV = [
    {"name": "LANG", "value": "C"},
    {"name": "URL", "value": "https://u:$(TOKEN)@host"},
    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
    secret("TOKEN", "s", "k"),
    secret("TOKEN", "s", "k", optional=True),
    secret("TOKEN", "t", "token", optional=None),
    secret("KEY", "s", "other"),
    {"name": "TOKEN", "value": "plain"},
    {"name": "TOKEN", "value": placeholder("app0", "TOKEN")},
]
MESH_ENV = [
    {"name": "NO_PROXY", "value": "corp, localhost"},
    {"name": "no_proxy", "value": "10.0.0.0/8"},
    {"name": "HTTP_PROXY", "value": PROXY},
    {"name": "http_proxy", "value": "http://corp:3128"},
    {"name": "SSL_CERT_FILE", "value": "/etc/ssl/certs/ca-certificates.crt"},
    {"name": "SSL_CERT_FILE", "value": "/own.pem"},
    {"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx1g"},
]
ENV_FROM = [
    {"secretRef": {"name": "whole"}},
    {"prefix": "TO", "secretRef": {"name": "s"}},
    {"secretRef": {"name": "s", "optional": True}},
    {"configMapRef": {"name": "c"}},
]
MOUNTS = [
    {"name": "data", "mountPath": "/data"},
    {"name": "files", "mountPath": "/files"},
    {"name": "files", "mountPath": "/other", "subPath": "other"},
]
RESERVED_MOUNTS = [
    {"name": "outrider-identity", "mountPath": "/outrider-identity"},
    {"name": "outrider-token", "mountPath": "/t"},
    {"name": "outrider-hidden-secrets", "mountPath": "/h"},
    {"name": "outrider-credentials-0", "mountPath": "/c"},
    {"name": "outrider-trust", "mountPath": "/run/outrider/trust", "readOnly": True},
    {"name": "outrider-trust", "mountPath": "/mine"},
]
PROBES = [
    {"httpGet": {"path": "/x", "port": 9000}, "timeoutSeconds": 2},
    {"tcpSocket": {"port": "9000"}},
    {"grpc": {"port": 9000}, "periodSeconds": 1},
    {"exec": {"command": ["true"]}},
]
ODD_PROBES = [
    None,
    {"httpGet": {"path": "/x", "port": 9000, "host": None}},
    {"httpGet": {"path": "/app-health/app0/liveness", "port": 15020}},
    {"httpGet": {"path": "/app-health/app0/liveness", "port": 8080}},
    {"tcpSocket": {"port": "nowhere"}},
]
CONTEXTS = [{"runAsUser": 1000}, {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}]
ODD_CONTEXTS = [None, {"runAsUser": 1774}, {"capabilities": {"add": ["NET_RAW"]}}]


def _lists(*items: Any, most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(items), max_size=most)


def _containers(prefix: str, least: int, odd: bool) -> st.SearchStrategy[list[dict[str, Any]]]:
    distinct = {"unique_by": lambda one: one["name"]}
    env: Any = st.lists(st.sampled_from(PLAIN_ENV[:-2]), min_size=1, max_size=3, **distinct)
    env_from: Any = st.lists(st.sampled_from(ENV_FROM), min_size=1, max_size=2)
    mounts: Any = st.lists(st.sampled_from(MOUNTS), min_size=1, max_size=2)
    probes, contexts = st.sampled_from(PROBES), st.sampled_from(CONTEXTS)
    ports = [9000, 8080]
    if odd:
        env = st.none() | _lists(*PLAIN_ENV, *MESH_ENV)
        env_from = st.none() | _lists(*ENV_FROM, most=2)
        mounts = st.none() | _lists(*MOUNTS, *RESERVED_MOUNTS, most=2)
        probes, contexts = st.sampled_from(PROBES + ODD_PROBES), st.sampled_from(CONTEXTS + ODD_CONTEXTS)
        ports = [9000, 8080, 15443]
    more: dict[str, st.SearchStrategy[Any]] = {
        "env": env,
        "envFrom": env_from,
        "volumeMounts": mounts,
        "ports": st.lists(st.sampled_from(ports).map(lambda p: {"containerPort": p}), max_size=2),
        "securityContext": contexts,
        "livenessProbe": probes,
        "readinessProbe": probes,
        "stdin": st.booleans(),
    }
    if odd:
        more["lifecycle"] = st.none() | st.fixed_dictionaries({"preStop": probes})
    if prefix == "init":
        more["restartPolicy"] = st.just("Always")
    one = st.fixed_dictionaries({"image": st.just("x:1")}, optional=more)
    named = st.lists(one, min_size=least, max_size=3)
    return named.map(lambda all_: [{"name": f"{prefix}{place}", **each} for place, each in enumerate(all_)])


def _sidecar(**values: object) -> dict[str, Any]:
    env = [{"name": name, "value": json.dumps(value)} for name, value in values.items()]
    return {"name": "outrider-sidecar", "image": "forged", "env": env}


_KEPT = {"container": "app0", "variable": "TOKEN", "files": ["/x"]}
FORGED = [
    [_sidecar(X="y")],
    [
        _sidecar(
            OUTRIDER_APPLICATION_PROBES={
                "app0/liveness": {"httpGet": {"port": 9000}, "port": 1, "timeoutSeconds": 1}
            }
        )
    ],
    [
        _sidecar(
            OUTRIDER_HIDDEN_SECRETS={
                placeholder("app0", "TOKEN"): {**_KEPT, "originals": [secret("TOKEN", "s", "k")]}
            }
        )
    ],
    [_sidecar(OUTRIDER_HIDDEN_SECRETS={placeholder("app0", "TOKEN"): {**_KEPT, "originals": []}})],
    [_sidecar(OUTRIDER_HIDDEN_SECRETS={"x": 3})],
    [{"name": "outrider-redirect", "image": "forged", "command": ["true"]}],
]
"""Containers under our names that say what earlier injections would have left."""

VOLUMES = [
    {"name": "data", "emptyDir": {}},
    {"name": "files", "secret": {"secretName": "mounted"}},
    {"name": "files", "projected": {"sources": [{"secret": {"name": "s", "items": []}}]}},
    {
        "name": "files",
        "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "mesh"}}]},
    },
]
FORGED_VOLUMES = [
    {"name": "outrider-tmp", "hostPath": {"path": "/"}},
    {"name": "outrider-token", "emptyDir": {}},
    {"name": "outrider-state", "hostPath": {"path": "/"}},
    {"name": "outrider-hidden-secrets", "secret": {"secretName": "s"}},
    {"name": "outrider-credentials-3", "hostPath": {"path": "/"}},
]
ANNOTATIONS: dict[str, st.SearchStrategy[str]] = {
    "a/b": st.just("70m"),
    "outrider.dev/cpu": st.just("70m"),
    "outrider.dev/capture": st.sampled_from(["auto", "transparent", "explicit"]),
    "outrider.dev/interception": st.sampled_from(["on", "off"]),
    "outrider.dev/mtls": st.sampled_from(["strict", "permissive"]),
    "outrider.dev/hide-secrets": st.sampled_from(["TOKEN", "KEY, TOKEN", ""]),
    "outrider.dev/credential-secrets": st.sampled_from(["idp", "s, idp", ""]),
    "outrider.dev/exclude-inbound-ports": st.sampled_from(["", "9000", "1, 2"]),
    "outrider.dev/exclude-outbound-cidrs": st.sampled_from(["", "10.0.0.0/8"]),
    "outrider.dev/tools-deny": st.just("github/delete_*"),
    "kubectl.kubernetes.io/default-container": st.sampled_from(["app0", "other"]),
    "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": st.sampled_from(["data", "data, more"]),
}
FORGED_STATUS = ["70m", "{}", '{"added":{"defaultContainer":"app0","pullSecrets":["gone"]}}', '{"added":3}']


def _pod(metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = unshared({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return pod


def _with_forged(spec: dict[str, Any], forged: list[Any], ordinary: bool) -> dict[str, Any]:
    """Forged containers put where a sidecar of one form or the other would stand."""
    if not forged:
        return spec
    place = "containers" if ordinary and forged[0]["name"] == "outrider-sidecar" else "initContainers"
    return {**spec, place: [*forged, *(spec.get(place) or [])]}


_SPEC: dict[str, st.SearchStrategy[Any]] = {
    "imagePullSecrets": st.just([{"name": "own"}]),
    "shareProcessNamespace": st.booleans(),
    "priorityClassName": st.just("high"),
    "automountServiceAccountToken": st.booleans(),
    "restartPolicy": st.sampled_from(["Always", "OnFailure"]),
    "resources": st.just({"limits": {"cpu": "1"}}),
    "securityContext": st.just({"runAsNonRoot": True}),
}
_METADATA: dict[str, st.SearchStrategy[Any]] = {
    "name": st.just("triage"),
    "generateName": st.just("triage-"),
    "ownerReferences": st.just([{"kind": "ReplicaSet", "name": "r", "uid": "u"}]),
}

clean_pods = st.builds(
    _pod,
    st.fixed_dictionaries(
        {},
        optional={
            **_METADATA,
            "labels": st.just({"app": "x"}),
            "annotations": st.fixed_dictionaries({"team": st.just("x")}, optional=ANNOTATIONS),
        },
    ),
    st.fixed_dictionaries(
        {"containers": _containers("app", 1, odd=False)},
        optional={
            **_SPEC,
            "initContainers": _containers("init", 1, odd=False),
            "volumes": st.lists(
                st.sampled_from(VOLUMES), min_size=1, max_size=2, unique_by=lambda one: str(one["name"])
            ),
        },
    ),
)
"""Pods in which nothing is ours or looks like it."""

pods = st.builds(
    _pod,
    st.fixed_dictionaries(
        {},
        optional={
            **_METADATA,
            "labels": st.none() | st.dictionaries(st.sampled_from(["app", "x/y"]), st.just("v"), max_size=2),
            "annotations": st.none()
            | st.fixed_dictionaries(
                {}, optional={**ANNOTATIONS, "outrider.dev/status": st.sampled_from(FORGED_STATUS)}
            ),
        },
    ),
    st.builds(
        _with_forged,
        st.fixed_dictionaries(
            {"containers": _containers("app", 1, odd=True)},
            optional={
                **_SPEC,
                "initContainers": st.none() | _containers("init", 0, odd=True),
                "volumes": st.none()
                | st.lists(st.sampled_from(VOLUMES + FORGED_VOLUMES), unique_by=lambda one: str(one["name"])),
            },
        ),
        st.sampled_from([[], [], [], *FORGED]),
        st.booleans(),
    ),
)
"""Pods as they may come: also forged, refused and half done."""

IDENTITIES = [
    Identity(),
    Identity(IdentityVolume.HOST_PATH),
    Identity(IdentityVolume.NONE),
    Identity(provider=IdentityProvider.FILES, files=Files(csi=CsiVolume("spiffe.csi.cert-manager.io"))),
    Identity(provider=IdentityProvider.FILES, files=Files(secret="s")),
    Identity(provider=IdentityProvider.FILES, files=Files(pod_certificate=PodCertificate("a.test/b"))),
]
CONTROL_PLANES = [ControlPlane(), ControlPlane("https://control.test:15012", "mesh", 900, "roots")]
settings = st.builds(
    InjectionSettings,
    control_plane=st.sampled_from(CONTROL_PLANES),
    native_sidecars=st.sampled_from(NativeSidecars),
    identity=st.sampled_from(IDENTITIES),
    image_pull_secrets=st.sampled_from([(), ("registry",), ("own", "registry")]),
    policy_config_map=st.sampled_from(["outrider-policies", ""]),
    defaults=st.sampled_from([{}, {"outrider.dev/hide-secrets": "TOKEN"}]),
    allow=st.just(PERMISSIONS - {"exclude-outbound-cidrs"}),
)
