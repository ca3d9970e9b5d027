"""The sidecar's container and its volumes.

A native sidecar: an init container with restartPolicy Always, put first, so that init containers after it have
the network, Jobs complete, and it is the last to be stopped (Kubernetes 1.29, KEP-753). Where a cluster has none
of those it is the first of the ordinary containers, the same but for that field. There is no postStart hook, which
would hide the container's ID from SPIRE's attestor, and no preStop hook, which would run while the application
still works. Everything about it fits PodSecurity `restricted`.
"""

from __future__ import annotations

import json

from mesh.settings import table
from mesh.settings.trust import TRUST_DIRECTORY
from webhook.admission import narrowing
from webhook.admission.control import STATE_PATH, TOKEN_PATH, control_variables, control_volumes
from webhook.admission.credential_secrets import (
    credential_paths,
    credential_variables,
    credential_volumes,
)
from webhook.admission.documents import Container, EnvVar, Handler, Pod, SecurityContext, Volume, VolumeMount
from webhook.admission.hidden_secrets import HIDDEN_PATH, hidden_volume, told_to_sidecar
from webhook.admission.identity import identity_path, identity_variables, identity_volume
from webhook.admission.plan import Plan
from webhook.admission.resources import resources
from webhook.admission.settings import Denials, Egress, IdentityProvider, InjectionSettings

POLICY_PATH = "/etc/outrider/policies"
_DECISIONS = {"info": "all", "warning": "refused"}


def sidecar(pod: Pod, plan: Plan, settings: InjectionSettings, *, with_resources: bool) -> Container:
    """The sidecar's container for `pod`, which carries its final labels and nothing else of ours."""
    container: Container = {
        "name": table.SIDECAR_CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        **_lasting(settings),
        "env": _environment(pod, plan, settings),
        "ports": [
            {"name": "outrider-mtls", "containerPort": settings.ports.inbound, "protocol": "TCP"},
            {"name": "outrider-health", "containerPort": settings.ports.telemetry, "protocol": "TCP"},
        ],
        # Two minutes to fetch an SVID: a registration entry may lag behind the pod.
        "startupProbe": _probe("/readyz", settings, period=1, failures=120),
        "readinessProbe": _probe("/readyz", settings, period=5, failures=3),
        "livenessProbe": _probe("/healthz", settings, period=10, failures=3),
        "securityContext": _security_context(settings, own_uid=plan.own_uid),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(plan, settings),
    }
    if with_resources:
        container["resources"] = resources(plan.parameters)
    return container


def _lasting(settings: InjectionSettings) -> Container:
    """What makes an init container a native sidecar; an ordinary one must not say it."""
    return {"restartPolicy": "Always"} if settings.native else {}


def volumes(plan: Plan, settings: InjectionSettings) -> list[Volume]:
    """The volumes that only the sidecar mounts; the application may read that of the interception CA."""
    identity = identity_volume(settings.identity)
    added: list[Volume] = [] if identity is None else [identity]
    if plan.hidden:
        added.append(hidden_volume(plan.hidden))
    added.extend(credential_volumes(plan.credential_secrets))
    if settings.mounted_policies:
        added.append({"name": table.POLICY_VOLUME, "configMap": {"name": settings.mounted_policies}})
    added.extend(control_volumes(settings.control_plane))
    # In memory: a volume on the node's disk would keep the autoscaler from removing the node.
    added.append({"name": table.TMP_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}})
    if plan.interception:
        added.append({"name": table.TRUST_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}})
    return added


def _mounts(plan: Plan, settings: InjectionSettings) -> list[VolumeMount]:
    paths = {
        table.IDENTITY_VOLUME: identity_path(settings.identity),
        table.TOKEN_VOLUME: TOKEN_PATH,
        table.STATE_VOLUME: STATE_PATH,
        table.HIDDEN_VOLUME: HIDDEN_PATH,
        table.POLICY_VOLUME: POLICY_PATH,
        table.TMP_VOLUME: "/tmp",  # noqa: S108 - the mount point inside the container
        table.TRUST_VOLUME: TRUST_DIRECTORY,
        **credential_paths(plan.credential_secrets),
    }
    mounts: list[VolumeMount] = []
    for volume in volumes(plan, settings):
        mount: VolumeMount = {"name": volume["name"], "mountPath": paths[volume["name"]]}
        if "emptyDir" not in volume:
            mount["readOnly"] = True
        mounts.append(mount)
    return mounts


