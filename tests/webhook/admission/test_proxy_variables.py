from __future__ import annotations

import pytest

from mesh.reasons import Reason
from webhook.admission.inject import inject
from webhook.admission.outcome import Refusal
from webhook.admission.proxy_variables import merge, without
from webhook.admission.settings import InjectionSettings

URL = "http://127.0.0.1:15002"
OURS = (
    "localhost,127.0.0.1,::1,kubernetes,kubernetes.default,kubernetes.default.svc,"
    "kubernetes.default.svc.cluster.local,$(KUBERNETES_SERVICE_HOST)"
)


def values(env):
    return {variable["name"]: variable.get("value") for variable in env}


def test_a_container_without_environment_gets_every_variable_in_both_spellings(settings) -> None:
    merged = merge({"name": "agent"}, settings)
    assert values(merged.env) == {
        "HTTP_PROXY": URL,
        "http_proxy": URL,
        "HTTPS_PROXY": URL,
        "https_proxy": URL,
        "NODE_USE_ENV_PROXY": "1",
        "NO_PROXY": OURS,
        "no_proxy": OURS,
    }
    assert not merged.problems
    assert not merged.warnings


def test_own_variables_stay_first_and_unchanged(settings) -> None:
    own = [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    assert merge({"name": "agent", "env": own}, settings).env[:2] == own


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ([("NO_PROXY", "corp.example")], f"corp.example,{OURS}"),
        ([("no_proxy", "corp.example, 10.0.0.0/8")], f"corp.example,10.0.0.0/8,{OURS}"),
        ([("no_proxy", "a"), ("NO_PROXY", "b")], f"b,a,{OURS}"),
        ([("NO_PROXY", "localhost")], OURS),
        ([("NO_PROXY", "")], OURS),
        ([("NO_PROXY", "first"), ("NO_PROXY", "last")], f"last,{OURS}"),
    ],
)
def test_no_proxy_is_merged_alike_in_both_spellings(settings, env, expected) -> None:
    merged = merge(
        {"name": "agent", "env": [{"name": name, "value": value} for name, value in env]}, settings
    )
    assert values(merged.env)["NO_PROXY"] == expected
    assert values(merged.env)["no_proxy"] == expected
    assert not merged.problems


def test_entries_that_lead_past_the_sidecar_are_warned_of(settings) -> None:
    merged = merge({"name": "agent", "env": [{"name": "NO_PROXY", "value": "corp,localhost"}]}, settings)
    assert merged.warnings == ["container agent: NO_PROXY leads past the sidecar: corp"]


