from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cli.check.sidecar_state import Configured, States
from cli.cluster.answers import Denied
from cli.cluster.parts import Part
from cli.describe.description import describe
from cli.describe.facts import Facts
from cli.describe.given import Surroundings, read_surroundings
from cli.describe.journal import read_journal
from cli.describe.policies import agent_labels, narrowing_of, rights
from cli.describe.report import as_json, blocks
from cli.describe.settings import settings
from cli.main import main
from cli.output.plain import render
from mesh.settings.table import VERSION
from tests.support import outrider_cluster as cluster
from tests.support.cluster_over_http import kubeconfig, serving
from tests.support.outrider_cluster import changed, part
from webhook.admission.settings import InjectionSettings

GOLDENS = Path(__file__).parent / "goldens"
LATER = "2026-06-01T11:30:00Z"
POD = cluster.injected_pod(settings=InjectionSettings())
FACTS = Facts(
    POD,
    cluster.namespace("agents", **{"outrider.dev/injection": "enabled"}),
    InjectionSettings(),
    policies=part(cluster.policies()),
    log=cluster.LOG,
)
"""Without a control plane."""
CONTROLLED = cluster.injected_pod()
STREAM = Facts(
    CONTROLLED,
    cluster.namespace("agents", **{"outrider.dev/injection": "enabled"}),
    cluster.controlled(),
    Part(absent=True),
    part(*cluster.of_kind("AgentPolicy")),
    cluster.LOG,
    around=Surroundings(tuple(cluster.policy_objects()), (cluster.agent_service(),), (CONTROLLED,)),
    states=States({"triage": Configured("stream", "c0ffee", True)}),
    trust_domain="corp.example",
)
STATUS = "metadata/annotations/outrider.dev|status"


def expect(name: str, actual: str) -> None:
    path = GOLDENS / name
    actual = actual.replace(VERSION, "VERSION")
    if os.environ.get("OUTRIDER_REGENERATE"):
        path.write_text(actual, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == actual


def test_a_description_is_as_recorded() -> None:
    for name, facts in (("triage", STREAM), ("configmap", FACTS)):
        found = describe(facts, cluster.NOW)
        expect(f"{name}.txt", render(blocks(found)))
        expect(f"{name}.json", json.dumps(as_json(found), indent=2) + "\n")
    assert {path.stem for path in GOLDENS.iterdir()} == {"triage", "configmap"}


def text(**more: object) -> str:
    return render(blocks(describe(replace(FACTS, **more), cluster.NOW)))


def streamed(**more: object) -> str:
    return " ".join(render(blocks(describe(replace(STREAM, **more), cluster.NOW))).split())


def state(**more: object) -> States:
    return States(
        {"triage": Configured(**{"source": "stream", "version": "c0ffee", "connected": True, **more})}
    )


def line(event: str, **more: object) -> str:
    return json.dumps({"event": event, **more}) + "\n"


CONNECTED = line("control_connected") + line("configuration", version="b0b", source="stream")
XBACKEND = {
    "apiVersion": "gateway.networking.x-k8s.io/v1alpha1",
    "kind": "XBackend",
    "metadata": {"name": "web", "namespace": "agents"},
    "spec": {
        "type": "ExternalHostname",
        "externalHostname": {"hostname": "mcp.example.com"},
        "port": {"number": 8443},
    },
}


def access_policy(expression: str = "true") -> dict:
    cel = {"type": "CEL", "cel": {"expression": expression}}
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": "triage"}],
        "action": "Allow",
        "rules": [{"name": "all", "authorization": cel}],
    }
    return {
        "apiVersion": "agentic.networking.x-k8s.io/v1alpha1",
        "kind": "XAccessPolicy",
        "metadata": {"name": "callers", "namespace": "agents"},
        "spec": spec,
    }


