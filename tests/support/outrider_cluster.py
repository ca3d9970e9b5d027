"""A cluster with a healthy Outrider in it, as plain objects: what tests of the command line deviate from."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cli.check.permissions import needed_by_control_plane, needed_by_distribution, needed_to_install
from cli.check.sidecar_state import Configured, States
from cli.check.snapshot import DataPlane, Snapshot
from cli.cluster.parts import Part
from mesh.settings import installation
from mesh.settings.table import NAMESPACE_INJECTION, PREFIX, VERSION
from tests.support.cluster_over_http import Cluster
from webhook.admission.control_settings import ControlPlane
from webhook.admission.identity_settings import Identity, IdentityProvider
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace
from webhook.admission.settings import InjectionSettings

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
WRITTEN, STARTED = "2026-06-01T10:00:00Z", "2026-06-01T10:59:00Z"
SPACE = installation.NAMESPACE
OURS = {installation.PART_OF_LABEL: installation.PART_OF}
SELECTED = {**OURS, "app.kubernetes.io/name": installation.WEBHOOK}
IMAGE = InjectionSettings().image
Obj = dict[str, Any]


def meta(name: str, namespace: str | None = None, **more: Any) -> Obj:
    return {"name": name, **({"namespace": namespace} if namespace else {}), **more}


def certificate(
    name: str,
    begins: datetime,
    ends: datetime,
    issuer: tuple[x509.Certificate, Any] | None = None,
    dns: str = "",
) -> tuple[x509.Certificate, Any]:
    """A certificate and its key; a CA that signs itself where there is no issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(made: x509.Certificate) -> str:
    """A certificate as it stands in a Secret or caBundle."""
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


@cache
def authority(days_left: float = 300.0) -> tuple[x509.Certificate, Any]:
    return certificate("ca", NOW + timedelta(days=days_left - 365), NOW + timedelta(days=days_left))


@cache
def leaf(days_left: float = 6.0, dns: str = f"{installation.WEBHOOK}.{SPACE}.svc") -> x509.Certificate:
    ends = NOW + timedelta(days=days_left)
    return certificate("leaf", ends - timedelta(days=7), ends, authority(), dns)[0]


def serving_secret(ca: x509.Certificate | None = None, serving: x509.Certificate | None = None) -> Obj:
    data = {"ca.crt": pem(ca or authority()[0]), "tls.crt": pem(serving or leaf()), "tls.key": "a2V5"}
    return {"metadata": meta(installation.WEBHOOK_SECRET, SPACE), "data": data}


def root_pem(name: str = "root", days_left: float = 3000.0) -> str:
    """A root of the mesh's own CA, as it is published."""
    made = _root(name, days_left)
    return made.public_bytes(serialization.Encoding.PEM).decode()


@cache
def _root(name: str, days_left: float) -> x509.Certificate:
    return certificate(name, NOW + timedelta(days=days_left - 3650), NOW + timedelta(days=days_left))[0]


CONTROL_URL = f"https://{installation.CONTROL}.{SPACE}.svc.cluster.local:{installation.CONTROL_PORT}"


def controlled(roots: str = "") -> InjectionSettings:
    """The settings of an installation as the chart makes them."""
    control = ControlPlane(CONTROL_URL, roots=roots or root_pem())
    return InjectionSettings(identity=Identity(provider=IdentityProvider.BUILTIN), control_plane=control)


def roots(pem: str = "") -> Obj:
    """The ConfigMap with them."""
    return {"metadata": meta(installation.ROOTS, SPACE), "data": {installation.ROOTS_KEY: pem or root_pem()}}


def authority_secret(*keys: str) -> Obj:
    """What is asked of the Secret of the mesh's own CA: metadata."""
    fields = {"f:data": {f"f:{key}": {} for key in keys or ("keyring.json",)}}
    entries = [{"manager": "helm", "fieldsV1": {"f:type": {}}}, {"manager": "outrider", "fieldsV1": fields}]
    return {"metadata": meta(installation.CA_SECRET, SPACE, managedFields=entries)}


def _selector(*expressions: tuple[str, str, list[str]]) -> Obj:
    return {
        "matchExpressions": [
            {"key": key, "operator": operator, **({"values": values} if values else {})}
            for key, operator, values in expressions
        ]
    }


