from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cli.analyze.access import OUR_CLASS
from cli.analyze.analyzers import analyze
from cli.analyze.inventory import Inventory, Item, items_of, laid_over
from cli.analyze.table import CODES, TABLE, Level
from cli.main import main
from cli.manifests import read_manifests
from mesh.settings.table import PREFIX
from tests.support import outrider_cluster as cluster
from tests.support.cluster_over_http import kubeconfig, serving
from webhook.admission.settings import InjectionSettings
from webhook.distribution.kinds import GATEWAY_CLASS

GOLDENS = Path(__file__).parent / "goldens"
OF_CLUSTERS = {"OUT0306", "OUT0405"}  # --live
ENABLED = f"""apiVersion: v1
kind: Namespace
metadata: {{name: agents, labels: {{{PREFIX}injection: enabled}}}}
---
"""
HEAD = "apiVersion: outrider.dev/v1alpha1\nkind: "
BACKEND = (
    f"{HEAD}Backend\nmetadata: {{name: g}}\n"
    "spec: {protocol: MCP, host: g, port: 1, path: /, tls: {mode: None}}\n"
)
POLICIES = """---
apiVersion: v1
kind: ConfigMap
metadata: {name: outrider-policies, namespace: agents}
"""


def found(text: str, **more: object) -> list[tuple[str, int, str]]:
    """Codes, lines and messages of a text."""
    inventory = Inventory(tuple(items_of(read_manifests(text, "x.yaml"))), **more)
    return [(one.code, one.line, one.message) for one in analyze(inventory)]


def codes(text: str, **more: object) -> list[str]:
    return [code for code, _, _ in found(text, **more)]


def expect(name: str, actual: str) -> None:
    path = GOLDENS / name
    if os.environ.get("OUTRIDER_REGENERATE"):
        path.write_text(actual, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == actual


def test_every_finding_is_as_recorded(capsys, monkeypatch) -> None:
    monkeypatch.chdir(GOLDENS)
    assert main(["analyze", "everything.yaml"]) == 1
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    expect("everything.txt", text)
    assert main(["analyze", "everything.yaml", "-o", "json"]) == 1
    expect("everything.json", capsys.readouterr().out)
    seen = {one["code"] for one in json.loads((GOLDENS / "everything.json").read_text())}
    assert seen == set(CODES) - OF_CLUSTERS
    assert {path.name for path in GOLDENS.iterdir()} == {
        f"everything.{kind}" for kind in ("yaml", "txt", "json")
    }


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.code)
def test_rows_of_the_table_are_fit_to_print(row) -> None:
    assert row.code.startswith("OUT0")
    assert len(row.code) == 7
    assert row.todo.endswith(".")
    assert len(row.title) <= 60


def test_codes_are_unique() -> None:
    assert len(CODES) == len(TABLE)


def pod(text: str, name: str = "agents") -> str:
    return f"{ENABLED}apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: {name}}}\n{text}"


GOOD = "spec: {serviceAccountName: a, containers: [{name: a, image: a}]}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (pod(GOOD) + POLICIES, []),
        (pod(GOOD), ["OUT0206"]),
        (pod("spec: {containers: [{name: a}]}") + "\n" + POLICIES, ["OUT0303"]),
        (pod("spec: []"), ["OUT0301"]),
        (
            pod("spec: {serviceAccountName: a, terminationGracePeriodSeconds: 25, containers: [{name: a}]}\n")
            + POLICIES,
            [],
        ),
        (
            "kind: Namespace\napiVersion: v1\nmetadata: {name: a, annotations: {outrider.dev/mtls: strict}}",
            [],
        ),
        (
            "kind: Namespace\napiVersion: v1\nmetadata: {name: a, annotations: {outrider.dev/injection: x}}",
            ["OUT0103"],
        ),
        ("kind: Namespace\napiVersion: v1\nmetadata: []", []),
        ("kind: Namespace\napiVersion: v1", []),
        ("kind: ConfigMap\napiVersion: v1\nmetadata: {name: outrider-policies}\ndata: {a.yaml: 1}", []),
        (
            "kind: ConfigMap\napiVersion: v1\nmetadata: {name: outrider-policies}\ndata: {a.yaml: 'kind: x'}",
            ["OUT0201"] * 4,
        ),
        ("a: b", []),
        ("- a", []),
    ],
)
def test_what_is_found(text, expected) -> None:
    assert codes(text) == expected


