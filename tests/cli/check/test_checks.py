"""Every check against a healthy cluster, and against one in which one thing differs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from cli.check.catalogue import RUNS, checks
from cli.check.result import State
from cli.check.sidecar_state import Configured, States
from cli.check.snapshot import Access, DataPlane, Snapshot
from cli.check.table import TABLE, Phase
from cli.cluster.parts import NOT_ASKED, Part
from mesh.settings import installation
from tests.support import outrider_cluster as cluster
from tests.support.outrider_cluster import changed, part
from webhook.admission.settings import InjectionSettings, Ports

OK, WARNING, FAILED, SKIPPED = State
HEALTHY = cluster.healthy()
OLDER = cluster.without_control()
INJECTOR, VALIDATOR = cluster.injector(), cluster.validator()
DEPLOYMENT = cluster.deployment()
POD = cluster.injected_pod()
OLD_POD = cluster.injected_pod(settings=InjectionSettings())
(TRIAGE,) = cluster.of_kind("AgentPolicy")
BINDINGS = HEALTHY.admission_bindings.items
DATA = HEALTHY.data
assert DATA is not None


def beside(**parts: Part) -> Snapshot:
    """The healthy cluster with other parts."""
    return replace(HEALTHY, **parts)


def with_data(**parts: Part) -> Snapshot:
    assert DATA is not None
    return replace(HEALTHY, data=replace(DATA, **parts))


def with_namespace(label: str | None) -> Snapshot:
    labels = {} if label is None else {"outrider.dev/injection": label}
    return beside(namespaces=part(cluster.namespace("agents", **labels)))


def pods(*items: dict) -> Snapshot:
    return with_data(pods=part(*items))


def injector(path: str, value: object) -> Snapshot:
    return beside(mutating=part(changed(INJECTOR, path, value)))


def bundle(text: str) -> Snapshot:
    return injector("webhooks/0/clientConfig/caBundle", text)


def secret(**certificates: object) -> Snapshot:
    return beside(secret=part(cluster.serving_secret(**certificates)))


def lease(path: str, value: object) -> Snapshot:
    assert HEALTHY.lease.one is not None
    return beside(lease=part(changed(HEALTHY.lease.one, path, value)))


def refusing(*denied: Access) -> Snapshot:
    return replace(HEALTHY, may={one: one not in denied for one in HEALTHY.may})


def sidecar(**status: object) -> Snapshot:
    before = POD["status"]["initContainerStatuses"][0]
    return pods(changed(POD, "status/initContainerStatuses/0", {**before, **status}))


def status(**changes: object) -> Snapshot:
    text = json.loads(POD["metadata"]["annotations"]["outrider.dev/status"]) | changes
    return pods(changed(POD, "metadata/annotations/outrider.dev|status", json.dumps(text)))


def rewritten(time: object) -> Snapshot:
    """The policies, last written at `time`."""
    return older(policies=part(changed(cluster.policies(), "metadata/managedFields/0/time", time)))


def older(**parts: Part) -> Snapshot:
    """A cluster where sidecars read ConfigMaps, with other parts of its data plane."""
    assert OLDER.data is not None
    return replace(OLDER, data=replace(OLDER.data, **parts))


def in_older(**parts: Part) -> Snapshot:
    return replace(OLDER, **parts)


def policy(**status: object) -> Snapshot:
    """The AgentPolicy with another status."""
    return with_data(agent_policies=part(*cluster.of_kind("AgentPolicy", cluster.policy_objects(**status))))


def condition(kind: str, status: str, reason: str = "", message: str = "", seen: int = 1) -> dict:
    return {"conditions": [cluster.condition(kind, status, reason, message, seen)]}


def says(**state: object) -> Snapshot:
    """What the sidecar says of its configuration."""
    told = {"source": "stream", "version": "c0ffee", "connected": True, **state}
    return with_data(states=States({"triage": Configured(**told)}))


def access_policy(target: dict | None = None, name: str = "tools", **more: object) -> dict:
    refs = [target or {"group": "", "kind": "Service", "name": "triage"}]
    spec = {"targetRefs": refs, "action": "Allow"} | more
    return {
        "apiVersion": "agentic.networking.x-k8s.io/v1alpha1",
        "kind": "XAccessPolicy",
        "metadata": {"name": name, "namespace": "agents", "generation": 1},
        "spec": spec,
    }


def judged_policy(controller: str = "outrider.dev/controller", **condition: object) -> dict:
    told = {"type": "Accepted", "status": "True", "reason": "Accepted", "observedGeneration": 1, **condition}
    ancestor = {"controllerName": controller, "conditions": [told]}
    return {**access_policy(), "status": {"ancestors": [ancestor]}}


def access_policies(*items: dict) -> Snapshot:
    return with_data(access_policies=part(*items))


def crediting(credential: str, **parts: Part) -> Snapshot:
    """The Backend with a credential."""
    text = cluster.POLICIES.replace("  path: /mcp\n", f"  path: /mcp\n  credential: {{{credential}}}\n")
    return with_data(backends=part(*cluster.of_kind("Backend", cluster.policy_objects(text))), **parts)


def foreign(policy: str = "Never", name: str = "a-quota") -> dict:
    return {
        "metadata": {"name": name},
        "webhooks": [
            cluster.entry("check.example", reinvocationPolicy=policy, clientConfig={"url": "https://x"})
        ],
    }


def doubled() -> Snapshot:
    extra = {"metadata": {"name": "outrider-old"}, "webhooks": [cluster.entry("all.outrider.dev")]}
    return beside(mutating=part(INJECTOR, extra))


OLD_CA = cluster.certificate("old", cluster.NOW - timedelta(days=20), cluster.NOW + timedelta(days=300))[0]
EXPIRED_CA = cluster.certificate("old", cluster.NOW - timedelta(days=20), cluster.NOW - timedelta(hours=1))[0]
CSI = {"name": "spiffe", "csi": {"driver": "csi.spiffe.io", "readOnly": True}}
MOUNTING = changed(
    changed(POD, "spec/volumes", [CSI]),
    "spec/containers/0/volumeMounts",
    [{"name": "spiffe", "mountPath": "/s"}],
)
EPHEMERAL = changed(
    POD,
    "spec/ephemeralContainers",
    [{"name": "debug", "image": "b", "targetContainerName": "outrider-sidecar"}],
)
WAITING = {
    "metadata": {"name": "outrider-webhook-a"},
    "status": {
        "containerStatuses": [
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
        ],
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
        ],
    },
}
UNREADY = {
    "metadata": {"name": "new"},
    "status": {
        "containerStatuses": [{"name": "webhook", "state": {"running": {}}}],
        "conditions": [
            {"type": "Ready", "status": "False", "message": "containers with unready status: [webhook]"}
        ],
    },
}
STUCK = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": "it has timed out progressing.",
}
FILES = changed(DEPLOYMENT, "spec/template/spec/containers/0/args", ["--certificates=files"])
MOVED = cluster.injected_pod(settings=InjectionSettings(ports=Ports(inbound=16443)))
KEPT = {"meta.helm.sh/release-name": "mesh", "meta.helm.sh/release-namespace": "old"}
REPLICA_FAILURE = {"type": "ReplicaFailure", "status": "True", "message": "admission webhook denied."}
UNREAD = Part(unread="forbidden (403)")
NONE = Part()

# id, the cluster, the state, and words of what is seen.
DEVIATIONS = [
    ("api-server-version", beside(version=part({"gitVersion": "v1.28.9"})), FAILED, "v1.28.9"),
    ("api-server-version", beside(version=UNREAD), FAILED, "forbidden"),
    ("api-server-version", beside(version=part({"gitVersion": "unknown"})), SKIPPED, "'unknown'"),
    (
        "kubelet-versions",
        beside(
            nodes=part({"metadata": {"name": "b"}, "status": {"nodeInfo": {"kubeletVersion": "v1.27.0"}}})
        ),
        FAILED,
        "node b runs v1.27.0",
    ),
    ("kubelet-versions", beside(nodes=UNREAD), SKIPPED, "forbidden"),
    ("kubelet-versions", beside(nodes=NONE), SKIPPED, "no nodes"),
    (
        "install-permissions",
        refusing(Access("create", "apps", "deployments", cluster.SPACE)),
        FAILED,
        "you may not create deployments.apps in namespace outrider-system",
    ),
    ("install-permissions", replace(HEALTHY, may={}), SKIPPED, "did not say"),
    ("names-free", HEALTHY, WARNING, "MutatingWebhookConfiguration outrider-injector is there already"),
    (
        "names-free",
        beside(cluster_roles=part({"metadata": {"name": "outrider-webhook"}})),
        FAILED,
        "ClusterRole outrider-webhook exists, and is not",
    ),
    (
        "kept-crds",
        beside(crds=part(changed(cluster.crd("backends.outrider.dev"), "metadata/annotations", KEPT))),
        WARNING,
        "backends.outrider.dev belongs to release mesh in namespace old",
    ),
    ("kept-crds", HEALTHY, OK, "no earlier release"),
    ("kept-crds", beside(crds=UNREAD), SKIPPED, "forbidden"),
    (
        "install-namespace",
        beside(namespaces=part(cluster.namespace(cluster.SPACE, **{"outrider.dev/injection": "enabled"}))),
        WARNING,
        "injection=enabled",
    ),
    (
        "install-namespace",
        beside(
            namespaces=part(
                cluster.namespace(cluster.SPACE, **{"pod-security.kubernetes.io/enforce": "strict"})
            )
        ),
        FAILED,
        "enforce=strict",
    ),
    ("install-namespace", beside(namespaces=UNREAD), SKIPPED, "forbidden"),
    (
        "validating-admission-policy",
        beside(admission_policies=Part(absent=True)),
        WARNING,
        "before Kubernetes 1.30",
    ),
    ("validating-admission-policy", beside(admission_policies=UNREAD), SKIPPED, "forbidden"),
    ("csi-driver-available", beside(csi_drivers=NONE), SKIPPED, "only identity.provider spire needs it"),
    ("csi-driver-available", beside(csi_drivers=UNREAD), SKIPPED, "forbidden"),
    ("control-plane-installed", beside(deployment=NONE), FAILED, "no Deployment outrider-webhook"),
    ("control-plane-installed", beside(deployment=UNREAD), SKIPPED, "forbidden"),
    (
        "control-plane-available",
        beside(deployment=part(cluster.deployment(availableReplicas=0)), pods=part(WAITING)),
        FAILED,
        "ImagePullBackOff: no such image",
    ),
    (
        "control-plane-available",
        beside(deployment=part(cluster.deployment(availableReplicas=1)), pods=part(WAITING)),
        WARNING,
        "Unschedulable: no node",
    ),
    ("control-plane-available", beside(deployment=NONE), SKIPPED, "no Deployment"),
    (
        "control-plane-available",
        beside(deployment=part(changed(DEPLOYMENT, "spec/replicas", 0))),
        FAILED,
        "it is scaled to 0",
    ),
    (
        "control-plane-available",
        beside(deployment=part(cluster.deployment(updatedReplicas=1))),
        WARNING,
        "2 of 2 replicas are available\n1 of 2 replicas are of the newest version of the Deployment",
    ),
    (
        "control-plane-available",
        beside(deployment=part(cluster.deployment(updatedReplicas=None))),
        WARNING,
        "0 of 2 replicas are of the newest version",
    ),
    (
        "control-plane-available",
        beside(deployment=part(cluster.deployment(readyReplicas=1)), pods=part(UNREADY)),
        WARNING,
        "1 of 2 replicas are ready\npod new: not ready: containers with unready status: [webhook]",
    ),
    (
        "control-plane-available",
        beside(
            deployment=part(cluster.deployment(updatedReplicas=1)),
            pods=part(UNREADY),
            unready={"new": "no certificate yet; not synced"},
        ),
        WARNING,
        "pod new: not ready: no certificate yet; not synced",
    ),
    (
        "control-plane-available",
        beside(deployment=part(cluster.deployment(updatedReplicas=1, conditions=[STUCK]))),
        WARNING,
        "the rollout is stuck: ProgressDeadlineExceeded: it has timed out progressing",
    ),
    (
        "control-plane-replicas",
        beside(deployment=part(changed(DEPLOYMENT, "spec/replicas", 1))),
        WARNING,
        "1 replica",
    ),
    (
        "control-plane-replicas",
        beside(deployment=part(changed(DEPLOYMENT, "spec/replicas", ...))),
        WARNING,
        "1 replica",
    ),
    ("control-plane-replicas", beside(deployment=NONE), SKIPPED, "no Deployment"),
    ("disruption-budget", beside(disruption_budget=NONE), WARNING, "no PodDisruptionBudget"),
    ("disruption-budget", beside(disruption_budget=UNREAD), SKIPPED, "forbidden"),
    ("disruption-budget", beside(deployment=NONE), SKIPPED, "not two"),
    (
        "disruption-budget",
        beside(
            disruption_budget=part(
                {"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"a": "b"}}}}
            )
        ),
        WARNING,
        "does not select",
    ),
    (
        "control-plane-version",
        beside(
            deployment=part(changed(DEPLOYMENT, "metadata/labels", {"app.kubernetes.io/version": "0.9.0"}))
        ),
        WARNING,
        "the control plane is 0.9.0",
    ),
    (
        "control-plane-version",
        beside(deployment=part(changed(DEPLOYMENT, "metadata/labels", {}))),
        SKIPPED,
        "no label",
    ),
    ("control-plane-version", beside(deployment=NONE), SKIPPED, "no Deployment"),
    ("platform-settings", beside(settings=NONE), FAILED, "no ConfigMap outrider-webhook-settings"),
    ("platform-settings", beside(settings=UNREAD), SKIPPED, "forbidden"),
    ("platform-settings", beside(settings=part({"data": {"settings.yaml": "imagge: a"}})), FAILED, "imagge"),
    ("serving-secret", beside(secret=NONE), FAILED, "no Secret outrider-webhook-tls"),
    ("ca-bundles", beside(mutating=UNREAD, validating=UNREAD), SKIPPED, "cannot be read: forbidden"),
    ("serving-secret", beside(secret=UNREAD), SKIPPED, "forbidden"),
    (
        "serving-secret",
        beside(secret=part({"metadata": {}, "data": {"ca.crt": "a"}})),
        FAILED,
        "has no tls.crt",
    ),
    ("ca-certificate", secret(ca=EXPIRED_CA), FAILED, "it expired 60 minutes ago"),
    ("ca-certificate", secret(ca=cluster.authority(20)[0]), WARNING, "20 days left"),
    ("ca-certificate", beside(secret=part({"data": {"ca.crt": "bm90IFBFTQ=="}})), SKIPPED, "no certificate"),
    ("serving-certificate", secret(serving=cluster.leaf(-3)), FAILED, "it expired 3 days ago"),
    ("serving-certificate", secret(serving=cluster.leaf(1)), WARNING, "24 hours left"),
    ("serving-certificate", secret(serving=cluster.leaf(9)), FAILED, "yet to come"),
    ("serving-certificate", beside(secret=NONE), SKIPPED, "no certificate"),
    (
        "serving-certificate-chain",
        bundle(cluster.pem(OLD_CA)),
        FAILED,
        "caBundle of enabled.injector.outrider.dev",
    ),
    ("serving-certificate-chain", beside(secret=NONE), SKIPPED, "no certificate"),
    (
        "serving-certificate-names",
        secret(serving=cluster.leaf(6, "other.svc")),
        FAILED,
        "it is for other.svc",
    ),
    ("serving-certificate-names", secret(serving=cluster.leaf(6, "")), FAILED, "no name"),
    ("serving-certificate-names", beside(secret=NONE), SKIPPED, "no certificate"),
    ("ca-bundles", bundle(""), FAILED, "caBundle of enabled.injector.outrider.dev is empty"),
    ("ca-bundles", bundle("!"), FAILED, "holds no certificates"),
    ("ca-bundles", bundle(cluster.pem(EXPIRED_CA)), FAILED, "has expired"),
    ("ca-bundles", beside(mutating=NONE, validating=NONE), SKIPPED, "no webhook configurations"),
    ("leader-lease", beside(lease=NONE), FAILED, "no Lease"),
    ("leader-lease", beside(lease=UNREAD), SKIPPED, "forbidden"),
    ("leader-lease", lease("spec/holderIdentity", ...), FAILED, "nobody holds"),
    ("leader-lease", lease("spec/renewTime", "nonsense"), FAILED, "nobody holds"),
    ("leader-lease", lease("spec/renewTime", "2026-06-01T11:55:00.000000Z"), FAILED, "5 minutes ago"),
    ("leader-lease", beside(deployment=part(FILES), lease=NONE), SKIPPED, "elsewhere"),
    ("injector-entries", beside(mutating=NONE), FAILED, "no configuration outrider-injector"),
    ("injector-entries", beside(mutating=UNREAD), SKIPPED, "forbidden"),
    (
        "injector-entries",
        injector("webhooks", INJECTOR["webhooks"][:1]),
        FAILED,
        "no entry required.injector",
    ),
    ("validator-entries", beside(validating=NONE), FAILED, "no configuration outrider-validator"),
    (
        "validator-entries",
        beside(validating=part(changed(VALIDATOR, "webhooks/0/name", "x.y.z"))),
        FAILED,
        "ephemeral.validator",
    ),
    (
        "validator-entries",
        beside(admission_policies=Part(absent=True)),
        FAILED,
        "no entry images.validator.outrider.dev",
    ),
    ("entries-disjoint", doubled(), FAILED, "all.outrider.dev both match a pod with"),
    ("entries-disjoint", beside(mutating=NONE), SKIPPED, "no entry"),
    (
        "entries-complete",
        injector("webhooks", INJECTOR["webhooks"][1:]),
        FAILED,
        "no entry matches a pod with no label in a namespace with outrider.dev/injection=enabled",
    ),
    ("entries-complete", beside(mutating=NONE), SKIPPED, "no entry"),
    (
        "failure-policy",
        injector("webhooks/1/failurePolicy", "Ignore"),
        FAILED,
        "required.injector.outrider.dev is Ignore",
    ),
    ("failure-policy", beside(mutating=NONE, validating=NONE), SKIPPED, "no entries"),
    (
        "own-namespace-exempt",
        injector("webhooks/1/namespaceSelector/matchExpressions/2", {"key": "a", "operator": "DoesNotExist"}),
        FAILED,
        "matches namespace outrider-system",
    ),
    ("own-namespace-exempt", beside(mutating=NONE), SKIPPED, "no entry"),
    ("webhook-timeouts", injector("webhooks/0/timeoutSeconds", ...), WARNING, "is 10"),
    ("webhook-timeouts", beside(mutating=NONE, validating=NONE), SKIPPED, "no entries"),
    ("reinvocation", injector("webhooks/0/reinvocationPolicy", ...), FAILED, "is not IfNeeded"),
    ("reinvocation", injector("webhooks/0/sideEffects", "Some"), FAILED, "is not None"),
    ("reinvocation", beside(mutating=UNREAD), SKIPPED, "none that can be read"),
    ("webhook-destination", beside(service=NONE), FAILED, "no Service outrider-webhook"),
    ("webhook-destination", beside(service=UNREAD), SKIPPED, "forbidden"),
    ("webhook-destination", beside(mutating=NONE, validating=NONE), SKIPPED, "no entries"),
    (
        "webhook-destination",
        injector("webhooks/0/clientConfig/service/namespace", "other"),
        FAILED,
        "leads to Service other/",
    ),
    ("webhook-destination", injector("webhooks/0/clientConfig/service", ...), FAILED, "leads to a URL"),
    (
        "webhook-destination",
        injector("webhooks/0/clientConfig/service/port", 8443),
        FAILED,
        "a port that Service",
    ),
    ("webhook-endpoints", beside(endpoint_slices=NONE), FAILED, "no endpoint that is ready"),
    (
        "webhook-endpoints",
        beside(
            endpoint_slices=part({"endpoints": [{"addresses": ["10.0.0.3"], "conditions": {"ready": False}}]})
        ),
        FAILED,
        "no endpoint",
    ),
    ("webhook-endpoints", beside(endpoint_slices=UNREAD), SKIPPED, "forbidden"),
    (
        "other-webhooks",
        beside(mutating=part(INJECTOR, foreign())),
        WARNING,
        "check.example (a-quota) does not see",
    ),
    ("other-webhooks", beside(mutating=UNREAD), SKIPPED, "forbidden"),
    ("final-state-policy", beside(admission_policies=NONE), FAILED, "no ValidatingAdmissionPolicy"),
    ("final-state-policy", beside(admission_policies=Part(absent=True)), WARNING, "before Kubernetes 1.30"),
    ("final-state-policy", beside(admission_policies=UNREAD), SKIPPED, "forbidden"),
    (
        "final-state-policy",
        beside(
            admission_policies=part(
                changed(
                    cluster.final_state_policy(),
                    "status",
                    {
                        "typeChecking": {
                            "expressionWarnings": [
                                {"fieldRef": "spec.validations[0]", "warning": "undefined field"}
                            ]
                        }
                    },
                )
            )
        ),
        WARNING,
        "spec.validations[0]: undefined field",
    ),
    ("final-state-binding", beside(admission_bindings=NONE), FAILED, "no binding"),
    ("final-state-binding", beside(admission_bindings=UNREAD), SKIPPED, "forbidden"),
    ("final-state-binding", beside(admission_policies=NONE), SKIPPED, "no policy"),
    (
        "final-state-binding",
        beside(
            admission_bindings=part(
                {
                    "metadata": {"name": installation.FINAL_STATE_POLICY},
                    "spec": {"policyName": installation.FINAL_STATE_POLICY, "validationActions": ["Audit"]},
                }
            )
        ),
        FAILED,
        "binding outrider-final-state does not deny",
    ),
    *(
        (
            "final-state-binding",
            beside(admission_bindings=part(*(one for one in BINDINGS if one["metadata"]["name"] != name))),
            FAILED,
            f"no binding {name} names outrider-final-state",
        )
        for name in installation.FINAL_STATE_BINDINGS
    ),
    (
        "final-state-image",
        beside(admission_policies=part(cluster.final_state_policy("registry.example/other"))),
        WARNING,
        "prefix of outrider/sidecar",
    ),
    ("final-state-image", beside(settings=NONE), SKIPPED, "cannot be read"),
    (
        "resource-kinds",
        beside(crds=part(cluster.crd("backends.outrider.dev"))),
        FAILED,
        "agentpolicies.outrider.dev",
    ),
    ("resource-kinds", beside(crds=UNREAD), SKIPPED, "forbidden"),
    (
        "resource-kinds",
        beside(crds=part(changed(cluster.crd("backends.outrider.dev"), "spec/versions/0/name", "v1"))),
        FAILED,
        "does not serve v1alpha1",
    ),
    (
        "resource-kinds",
        beside(
            crds=part(changed(cluster.crd("backends.outrider.dev"), "status/conditions/0/status", "False"))
        ),
        FAILED,
        "is not established",
    ),
    (
        "identity-driver",
        beside(csi_drivers=NONE),
        OK,
        "no CSI driver is needed: identity.provider is builtin",
    ),
    ("identity-driver", in_older(csi_drivers=NONE), FAILED, "no CSIDriver"),
    ("identity-driver", in_older(csi_drivers=UNREAD), SKIPPED, "forbidden"),
    (
        "identity-driver",
        beside(settings=part({"data": {"settings.yaml": "identity: {volume: hostPath}"}})),
        OK,
        "hostPath",
    ),
    (
        "identity-driver",
        beside(
            settings=part(
                {"data": {"settings.yaml": "identity: {provider: files, files: {csi: {driver: other.test}}}"}}
            )
        ),
        FAILED,
        "no CSIDriver other.test",
    ),
    (
        "identity-exclusive",
        beside(injected=part(MOUNTING)),
        FAILED,
        "pod agents/triage: container agent mounts csi.spiffe.io",
    ),
    (
        "identity-driver",
        beside(settings=part({"data": {"settings.yaml": "identity: {provider: none}"}})),
        OK,
        "identity.provider is none",
    ),
    ("identity-exclusive", beside(injected=UNREAD), SKIPPED, "forbidden"),
    (
        "control-plane-permissions",
        refusing(Access("get", "", "namespaces")),
        FAILED,
        "its ServiceAccount may not get namespaces",
    ),
    ("namespace-label", with_namespace(None), WARNING, "has no label"),
    ("namespace-label", with_namespace("disabled"), WARNING, "disabled"),
    ("namespace-label", with_namespace("enable"), FAILED, "injection=enable"),
    ("namespace-label", beside(namespaces=NONE), FAILED, "no namespace agents"),
    ("namespace-label", beside(namespaces=UNREAD), SKIPPED, "forbidden"),
    ("namespace-label", replace(HEALTHY, data=None), SKIPPED, "no namespace was named"),
    (
        "pods-created",
        with_data(workloads=part(changed(cluster.workload(), "status", {"conditions": [REPLICA_FAILURE]}))),
        FAILED,
        "Deployment triage cannot create its pods: admission webhook denied",
    ),
    ("pods-created", with_data(workloads=UNREAD), SKIPPED, "forbidden"),
    ("pods-created", with_data(events=UNREAD), OK, "events cannot be read: forbidden"),
    ("pods-injected", pods(cluster.bare_pod()), FAILED, "pod triage has none, and would get one"),
    (
        "pods-injected",
        pods(changed(cluster.bare_pod(), "metadata/labels/outrider.dev|inject", "yes")),
        FAILED,
        "would be refused now (inject_label_invalid)",
    ),
    ("pods-injected", pods(), SKIPPED, "no pods"),
    (
        "pods-injected",
        pods(POD, changed(cluster.bare_pod("net"), "spec/hostNetwork", True)),
        WARNING,
        "pod net can have none (host_network)",
    ),
    ("pods-injected", beside(settings=UNREAD), SKIPPED, "settings cannot be read"),
    ("sidecar-settings", beside(settings=NONE), SKIPPED, "settings cannot be read"),
    (
        "policies-present",
        replace(
            older(policies=NONE, pods=part(cluster.bare_pod())),
            namespaces=part(cluster.namespace("agents")),
        ),
        SKIPPED,
        "neither the namespace nor a pod of it asks",
    ),
    (
        "control-plane-installed",
        beside(deployment=NONE, mutating=NONE),
        FAILED,
        "1 namespace asks for sidecars, and new pods come up without: agents",
    ),
    ("pods-injected", with_data(pods=UNREAD), SKIPPED, "forbidden"),
    ("pods-injected", beside(namespaces=UNREAD), SKIPPED, "namespace agents cannot be read"),
    ("sidecar-versions", status(version="0.0.9"), WARNING, "was injected by version 0.0.9"),
    (
        "sidecar-versions",
        pods(changed(POD, "metadata/annotations", {})),
        WARNING,
        "no readable status annotation",
    ),
    (
        "sidecar-versions",
        pods(changed(POD, "metadata/annotations/outrider.dev|status", "[]")),
        WARNING,
        "no readable",
    ),
    ("sidecar-settings", status(image="old:1"), WARNING, "image old:1 is now outrider/sidecar"),
    ("sidecar-settings", status(settings={}), WARNING, "memory (not set) is now 96Mi"),
    (
        "sidecar-settings",
        with_namespace("disabled"),
        WARNING,
        "would get no sidecar now (namespace_disabled)",
    ),
    (
        "sidecar-settings",
        with_namespace("nonsense"),
        WARNING,
        "would be refused now (namespace_label_invalid)",
    ),
    ("sidecars-ready", sidecar(ready=False), FAILED, "is running, not ready"),
    (
        "sidecars-ready",
        sidecar(ready=False, state={"waiting": {"reason": "CrashLoopBackOff"}}),
        FAILED,
        "CrashLoopBackOff",
    ),
    ("sidecars-ready", sidecar(ready=False, state={}), FAILED, "not ready"),
    (
        "sidecars-ready",
        sidecar(
            ready=False,
            state={"waiting": {"reason": "CrashLoopBackOff"}},
            lastState={"terminated": {"exitCode": 2, "message": "policies.yaml:3: spec.egres is unknown\n"}},
        ),
        FAILED,
        "waiting, not ready: CrashLoopBackOff: policies.yaml:3: spec.egres is unknown",
    ),
    ("sidecars-ready", pods(changed(POD, "status", {})), FAILED, "no state of its sidecar"),
    ("sidecars-ready", pods(), SKIPPED, "no pod has a sidecar"),
    ("sidecar-restarts", sidecar(restartCount=1), WARNING, "was restarted 1 time"),
    (
        "sidecar-restarts",
        sidecar(restartCount=9, lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
        FAILED,
        "exit code 137 (OOMKilled)",
    ),
    (
        "termination-grace",
        pods(changed(POD, "spec/terminationGracePeriodSeconds", 5)),
        WARNING,
        "has 5 seconds to end",
    ),
    ("ephemeral-containers", pods(EPHEMERAL), FAILED, "pod triage container debug"),
    ("policies-present", older(policies=NONE), FAILED, "no ConfigMap outrider-policies in namespace agents"),
    ("policies-present", older(policies=UNREAD), SKIPPED, "forbidden"),
    ("policies-present", older(policies=part({"data": {"README.md": "a"}})), FAILED, "has no policy file"),
    (
        "policies-present",
        in_older(settings=part({"data": {"settings.yaml": "policyConfigMap: ''"}})),
        SKIPPED,
        "not in a ConfigMap",
    ),
    (
        "policies-present",
        with_data(agent_policies=NONE),
        FAILED,
        "no AgentPolicy in namespace agents, so that",
    ),
    (
        "policies-present",
        with_data(agent_policies=NONE, access_policies=part(access_policy())),
        WARNING,
        "only XAccessPolicies decide",
    ),
    (
        "policies-present",
        replace(
            with_data(agent_policies=NONE, pods=part(cluster.bare_pod())),
            namespaces=part(cluster.namespace("agents")),
        ),
        SKIPPED,
        "neither the namespace nor a pod of it asks",
    ),
    ("policies-present", with_data(agent_policies=Part(absent=True)), FAILED, "does not serve AgentPolicy"),
    ("policies-present", with_data(agent_policies=UNREAD), SKIPPED, "forbidden"),
    (
        "policies-present",
        pods(changed(POD, "metadata/labels/app", "other")),
        WARNING,
        "pod triage is selected by no AgentPolicy: nothing is allowed to it",
    ),
    ("policies-valid", older(policies=part(cluster.policies("kind: Backen"))), FAILED, "policies.yaml:1"),
    ("policies-valid", older(policies=NONE), SKIPPED, "there are none"),
    ("policies-valid", with_data(agent_policies=UNREAD), SKIPPED, "forbidden"),
    ("policies-valid", with_data(agent_policies=NONE, backends=NONE), SKIPPED, "there are none"),
    (
        "policies-valid",
        with_data(agent_policies=part(changed(TRIAGE, "spec/egres", "deny"))),
        FAILED,
        "AgentPolicy triage: spec.egres",
    ),
    (
        "policies-valid",
        policy(**condition("Accepted", "False", "Invalid", "nobody knows.")),
        FAILED,
        "AgentPolicy triage is not accepted: Invalid: nobody knows",
    ),
    (
        "policies-valid",
        policy(**condition("Conflicted", "True", "SameDestination")),
        FAILED,
        "AgentPolicy triage is in conflict: SameDestination",
    ),
    (
        "policies-valid",
        policy(
            **condition("ResolvedRefs", "False", "BackendNotFound", "outbound[0] names Backend agents/x.")
        ),
        WARNING,
        "AgentPolicy triage: BackendNotFound: outbound[0] names Backend agents/x",
    ),
    (
        "policies-current",
        rewritten("2026-06-01T11:00:00Z"),
        WARNING,
        "pod triage: its sidecar started at 2026-06-01 10:59:00 UTC, the policies were written at 2026-",
    ),
    ("policies-current", rewritten(...), SKIPPED, "nothing says when ConfigMap outrider-policies"),
    ("policies-current", rewritten("yesterday"), SKIPPED, "nothing says when"),
    (
        "policies-current",
        older(pods=part(changed(OLD_POD, "status/initContainerStatuses/0/state", {"waiting": {}}))),
        SKIPPED,
        "no sidecar says since when",
    ),
    ("policies-current", older(policies=UNREAD), SKIPPED, "cannot be read"),
    (
        "policies-current",
        in_older(settings=part({"data": {"settings.yaml": "policyConfigMap: ''"}})),
        SKIPPED,
        "not in a ConfigMap",
    ),
    (
        "policies-current",
        policy(applied={"current": 2, "total": 3}),
        WARNING,
        "AgentPolicy triage: 2 of 3 sidecars run this generation",
    ),
    (
        "policies-current",
        policy(
            **condition("Applied", "False", "Refused", "1 of 1 sidecars refused it: x"),
            applied={"current": 0, "total": 1},
        ),
        FAILED,
        "AgentPolicy triage is not applied: Refused: 1 of 1 sidecars refused it: x",
    ),
    (
        "policies-current",
        policy(applied={"current": True, "total": "1"}, conditions=[7]),
        WARNING,
        "not said any",
    ),
    (
        "policies-current",
        policy(**condition("Accepted", "True", seen=0)),
        WARNING,
        "the control plane has not looked at generation 1 yet",
    ),
    ("policies-current", policy(conditions=[]), WARNING, "has not said anything of it yet"),
    (
        "policies-current",
        says(refused="c0ffee: configuration_invalid: no such Backend"),
        FAILED,
        "pod triage refused a configuration: c0ffee: configuration_invalid: no such Backend",
    ),
    (
        "policies-current",
        with_data(
            pods=part(POD, changed(POD, "metadata/name", "twin")),
            states=States({"triage": Configured("stream", "a"), "twin": Configured("stream", "b")}),
        ),
        WARNING,
        "pods triage, twin are alike, and run 2 configurations",
    ),
    ("policies-current", with_data(agent_policies=UNREAD, states=States()), SKIPPED, "forbidden"),
    (
        "policies-current",
        with_data(agent_policies=NONE, backends=NONE, states=States()),
        SKIPPED,
        "there are no policies",
    ),
    ("sidecars-connected", OLDER, SKIPPED, "have no control plane"),
    ("sidecars-connected", pods(), SKIPPED, "no pod has a sidecar"),
    ("sidecars-connected", pods(OLD_POD), WARNING, "pod triage was made without a control plane"),
    (
        "sidecars-connected",
        says(source="saved", connected=False, problem="nobody answers"),
        WARNING,
        "pod triage is not connected: nobody answers; its configuration is the one it saved",
    ),
    (
        "sidecars-connected",
        with_data(states=States(unread="pods/proxy is forbidden (403)")),
        OK,
        "others were not asked: pods/proxy is forbidden",
    ),
    ("sidecar-roots", OLDER, SKIPPED, "have no control plane"),
    ("sidecar-roots", beside(roots=UNREAD), SKIPPED, "cannot be read"),
    ("sidecar-roots", beside(roots=part(cluster.roots("x"))), SKIPPED, "are no certificates"),
    (
        "sidecar-roots",
        pods(cluster.injected_pod(settings=cluster.controlled("no certificates"))),
        WARNING,
        "pod triage has none of today's roots",
    ),
    ("sidecar-roots", pods(OLD_POD), SKIPPED, "no pod has a sidecar that was made for"),
    (
        "sidecar-roots",
        beside(roots=part(cluster.roots(cluster.root_pem("next")))),
        WARNING,
        "pod triage has none of today's roots",
    ),
    (
        "sidecar-roots",
        beside(roots=part(cluster.roots(cluster.root_pem("next") + cluster.root_pem()))),
        OK,
        "1 pod has one of today's roots",
    ),
    ("control-service", OLDER, SKIPPED, "have no control plane"),
    ("control-service", beside(settings=NONE), SKIPPED, "settings cannot be read"),
    (
        "control-service",
        beside(control_service=NONE),
        FAILED,
        "no Service outrider-control in namespace outr",
    ),
    ("control-service", beside(control_service=UNREAD), SKIPPED, "forbidden"),
    ("control-service", beside(control_service=part({"spec": {"ports": []}})), FAILED, "has no port 15012"),
    ("control-service", beside(control_slices=UNREAD), SKIPPED, "forbidden"),
    (
        "control-service",
        beside(control_slices=NONE),
        FAILED,
        "no pod is ready behind Service outrider-control",
    ),
    (
        "control-service",
        beside(settings=part({"data": {"settings.yaml": "controlPlane: {url: 'https://elsewhere:1'}"}})),
        SKIPPED,
        "at https://elsewhere:1, which is not the chart's Service",
    ),
    ("mesh-ca", OLDER, SKIPPED, "have no control plane"),
    ("mesh-ca", beside(authority=UNREAD), SKIPPED, "of which only names would be: forbidden"),
    ("mesh-ca", beside(authority=NONE), FAILED, "no Secret outrider-ca in namespace outrider-system"),
    ("mesh-ca", beside(authority=part({"metadata": {}})), SKIPPED, "nothing says which keys"),
    (
        "mesh-ca",
        beside(authority=part({"metadata": {"managedFields": [{"fieldsV1": {}}]}})),
        FAILED,
        "has no keys yet",
    ),
    (
        "mesh-ca",
        beside(authority=part(cluster.authority_secret("ca.crt", "tls.crt"))),
        FAILED,
        "lacks tls.key",
    ),
    (
        "mesh-ca",
        beside(authority=part(cluster.authority_secret("ca.crt", "tls.crt", "tls.key"))),
        OK,
        "an authority of your own",
    ),
    ("identity-root", beside(roots=NONE), FAILED, "no ConfigMap outrider-roots in namespace outrider-system"),
    ("identity-root", beside(roots=part({"data": {"ca.pem": "x"}})), FAILED, "has no key roots.pem"),
    ("identity-root", beside(roots=part({"data": {"roots.pem": ""}})), FAILED, "has no key roots.pem"),
    ("identity-root", beside(roots=part({"data": {"roots.pem": "x"}})), FAILED, "holds no certificates"),
    ("identity-root", beside(roots=UNREAD), SKIPPED, "forbidden"),
    ("identity-root", beside(settings=NONE), SKIPPED, "cannot be read"),
    ("identity-root", OLDER, SKIPPED, "have no control plane"),
    (
        "identity-root",
        beside(roots=part(cluster.roots(cluster.root_pem("old", -1)))),
        FAILED,
        "the last root expired at 2026-05-31",
    ),
    (
        "identity-root",
        beside(roots=part(cluster.roots(cluster.root_pem("old", 10)))),
        WARNING,
        "1 root, until 2026-06-11, and none follows",
    ),
    ("access-policies", with_data(access_policies=UNREAD), SKIPPED, "forbidden"),
    ("access-policies", access_policies(), OK, "there are none"),
    (
        "access-policies",
        older(access_policies=part(access_policy())),
        WARNING,
        "1 XAccessPolicy: without a con",
    ),
    ("access-policies", access_policies(judged_policy()), OK, "1 XAccessPolicy"),
    ("access-policies", access_policies(access_policy()), WARNING, "has not said anything of it yet"),
    (
        "access-policies",
        access_policies(
            access_policy({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"})
        ),
        OK,
        "1 XAccessPolicy",
    ),
    (
        "access-policies",
        access_policies(judged_policy("somebody.example/else")),
        WARNING,
        "has not said anything of it yet",
    ),
    (
        "access-policies",
        access_policies(changed(judged_policy(), "metadata/generation", 2)),
        WARNING,
        "has not looked at it since it was changed",
    ),
    (
        "access-policies",
        access_policies(judged_policy(status="False", reason="InvalidCEL", message="no such variable.")),
        WARNING,
        "XAccessPolicy tools is not accepted: InvalidCEL: no such variable",
    ),
    (
        "access-policies",
        access_policies(
            access_policy({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "x"})
        ),
        WARNING,
        "is about HTTPRoute.gateway.networking.k8s.io x, a kind that sidecars do not serve",
    ),
    (
        "access-policies",
        access_policies(access_policy(action="Maybe")),
        FAILED,
        "XAccessPolicy tools: spec.action",
    ),
    (
        "policy-labels",
        older(pods=part(changed(OLD_POD, "metadata/labels/app", "other"))),
        WARNING,
        "relabelled since: app",
    ),
    (
        "workload-labels",
        with_data(workloads=part(cluster.workload(labels={"outrider.dev/inject": "true"}))),
        WARNING,
        "Deployment triage itself has outrider.dev/inject",
    ),
    ("workload-labels", with_data(workloads=UNREAD), SKIPPED, "cannot be listed"),
    (
        "service-ports",
        with_data(services=part(cluster.agent_service(15443)), pods=part(MOVED)),
        FAILED,
        "Service triage leads to port 15443, which triage does not have; their sidecars take mutual TLS at 16443",
    ),
    ("service-ports", with_data(services=part(cluster.agent_service(8080))), WARNING, "leads to port 8080"),
    ("service-ports", with_data(services=UNREAD), SKIPPED, "forbidden"),
    ("service-ports", pods(), SKIPPED, "no pod has a sidecar"),
    ("network-policy", with_data(network_policies=NONE), WARNING, "ports 9000 can be reached"),
    (
        "network-policy",
        with_data(network_policies=part(changed(cluster.closing_policy(), "spec/ingress", [{}]))),
        WARNING,
        "9000",
    ),
    (
        "network-policy",
        with_data(network_policies=part(changed(cluster.closing_policy(), "spec/policyTypes", ["Egress"]))),
        WARNING,
        "9000",
    ),
    (
        "network-policy",
        with_data(
            network_policies=part(
                changed(cluster.closing_policy(), "spec/podSelector", {"matchLabels": {"a": "b"}})
            )
        ),
        WARNING,
        "9000",
    ),
    ("network-policy", with_data(network_policies=UNREAD), SKIPPED, "forbidden"),
    ("network-policy", pods(), SKIPPED, "no pod with explicit capture"),
    (
        "credential-secrets",
        crediting("secret: {name: pager, key: token}", secrets=NONE),
        FAILED,
        "there is no Secret pager, which Backend github names",
    ),
    ("credential-users", crediting("exchange: {issuer: https://idp.example}"), WARNING, "subject_missing"),
    ("credential-urls", crediting("jwtBearer: {issuer: http://idp.example}"), WARNING, "http://idp.example"),
    ("hidden-variables", crediting("hidden: {variables: [TOKEN]}"), WARNING, "the secret of TOKEN"),
]


@pytest.mark.parametrize(
    "check", [one for one in TABLE if one.phase is not Phase.BEFORE], ids=lambda one: one.id
)
def test_a_healthy_cluster_passes(check) -> None:
    result = RUNS[check.id](HEALTHY, cluster.NOW)
    assert (result.state, result.seen) == (OK, result.seen)


@pytest.mark.parametrize(
    "check", [one for one in TABLE if one.phase is not Phase.BEFORE], ids=lambda one: one.id
)
def test_a_cluster_without_a_control_plane_for_sidecars_is_well_too(check) -> None:
    assert RUNS[check.id](OLDER, cluster.NOW).state in (OK, SKIPPED)


@pytest.mark.parametrize("check", checks(before=True, namespace=False), ids=lambda one: one.id)
def test_a_cluster_that_is_ready_passes_before_installation(check) -> None:
    result = RUNS[check.id](cluster.empty(), cluster.NOW)
    assert (result.state, result.seen) == (OK, result.seen)


@pytest.mark.parametrize(
    ("check", "snapshot", "state", "words"),
    DEVIATIONS,
    ids=[f"{check}-{words[:30]}" for check, _, _, words in DEVIATIONS],
)
def test_what_differs_is_found(check, snapshot, state, words) -> None:
    result = RUNS[check](snapshot, cluster.NOW)
    assert result.state is state
    assert words in "\n".join(result.seen)
    assert not [seen for seen in result.seen if seen.endswith(".") and check != "ephemeral-containers"]


def test_every_check_is_seen_failing_or_warning() -> None:
    seen = {check for check, _, state, _ in DEVIATIONS if state in (FAILED, WARNING)}
    needed_by_none = {"csi-driver-available"}  # unless it is chosen, which nobody knows before
    assert seen == {check.id for check in TABLE} - needed_by_none


def test_one_table_one_function_each() -> None:
    ids = [check.id for check in TABLE]
    assert len(ids) == len(set(ids))
    assert set(RUNS) == set(ids)


@pytest.mark.parametrize("check", TABLE, ids=lambda one: one.id)
def test_rows_of_the_table_are_fit_to_print(check) -> None:
    assert check.docs == f"docs/troubleshooting.md#{check.id}"
    assert check.id == check.id.lower()
    assert " " not in check.id
    assert check.hint.endswith(".")
    assert "  " not in check.hint
    assert len(check.title) <= 48


@pytest.mark.parametrize("check", TABLE, ids=lambda one: one.id)
def test_nothing_that_could_be_read_is_no_error(check) -> None:
    nothing = Snapshot(data=DataPlane("agents"))
    result = RUNS[check.id](nothing, cluster.NOW)
    assert result.state in (OK, SKIPPED, WARNING, FAILED)
    unread = replace(nothing, version=part({"gitVersion": "v1.37.2"}))
    assert NOT_ASKED.unread
    assert RUNS[check.id](unread, cluster.NOW).state is not FAILED


@pytest.mark.parametrize(
    "label", ["topology.kubernetes.io|zone", "topology.kubernetes.io|region", "controller-revision-hash"]
)
def test_labels_that_the_system_sets_on_running_pods_are_no_relabelling(label) -> None:
    bound = changed(OLD_POD, f"metadata/labels/{label}", "there")
    assert RUNS["policy-labels"](older(pods=part(bound)), cluster.NOW).state is OK


def test_only_what_wrote_data_counts_as_writing_policies() -> None:
    owner = {"time": "2026-06-01T11:30:00Z", "fieldsV1": {"f:metadata": {"f:labels": {}}}}
    written = cluster.policies()
    written["metadata"]["managedFields"].append(owner)
    assert RUNS["policies-current"](older(policies=part(written)), cluster.NOW).state is OK
    owner["fieldsV1"]["f:binaryData"] = {}
    assert RUNS["policies-current"](older(policies=part(written)), cluster.NOW).state is WARNING


def test_a_sidecar_that_does_not_say_since_when_it_runs_is_counted() -> None:
    silent = changed(OLD_POD, "status/initContainerStatuses/0/state", {"waiting": {}})
    both = older(pods=part(OLD_POD, changed(silent, "metadata/name", "silent")))
    found = RUNS["policies-current"](both, cluster.NOW)
    assert found.seen == ("1 started after they were written, 1 do not say",)


def hint(check: str) -> str:
    return next(one.hint for one in TABLE if one.id == check)


def test_hints_say_what_the_product_does() -> None:
    # CRDs are ordinary templates of the chart; names of certificates are watched over by the leader.
    assert "helm upgrade" in hint("resource-kinds")
    assert "crds.install" in hint("resource-kinds")
    assert "the leader issues another one" in hint("serving-certificate-names")


def test_a_secret_that_was_deleted_is_made_by_helm_and_by_nobody_else() -> None:
    assert "helm upgrade" in RUNS["serving-secret"](beside(secret=NONE), cluster.NOW).hint
    elsewhere = beside(secret=NONE, deployment=part(FILES))
    assert RUNS["serving-secret"](elsewhere, cluster.NOW).hint == ""


def test_the_next_step_is_about_what_was_found() -> None:
    conflict = condition("Conflicted", "True", "OlderExists")["conditions"]
    unresolved = condition("ResolvedRefs", "False", "BackendNotFound")["conditions"]
    refused = condition("Accepted", "False", "Invalid")["conditions"]

    def step(*conditions: dict) -> str:
        return RUNS["policies-valid"](policy(conditions=list(conditions)), cluster.NOW).hint

    keep, write, correct = "keep one of the two; the younger is given to nobody.", "Write the", "Correct"
    assert step(*refused) == step() == ""  # the table's says it
    assert keep in step(*conflict)
    assert not [one for one in (write, correct) if one in step(*conflict)]
    assert write in step(*unresolved)
    assert all(one in step(*conflict, *unresolved, *refused) for one in (keep, write, correct))


def test_who_is_scaled_to_nothing_is_told_how_to_come_back() -> None:
    none = beside(deployment=part(changed(DEPLOYMENT, "spec/replicas", 0)))
    scale = "`kubectl -n outrider-system scale deployment outrider-webhook --replicas=2`."
    assert RUNS["control-plane-available"](none, cluster.NOW).hint == scale


def test_hints_about_pods_name_them() -> None:
    restarted = RUNS["sidecar-restarts"](sidecar(restartCount=1), cluster.NOW)
    assert "`kubectl -n agents logs triage -c outrider-sidecar --previous`" in restarted.hint
    for check, snapshot in (
        ("policies-current", rewritten("2026-06-01T11:00:00Z")),
        ("policy-labels", older(pods=part(changed(OLD_POD, "metadata/labels/app", "other")))),
        ("sidecars-connected", pods(OLD_POD)),
        ("sidecar-roots", beside(roots=part(cluster.roots(cluster.root_pem("next"))))),
        ("sidecar-versions", status(version="0.0.9")),
    ):
        assert "Delete and create anew Pod triage." in RUNS[check](snapshot, cluster.NOW).hint


def test_a_namespace_without_a_level_of_pod_security_is_called_so() -> None:
    assert "no level of PodSecurity" in RUNS["install-namespace"](HEALTHY, cluster.NOW).seen[0]


def test_the_settings_that_hold_are_the_installations_own() -> None:
    settings = part({"data": {"settings.yaml": "limits: {drainSeconds: 100.0}"}})
    result = RUNS["termination-grace"](replace(HEALTHY, settings=settings), cluster.NOW)
    assert result.state is WARNING
    assert "drains for 100" in result.seen[0]


def test_pods_without_a_sidecar_on_purpose_are_told() -> None:
    opted_out = changed(cluster.bare_pod("other"), "metadata/labels/outrider.dev|inject", "false")
    result = RUNS["pods-injected"](pods(POD, opted_out), cluster.NOW)
    assert result.seen == ("1 of 2 pods have a sidecar, 1 without one on purpose",)


def test_pods_that_have_ended_do_not_count() -> None:
    ended = changed(cluster.bare_pod("done"), "status/phase", "Succeeded")
    leaving = changed(cluster.bare_pod("leaving"), "metadata/deletionTimestamp", "2026-06-01T11:00:00Z")
    assert RUNS["pods-injected"](pods(POD, ended, leaving), cluster.NOW).state is OK


def test_a_certificate_from_elsewhere_needs_fewer_rights() -> None:
    access = Access("get", "", "secrets", cluster.SPACE, installation.WEBHOOK_SECRET)
    snapshot = replace(refusing(access), deployment=part(FILES))
    assert RUNS["control-plane-permissions"](snapshot, cluster.NOW).state is OK
    assert RUNS["control-plane-permissions"](refusing(access), cluster.NOW).state is FAILED
