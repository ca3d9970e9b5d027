"""The init step of transparent capture: `python -m sidecar.redirect install`, before everything else in the pod.

It runs as root because Kubernetes has no ambient capabilities, so that what is added reaches root only; all but
the two that redirection needs are dropped. It must not be the sidecar's user, who is exempt and could prove
nothing. Where redirection does not work it fails, and the pod with it.
"""

from __future__ import annotations

from mesh.settings import table
from mesh.settings.kinds import Setting
from webhook.admission.documents import Container, EnvVar
from webhook.admission.plan import Plan
from webhook.admission.resources import resources
from webhook.admission.settings import InjectionSettings

COMMAND = ("python", "-m", "sidecar.redirect", "install")


def redirect(plan: Plan, settings: InjectionSettings, *, with_resources: bool) -> Container:
    """The init container that installs redirection."""
    container: Container = {
        "name": table.REDIRECT_CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": list(COMMAND),
        "env": _environment(plan, settings),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "runAsUser": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # The sentence that says what is missing stands in the pod's status then.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # iptables wants to write a lock.
        "volumeMounts": [{"name": table.TMP_VOLUME, "mountPath": "/tmp"}],  # noqa: S108 - in the container
    }
    if with_resources:
        # It is over before the sidecar starts, so that the same amounts ask nothing more of the node.
        container["resources"] = resources(plan.parameters)
    return container


def _environment(plan: Plan, settings: InjectionSettings) -> list[EnvVar]:
    ports, options = settings.ports, settings.redirect
    values: dict[Setting, str] = {
        table.REDIRECT_UID: str(settings.uid),
        table.REDIRECT_GID: str(settings.uid),
        table.REDIRECT_OUTBOUND_PORT: str(ports.outbound_redirect),
        table.REDIRECT_INBOUND_PORT: str(ports.inbound_redirect),
        table.REDIRECT_MTLS_PORT: str(ports.inbound),
        table.REDIRECT_FORWARD_PORT: str(ports.forward),
        table.REDIRECT_TELEMETRY_PORT: str(ports.telemetry),
        table.REDIRECT_EXCLUDE_INBOUND_PORTS: plan[table.EXCLUDE_INBOUND_PORTS.name],
        table.REDIRECT_EXCLUDE_OUTBOUND_PORTS: plan[table.EXCLUDE_OUTBOUND_PORTS.name],
        table.REDIRECT_EXCLUDE_OUTBOUND_CIDRS: plan[table.EXCLUDE_OUTBOUND_CIDRS.name],
        table.REDIRECT_NAMESERVERS: ",".join(options.nameservers),
        table.REDIRECT_UDP: options.udp,
        table.REDIRECT_IPV6: options.ipv6,
        table.REDIRECT_BACKEND: options.backend,
    }
    return [{"name": setting.name, "value": value} for setting, value in values.items() if value]