def test_settings_say_what_admission_does() -> None:
    settings = InjectionSettings(ignored_namespaces=frozenset({"agents"}), policy_config_map="")
    assert codes(pod("spec: {containers: [{name: a}]}"), settings=settings) == []
    drained = InjectionSettings(limits={"drain_seconds": 1, "drainSeconds": 100.0}, policy_config_map="")
    assert codes(pod(GOOD), settings=drained) == ["OUT0304"]


def test_places_are_lines_of_the_file_also_in_flows_and_lists() -> None:
    text = (
        "# a comment\n\n"
        "kind: List\napiVersion: v1\nitems:\n"
        "- {kind: Pod, apiVersion: v1, metadata: {name: a}}\n"
        "- kind: Pod\n  apiVersion: v1\n  metadata:\n    name: b\n    labels:\n      app: b\n"
        "      outrider.dev/inject: 'true'\n      outrider.dev/x: y\n  spec: {containers: [{name: b}]}\n"
    )
    assert ("OUT0102", 14, "label outrider.dev/x is unknown") in found(text)


def test_policies_in_files_are_loaded_together_with_their_own_lines() -> None:
    policy = f"{HEAD}AgentPolicy\nmetadata: {{name: p}}\nspec:\n  outbound:\n  - backend: NAME\n"
    assert codes(f"# first\n{BACKEND}---\n{policy.replace('NAME', 'g')}") == []
    unused, wrong = found(f"# first\n{BACKEND}---\n# second\n{policy.replace('NAME', 'h')}")
    assert (unused[0], wrong[:2]) == ("OUT0203", ("OUT0204", 13))
    in_list = (
        f"kind: List\napiVersion: v1\nitems:\n- {json.dumps(yaml.safe_load(policy.replace('NAME', 'h')))}\n"
    )
    assert codes(in_list) == ["OUT0204"]


def test_a_policy_that_selects_a_pod_is_silent_and_one_for_elsewhere_is_not() -> None:
    selector = "spec: {selector: {matchLabels: {app: a}}}\n"
    policy = f"---\n{HEAD}AgentPolicy\nmetadata: {{name: p, namespace: NS}}\n{selector}"
    labelled = pod(GOOD).replace("namespace: agents}", "namespace: agents, labels: {app: a}}") + POLICIES
    assert codes(labelled + policy.replace("NS", "agents")) == []
    assert codes(labelled.replace("app: a", "app: b") + policy.replace("NS", "agents")) == ["OUT0202"]
    assert codes(labelled + policy.replace("NS", "other")) == []
    assert codes(labelled + policy.replace("NS", "other"), live=True) == ["OUT0202"]


def resource(name: str, spec: str, kind: str = "AgentPolicy", namespace: str = "agents") -> str:
    return f"---\n{HEAD}{kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"


def access_policy(target: str, rules: str = "[]") -> str:
    return (
        "---\napiVersion: agentic.networking.x-k8s.io/v1alpha1\nkind: XAccessPolicy\n"
        "metadata: {name: who, namespace: agents}\n"
        f"spec:\n  action: Allow\n  targetRefs: [{target}]\n  rules: {rules}\n"
    )


