"""Names that control plane and command line look for are those that the chart gives."""

from __future__ import annotations

from mesh.settings import installation as names
from mesh.settings import table

SELF_SIGNED = [
    ("Deployment", names.WEBHOOK),
    ("Service", names.WEBHOOK),
    ("ServiceAccount", names.WEBHOOK),
    ("Service", names.CONTROL),
    ("Lease", names.WEBHOOK),
    ("PodDisruptionBudget", names.WEBHOOK),
    ("NetworkPolicy", names.WEBHOOK),
    ("ClusterRole", names.WEBHOOK),
    ("ClusterRole", names.VIEW_ROLE),
    ("ClusterRole", names.EDIT_ROLE),
    ("Secret", names.WEBHOOK_SECRET),
    ("Secret", names.CA_SECRET),
    ("ConfigMap", names.ROOTS),
    ("ConfigMap", names.APPLIED),
    ("ConfigMap", names.WEBHOOK_SETTINGS),
    ("MutatingWebhookConfiguration", names.INJECTOR),
    ("ValidatingWebhookConfiguration", names.VALIDATOR),
    ("ValidatingAdmissionPolicy", names.FINAL_STATE_POLICY),
    *(("ValidatingAdmissionPolicyBinding", name) for name in names.FINAL_STATE_BINDINGS),
]
INJECTOR_ENTRIES = [names.ENABLED_ENTRY, names.REQUIRED_ENTRY, names.POD_ENTRY, names.DISABLED_ENTRY]
VALIDATOR_ENTRIES = [names.EPHEMERAL_ENTRY, names.DOCUMENTS_ENTRY, names.CONFIG_MAPS_ENTRY]


def test_every_object_has_the_name_that_others_look_for(find) -> None:
    for kind, name in SELF_SIGNED:
        assert find(kind, name)["metadata"]["name"] == name


def test_names_do_not_depend_on_the_release(helm) -> None:
    from pathlib import Path

    chart = helm.Chart.load(Path(__file__).parents[2] / "charts" / "outrider")
    one, other = (chart.render({}, name=name, namespace="n") for name in ("outrider", "mesh"))
    assert {key: text.replace('"mesh"', '"outrider"') for key, text in other.items()} == one


def test_entries_are_called_at_the_paths_that_are_served(find) -> None:
    for kind, entries, path in (
        ("MutatingWebhookConfiguration", INJECTOR_ENTRIES, names.MUTATE_PATH),
        ("ValidatingWebhookConfiguration", VALIDATOR_ENTRIES, names.VALIDATE_PATH),
    ):
        webhooks = find(kind)["webhooks"]
        assert [one["name"] for one in webhooks] == entries
        for one in webhooks:
            service = one["clientConfig"]["service"]
            assert service == {
                "name": names.WEBHOOK,
                "namespace": "outrider-system",
                "path": path,
                "port": 443,
            }
            assert one["failurePolicy"] == "Fail"
            assert one["sideEffects"] == "None"
            assert one["matchPolicy"] == "Equivalent"
            assert one["timeoutSeconds"] == 5


def test_images_of_running_sidecars_are_asked_about_where_no_policy_looks_at_them(find) -> None:
    without = {"finalState": {"mode": "never"}}
    entries = find("ValidatingWebhookConfiguration", values=without)["webhooks"]
    assert [one["name"] for one in entries] == [
        names.EPHEMERAL_ENTRY,
        names.IMAGES_ENTRY,
        names.DOCUMENTS_ENTRY,
        names.CONFIG_MAPS_ENTRY,
    ]
    (condition,) = entries[1]["matchConditions"]
    assert condition["name"] == names.SIDECAR_IMAGE_CHANGED
    assert f"{sorted(table.RESERVED_CONTAINERS, reverse=True)}" in condition["expression"]


def test_match_conditions_have_the_names_by_which_the_command_line_knows_them(find) -> None:
    webhooks = find("MutatingWebhookConfiguration")["webhooks"]
    conditions = {one["name"]: [each["name"] for each in one.get("matchConditions", ())] for one in webhooks}
    assert conditions == {
        names.ENABLED_ENTRY: [names.NOT_A_MIRROR, names.NOT_OPTED_OUT_ELSEWHERE],
        names.REQUIRED_ENTRY: [],
        names.POD_ENTRY: [names.NOT_A_MIRROR],
        names.DISABLED_ENTRY: [names.NOT_A_MIRROR],
    }
    (ephemeral, *_) = find("ValidatingWebhookConfiguration")["webhooks"]
    assert [one["name"] for one in ephemeral["matchConditions"]] == [names.HAS_A_SIDECAR]


def test_config_maps_are_asked_about_by_their_label_whatever_its_value(find) -> None:
    (*_, entry) = find("ValidatingWebhookConfiguration")["webhooks"]
    expected = {"matchExpressions": [{"key": table.CONFIG_MAP_POLICIES.name, "operator": "Exists"}]}
    assert entry["objectSelector"] == expected


