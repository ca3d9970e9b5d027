"""The Kubernetes documents that admission reads and writes, as far as it looks at them.

`TypedDict`s and not classes: what a pod holds besides these keys must come out as it went in, so the documents
stay plain dictionaries. `msgspec` checks a document against the same definitions, so the types are true of what
came from outside. A key may be null wherever Kubernetes treats null as absent.
"""

from __future__ import annotations

from typing import Any, TypedDict

Labels = dict[str, str]


class ObjectMeta(TypedDict, total=False):
    name: str | None
    generateName: str | None
    namespace: str | None
    labels: Labels | None
    annotations: Labels | None


class EnvVar(TypedDict, total=False):
    name: str
    value: str | None
    valueFrom: dict[str, Any] | None


class SecretReference(TypedDict, total=False):
    name: str | None
    optional: bool | None


class EnvFromSource(TypedDict, total=False):
    prefix: str | None
    secretRef: SecretReference | None


class VolumeMount(TypedDict, total=False):
    name: str
    mountPath: str
    readOnly: bool | None
    subPath: str | None
    subPathExpr: str | None


class VolumeDevice(TypedDict, total=False):
    name: str


class ContainerPort(TypedDict, total=False):
    name: str | None
    containerPort: int
    protocol: str | None


class Capabilities(TypedDict, total=False):
    add: list[str] | None
    drop: list[str] | None


class SecurityContext(TypedDict, total=False):
    """A container's, and the pod's own: the fields read here are alike, and the last two only the pod has."""

    runAsUser: int | None
    runAsGroup: int | None
    runAsNonRoot: bool | None
    privileged: bool | None
    allowPrivilegeEscalation: bool | None
    readOnlyRootFilesystem: bool | None
    seccompProfile: dict[str, Any] | None
    capabilities: Capabilities | None
    fsGroup: int | None
    supplementalGroups: list[int] | None


class HttpHeader(TypedDict, total=False):
    name: str
    value: str | None


class ProbeAction(TypedDict, total=False):
    """httpGet, tcpSocket and grpc in one: each has some of these."""

    host: str | None
    port: int | str
    path: str | None
    scheme: str | None
    httpHeaders: list[HttpHeader] | None
    service: str | None


class Handler(TypedDict, total=False):
    """A probe or a lifecycle hook."""

    httpGet: ProbeAction | None
    tcpSocket: ProbeAction | None
    grpc: ProbeAction | None
    timeoutSeconds: int | None
    periodSeconds: int | None
    failureThreshold: int | None


class Lifecycle(TypedDict, total=False):
    postStart: Handler | None
    preStop: Handler | None


class Container(TypedDict, total=False):
    name: str
    image: str | None
    command: list[str] | None
    imagePullPolicy: str
    restartPolicy: str | None
    targetContainerName: str | None
    env: list[EnvVar] | None
    envFrom: list[EnvFromSource] | None
    ports: list[ContainerPort] | None
    volumeMounts: list[VolumeMount] | None
    volumeDevices: list[VolumeDevice] | None
    securityContext: SecurityContext | None
    resources: Any
    startupProbe: Handler | None
    readinessProbe: Handler | None
    livenessProbe: Handler | None
    lifecycle: Lifecycle | None
    terminationMessagePolicy: str


class Volume(TypedDict, total=False):
    name: str
    csi: dict[str, Any] | None
    configMap: dict[str, Any] | None
    hostPath: dict[str, Any] | None
    emptyDir: dict[str, Any] | None
    secret: dict[str, Any] | None
    projected: dict[str, Any] | None


class LocalReference(TypedDict, total=False):
    name: str


class OperatingSystem(TypedDict, total=False):
    name: str | None


class DnsConfig(TypedDict, total=False):
    nameservers: list[str] | None
    searches: list[str] | None


class HostAlias(TypedDict, total=False):
    hostnames: list[str] | None


class PodSpec(TypedDict, total=False):
    containers: list[Container]
    initContainers: list[Container] | None
    ephemeralContainers: list[Container] | None
    volumes: list[Volume] | None
    imagePullSecrets: list[LocalReference] | None
    securityContext: SecurityContext | None
    restartPolicy: str | None
    hostNetwork: bool | None
    hostPID: bool | None
    shareProcessNamespace: bool | None
    dnsConfig: DnsConfig | None
    hostAliases: list[HostAlias] | None
    nodeSelector: Labels | None
    os: OperatingSystem | None
    resources: dict[str, Any] | None


class Pod(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: PodSpec


class GroupVersionKind(TypedDict, total=False):
    group: str
    version: str
    kind: str


class AdmissionRequest(TypedDict, total=False):
    uid: str
    kind: GroupVersionKind
    operation: str
    namespace: str | None
    subResource: str | None
    dryRun: bool | None
    object: dict[str, Any] | None
    oldObject: dict[str, Any] | None


class AdmissionReview(TypedDict, total=False):
    apiVersion: str
    kind: str
    request: AdmissionRequest


class Status(TypedDict):
    code: int
    reason: str
    message: str


class AdmissionResponse(TypedDict, total=False):
    uid: str
    allowed: bool
    status: Status
    patchType: str
    patch: str
    warnings: list[str]
    auditAnnotations: Labels


class AdmissionReply(TypedDict):
    apiVersion: str
    kind: str
    response: AdmissionResponse