BACKENDS = "{protocol: MCP, host: HOST, port: 1, path: /, tls: {mode: None}}"
SERVICE = "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: agents}\n"
TO_SERVICE = "{group: '', kind: Service, name: s}"
TO_BACKEND = "{group: outrider.dev, kind: Backend, name: g}"
TO_GATEWAY = "{group: gateway.networking.k8s.io, kind: Gateway, name: gw}"
GATEWAY = (
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
    "metadata: {name: gw, namespace: agents}\nspec: {gatewayClassName: CLASS}\n"
)
CEL = "[{name: r, authorization: {type: CEL, cel: {expression: nobody.knows}}}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            resource("g", BACKENDS.replace("HOST", "a"), "Backend")
            + resource("p", "{outbound: [{backend: g}]}"),
            [],
        ),
        (resource("g", BACKENDS.replace("HOST", "a"), "Backend"), ["OUT0203"]),
        (
            resource("g", BACKENDS.replace("HOST", "a"), "Backend")
            + resource("p", "{outbound: [{backend: '*'}]}", namespace="other"),
            ["OUT0203"],
        ),
        (
            resource("g", BACKENDS.replace("HOST", "a"), "Backend")
            + resource("p", "{outbound: [{backend: agents/g}]}", namespace="other"),
            [],
        ),
        (resource("p", "{outbound: [{backend: other/g}]}"), ["OUT0204"]),
        (
            resource("g", BACKENDS.replace("HOST", "a"), "Backend")
            + resource("h", BACKENDS.replace("HOST", "a"), "Backend")
            + resource("p", "{outbound: [{backend: '*'}]}"),
            ["OUT0208"],
        ),
        (
            resource("g", BACKENDS.replace("HOST", "a"), "Backend")
            + resource("h", BACKENDS.replace("HOST", "a"), "Backend", "other")
            + resource("p", "{outbound: [{backend: '*'}]}")
            + resource("p", "{outbound: [{backend: '*'}]}", namespace="other"),
            [],
        ),
        (resource("p", "{outbound: []}") + resource("q", "{egres: deny}"), ["OUT0201"]),
        (f"{HEAD}Nonsense\nmetadata: {{name: a}}\nspec: {{}}", ["OUT0201"]),
        ("apiVersion: outrider.dev/v9\nkind: Backend\nmetadata: {name: a}\nspec: {}", ["OUT0201"]),
        (SERVICE + access_policy(TO_SERVICE), []),
        (access_policy(TO_SERVICE), ["OUT0210"]),
        (SERVICE + access_policy(TO_SERVICE, CEL), ["OUT0209"]),
        (resource("g", BACKENDS.replace("HOST", "a"), "Backend") + access_policy(TO_BACKEND), []),
        (access_policy("{group: apps, kind: Deployment, name: a}"), ["OUT0211"]),
        (GATEWAY.replace("CLASS", "outrider") + access_policy(TO_GATEWAY), []),
        (GATEWAY.replace("CLASS", "envoy") + access_policy(TO_GATEWAY), ["OUT0212"]),
        (
            GATEWAY.replace("CLASS", "outrider")
            + resource("g", BACKENDS.replace("HOST", "a"), "Backend")
            + access_policy(TO_GATEWAY),
            [],
        ),
        (access_policy("nonsense"), ["OUT0201"]),
    ],
)
def test_resources_are_judged_as_the_control_plane_judges_them(text, expected) -> None:
    assert codes(text) == expected


def test_the_class_of_our_gateways_is_the_control_planes() -> None:
    assert OUR_CLASS == GATEWAY_CLASS


def test_lines_of_findings_about_resources_are_those_of_what_is_meant() -> None:
    assert found(SERVICE + access_policy("{group: '', kind: Service, name: other}"))[0][:2] == ("OUT0210", 11)


def test_what_could_not_be_read_is_not_called_missing() -> None:
    text = resource("p", "{outbound: [{backend: gone}]}") + access_policy(TO_SERVICE)
    assert codes(text, live=True, partly=True) == []


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        (pod(GOOD), {"settings": cluster.controlled()}, ["OUT0206"]),
        (pod(GOOD) + POLICIES, {"settings": cluster.controlled()}, ["OUT0206"]),
        (pod(GOOD) + resource("p", "{}"), {"settings": cluster.controlled()}, []),
        (pod(GOOD) + SERVICE + access_policy(TO_SERVICE), {"settings": cluster.controlled()}, []),
        (pod(GOOD), {"settings": cluster.controlled(), "live": True, "partly": True}, []),
        # Offline nobody knows the installation, and either way counts.
        (pod(GOOD) + resource("p", "{}"), {}, []),
        (pod(GOOD) + POLICIES, {}, []),
        # A cluster without a control plane has no use for resources.
        (pod(GOOD) + resource("p", "{}"), {"live": True}, ["OUT0206"]),
        (pod(GOOD), {"settings": InjectionSettings(policy_config_map="")}, []),
    ],
)
def test_agents_without_policies_are_found_either_way(text, more, expected) -> None:
    assert codes(text, **more) == expected


def test_roots_that_are_not_known_are_no_fault_of_manifests(tmp_path, capsys) -> None:
    (tmp_path / "settings.yaml").write_text("controlPlane: {url: 'https://control.example:15012'}")
    (tmp_path / "x.yaml").write_text(pod(GOOD) + resource("p", "{}"))
    assert main(["analyze", str(tmp_path / "x.yaml"), "--settings", str(tmp_path / "settings.yaml")]) == 0
    assert "Nothing found." in capsys.readouterr().out