@pytest.mark.parametrize(
    "variable",
    [
        {"name": "HTTP_PROXY", "value": "http://corp:3128"},
        {"name": "http_proxy", "value": ""},
        {"name": "https_proxy", "value": "http://corp:3128"},
        {"name": "HTTPS_PROXY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "NODE_USE_ENV_PROXY", "value": "0"},
        {"name": "ALL_PROXY", "value": "socks5://corp:1080"},
        {"name": "all_proxy", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "grpc_proxy", "value": "http://corp:3128"},
        {"name": "GRPC_PROXY", "value": "http://corp:3128"},
        {"name": "All_Proxy", "value": "socks5://corp:1080"},
        {"name": "Http_Proxy", "value": "http://corp:3128"},
        {"name": "SOCKS_PROXY", "value": "socks5://corp:1080"},
        {"name": "WSS_PROXY", "value": "http://corp:3128"},
        {"name": "ws_proxy", "value": "http://corp:3128"},
        {"name": "NO_PROXY", "value": "a, *"},
        {"name": "NO_PROXY", "value": "a *"},
        {"name": "No_Proxy", "value": "*"},
        {"name": "no_grpc_proxy", "value": "*"},
        {"name": "no_proxy", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
    ],
    ids=lambda variable: variable["name"],
)
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_variable_that_contradicts_the_sidecar_is_refused(pod, enabled, settings, variable, kind) -> None:
    spec = {"containers": [{"name": "agent"}], kind: [{"name": "mine", "env": [variable]}]}
    refusal = inject(pod(**spec), enabled, settings)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.PROXY_CONFLICT
    assert f"container mine, variable {variable['name']}" in refusal.sentence


@pytest.mark.parametrize(
    ("hidden", "value"),
    [
        ({"name": "W", "value": "*"}, "$(W)"),
        ({"name": "W", "value": "a,*"}, "b,$(W)"),
        ({"name": "W", "value": "$(V)"}, "$(W)"),
        ({"name": "W", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}, "$(W)"),
        ({"name": "W", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['a']"}}}, "$(W)"),
        ({"name": "KUBERNETES_SERVICE_HOST", "value": "*"}, ""),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_grpc_proxy"])
def test_a_reference_hides_nothing_that_leads_past_the_sidecar(settings, hidden, value, name) -> None:
    merged = merge({"name": "agent", "env": [hidden, {"name": name, "value": value}]}, settings)
    assert [problem.detail for problem in merged.problems] == [f"container agent, variable {hidden['name']}"]


@pytest.mark.parametrize(
    "hidden",
    [
        {"name": "W", "value": "10.0.0.1"},
        {"name": "W", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        {"name": "OTHER", "value": "*"},
    ],
)
def test_a_reference_to_hosts_that_are_known_is_an_entry_like_any_other(settings, hidden) -> None:
    env = [hidden, {"name": "NO_PROXY", "value": "$(W)"}]
    merged = merge({"name": "agent", "env": env}, settings)
    assert not merged.problems
    assert merged.warnings == ["container agent: NO_PROXY leads past the sidecar: $(W)"]


def test_one_spelling_may_refer_to_the_other(settings) -> None:
    env = [{"name": "NO_PROXY", "value": "corp"}, {"name": "no_proxy", "value": "$(NO_PROXY)"}]
    once = merge({"name": "agent", "env": env}, settings)
    again = merge({"name": "agent", "env": once.env}, settings)
    assert again.env == once.env
    assert not once.problems
    assert not again.problems


@pytest.mark.parametrize("name", ["no_grpc_proxy", "No_Proxy"])
def test_entries_of_variables_that_are_not_merged_are_warned_of_too(settings, name) -> None:
    own = [{"name": name, "value": "corp localhost"}]
    merged = merge({"name": "agent", "env": own}, settings)
    assert merged.env[:1] == own
    assert merged.warnings == ["container agent: NO_PROXY leads past the sidecar: corp"]


def test_the_platform_adds_hosts_and_names_its_own_domain_and_port() -> None:
    settings = InjectionSettings(no_proxy=("metrics.internal",), cluster_domain="corp.lan")
    env = values(merge({"name": "agent"}, settings).env)
    assert env["NO_PROXY"].endswith(",metrics.internal")
    assert "kubernetes.default.svc.corp.lan" in env["NO_PROXY"]
    assert "cluster.local" not in env["NO_PROXY"]


def test_merging_twice_changes_nothing_more(settings) -> None:
    once = merge({"name": "agent", "env": [{"name": "no_proxy", "value": "corp"}]}, settings).env
    again = merge({"name": "agent", "env": once}, settings)
    assert again.env == once
    assert not again.problems


def test_further_proxy_variables_that_lead_to_the_sidecar_stay(settings) -> None:
    own = [{"name": "ALL_PROXY", "value": URL}]
    merged = merge({"name": "agent", "env": own}, settings)
    assert merged.env[:1] == own
    assert not merged.problems


def test_what_was_never_merged_is_left_alone(settings) -> None:
    own = [{"name": "HTTP_PROXY", "value": URL}, {"name": "NO_PROXY", "value": "localhost"}]
    assert without({"name": "agent", "env": own}, settings) == own


def test_taking_out_keeps_what_the_author_wrote(settings) -> None:
    own = [{"name": "NO_PROXY", "value": "corp"}, {"name": "HTTP_PROXY_NOTE", "value": "x"}]
    merged = merge({"name": "agent", "env": own}, settings).env
    left = without({"name": "agent", "env": merged}, settings)
    assert left == [*own, {"name": "no_proxy", "value": "corp"}]
