"""Everything about one pod that its description is made of, and how it is read from a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from cli.check.installed import argument
from cli.check.objects import inner, sidecar_status
from cli.check.sidecar_state import NO_STATES, States, read_states
from cli.cluster.answers import Denied, Obj, Reading
from cli.cluster.failures import ClusterUnavailable, refused
from cli.cluster.parts import NOT_ASKED, Part, read_list, read_one
from cli.describe.given import Surroundings, read_surroundings
from cli.platform_settings import read_installed
from mesh.policy.documents import API_VERSION
from mesh.settings import installation
from mesh.settings.table import SIDECAR_CONTAINER
from webhook.admission.settings import InjectionSettings

LOG_LINES = 2000


@dataclass(frozen=True, slots=True)
class Facts:
    """`policies` is the ConfigMap that a sidecar without a control plane reads, `resources` the AgentPolicies of
    the namespace, `around` what the control plane makes configurations of. `log` holds the sidecar's last lines;
    `log_unread` says why there are none. `states` is what the sidecar says of its configuration, and
    `trust_domain` that of the control plane, "" where nobody says."""

    pod: Obj
    namespace: Obj
    settings: InjectionSettings
    policies: Part = NOT_ASKED
    resources: Part = NOT_ASKED
    log: str = ""
    log_unread: str = ""
    around: Surroundings = Surroundings()  # noqa: RUF009 - frozen
    states: States = NO_STATES
    trust_domain: str = ""


def read_facts(api: Reading, server: str, name: str, space: str) -> Facts:
    """What a cluster says of a pod.

    Raises:
        ClusterUnavailable: also where the pod cannot be read.
    """
    inside = f"/namespaces/{space}"
    try:
        pod = {"apiVersion": "v1", "kind": "Pod", **api.get(f"/api/v1{inside}/pods/{name}")}
    except Denied as denied:
        if denied.status == 404:
            raise ClusterUnavailable(
                f"There is no pod {name} in namespace {space}.", "Look at -n, and at `kubectl get pods`."
            ) from denied
        raise refused(server, denied.status, denied.message) from denied
    installed = read_installed(api)
    settings, controlled = installed.settings, installed.settings.control_plane.present
    config_map = settings.mounted_policies
    log, unread = "", _not_started(pod)
    if not unread:
        log, unread = _log(api, f"/api/v1{inside}/pods/{name}/log")
    return Facts(
        pod,
        read_one(lambda: api.get(f"/api/v1{inside}")).one or {"metadata": {"name": space}},
        settings,
        read_one(lambda: api.get(f"/api/v1{inside}/configmaps/{config_map}")) if config_map else NOT_ASKED,
        read_list(lambda: api.items(f"/apis/{API_VERSION}{inside}/agentpolicies")),
        log,
        unread,
        read_surroundings(api, space) if controlled else Surroundings(),
        read_states(api, space, [pod]) if controlled else NO_STATES,
        _trust_domain(api, installed.namespace) if controlled else "",
    )


def _trust_domain(api: Reading, space: str) -> str:
    """That which the control plane was told of."""
    path = f"/apis/apps/v1/namespaces/{space}/deployments/{installation.WEBHOOK}"
    return argument(read_one(lambda: api.get(path)).one, "--trust-domain")


def _log(api: Reading, path: str) -> tuple[str, str]:
    try:
        return api.text(path, container=SIDECAR_CONTAINER, tailLines=str(LOG_LINES)), ""
    except Denied as denied:
        return "", str(denied)


def _not_started(pod: Obj) -> str:
    """Why there is no log yet; empty where there may be one."""
    status = sidecar_status(pod) or {}
    waiting = inner(status, "state", "waiting")
    if not waiting or status.get("restartCount") or status.get("lastState"):
        return ""
    return f"it has not started: {waiting.get('reason') or 'no reason is given'}"


def space_of(facts: Facts) -> str:
    """The pod's namespace."""
    return str(inner(facts.pod, "metadata", "namespace") or "default")