def test_a_rule_that_denies_something_does_not_grant_everything() -> None:
    spec = "spec: {outbound: [{backend: '*', tools: {allow: ['*']DENY}}]}\n"
    text = f"{HEAD}AgentPolicy\nmetadata: {{name: p}}\n{spec}"
    assert codes(text.replace("DENY", "")) == ["OUT0205"]
    assert codes(text.replace("DENY", ", deny: [x]")) == []


def test_agents_that_share_an_account_are_counted() -> None:
    spec = "spec: {containers: [{name: a}]}\n---\n"
    one = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: NAME, namespace: agents}}\n{spec}"
    text = ENABLED + "".join(one.replace("NAME", name) for name in "abc")
    assert [message for code, _, message in found(text) if code == "OUT0303"] == [
        "it runs as agents/default; so do 2 others"
    ] * 3
    two = ENABLED + "".join(one.replace("NAME", name) for name in "ab")
    assert "so does 1 other" in str(found(two))


def test_the_charts_entries_have_no_findings() -> None:
    item = Item({"kind": "MutatingWebhookConfiguration", **cluster.injector()})
    assert analyze(Inventory((item,))) == []


def test_services_without_a_selector_or_for_others_are_left_alone() -> None:
    spec = "spec: {SELECTOR ports: [{port: 15002}]}\n"
    service = f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: agents}}\n{spec}"
    labelled = pod(GOOD).replace("namespace: agents}", "namespace: agents, labels: {app: a}}") + POLICIES
    assert codes(labelled + service.replace("SELECTOR", "")) == []
    assert codes(labelled + service.replace("SELECTOR", "selector: {app: b},")) == []
    assert codes(labelled + service.replace("SELECTOR", "selector: {app: a},")) == ["OUT0403"]


def test_a_file_replaces_the_same_object_of_the_cluster() -> None:
    live = [Item({"kind": "Pod", "metadata": {"name": name, "namespace": "default"}}) for name in "ab"]
    (written,) = items_of(read_manifests("kind: Pod\nmetadata: {name: a}", "x.yaml"))
    assert [one.source for one in laid_over(live, [written], "default")] == ["cluster", "x.yaml"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "outrider.dev/x", "enabled"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "spec", "labels", "containers", "template", "webhooks", "data"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(
        [
            "Pod",
            "Deployment",
            "CronJob",
            "Namespace",
            "Service",
            "ConfigMap",
            "AgentPolicy",
            "Backend",
            "MutatingWebhookConfiguration",
        ]
    ),
    st.sampled_from(["v1", "apps/v1", "batch/v1", "outrider.dev/v1alpha1"]),
    json_values,
    json_values,
    json_values,
)
def test_whatever_people_write_is_a_finding_and_no_crash(kind, version, metadata, spec, data) -> None:
    value = {
        "apiVersion": version,
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
        "data": data,
        "webhooks": data,
    }
    analyze(Inventory(tuple(items_of(read_manifests(json.dumps(value), "x.yaml")))))


def test_levels_decide_the_exit_code(tmp_path, capsys) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(pod(GOOD))
    assert main(["analyze", str(path)]) == 0
    assert main(["analyze", str(path), "--fail-on", "warning"]) == 1
    assert main(["analyze", str(path), "--fail-on", "info"]) == 1
    path.write_text(pod(GOOD) + POLICIES)
    assert main(["analyze", str(path), "--fail-on", "info"]) == 0
    assert capsys.readouterr().out.endswith("Nothing found.\n")
    assert list(Level) == ["error", "warning", "info"]