_EXEMPT = ("kubernetes.io/metadata.name", "NotIn", ["kube-node-lease", "kube-public", "kube-system", SPACE])
_NS, _POD = NAMESPACE_INJECTION.name, f"{PREFIX}inject"
_ASKS = _selector((_POD, "Exists", []), (_POD, "NotIn", ["false"]))
_SELECTORS = {
    installation.ENABLED_ENTRY: (
        _selector((_NS, "In", ["enabled"]), _EXEMPT),
        _selector((_POD, "NotIn", ["false"])),
    ),
    installation.REQUIRED_ENTRY: (
        _selector((_NS, "Exists", []), (_NS, "NotIn", ["enabled", "disabled"]), _EXEMPT),
        {},
    ),
    installation.POD_ENTRY: (_selector((_NS, "DoesNotExist", []), _EXEMPT), _ASKS),
    "disabled.injector.outrider.dev": (_selector((_NS, "In", ["disabled"]), _EXEMPT), _ASKS),
}
NOT_A_MIRROR = (
    "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)"
)


def entry(name: str, path: str = "/mutate", **more: Any) -> Obj:
    """A webhook entry that leads to us."""
    service = {"name": installation.WEBHOOK, "namespace": SPACE, "path": path, "port": 443}
    return {
        "name": name,
        "clientConfig": {"service": service, "caBundle": pem(authority()[0])},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 5,
        "reinvocationPolicy": "IfNeeded",
        "rules": [
            {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
        ],
        **more,
    }


def injector() -> Obj:
    """The MutatingWebhookConfiguration."""
    webhooks = [
        entry(
            name,
            namespaceSelector=namespaces,
            objectSelector=pods,
            matchConditions=[{"name": "not-a-mirror", "expression": NOT_A_MIRROR}],
        )
        for name, (namespaces, pods) in _SELECTORS.items()
    ]
    return {"metadata": meta(installation.INJECTOR, labels=OURS), "webhooks": webhooks}


def validator() -> Obj:
    """The ValidatingWebhookConfiguration."""
    names = (installation.EPHEMERAL_ENTRY, installation.DOCUMENTS_ENTRY, installation.CONFIG_MAPS_ENTRY)
    return {
        "metadata": meta(installation.VALIDATOR, labels=OURS),
        "webhooks": [entry(name, "/validate") for name in names],
    }


def deployment(**status: Any) -> Obj:
    return {
        "metadata": meta(
            installation.WEBHOOK, SPACE, labels={**SELECTED, "app.kubernetes.io/version": VERSION}
        ),
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": {"labels": SELECTED},
                "spec": {"containers": [{"name": "webhook", "args": ["--certificates", "self"]}]},
            },
        },
        "status": {"availableReplicas": 2, "updatedReplicas": 2, "readyReplicas": 2, **status},
    }


def final_state_policy(prefix: str = "outrider/sidecar") -> Obj:
    return {
        "metadata": meta(installation.FINAL_STATE_POLICY, labels=OURS),
        "spec": {"validations": [{"expression": f"object.spec.x.startsWith('{prefix}')"}]},
    }


def crd(name: str) -> Obj:
    return {
        "metadata": meta(name),
        "spec": {"versions": [{"name": "v1alpha1", "served": True}]},
        "status": {"conditions": [{"type": "Established", "status": "True"}]},
    }


def namespace(name: str, **labels: str) -> Obj:
    return {"metadata": meta(name, labels={"kubernetes.io/metadata.name": name, **labels})}


AGENTS = Namespace("agents", {"kubernetes.io/metadata.name": "agents", _NS: "enabled"})


def bare_pod(name: str = "triage", **metadata: Any) -> Obj:
    """A pod without a sidecar."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(name, "agents", labels={"app": "triage"}, **metadata),
        "spec": {
            "serviceAccountName": "triage",
            "terminationGracePeriodSeconds": 30,
            "containers": [{"name": "agent", "image": "triage:7", "ports": [{"containerPort": 9000}]}],
        },
        "status": {"phase": "Running"},
    }


def injected_pod(name: str = "triage", settings: InjectionSettings | None = None) -> Obj:
    """The same with its sidecar, ready."""
    made = inject(bare_pod(name), AGENTS, settings or controlled())
    assert isinstance(made, Injection)
    status = {"name": "outrider-sidecar", "ready": True, "restartCount": 0}
    status["state"] = {"running": {"startedAt": STARTED}}
    pod: Obj = dict(made.pod)
    pod["status"] = {"phase": "Running", "podIP": "10.0.0.7", "initContainerStatuses": [status]}
    return pod


POLICIES = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github}
spec:
  protocol: MCP
  host: github.tools.svc
  port: 8080
  path: /mcp
  tls: {mode: Mesh, identity: spiffe://cluster.local/ns/tools/sa/github}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec:
  selector: {matchLabels: {app: triage}}
  outbound:
  - backend: github
    tools: {allow: [get_issue, "list_*"], deny: [list_secrets]}
  inbound:
  - from: ["spiffe://cluster.local/ns/agents/sa/orchestrator"]
    mcp: {tools: {allow: ["*"]}}
"""