def _environment(pod: Pod, plan: Plan, settings: InjectionSettings) -> list[EnvVar]:
    with_identity = settings.identity.chosen is not IdentityProvider.NONE
    everywhere, ports = settings.listen_host, settings.ports
    declared = application_ports(pod)
    # A pod that declares no port has nothing that peers could be passed on to.
    called = with_identity and declared
    values = {
        table.ENV_AGENT_LABELS: json.dumps(pod["metadata"].get("labels") or {}, sort_keys=True),
        **identity_variables(settings.identity),
        **control_variables(settings.control_plane),
        table.ENV_LISTEN_FORWARD: f"127.0.0.1:{ports.forward}",
        table.ENV_LISTEN_INBOUND: f"{everywhere}:{ports.inbound}" if called else "off",
        table.ENV_LISTEN_TELEMETRY: f"{everywhere}:{ports.telemetry}",
        table.ENV_INBOUND_MODE: plan[table.MTLS.name],
        table.ENV_APPLICATION_HOST: table.ENV_APPLICATION_HOST.default,
        table.ENV_APPLICATION_PORTS: ",".join(map(str, declared)),
        table.ENV_POLICIES: "" if settings.control_plane.present else POLICY_PATH,
        table.ENV_LOG_DECISIONS: _DECISIONS[plan[table.LOG_LEVEL.name]],
        table.ENV_MORE_AUTHORITIES: settings.authorities,
    }
    if plan.transparent:
        values[table.ENV_LISTEN_REDIRECT_OUTBOUND] = f"*:{ports.outbound_redirect}"
        values[table.ENV_LISTEN_REDIRECT_INBOUND] = f"*:{ports.inbound_redirect}"
        values[table.ENV_APPLICATION_PROBES] = plan.probes
    if plan.interception:
        values[table.ENV_INTERCEPTION_DIRECTORY] = TRUST_DIRECTORY
    values[table.ENV_HIDDEN_SECRETS] = told_to_sidecar(plan.hidden)
    values |= credential_variables(plan.credential_secrets)
    if settings.denials is not Denials.HIDDEN:
        values[table.ENV_DENIALS] = settings.denials
    if settings.egress != Egress():
        values[table.ENV_EGRESS_PRIVATE_ADDRESSES] = settings.egress.private_addresses
    if settings.limits:
        values[table.ENV_LIMITS] = json.dumps(settings.limits, sort_keys=True)
    if settings.rate_store:
        values[table.ENV_RATE_STORE] = settings.rate_store
    values |= narrowing.environment(
        {name: parameter.written for name, parameter in plan.parameters.items()}, plan[table.MODE.name]
    )
    fields = {
        table.ENV_AGENT_NAMESPACE: "metadata.namespace",
        table.ENV_AGENT_NAME: "metadata.name",
        table.ENV_AGENT_SERVICE_ACCOUNT: "spec.serviceAccountName",
        table.ENV_POD_IP: "status.podIP",
    }
    if settings.control_plane.present:
        fields[table.ENV_AGENT_UID] = "metadata.uid"
    downward: list[EnvVar] = [
        {"name": setting.name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        for setting, path in fields.items()
    ]
    # `$$` is how the kubelet is told a `$`: `$(NAME)` in what a pod or its namespace says is no reference.
    downward.extend(
        {"name": setting.name, "value": value.replace("$", "$$")}
        for setting, value in values.items()
        if value
    )
    return downward


def application_ports(pod: Pod) -> list[int]:
    """The TCP ports that application containers declare, each once, in the order of the pod.

    Those of the author's own native sidecars too; an init container that ends is never there to be called.
    """
    lasting = [one for one in pod["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"]
    declared = (
        port["containerPort"]
        for container in (*pod["spec"]["containers"], *lasting)
        for port in container.get("ports") or ()
        if (port.get("protocol") or "TCP") == "TCP"
    )
    return list(dict.fromkeys(declared))


def _probe(path: str, settings: InjectionSettings, *, period: int, failures: int) -> Handler:
    return {
        "httpGet": {"path": path, "port": settings.ports.telemetry},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _security_context(settings: InjectionSettings, *, own_uid: bool) -> SecurityContext:
    context: SecurityContext = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if own_uid:
        context["runAsUser"] = context["runAsGroup"] = settings.uid
    return context
