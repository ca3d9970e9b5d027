"""What each check of the table does: its function, a pure one of the snapshot and the time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cli.check import (
    access_policies,
    api_server,
    before_install,
    certificates,
    connected,
    control,
    control_plane,
    credentials,
    data_documents,
    data_plane,
    identity,
    permissions,
    policies,
    policies_current,
    rollout,
    services,
    stuck,
    validating_policy,
    webhook_configurations,
)
from cli.check.result import Result
from cli.check.snapshot import Snapshot
from cli.check.table import TABLE, Check, Phase

Run = Callable[[Snapshot, datetime], Result]

RUNS: dict[str, Run] = {
    "api-server-version": api_server.server_version,
    "kubelet-versions": api_server.kubelet_versions,
    "install-permissions": permissions.installer,
    "names-free": before_install.names_free,
    "kept-crds": before_install.kept_crds,
    "install-namespace": before_install.install_namespace,
    "validating-admission-policy": before_install.admission_policy,
    "csi-driver-available": before_install.csi_driver,
    "control-plane-installed": control_plane.installed,
    "control-plane-available": rollout.available,
    "control-plane-replicas": control_plane.replicas,
    "disruption-budget": control_plane.disruption_budget,
    "control-plane-version": control_plane.version,
    "platform-settings": control_plane.settings,
    "serving-secret": certificates.secret,
    "ca-certificate": certificates.authority,
    "serving-certificate": certificates.serving,
    "serving-certificate-chain": certificates.chain,
    "serving-certificate-names": certificates.names,
    "ca-bundles": certificates.bundles,
    "leader-lease": certificates.leader,
    "injector-entries": webhook_configurations.injector,
    "validator-entries": webhook_configurations.validator,
    "entries-disjoint": webhook_configurations.disjoint,
    "entries-complete": webhook_configurations.complete,
    "failure-policy": webhook_configurations.failure_policy,
    "own-namespace-exempt": webhook_configurations.own_namespace,
    "webhook-timeouts": webhook_configurations.timeouts,
    "reinvocation": webhook_configurations.reinvocation,
    "webhook-destination": webhook_configurations.destination,
    "webhook-endpoints": webhook_configurations.endpoints,
    "other-webhooks": webhook_configurations.foreign,
    "final-state-policy": validating_policy.present,
    "final-state-binding": validating_policy.bound,
    "final-state-image": validating_policy.image,
    "resource-kinds": validating_policy.resource_kinds,
    "control-service": control.service,
    "mesh-ca": control.authority,
    "identity-root": control.roots,
    "identity-driver": identity.driver,
    "identity-exclusive": identity.mounted_elsewhere,
    "control-plane-permissions": permissions.control_plane,
    "namespace-label": data_plane.label,
    "pods-created": stuck.pods_created,
    "pods-injected": data_plane.injected,
    "sidecar-versions": data_plane.versions,
    "sidecar-settings": data_plane.current,
    "sidecars-ready": data_plane.ready,
    "sidecar-restarts": data_plane.restarts,
    "termination-grace": data_plane.grace,
    "ephemeral-containers": data_plane.ephemeral,
    "sidecars-connected": connected.connected,
    "sidecar-roots": connected.trusted,
    "policies-present": policies.policies_present,
    "policies-valid": policies.policies_valid,
    "policies-current": policies_current.policies_current,
    "access-policies": access_policies.access_policies,
    "policy-labels": data_documents.policy_labels,
    "workload-labels": data_documents.workload_labels,
    "service-ports": services.service_ports,
    "network-policy": data_documents.network_policies,
    "credential-secrets": credentials.secrets,
    "credential-users": credentials.users,
    "credential-urls": credentials.plain_text,
    "hidden-variables": credentials.hidden,
}


def checks(*, before: bool, namespace: bool) -> tuple[Check, ...]:
    """Those to run, in the order of the table."""
    if before:
        phases = {Phase.BEFORE, Phase.BOTH}
    else:
        phases = {Phase.BOTH, Phase.AFTER, *([Phase.NAMESPACE] if namespace else [])}
    return tuple(check for check in TABLE if check.phase in phases)