def condition(kind: str, status: str = "True", reason: str = "", message: str = "", seen: int = 1) -> Obj:
    return {
        "type": kind,
        "status": status,
        "reason": reason or kind,
        "message": message,
        "observedGeneration": seen,
    }


def policy_objects(text: str = POLICIES, namespace: str = "agents", **status: Any) -> list[Obj]:
    """The documents of a text as the API server has them, run by one sidecar of one."""
    told = {
        "conditions": [
            condition("Accepted"),
            condition("Applied"),
            condition("Conflicted", "False"),
            condition("ResolvedRefs"),
        ],
        "applied": {"current": 1, "total": 1},
    }
    documents = [one for one in yaml.safe_load_all(text) if one]
    return [
        {
            **one,
            "metadata": {"generation": 1, "namespace": namespace, **one["metadata"]},
            "status": told | status,
        }
        for one in documents
    ]


def of_kind(kind: str, items: list[Obj] | None = None) -> list[Obj]:
    """Those of a kind, of the healthy cluster's where no others are given."""
    return [one for one in items or policy_objects() if one["kind"] == kind]


def policies(text: str = POLICIES) -> Obj:
    fields = {"manager": "kubectl", "time": WRITTEN, "fieldsV1": {"f:data": {"f:policies.yaml": {}}}}
    metadata = meta("outrider-policies", "agents", managedFields=[fields])
    return {"metadata": metadata, "data": {"policies.yaml": text}}


def closing_policy() -> Obj:
    ports = [{"protocol": "TCP", "port": port} for port in (15443, 15020)]
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"ports": ports}]}
    return {"metadata": meta("outrider-mesh-ports-only", "agents"), "spec": spec}