def test_the_service_leads_to_the_port_that_each_pod_of_the_control_plane_names(find) -> None:
    for values in ({}, {"port": 9443, "telemetryPort": 9090, "control": {"port": 9012}}):
        port, telemetry = values.get("port", 10250), values.get("telemetryPort", 15020)
        control = values.get("control", {}).get("port", names.CONTROL_PORT)
        (container,) = find("Deployment", values=values)["spec"]["template"]["spec"]["containers"]
        assert [one["containerPort"] for one in container["ports"]] == [port, telemetry, control]
        arguments = container["args"]
        assert arguments[arguments.index("--port") + 1] == str(port)
        assert arguments[arguments.index("--telemetry-port") + 1] == str(telemetry)
        assert arguments[arguments.index("--control-port") + 1] == str(control)
        (served,) = find("Service", names.WEBHOOK, values=values)["spec"]["ports"]
        # A number would lead to old pods as well, at once, while an upgrade changes `port`.
        assert (served["port"], served["targetPort"]) == (443, container["ports"][0]["name"])
        (reached,) = find("Service", names.CONTROL, values=values)["spec"]["ports"]
        assert (reached["port"], reached["targetPort"]) == (control, container["ports"][2]["name"])
        open_ports = [
            each["port"]
            for rule in find("NetworkPolicy", values=values)["spec"]["ingress"]
            for each in rule["ports"]
        ]
        assert open_ports == [port, control, telemetry]


def test_the_service_selects_the_pods_of_the_deployment_and_no_others(find) -> None:
    deployment = find("Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    for name in (names.WEBHOOK, names.CONTROL):
        assert find("Service", name)["spec"]["selector"] == labels
    assert find("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels


def test_own_labels_win_over_those_of_the_values(find) -> None:
    values = {"podLabels": {"team": "a"}, "podAnnotations": {"example.com/a": "b"}}
    pod = find("Deployment", values=values)["spec"]["template"]["metadata"]
    assert pod["labels"]["team"] == "a"
    assert pod["labels"]["app.kubernetes.io/name"] == names.WEBHOOK
    assert pod["annotations"]["example.com/a"] == "b"


def test_other_settings_make_other_pods(find) -> None:
    def checksum(values: dict[str, object]) -> str:
        return find("Deployment", values=values)["spec"]["template"]["metadata"]["annotations"][
            "checksum/settings"
        ]

    assert checksum({"settings": {"uid": 2000}}) != checksum({}) == checksum({"replicas": 3})


def test_sidecars_are_scraped_at_the_port_that_they_name(find) -> None:
    monitor = find("PodMonitor", "outrider-sidecars", {"podMonitor": {"enabled": True}})
    assert monitor["spec"]["selector"]["matchLabels"] == {table.POD_INJECTED.name: "true"}
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "outrider-health"


def test_a_disruption_budget_is_for_several_replicas(manifests) -> None:
    assert "PodDisruptionBudget" not in {one["kind"] for one in manifests({"replicas": 1})}


def test_cert_manager_has_no_secret_of_ours_beside_its_own(manifests) -> None:
    alone = {"control": {"enabled": False}, "identity": {"provider": "spire"}}
    objects = manifests({"certificates": {"mode": "cert-manager"}, **alone})
    kinds = {one["kind"] for one in objects}
    assert not kinds & {"Secret", "Lease", "Role", "RoleBinding"}
    for one in objects:
        if one["kind"].endswith("WebhookConfiguration"):
            injected = one["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
            assert injected == f"outrider-system/{names.WEBHOOK}"
    leaf = next(
        one for one in objects if (one["kind"], one["metadata"]["name"]) == ("Certificate", names.WEBHOOK)
    )
    assert leaf["spec"]["secretName"] == names.WEBHOOK_SECRET
    assert f"{names.WEBHOOK}.outrider-system.svc" in leaf["spec"]["dnsNames"]


def test_notes_name_what_these_values_need(render) -> None:
    notes = render()["outrider/templates/NOTES.txt"]
    assert "outrider check" in notes
    assert "kubectl -n agents apply -f policies.yaml" in notes
    assert "spiffe://cluster.local/ns/NAMESPACE/sa/SERVICE-ACCOUNT, issued by the control plane" in notes
    assert "outrider networkpolicy --live" in notes
    assert "--take-ownership" in notes
    alone = {"control": {"enabled": False}, "identity": {"provider": "spire"}}
    files = render(alone)["outrider/templates/NOTES.txt"]
    assert "configmap outrider-policies" in files
    assert "outrider.dev/policies=true" in files
    assert "sidecars do not read them" in files
    assert "csi.spiffe.io" in files
    other = render(
        {"replicas": 1, "finalState": {"mode": "never"}, "settings": {"policyConfigMap": ""}, **alone}
    )
    assert "Set replicas to 2" in other["outrider/templates/NOTES.txt"]
    assert "no ValidatingAdmissionPolicy" in other["outrider/templates/NOTES.txt"]
    assert "configmap" not in other["outrider/templates/NOTES.txt"]
    assert "sidecars do not read them" in other["outrider/templates/NOTES.txt"]


def test_notes_advise_nothing_that_these_values_forbid(render) -> None:
    def notes(**values: object) -> str:
        return render(values)["outrider/templates/NOTES.txt"]

    # It would close the ports that the kernel redirects from.
    assert "networkpolicy" not in notes(settings={"defaults": {"capture": "transparent"}})
    assert "only where pods are captured explicitly" in notes(settings={"defaults": {"capture": "auto"}})
    assert "of the nodes" in notes(hostNetwork=True, port=10260)
    assert "--take-ownership" not in notes(crds={"keep": False})