def around(*more: dict) -> Surroundings:
    return replace(STREAM.around, objects=(*STREAM.around.objects, *more))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "in force c0ffee control plane connected"),
        (
            {"states": state(source="saved", connected=False, problem="nobody answers")},
            "c0ffee (saved, from before",
        ),
        (
            {"states": state(connected=False, problem="nobody answers")},
            "control plane not connected: nobody answers",
        ),
        ({"states": state(connected=False)}, "control plane not connected Settings"),
        ({"states": state(source="none", version="")}, "in force none yet: nothing is let through"),
        ({"states": state(refused="b0b: configuration_invalid: x")}, "refused b0b: configuration_invalid: x"),
        (
            {"states": state(refused="b0b: configuration_invalid: x")},
            "warning pod triage refused a configuration: b0b: configuration_invalid: x",
        ),
        ({"states": States()}, "in force unknown control plane nothing in its log"),
        (
            {"states": States(), "log": CONNECTED},
            "in force b0b control plane connected, as far as its log says",
        ),
        (
            {"states": States(), "log": CONNECTED + line("control_problem", detail="nobody answers.")},
            "in force b0b control plane not connected: nobody answers",
        ),
        (
            {
                "states": States(),
                "log": CONNECTED
                + line("configuration_refused", reason="configuration_invalid", errors=["x", 7]),
            },
            "refused configuration_invalid: x",
        ),
        ({"states": States(), "log": line("configuration_refused", errors=7) + CONNECTED}, "in force b0b"),
        ({"log": ""}, "should be spiffe://corp.example/ns/agents/sa/triage"),
        ({}, "issued by the control plane"),
        ({"log": cluster.LOG_LINES[1]}, "The control plane issues it: `outrider check` says how that is."),
        ({}, "AgentPolicy/triage (enforce, egress: deny); 1 of 1 sidecar runs this generation"),
        (
            {
                "resources": part(
                    *cluster.of_kind(
                        "AgentPolicy", cluster.policy_objects(applied={"current": 1, "total": 3})
                    )
                )
            },
            "1 of 3 sidecars run this generation",
        ),
        (
            {
                "resources": part(
                    *cluster.of_kind(
                        "AgentPolicy",
                        cluster.policy_objects(
                            conditions=[
                                cluster.condition("Accepted", "False", "Invalid", "no such field"),
                                cluster.condition("Conflicted", "True", "SameDestination"),
                            ]
                        ),
                    )
                )
            },
            "not accepted: Invalid: no such field; in conflict: SameDestination",
        ),
        (
            {"resources": Part(unread="forbidden (403)")},
            "Not known: AgentPolicies cannot be listed: forbidden (403).",
        ),
        (
            {"around": replace(STREAM.around, unread=("backends of other namespaces cannot be listed: no",))},
            "As far as it can be told: backends of other namespaces cannot be listed: no.",
        ),
        ({"around": Surroundings()}, "No AgentPolicy selects it: nothing is allowed."),
        (
            {"around": replace(STREAM.around, objects=(access_policy(),))},
            "No AgentPolicy selects it: only XAccessPolicies decide. "
            "XAccessPolicy/agents/callers (Allow, about Service triage)",
        ),
        (
            {"around": around(access_policy("nobody.knows"))},
            "about Service triage): not accepted at Service/agents/tr",
        ),
        ({"around": around(XBACKEND)}, "XBackend agents/web is closed (TLSNotStated): write tls.mode"),
        (
            {
                "around": around(
                    {
                        **cluster.policy_objects()[0],
                        "metadata": {"name": "x", "namespace": "agents"},
                        "spec": 7,
                    }
                )
            },
            "Pod agents/triage",
        ),
        (
            {"around": around({**XBACKEND, "spec": {"type": 7}})},
            "Pod agents/triage",
        ),
        (
            {
                "around": replace(
                    STREAM.around, objects=(changed(cluster.of_kind("AgentPolicy")[0], "spec/egres", "deny"),)
                )
            },
            "AgentPolicy agents/triage cannot be read, and what stands in for it is closed: spec.egres",
        ),
        ({"around": around({"kind": "Unknown"}, {**XBACKEND, "metadata": 7})}, "Pod agents/triage"),
        (
            {"pod": changed(CONTROLLED, "metadata/labels/app", "other")},
            "No AgentPolicy selects it: nothing is allowed.",
        ),
    ],
)
def test_what_the_control_plane_gives_is_told(more, words) -> None:
    assert words in streamed(**more)


def test_users_and_credentials_have_sections_of_their_own() -> None:
    backend, policy = cluster.policy_objects()
    credited = changed(backend, "spec/credential", {"svid": {"audience": "crm"}})
    issuers = [{"issuer": "https://idp.example", "audiences": ["triage"]}]
    heard = changed(policy, "spec/users", {"issuers": issuers})
    said = streamed(around=replace(STREAM.around, objects=(credited, heard)))
    assert "BACKEND GETS github svid for crm" in said
    assert "Users issuer https://idp.example for triage token required" in said