def test_namespaces_of_the_settings_file_and_of_options_count(tmp_path, capsys, monkeypatch) -> None:
    bare = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a}]}"
    settings = tmp_path / "settings.yaml"
    settings.write_text("namespaces: {agents: {labels: {outrider.dev/injection: enabled}}}")
    for options, count in (
        (["-n", "agents"], 0),
        (["-n", "agents", "--settings", str(settings)], 2),
        (["--namespace-labels", "outrider.dev/injection=enabled"], 2),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO(bare))
        main(["analyze", "-", "-o", "json", *options])
        assert len(json.loads(capsys.readouterr().out)) == count


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name files to analyse"),
        (["nowhere"], "cannot be read"),
        (["--live", "--kubeconfig", "nowhere"], "no kubeconfig"),
    ],
)
def test_nothing_to_analyse_ends_with_two(arguments, words, capsys) -> None:
    assert main(["analyze", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.fixture
def options(tmp_path):
    api = cluster.over_http()
    everywhere = {"pods": "", "services": "", "configmaps": ""}
    for kind in everywhere:
        api.lists[f"/api/v1/{kind}"] = []
    api.lists["/api/v1/pods"] = [
        {**cluster.bare_pod("free"), "spec": {"containers": [{"name": "a"}]}},
        cluster.bare_pod("owned", ownerReferences=[{"controller": True}]),
        {**cluster.bare_pod("system"), "metadata": {"name": "dns", "namespace": "kube-system"}},
    ]
    with serving(api) as url:
        yield api, ["--kubeconfig", str(kubeconfig(tmp_path, url))]


def test_a_cluster_is_analysed_but_for_what_controllers_made(options, capsys) -> None:
    api, flags = options
    api.status["/apis/apps/v1/deployments"] = 403
    for item in api.lists["/api/v1/namespaces"]:
        item["kind"] = "Namespace"
    code = main(["analyze", "--live", "-o", "json", *flags])
    out, error = capsys.readouterr()
    assert code == 1
    assert "/apis/apps/v1/deployments cannot be read" in error
    lacking = [one["object"] for one in json.loads(out) if one["code"] == "OUT0306"]
    assert [one.rpartition(" ")[2] for one in lacking] == ["agents/free", "agents/owned"]
    others = [one for one in json.loads(out) if one["code"] != "OUT0306"]
    assert {one["object"] for one in others if "Thing" not in one["object"]} <= {"Pod agents/free"}


def test_a_cluster_of_which_not_everything_can_be_read_is_not_called_clean(options, capsys) -> None:
    api, flags = options
    for path in list(api.lists):
        if path.startswith("/api/v1/") and path.count("/") == 3:
            api.status[path] = 403
    assert main(["analyze", "--live", *flags]) == 0
    assert "Nothing found, but not everything could be read." in capsys.readouterr().out


def test_namespaces_that_rely_on_what_is_not_installed_are_found(options, capsys) -> None:
    api, flags = options
    api.lists["/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"] = []
    del api.objects[f"/api/v1/namespaces/{cluster.SPACE}/configmaps/outrider-webhook-settings"]
    for item in api.lists["/api/v1/namespaces"]:
        item["kind"] = "Namespace"
    assert main(["analyze", "--live", "-o", "json", *flags]) == 1
    out, error = capsys.readouterr()
    assert [one["object"] for one in json.loads(out) if one["code"] == "OUT0405"] == ["Namespace agents"]
    assert "judged with the built-in settings: Outrider is not installed" in error


def test_files_in_which_nothing_asks_for_a_sidecar_are_not_called_clean_only(tmp_path, capsys) -> None:
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(cluster.bare_pod()))
    assert main(["analyze", str(tmp_path)]) == 0
    assert "no pod asks for a sidecar as far as these files say" in capsys.readouterr().err
    assert main(["analyze", str(tmp_path), "--namespace-labels", f"{PREFIX}injection=enabled"]) == 0
    assert "no pod asks" not in capsys.readouterr().err


def test_whose_settings_files_are_judged_by_is_said(tmp_path, capsys) -> None:
    (tmp_path / "x.yaml").write_text("kind: Pod\napiVersion: v1\n")
    main(["analyze", str(tmp_path)])
    assert "judged with the built-in settings (--live takes the cluster's)" in capsys.readouterr().err


def test_files_are_laid_over_a_cluster(options, capsys, tmp_path) -> None:
    _, flags = options
    (tmp_path / "x.yaml").write_text(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: new, labels: {outrider.dev/injection: x}}"
    )
    assert main(["analyze", str(tmp_path / "x.yaml"), "--live", "-n", "agents", "-o", "json", *flags]) == 1
    assert [one["code"] for one in json.loads(capsys.readouterr().out) if one["file"] != "cluster"] == [
        "OUT0104"
    ]