def agent_service(target: int | str = 15443) -> Obj:
    """A Service that leads to the sidecar's port for mutual TLS."""
    spec = {"selector": {"app": "triage"}, "ports": [{"port": 9000, "targetPort": target}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta("triage", "agents"), "spec": spec}


def workload(**metadata: Any) -> Obj:
    template = {"metadata": {"labels": {"app": "triage"}}, "spec": bare_pod()["spec"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta("triage", "agents", **metadata),
        "spec": {"template": template},
    }


def part(*items: Obj) -> Part:
    return Part(items)


SETTINGS = f"image: {IMAGE}\n"
CONTROLLED = f"{SETTINGS}identity: {{provider: builtin}}\ncontrolPlane: {{url: '{CONTROL_URL}'}}\n"


def without_control() -> Snapshot:
    """The same where sidecars read ConfigMaps, and have their identity from SPIRE."""
    full = healthy()
    assert full.data is not None
    pod = injected_pod(settings=InjectionSettings())
    settings = changed(full.settings.one, f"data/{installation.SETTINGS_KEY}", SETTINGS)
    data = replace(
        full.data,
        pods=part(pod),
        policies=part(policies()),
        agent_policies=part(),
        backends=part(),
        states=States(),
    )
    absent = Part(absent=True)
    return replace(
        full,
        settings=part(settings),
        control_service=absent,
        control_slices=absent,
        authority=absent,
        roots=absent,
        injected=part(pod),
        data=data,
    )


def healthy() -> Snapshot:
    """Everything as it should be, in an installation by the chart's own values."""
    budget = {"metadata": meta(installation.WEBHOOK, SPACE), "spec": {"selector": {"matchLabels": SELECTED}}}
    settings = {
        "metadata": meta(installation.WEBHOOK_SETTINGS),
        "data": {installation.SETTINGS_KEY: CONTROLLED},
    }
    service = {"metadata": meta(installation.WEBHOOK, SPACE), "spec": {"ports": [{"port": 443}]}}
    slices = {"endpoints": [{"addresses": ["10.0.0.3"], "conditions": {"ready": True}}]}
    lease = {
        "metadata": meta(installation.WEBHOOK, SPACE),
        "spec": {
            "holderIdentity": "outrider-webhook-a",
            "leaseDurationSeconds": 15,
            "renewTime": (NOW - timedelta(seconds=4)).isoformat().replace("+00:00", "Z"),
        },
    }
    bindings = [
        {
            "metadata": meta(name),
            "spec": {"policyName": installation.FINAL_STATE_POLICY, "validationActions": ["Deny"]},
        }
        for name in installation.FINAL_STATE_BINDINGS
    ]
    control = {
        "metadata": meta(installation.CONTROL, SPACE),
        "spec": {"ports": [{"name": "control", "port": installation.CONTROL_PORT}]},
    }
    needed = (*needed_by_control_plane(SPACE), *needed_by_distribution(SPACE), *needed_to_install(SPACE))
    may = dict.fromkeys(needed, True)
    return Snapshot(
        namespace=SPACE,
        version=part({"gitVersion": "v1.37.2"}),
        nodes=part({"metadata": meta("a"), "status": {"nodeInfo": {"kubeletVersion": "v1.37.2"}}}),
        namespaces=part(namespace(SPACE), namespace("agents", **{_NS: "enabled"})),
        deployment=part(deployment()),
        pods=part(),
        disruption_budget=part(budget),
        settings=part(settings),
        service=part(service),
        endpoint_slices=part(slices),
        secret=part(serving_secret()),
        lease=part(lease),
        control_service=part(control),
        control_slices=part(slices),
        authority=part(authority_secret()),
        roots=part(roots()),
        mutating=part(injector()),
        validating=part(validator()),
        admission_policies=part(final_state_policy()),
        admission_bindings=part(*bindings),
        crds=part(crd("agentpolicies.outrider.dev"), crd("backends.outrider.dev")),
        csi_drivers=part({"metadata": meta("csi.spiffe.io")}),
        cluster_roles=part({"metadata": meta(installation.WEBHOOK, labels=OURS)}),
        injected=part(injected_pod()),
        may=may,
        data=DataPlane(
            "agents",
            pods=part(injected_pod()),
            workloads=part(workload()),
            replica_sets=part(),
            events=part(),
            policies=Part(absent=True),
            agent_policies=part(*of_kind("AgentPolicy")),
            backends=part(*of_kind("Backend")),
            access_policies=Part(absent=True),
            states=States({"triage": Configured("stream", "c0ffee", True)}),
            network_policies=part(closing_policy()),
            services=part(agent_service()),
        ),
    )


def empty() -> Snapshot:
    """A cluster that is ready for Outrider and has none."""
    full = healthy()
    nothing = Part()
    return replace(
        Snapshot(),
        version=full.version,
        nodes=full.nodes,
        namespaces=part(namespace("default")),
        mutating=nothing,
        validating=nothing,
        admission_policies=nothing,
        admission_bindings=nothing,
        crds=nothing,
        csi_drivers=full.csi_drivers,
        cluster_roles=nothing,
        injected=nothing,
        may=full.may,
    )


def changed(value: Any, path: str, new: Any) -> Any:
    """A copy of a JSON value with another value at a path `a/0/b`; `...` deletes, and `|` is a slash in a key."""
    copy = json.loads(json.dumps(value))
    *keys, last = [int(key) if key.isdigit() else key.replace("|", "/") for key in path.split("/")]
    inner = copy
    for key in keys:
        inner = inner[key]
    if new is ...:
        del inner[last]
    else:
        inner[last] = new
    return copy


def over_http() -> Cluster:
    """The healthy cluster as an API server has it."""
    full, cluster = healthy(), Cluster()
    assert full.data is not None
    admission, space, agents = (
        "/apis/admissionregistration.k8s.io/v1",
        f"namespaces/{SPACE}",
        "namespaces/agents",
    )
    cluster.lists = {
        "/api/v1/nodes": list(full.nodes.items),
        "/api/v1/namespaces": list(full.namespaces.items),
        "/api/v1/pods": list(full.injected.items),
        f"{admission}/mutatingwebhookconfigurations": list(full.mutating.items),
        f"{admission}/validatingwebhookconfigurations": list(full.validating.items),
        f"{admission}/validatingadmissionpolicies": list(full.admission_policies.items),
        f"{admission}/validatingadmissionpolicybindings": list(full.admission_bindings.items),
        "/apis/storage.k8s.io/v1/csidrivers": list(full.csi_drivers.items),
        f"/api/v1/{space}/pods": [],
        f"/apis/discovery.k8s.io/v1/{space}/endpointslices": [
            {"metadata": {"labels": {"kubernetes.io/service-name": service}}, **one}
            for service in (installation.WEBHOOK, installation.CONTROL)
            for one in full.endpoint_slices.items
        ],
        f"/api/v1/{agents}/pods": list(full.data.pods.items),
        f"/apis/apps/v1/{agents}/deployments": list(full.data.workloads.items),
        **{f"/apis/apps/v1/{agents}/{kind}": [] for kind in ("statefulsets", "daemonsets", "replicasets")},
        **{f"/apis/batch/v1/{agents}/{kind}": [] for kind in ("jobs", "cronjobs")},
        f"/api/v1/{agents}/events": [],
        f"/api/v1/{agents}/services": list(full.data.services.items),
        f"/apis/networking.k8s.io/v1/{agents}/networkpolicies": list(full.data.network_policies.items),
        **{
            f"/apis/outrider.dev/v1alpha1/{where}{plural}": of_kind(kind)
            for kind, plural in (("AgentPolicy", "agentpolicies"), ("Backend", "backends"))
            for where in ("", f"{agents}/")
        },
    }
    name = installation.WEBHOOK
    single = {
        "/version": full.version,
        f"/apis/apps/v1/{space}/deployments/{name}": full.deployment,
        f"/apis/policy/v1/{space}/poddisruptionbudgets/{name}": full.disruption_budget,
        f"/api/v1/{space}/configmaps/{installation.WEBHOOK_SETTINGS}": full.settings,
        f"/api/v1/{space}/services/{name}": full.service,
        f"/api/v1/{space}/secrets/{installation.WEBHOOK_SECRET}": full.secret,
        f"/apis/coordination.k8s.io/v1/{space}/leases/{name}": full.lease,
        f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}": full.cluster_roles,
        f"/api/v1/{space}/services/{installation.CONTROL}": full.control_service,
        f"/api/v1/{space}/secrets/{installation.CA_SECRET}": full.authority,
        f"/api/v1/{space}/configmaps/{installation.ROOTS}": full.roots,
        f"/api/v1/{agents}/pods/triage": full.data.pods,
        f"/apis/apps/v1/{agents}/deployments/triage": full.data.workloads,
    }
    cluster.objects = {path: found.one for path, found in single.items() if found.one is not None}
    cluster.objects["/api/v1/namespaces/agents"] = full.namespaces.items[1]
    for crd_ in full.crds.items:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd_['metadata']['name']}"
        cluster.objects[path] = crd_
    cluster.texts = {
        f"/api/v1/{agents}/pods/triage/log": LOG,
        f"/api/v1/{agents}/pods/triage:15020/proxy/readyz": READY,
    }
    return cluster