def test_backends_of_other_namespaces_are_named_as_rules_name_them() -> None:
    backend, policy = cluster.policy_objects()
    there = changed(backend, "metadata/namespace", "tools")
    named = changed(policy, "spec/outbound/0/backend", "tools/github")
    credited = changed(there, "spec/credential", {"svid": {"audience": "crm"}})
    said = streamed(around=replace(STREAM.around, objects=(credited, named)))
    assert "github (MCP, github.tools.svc:8080/mcp) tools get_issue" in said
    assert "svid for crm" not in said  # credentials stay in their namespace
    assert "tools/github none: its credential (svid) does not count here" in said


def test_a_pod_from_before_the_control_plane_has_the_policies_of_its_config_map() -> None:
    said = streamed(pod=POD, policies=part(cluster.policies()), states=States())
    assert "Configuration" not in said
    assert "AgentPolicy/triage (enforce, egress: deny) MAY CALL" in said
    assert "was made without a control plane" in said


def test_what_may_not_be_listed_everywhere_is_listed_here() -> None:
    api = cluster.over_http()

    class Reading:
        def items(self, path: str, **query: str) -> tuple[dict, ...]:
            if "/namespaces/" not in path or "services" in path:
                raise Denied(403, "forbidden")
            return tuple(api.lists.get(path, ()))

    found = read_surroundings(Reading(), "agents")
    assert [one["kind"] for one in found.objects] == ["AgentPolicy", "Backend"]
    assert "services cannot be listed: forbidden (403)" in found.unread
    assert "pods of other namespaces cannot be listed: forbidden (403)" in found.unread


def test_a_pod_without_a_sidecar_is_told_where_to_ask() -> None:
    said = text(pod=cluster.bare_pod(), log="", log_unread="container not found (400)")
    assert "It has no sidecar; `outrider check-inject` says why." in said
    assert "Settings" not in said


def test_the_trust_domain_is_that_of_the_svid_or_the_one_given() -> None:
    other = cluster.LOG.replace("spiffe://cluster.local", "spiffe://corp.example")
    assert (
        describe(replace(FACTS, log=other), cluster.NOW).expected_id
        == "spiffe://corp.example/ns/agents/sa/triage"
    )
    assert describe(FACTS, cluster.NOW, "td").expected_id == "spiffe://td/ns/agents/sa/triage"
    unknown = describe(replace(FACTS, log=""), cluster.NOW)
    assert unknown.expected_id == "spiffe://?/ns/agents/sa/triage"
    assert "(--trust-domain NAME says which)" in " ".join(render(blocks(unknown)).split())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"log": "", "log_unread": "forbidden (403)"},
            "unknown, for its log cannot be read: forbidden (403)",
        ),
        ({"log": ""}, "not in its log"),
        ({"log": ""}, "None in its log."),
        (
            {"policies": Part(absent=True)},
            "there is no ConfigMap outrider-policies, and the pod waits for it",
        ),
        ({"policies": Part(unread="forbidden (403)")}, "Not known: forbidden (403)."),
        ({"settings": InjectionSettings(policy_config_map="")}, "PODNAME"),
        ({"policies": part(cluster.policies("kind: x"))}, "policies.yaml:1: kind"),
        ({"policies": part(cluster.policies(""))}, "No AgentPolicy selects it: nothing is allowed."),
        (
            {"log": cluster.LOG.replace("sa/triage", "sa/other")},
            "it has the identity spiffe://cluster.local/ns/agents/sa/other",
        ),
        ({"log": cluster.LOG_LINES[1]}, "identity: no identity issued"),
        ({"log": '{"event":"identity_expired","since":"noon"}'}, "identity: expired since noon"),
        ({"pod": changed(POD, "spec/terminationGracePeriodSeconds", 1)}, "has 1 seconds to end"),
        (
            {"pod": changed(POD, "status/initContainerStatuses/0/ready", False)},
            "not ready, restarted 0 times",
        ),
        ({"pod": changed(POD, "status", {})}, "not reported yet"),
        (
            {"policies": part(changed(cluster.policies(), "metadata/managedFields/0/time", LATER))},
            "the policies were written at 2026-06-01 11:30:00 UTC",
        ),
        ({"resources": part({"kind": "AgentPolicy"})}, "1 AgentPolicies are resources, which sidecars"),
    ],
)
def test_what_is_not_well_is_told(more, words) -> None:
    if words == "PODNAME":
        more, words = {**more, "policies": Part()}, "policies are in the sidecar's image"
    assert words in " ".join(text(**more).split())


