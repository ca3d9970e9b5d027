"""Our own documents at the API server: everything that is wrong, at once."""

from __future__ import annotations

from typing import Any

import pytest

from webhook.admission.judge_documents import is_document, judge, subject
from webhook.admission.outcome import Refusal
from webhook.admission.review import answer

GITHUB = {"protocol": "MCP", "host": "mcp.tools.svc", "port": 8080, "path": "/mcp", "tls": {"mode": "None"}}
POLICY = {
    "selector": {"matchLabels": {"app": "triage"}},
    "outbound": [{"backend": "github", "tools": {"allow": ["get_issue"]}}],
}
FILE = """
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec:
  selector: {matchLabels: {app: triage}}
  outbound:
  - backend: github
    tools: {allow: [get_issue]}
"""
BACKEND_FILE = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github}
spec: {protocol: MCP, host: mcp.tools.svc, port: 8080, path: /mcp, tls: {mode: None}}
"""


def request(kind: str, document: dict[str, Any], operation: str = "CREATE", **more: Any) -> Any:
    group, version = ("", "v1") if kind == "ConfigMap" else ("outrider.dev", "v1alpha1")
    asked = {"group": group, "version": version, "kind": kind}
    return {"uid": "u", "kind": asked, "operation": operation, "object": document, **more}


def resource(kind: str, spec: Any, **metadata: Any) -> Any:
    stored = {
        "uid": "x",
        "creationTimestamp": None,
        "managedFields": [{"manager": "kubectl"}],
        "generation": 1,
    }
    whole = {"name": "one", "namespace": "agents", **stored, **metadata}
    document = {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": kind,
        "metadata": whole,
        "spec": spec,
        "status": {"x": 1},
    }
    return request(kind, document)


def config_map(data: Any = None, label: str | None = "true", **fields: Any) -> Any:
    labels = {} if label is None else {"outrider.dev/policies": label}
    return request("ConfigMap", {"metadata": {"name": "p", "labels": labels}, "data": data, **fields})


@pytest.mark.parametrize(
    "asked",
    [
        resource("Backend", GITHUB),
        resource("AgentPolicy", POLICY),
        resource("AgentPolicy", POLICY, name="", generateName="triage-"),
        config_map({"a.yaml": FILE, "b.yml": BACKEND_FILE, "readme.md": "{"}),
    ],
)
def test_what_every_sidecar_can_read_is_taken(asked) -> None:
    assert judge(asked).reason == "documents_valid", judge(asked).sentence


@pytest.mark.parametrize(("kind", "spec"), [("Backend", GITHUB), ("AgentPolicy", POLICY)])
def test_whoever_makes_a_resource_is_told_that_sidecars_read_the_config_map(kind, spec) -> None:
    asked = resource(kind, spec)
    response = answer(asked, judge(asked, "outrider-policies"), subject=kind).reply["response"]
    (warning,) = response["warnings"]
    assert response["allowed"]
    assert len(warning) <= 120
    assert warning == (
        f"outrider: this {kind} has no effect: sidecars here read only ConfigMap outrider-policies"
    )
    assert judge(asked, "outrider-policies", control=True).warnings == ()
    assert judge(asked).warnings[0].endswith("read only their own files")
    files = config_map({"a.yaml": FILE, "b.yml": BACKEND_FILE})
    assert "warnings" not in answer(files, judge(files, "outrider-policies")).reply["response"]


def test_a_policy_may_name_a_backend_that_comes_later_but_not_within_one_config_map() -> None:
    assert judge(resource("AgentPolicy", POLICY)).reason == "documents_valid"
    refused = judge(config_map({"a.yaml": FILE}))
    assert isinstance(refused, Refusal)
    assert "github" in refused.sentence


def test_every_fault_is_told_with_its_path_and_what_is_allowed() -> None:
    spec = {
        "selector": 3,
        "mode": "loose",
        "outbound": [{"backend": "x", "tools": {"deny": ["*"], "alow": []}}],
    }
    refused = judge(resource("AgentPolicy", spec))
    assert isinstance(refused, Refusal)
    assert refused.reason == "documents_invalid"
    for path in ("- spec.selector", "- spec.mode: ", "- spec.outbound[0].tools"):
        assert path in refused.sentence, refused.sentence
    assert "enforce" in refused.sentence
    assert len(refused.problems) >= 4


def test_the_faults_of_a_config_map_name_file_and_line() -> None:
    refused = judge(
        config_map({"a.yaml": FILE.replace("get_issue", "{}"), "b.yaml": "kind: [", "c.yaml": BACKEND_FILE})
    )
    assert isinstance(refused, Refusal)
    assert "- a.yaml:9: spec.outbound[0].tools.allow[0]" in refused.sentence
    assert "- b.yaml:" in refused.sentence


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (config_map({}), "no key ends in .yaml or .yml"),
        (config_map(None), "no key ends in .yaml or .yml"),
        (
            config_map({"a.yaml": FILE + "---" + BACKEND_FILE}, label="yes"),
            "label outrider.dev/policies: 'yes'",
        ),
        (
            config_map({"b.yaml": BACKEND_FILE}, binaryData={"a.yaml": "AA=="}),
            "binaryData.a.yaml: policies are text",
        ),
    ],
)
def test_a_config_map_that_no_sidecar_would_read_as_meant_is_refused(asked, told) -> None:
    refused = judge(asked)
    assert isinstance(refused, Refusal)
    assert told in refused.sentence


def test_hundreds_of_faults_are_told_to_a_point() -> None:
    rules = [{"backend": f"b{place}", "toools": {}} for place in range(200)]
    refused = judge(resource("AgentPolicy", {**POLICY, "outbound": rules}))
    assert isinstance(refused, Refusal)
    assert refused.sentence.count("\n- ") == 51
    assert refused.sentence.endswith("- and 150 more")


@pytest.mark.parametrize(
    ("asked", "concerns"),
    [
        (resource("Backend", {}), True),
        (config_map({}), True),
        (request("Backend", {}, "UPDATE"), True),
        (request("Backend", {}, "DELETE"), False),
        (request("Backend", {}, subResource="status"), False),
        (request("Other", {}), False),
        (
            {"uid": "u", "kind": {"group": "x", "version": "v1", "kind": "ConfigMap"}, "operation": "CREATE"},
            False,
        ),
        ({"uid": "u"}, False),
    ],
)
def test_only_documents_that_are_created_or_changed_are_looked_at(asked, concerns) -> None:
    assert is_document(asked) is concerns


def test_a_config_map_without_the_label_is_not_looked_at() -> None:
    assert judge(config_map({"a.yaml": "{"}, label=None)).reason == "not_validated"
    assert subject(config_map({})) == "ConfigMap"