READY = json.dumps(
    {"ready": True, "configuration": {"source": "stream", "version": "c0ffee", "connected": True}}
)


def _line(second: int, event: str, **fields: Any) -> str:
    return json.dumps({"time": f"2026-06-01T11:00:0{second}.000Z", "event": event, **fields})


SPIFFE_ID = "spiffe://cluster.local/ns/agents/sa/triage"
_SUBJECT = {"direction": "outbound", "peer": "x", "backend": "github", "method": "tools/call"}
LOG_LINES = [
    "not JSON",
    _line(0, "identity_problem", detail="no identity issued"),
    _line(
        1,
        "identity",
        spiffe_id="spiffe://cluster.local/ns/agents/sa/triage",
        not_after="2026-06-01T13:00:00+00:00",
    ),
    _line(2, "decision", allowed=True, reason="allowed", **_SUBJECT),
    _line(
        3,
        "decision",
        allowed=False,
        reason="tool_denied",
        name="list_secrets",
        rule="AgentPolicy/triage outbound[0] tools.deny[0]",
        **_SUBJECT,
    ),
    _line(
        4,
        "decision",
        allowed=False,
        reason="peer_not_allowed",
        direction="inbound",
        peer="spiffe://x/y",
        method="ping",
    ),
    _line(
        5,
        "decision",
        allowed=True,
        observed=True,
        reason="egress_denied",
        direction="outbound",
        method="http",
    ),
    _line(6, "refused_message", side="client", reason="json_malformed", detail="line 1"),
    "[1]",
    '{"broken',
]
LOG = "\n".join(LOG_LINES) + "\n"
