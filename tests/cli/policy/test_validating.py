from __future__ import annotations

import json
from pathlib import Path

from tests.cli.policy.conftest import POLICIES


def test_valid_files_end_with_0(outrider, manifests) -> None:
    code, out, _ = outrider("validate", manifests)
    assert code == 0
    assert "2 documents, 0 errors, 0 warnings" in out


def test_every_error_of_every_file_has_its_line(outrider, write) -> None:
    one = write("one.yaml", POLICIES.replace("allow: [get_issue", "alow: [get_issue"))
    two = write("two.yaml", "kind: Pod\n---\napiVersion: outrider.dev/v1alpha1\nkind: Backend\nspec: {}\n")
    code, out, _ = outrider("validate", one, two, "-o", "json")
    assert code == 1
    errors = json.loads(out)["errors"]
    assert {(error["file"], error["line"]) for error in errors} >= {(one, 13), (two, 3)}
    assert any("did you mean allow?" in error["message"] for error in errors)


def test_documents_are_checked_against_each_other(outrider, write) -> None:
    code, out, _ = outrider(
        "validate", write("a.yaml", POLICIES.replace("backend: github", "backend: gitlab"))
    )
    assert code == 1
    assert "there is no Backend gitlab" in out


def test_a_file_that_cannot_be_read_ends_with_2_and_the_others_are_read(outrider, write) -> None:
    code, out, _ = outrider("validate", write("a.yaml", "a: [\n"), write("b.yaml", POLICIES), "/nowhere.yaml")
    assert code == 2
    assert "not valid YAML" in " ".join(out.split())
    assert "/nowhere.yaml:1: cannot be read" in out
    assert "2 documents" in out


def test_what_is_hardly_meant_is_a_warning(outrider, write, manifests) -> None:
    text = POLICIES.replace("app: triage", "app: tirage").replace("get_issue,", "get_issue, delete_list,")
    text = text.replace("outbound:", "mode: observe\n  outbound:") + (
        "---\napiVersion: outrider.dev/v1alpha1\nkind: Backend\nmetadata: {name: idle}\n"
        "spec: {protocol: MCP, host: idle.svc, port: 1, tls: {mode: None}}\n"
    )
    deployment = Path(manifests).read_text().partition("apiVersion: apps")[2]
    path = write("w.yaml", f"{text}---\napiVersion: apps{deployment}")
    code, out, _ = outrider("validate", path, "-o", "json")
    assert code == 0
    told = {one["where"]: one["message"] for one in json.loads(out)["warnings"]}
    assert "deny takes all of it" in told["AgentPolicy/triage outbound[0] tools.allow[1]"]
    assert "no policy names it" in told["Backend/idle"]
    assert "AgentPolicy/triage" in told
    assert outrider("validate", path, "--strict")[0] == 1


def test_a_kubectl_list_is_taken_apart(outrider, write) -> None:
    item = {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {"outbound": [{"backend": "x"}]},
    }
    path = write("list.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": [item]}, indent=1))
    code, out, _ = outrider("validate", path)
    assert code == 1
    assert "there is no Backend x" in out


def test_policies_in_a_config_map_are_found(outrider, write) -> None:
    indented = "".join(f"    {line}\n" for line in POLICIES.replace("allow:", "alow:", 1).splitlines())
    text = (
        "apiVersion: v1\nkind: ConfigMap\n"
        'metadata: {name: p, labels: {outrider.dev/policies: "true"}}\n'
        f"data:\n  policies.yaml: |\n{indented}"
    )
    code, out, _ = outrider("validate", write("cm.yaml", text), "-o", "json")
    assert code == 1
    assert any(error["line"] == 18 for error in json.loads(out)["errors"])


def test_a_misspelt_kind_is_guessed(outrider, write) -> None:
    path = write("kind.yaml", POLICIES.replace("AgentPolicy", "AgentPolicies"))
    code, out, _ = outrider("validate", path)
    assert code == 1
    assert "did you mean AgentPolicy?; allowed:" in out
