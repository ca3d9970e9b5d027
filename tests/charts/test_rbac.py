"""Permissions: what the control plane does with the API, each with the reason, and nothing else."""

from __future__ import annotations

from charts.build_crds import KINDS
from mesh.settings import installation as names

READS = ["get", "list", "watch"]
WRITES = [*READS, "update", "patch"]

# (group, resource or path, names): verbs
NAMESPACES = {
    ("", "namespaces", ()): READS,  # their labels and annotations decide, and are in no AdmissionReview
}
VERSIONS = {
    ("", "nodes", ()): ["list", "watch"],  # the kubelets' versions, for native sidecars
    ("", "/version", ()): ["get"],  # the API server's
}
CONFIGURATIONS = {
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", (names.INJECTOR,)): WRITES,  # caBundle
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", (names.VALIDATOR,)): WRITES,
}
DISTRIBUTION = {
    ("", "pods", ()): ["list", "watch"],  # who there is, and with which labels
    ("", "services", ()): ["list", "watch"],  # what pods stand behind
    ("gateway.networking.k8s.io", "gateways", ()): ["list", "watch"],
    ("outrider.dev", "agentpolicies", ()): READS,
    ("outrider.dev", "backends", ()): READS,
    ("agentic.networking.x-k8s.io", "xaccesspolicies", ()): READS,
    ("agentic.networking.x-k8s.io", "xbackends", ()): READS,
    ("gateway.networking.x-k8s.io", "xbackends", ()): READS,
    ("outrider.dev", "agentpolicies/status", ()): ["update", "patch"],
    ("outrider.dev", "backends/status", ()): ["update", "patch"],
    ("agentic.networking.x-k8s.io", "xaccesspolicies/status", ()): ["update", "patch"],
    ("agentic.networking.x-k8s.io", "xbackends/status", ()): ["update", "patch"],
    ("gateway.networking.x-k8s.io", "xbackends/status", ()): ["update", "patch"],
    ("authentication.k8s.io", "tokenreviews", ()): ["create"],  # who a sidecar is
}
OWN_NAMESPACE = {
    ("", "secrets", (names.WEBHOOK_SECRET,)): WRITES,  # CA and serving certificate
    ("", "secrets", (names.CA_SECRET,)): WRITES,  # the mesh's CA
    ("", "configmaps", (names.ROOTS, names.APPLIED)): WRITES,  # its roots, and what sidecars run
    ("coordination.k8s.io", "leases", (names.WEBHOOK,)): WRITES,  # who of the replicas writes them
}
NO_CONTROL = {"control": {"enabled": False}, "identity": {"provider": "spire"}}
CERT_MANAGER = {"certificates": {"mode": "cert-manager"}}


def granted(role: dict) -> dict[tuple[str, str, tuple[str, ...]], list[str]]:
    return {
        (group, resource, tuple(rule.get("resourceNames", ()))): rule["verbs"]
        for rule in role["rules"]
        for group in rule.get("apiGroups", [""])
        for resource in (*rule.get("resources", ()), *rule.get("nonResourceURLs", ()))
    }


def test_the_cluster_grants_what_is_needed_and_no_more(find) -> None:
    assert granted(find("ClusterRole", names.WEBHOOK)) == (
        NAMESPACES | VERSIONS | CONFIGURATIONS | DISTRIBUTION
    )


def test_versions_are_read_only_where_they_decide(find) -> None:
    values = {"settings": {"nativeSidecars": "always"}, **NO_CONTROL}
    assert granted(find("ClusterRole", names.WEBHOOK, values=values)) == NAMESPACES | CONFIGURATIONS


def test_the_own_namespace_grants_what_is_needed_and_no_more(find) -> None:
    role = find("Role")
    assert granted(role) == OWN_NAMESPACE
    assert role["metadata"]["namespace"] == "outrider-system"


def test_an_authority_of_the_users_is_only_read(find) -> None:
    role = granted(find("Role", values={"identity": {"ownAuthority": True}}))
    assert role[("", "secrets", (names.CA_SECRET,))] == READS


def test_with_cert_manager_and_without_sidecars_to_configure_nothing_is_written(find) -> None:
    role = find("ClusterRole", names.WEBHOOK, values=CERT_MANAGER | NO_CONTROL)
    assert granted(role) == NAMESPACES | VERSIONS


def test_what_may_be_written_is_there_already(find, manifests) -> None:
    """`create` cannot be granted by name, so it is granted for nothing that is stored."""
    there = {(one["kind"].lower() + "s", one["metadata"]["name"]) for one in manifests()}
    for _, resource, listed in (*granted(find("ClusterRole", names.WEBHOOK)), *granted(find("Role"))):
        assert {(resource, name) for name in listed} <= there


def test_everything_is_granted_to_the_account_that_the_pods_have(find) -> None:
    account = find("Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    subject = {"kind": "ServiceAccount", "name": account, "namespace": "outrider-system"}
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        binding = find(kind)
        assert binding["subjects"] == [subject]
        assert find(binding["roleRef"]["kind"], binding["roleRef"]["name"])


def aggregated(role: dict) -> set[str]:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    labels = role["metadata"]["labels"].items()
    return {key.removeprefix(prefix) for key, value in labels if key.startswith(prefix) and value == "true"}


def test_roles_of_the_cluster_hold_for_our_kinds(find) -> None:
    view, edit = find("ClusterRole", names.VIEW_ROLE), find("ClusterRole", names.EDIT_ROLE)
    assert aggregated(view) == {"view", "edit", "admin"}
    assert aggregated(edit) == {"edit", "admin"}
    plurals = {one[0] for one in KINDS.values()}
    for role, verbs in ((view, READS), (edit, ["create", "update", "patch", "delete", "deletecollection"])):
        assert granted(role) == {("outrider.dev", plural, ()): verbs for plural in plurals}


def test_roles_of_the_cluster_are_left_alone_where_that_is_wished(manifests) -> None:
    objects = manifests({"crds": {"aggregate": False}})
    assert [one["metadata"]["name"] for one in objects if one["kind"] == "ClusterRole"] == [names.WEBHOOK]


def test_the_control_plane_is_no_part_of_the_clusters_roles(find) -> None:
    assert not aggregated(find("ClusterRole", names.WEBHOOK))