def test_a_sidecar_that_never_started_has_no_log(tmp_path, capsys) -> None:
    api = cluster.over_http()
    waiting = {"name": "outrider-sidecar", "ready": False, "state": {"waiting": {"reason": "ErrImagePull"}}}
    path = "/api/v1/namespaces/agents/pods/triage"
    api.objects[path] = changed(POD, "status/initContainerStatuses/0", waiting)
    with serving(api) as url:
        main(["describe", "pod", "triage", "--kubeconfig", str(kubeconfig(tmp_path, url))])
    said = " ".join(capsys.readouterr().out.split())
    assert "for its log cannot be read: it has not started: ErrImagePull" in said
    assert not [one for one in api.requests if "/log" in one]


def test_what_a_proxy_answers_in_place_of_a_log_is_shortened() -> None:
    said = text(log="", log_unread="<html>\n" + "x" * 1000)
    assert "x" * 300 not in said.replace("\n", "").replace(" ", "")


def test_backends_that_do_not_answer_are_told() -> None:
    line = {
        "time": "2026-06-01T11:00:00Z",
        "event": "upstream_failure",
        "backend": "github",
        "destination": "github.tools.svc:8080",
        "reason": "upstream_unreachable",
        "detail": "connection refused",
    }
    said = " ".join(text(log=json.dumps(line)).split())
    assert "None in its log. Last failures of backends" in said
    assert "github github.tools.svc:8080 upstream_unreachable connection refused" in said
    found = as_json(describe(replace(FACTS, log=json.dumps(line)), cluster.NOW))
    assert [one["reason"] for one in found["failures"]] == ["upstream_unreachable"]


def test_settings_are_told_with_their_layer_and_checked_against_the_container() -> None:
    written = json.loads(POD["metadata"]["annotations"]["outrider.dev/status"])
    written["settings"]["mtls"] = {"value": "permissive", "layer": "pod"}
    written["settings"]["log-level"]["value"] = "warning"
    written["settings"]["memory-limit"]["value"] = "1Gi"
    written["settings"]["new"] = {"value": "x", "layer": "platform"}
    pod = changed(POD, STATUS, json.dumps(written))
    found = {one.name: (one.value, one.layer, one.really) for one in settings(pod)}
    assert found["mtls"] == ("permissive", "pod", "strict")
    assert found["log-level"] == ("warning", "default", "info")
    assert found["memory-limit"] == ("1Gi", "default", "256Mi")
    assert found["capture"] == ("explicit", "default", "")
    assert list(found)[-1] == "new"
    said = " ".join(text(pod=pod).split())
    assert "but the container has strict" in said
    assert "mtls: the annotation says permissive, the container strict" in said


@pytest.mark.parametrize("status", [..., "nonsense", "[]", '{"settings": 1}'])
def test_a_status_that_nobody_can_read_is_no_error(status) -> None:
    pod = changed(POD, STATUS, status)
    assert settings(pod) == ()
    assert "Pod agents/triage" in text(pod=pod)


def test_rights_are_those_of_the_labels_at_admission_and_of_annotations() -> None:
    relabelled = changed(POD, "metadata/labels/app", "other")
    assert agent_labels(relabelled)["app"] == "triage"
    assert agent_labels(cluster.bare_pod()) == {"app": "triage"}
    narrow = [
        {"name": "OUTRIDER_NARROW_POLICIES", "value": '["other"]'},
        {"name": "OUTRIDER_NARROW_MODE", "value": "enforce"},
    ]
    pod = changed(POD, "spec/initContainers/0/env", [*POD["spec"]["initContainers"][0]["env"], *narrow])
    found = rights(pod, cluster.policies(), "agents")
    assert found.policies == ("AgentPolicy/triage (enforce, egress: deny, left out by annotation)",)
    assert found.outbound == ()
    assert found.narrowed == ('policies: ["other"]', "mode: enforce")


@pytest.mark.parametrize(
    ("only", "mode", "egress"),
    [("a", "observe", "allow"), ("other", "observe", "deny"), ("other", "enforce", "deny")],
)
def test_an_annotation_that_leaves_no_policy_closes_egress_too(only, mode, egress) -> None:
    narrow = [{"name": "OUTRIDER_NARROW_POLICIES", "value": f'["{only}"]'}]
    pod = changed(POD, "spec/initContainers/0/env", [*POD["spec"]["initContainers"][0]["env"], *narrow])
    documents = cluster.policies(MANY.replace("mode: observe", f"mode: {mode}"))
    assert rights(pod, documents, "agents").egress == egress


def test_egress_that_is_only_observed_is_told_as_written() -> None:
    observed = cluster.policies(MANY.replace("egress: allow", "egress: deny"))
    assert rights(POD, observed, "agents").egress == "deny"
    unselected = cluster.policies(MANY.replace("egress: allow", "selector: {matchLabels: {app: other}}"))
    assert rights(POD, unselected, "agents").egress == "deny"


def test_narrowing_that_cannot_be_read_is_none() -> None:
    pod = changed(
        POD, "spec/initContainers/0/env", [{"name": "OUTRIDER_NARROW_TOOLS_DENY", "value": "[1, ["}]
    )
    assert narrowing_of(pod).told() is None
    pod = changed(
        POD, "spec/initContainers/0/env", [{"name": "OUTRIDER_NARROW_TOOLS_DENY", "value": '["x"]'}]
    )
    assert narrowing_of(pod).told() is None


MANY = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: web}
spec: {protocol: HTTP, host: web.svc, port: 80, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: a}
spec:
  egress: allow
  mode: observe
  outbound: [{backend: "*"}]
  inbound:
  - {from: ["*"], http: {allow: true}}
  - {from: [unauthenticated], mcp: {path: /x, prompts: {allow: [p]}, unknownMethods: allow}}
"""


def test_rights_are_told_for_every_kind_of_rule() -> None:
    found = rights(POD, cluster.policies(MANY), "agents")
    assert found.policies == ("AgentPolicy/a (observe, egress: allow)",)
    assert found.egress == "allow"
    assert found.outbound == (("web (HTTP, web.svc:80)", "everything"),)
    assert found.inbound == (
        ("*", "plain HTTP"),
        ("unauthenticated", "MCP at /x: prompts p; unknown methods"),
    )


def test_the_journal_keeps_the_last_denials_and_passes_over_the_rest() -> None:
    journal = read_journal(cluster.LOG * 5)
    assert journal.spiffe_id == "spiffe://cluster.local/ns/agents/sa/triage"
    assert len(journal.denials) == 10
    last = read_journal(cluster.LOG).denials
    assert [one.reason for one in last] == [
        "tool_denied",
        "peer_not_allowed",
        "egress_denied",
        "json_malformed",
    ]
    assert [one.observed for one in last] == [False, False, True, False]
    assert last[1].what.endswith("from spiffe://x/y")
    assert read_journal('{"event":"decision","allowed":false}\n' + "{" * 9999).denials[0].what == "decision"


@pytest.fixture
def options(tmp_path):
    api = cluster.over_http()
    with serving(api) as url:
        yield api, ["--kubeconfig", str(kubeconfig(tmp_path, url))]


def test_a_pod_of_a_cluster_is_described(options, capsys) -> None:
    api, flags = options
    assert main(["describe", "pod", "triage", *flags, "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["identity"]["actual"] == cluster.SPIFFE_ID
    assert found["policies"]["selecting"] == ["AgentPolicy/triage (enforce, egress: deny)"]
    assert found["policies"]["standing"] == ["1 of 1 sidecar runs this generation"]
    assert found["configuration"] == {"in force": "c0ffee", "control plane": "connected"}
    assert found["warnings"] == []
    assert next(one for one in api.requests if "log?" in one).endswith(
        "container=outrider-sidecar&tailLines=2000"
    )


def test_a_log_that_may_not_be_read_is_no_failure(options, capsys) -> None:
    api, flags = options
    api.status["/api/v1/namespaces/agents/pods/triage/log"] = 403
    assert main(["describe", "pod", "triage", "-n", "agents", *flags]) == 0
    assert "its log cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [("nobody", None, "There is no pod nobody in namespace agents."), ("triage", 403, "(403)")],
)
def test_a_pod_that_cannot_be_read_ends_with_two(options, capsys, name, status, words) -> None:
    api, flags = options
    if status:
        api.status["/api/v1/namespaces/agents/pods/triage"] = status
    assert main(["describe", "pod", name, *flags]) == 2
    assert words in capsys.readouterr().err
