"""The annotation `hide-secrets`: placeholders for the agent, the secret for the sidecar alone."""

from __future__ import annotations

import json

import pytest

from mesh.reasons import Reason
from mesh.settings.placeholders import placeholder
from webhook.admission.ephemeral import admit_ephemeral
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Namespace, Refusal, Skipped
from webhook.admission.settings import InjectionSettings
from webhook.admission.strip import uninject

HIDE = "outrider.dev/hide-secrets"
FAKE = placeholder("agent", "TOKEN")


def secret(name, of="s", key="k", **more):
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": of, "key": key, **more}}}


def agent(*env, **more):
    return {"name": "agent", "image": "agent:1", "env": list(env), **more}


def hidden(pod, enabled, hide="TOKEN", settings=None, **spec):
    return inject(pod(annotations={HIDE: hide}, **spec), enabled, settings or InjectionSettings())


def env_of(injection, name="agent"):
    spec = injection.pod["spec"]
    both = [*spec["containers"], *spec["initContainers"]]
    return next(one for one in both if one["name"] == name).get("env") or []


def store(injection):
    env = {one["name"]: one for one in env_of(injection, "outrider-sidecar")}
    return json.loads(env["OUTRIDER_HIDDEN_SECRETS"]["value"])


def sources(injection):
    (volume,) = [one for one in injection.pod["spec"]["volumes"] if one["name"] == "outrider-hidden-secrets"]
    return [one["secret"] for one in volume["projected"]["sources"]]


def test_a_placeholder_stands_where_the_secret_was_and_only_the_sidecar_has_the_file(pod, enabled) -> None:
    containers = [agent({"name": "A", "value": "1"}, secret("TOKEN"), {"name": "B", "value": "$(TOKEN)"})]
    became = hidden(pod, enabled, containers=containers)
    assert env_of(became)[:3] == [
        {"name": "A", "value": "1"},
        {"name": "TOKEN", "value": FAKE},
        {"name": "B", "value": "$(TOKEN)"},
    ]
    assert sources(became) == [{"name": "s", "items": [{"key": "k", "path": FAKE}]}]
    assert store(became) == {
        FAKE: {
            "container": "agent",
            "variable": "TOKEN",
            "files": [f"/run/outrider/hidden-secrets/{FAKE}"],
            "originals": [secret("TOKEN")],
        }
    }
    mounting = {
        one["name"]
        for one in [*became.pod["spec"]["containers"], *became.pod["spec"]["initContainers"]]
        if any(mount["name"] == "outrider-hidden-secrets" for mount in one.get("volumeMounts") or [])
    }
    assert mounting == {"outrider-sidecar"}


def test_a_placeholder_is_told_by_its_looks_and_differs_between_containers_and_variables() -> None:
    several = [placeholder(container, name) for container in ("a", "ab") for name in ("X", "bX", "Y")]
    assert len(set(several)) == 6
    assert all(one.startswith("outrider-hidden-") and len(one) == 48 for one in several)
    assert placeholder("a", "X") == placeholder("a", "X")


def test_every_container_that_has_the_variable_gets_a_placeholder_of_its_own(pod, enabled) -> None:
    became = hidden(
        pod,
        enabled,
        containers=[agent(secret("TOKEN")), {"name": "other", "env": [secret("TOKEN", "t", "x")]}],
        initContainers=[{"name": "seed", "env": [secret("TOKEN", optional=True)]}],
    )
    for name in ("agent", "other", "seed"):
        assert {"name": "TOKEN", "value": placeholder(name, "TOKEN")} in env_of(became, name)
    assert sources(became) == [
        {
            "name": "s",
            "items": [{"key": "k", "path": placeholder("seed", "TOKEN")}],
            "optional": True,
        },
        {"name": "s", "items": [{"key": "k", "path": FAKE}]},
        {"name": "t", "items": [{"key": "x", "path": placeholder("other", "TOKEN")}]},
    ]


def test_a_variable_of_a_whole_secret_is_overridden(pod, enabled) -> None:
    whole = [{"prefix": "TO", "secretRef": {"name": "s"}}, {"configMapRef": {"name": "c"}}]
    became = hidden(pod, enabled, containers=[agent({"name": "A", "value": "1"}, envFrom=whole)])
    assert env_of(became)[-1] == {"name": "TOKEN", "value": FAKE}
    assert sources(became) == [{"name": "s", "items": [{"key": "KEN", "path": FAKE}], "optional": True}]
    assert store(became)[FAKE]["originals"] == []


def test_of_several_whole_secrets_each_may_hold_it(pod, enabled) -> None:
    whole = [{"secretRef": {"name": "s"}}, {"secretRef": {"name": "t"}}, {"secretRef": {"name": "s"}}]
    became = hidden(pod, enabled, containers=[agent(envFrom=whole)])
    assert [one["name"] for one in sources(became)] == ["s", "t"]
    assert [file.rpartition("/")[2] for file in store(became)[FAKE]["files"]] == [FAKE, f"{FAKE}.1"]


def test_a_variable_that_the_container_sets_itself_wins_over_the_whole_secret(pod, enabled) -> None:
    set_here = {"name": "TOKEN", "value": "mine"}
    containers = [
        agent(set_here, envFrom=[{"secretRef": {"name": "t"}}]),
        {"name": "b", "env": [secret("TOKEN")]},
    ]
    became = hidden(pod, enabled, containers=containers)
    assert set_here in env_of(became)


def test_a_variable_that_stands_there_twice_is_hidden_twice_and_given_back_in_order(pod, enabled) -> None:
    env = [secret("TOKEN", "first"), {"name": "A", "value": "$(TOKEN)"}, secret("TOKEN", "last")]
    before = pod(annotations={HIDE: "TOKEN"}, containers=[agent(*env)])
    became = inject(before, enabled, InjectionSettings())
    assert [one["value"] for one in env_of(became)[:3]] == [FAKE, "$(TOKEN)", FAKE]
    assert [one["name"] for one in sources(became)] == ["last"]
    left = unshared(became.pod)
    uninject(left, InjectionSettings())
    assert left == before


def test_without_the_annotation_the_secret_is_given_back(pod, enabled) -> None:
    became = hidden(pod, enabled, containers=[agent(secret("TOKEN", optional=False))])
    again = unshared(became.pod)
    del again["metadata"]["annotations"][HIDE]
    plain = inject(again, enabled, InjectionSettings())
    assert secret("TOKEN", optional=False) in env_of(plain)
    assert "outrider-hidden" not in json.dumps(plain.pod)


def test_what_pod_namespace_and_platform_name_adds_up(pod) -> None:
    namespace = Namespace("agents", {"outrider.dev/injection": "enabled"}, {HIDE: "B"})
    settings = InjectionSettings(defaults={HIDE: "C,ABSENT"})
    env = [secret(name, key=name) for name in "ABC"]
    became = inject(pod(annotations={HIDE: "A"}, containers=[agent(*env)]), namespace, settings)
    assert {one["variable"] for one in store(became).values()} == {"A", "B", "C"}
    told = became.status["settings"]["hide-secrets"]
    assert told == {"value": "A, B, C, ABSENT", "layer": "pod, namespace, platform"}


def test_a_name_that_comes_from_no_secret_is_refused_with_those_that_do(pod, enabled) -> None:
    containers = [
        agent(secret("KEY"), {"name": "LANG", "value": "C"}, envFrom=[{"configMapRef": {"name": "c"}}]),
        {"name": "b", "envFrom": [{"prefix": "X_", "secretRef": {"name": "whole"}}]},
    ]
    refusal = hidden(pod, enabled, hide="LANG", containers=containers)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.ANNOTATION_INVALID
    assert (
        "annotation outrider.dev/hide-secrets='LANG' of the pod is no variable that comes from a Secret; allowed: "
        "KEY, X_* of Secret whole (envFrom)" in refusal.sentence
    )


def test_where_nothing_comes_from_a_secret_that_is_said(pod, enabled) -> None:
    assert "allowed: nothing, since no container takes" in hidden(pod, enabled).sentence


@pytest.mark.parametrize("name", ["A B", "1A", "A=B", "TÖKEN"])
def test_what_is_no_name_of_a_variable_is_refused(pod, enabled, name) -> None:
    assert "has what is no name of an environment variable" in hidden(pod, enabled, hide=name).sentence


EXPOSED = [
    ({"containers": [agent(secret("TOKEN"), secret("COPY"))]}, "variable COPY is key k of Secret s"),
    (
        {"containers": [agent(secret("TOKEN")), {"name": "b", "env": [secret("OTHER")]}]},
        "container b, variable OTHER is key k of Secret s",
    ),
    (
        {"containers": [agent(secret("TOKEN"), envFrom=[{"secretRef": {"name": "s"}}])]},
        "variable k comes from Secret s by envFrom",
    ),
    (
        {
            "containers": [agent(secret("TOKEN"))],
            "initContainers": [{"name": "seed", "envFrom": [{"prefix": "P_", "secretRef": {"name": "s"}}]}],
        },
        "container seed, variable P_k comes from Secret s by envFrom",
    ),
    (
        {
            "containers": [agent(secret("TOKEN"), volumeMounts=[{"name": "v", "mountPath": "/v"}])],
            "volumes": [{"name": "v", "secret": {"secretName": "s"}}],
        },
        "volume v holds Secret s",
    ),
    (
        {
            "containers": [agent(secret("TOKEN"), volumeMounts=[{"name": "v", "mountPath": "/v"}])],
            "volumes": [
                {
                    "name": "v",
                    "projected": {
                        "sources": [{"secret": {"name": "s", "items": [{"key": "k", "path": "p"}]}}]
                    },
                }
            ],
        },
        "volume v holds Secret s",
    ),
    (
        {
            "containers": [
                agent(secret("TOKEN"), volumeMounts=[{"name": "v", "mountPath": "/v", "subPath": "a"}])
            ],
            "volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "a/b"}]}}],
        },
        "volume v holds Secret s",
    ),
]


@pytest.mark.parametrize(("spec", "told"), EXPOSED)
def test_a_secret_that_the_agent_still_gets_is_refused(pod, enabled, spec, told) -> None:
    refusal = hidden(pod, enabled, **spec)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.SECRET_EXPOSED
    assert told in refusal.sentence


def with_volume(volume, **mount):
    containers = [agent(secret("TOKEN"), volumeMounts=[{"name": "v", "mountPath": "/v", **mount}])]
    return {"containers": containers, "volumes": [{"name": "v", **volume}]}


HARMLESS = [
    {"containers": [agent(secret("TOKEN"), secret("OTHER", key="other"), secret("THIRD", of="t"))]},
    {"containers": [agent(secret("TOKEN"))], "volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
    with_volume({"secret": {"secretName": "t"}}),
    with_volume({"secret": {"secretName": "s", "items": [{"key": "other", "path": "k"}]}}),
    with_volume({"secret": {"secretName": "s"}}, subPath="other"),
    with_volume({"secret": None, "projected": {"sources": None}}),
    with_volume({"projected": {"sources": [{"configMap": {"name": "s"}}, {"secret": None}]}}),
    {
        "containers": [
            agent(secret("TOKEN"), {"name": "k", "value": "own"}, envFrom=[{"secretRef": {"name": "s"}}])
        ]
    },
]


@pytest.mark.parametrize("spec", HARMLESS)
def test_what_only_looks_like_the_same_secret_is_let_be(pod, enabled, spec) -> None:
    assert isinstance(hidden(pod, enabled, **spec), Injection)


def test_a_forged_store_gives_back_only_what_the_author_might_have_written(pod, enabled) -> None:
    kept = {"container": "agent", "variable": "TOKEN", "files": [], "originals": [secret("TOKEN", "theirs")]}
    forged = {
        "name": "outrider-sidecar",
        "env": [{"name": "OUTRIDER_HIDDEN_SECRETS", "value": json.dumps({FAKE: kept, "x": kept})}],
    }
    for place in ("initContainers", "containers"):
        spec = {"containers": [agent({"name": "TOKEN", "value": FAKE})], "initContainers": []}
        spec[place] = [forged, *spec[place]]
        became = hidden(pod, enabled, **spec)
        assert sources(became) == [{"name": "theirs", "items": [{"key": "k", "path": FAKE}]}]
        unhidden = inject(pod(**spec), enabled, InjectionSettings())
        assert secret("TOKEN", "theirs") in env_of(unhidden)


@pytest.mark.parametrize(
    "value",
    [
        "[]",
        "{",
        "3",
        json.dumps({FAKE: 3}),
        json.dumps({FAKE: {"container": "agent", "variable": "TOKEN", "files": [], "originals": [{}]}}),
        json.dumps({FAKE: {"container": "b", "variable": "TOKEN", "files": [], "originals": []}}),
    ],
)
def test_a_store_that_is_none_gives_nothing_back(pod, enabled, value) -> None:
    forged = {"name": "outrider-sidecar", "env": [{"name": "OUTRIDER_HIDDEN_SECRETS", "value": value}]}
    containers = [agent({"name": "TOKEN", "value": FAKE}, {"name": "A", "value": "1"})]
    became = inject(pod(containers=containers, initContainers=[forged]), enabled, InjectionSettings())
    assert {"name": "A", "value": "1"} in env_of(became)
    assert "valueFrom" not in json.dumps(env_of(became))


def test_a_placeholder_that_nothing_explains_is_text_like_any_other(pod, enabled) -> None:
    containers = [agent({"name": "TOKEN", "value": FAKE})]
    refusal = hidden(pod, enabled, containers=containers)
    assert refusal.reason is Reason.ANNOTATION_INVALID
    plain = inject(pod(containers=containers), enabled, InjectionSettings())
    assert {"name": "TOKEN", "value": FAKE} in env_of(plain)


def ephemeral(injection, **container):
    after = unshared(injection.pod)
    after["spec"]["ephemeralContainers"] = [{"name": "debug", **container}]
    return admit_ephemeral(after, injection.pod, Namespace("agents"), InjectionSettings())


def test_a_container_that_is_added_later_does_not_get_it_either(pod, enabled) -> None:
    became = hidden(pod, enabled, containers=[agent(secret("TOKEN"))])
    refusal = ephemeral(became, env=[secret("X")])
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.SECRET_EXPOSED
    mounting = ephemeral(became, volumeMounts=[{"name": "outrider-hidden-secrets", "mountPath": "/x"}])
    assert mounting.reason is Reason.RESERVED_VOLUME
    assert isinstance(ephemeral(became, env=[secret("X", "other")]), Skipped)


def test_whatever_stands_in_a_volume_of_that_name_adding_a_container_has_an_outcome(pod) -> None:
    kept = {FAKE: {"container": "agent", "variable": "TOKEN", "files": [FAKE], "originals": []}}
    sidecar = {
        "name": "outrider-sidecar",
        "env": [{"name": "OUTRIDER_HIDDEN_SECRETS", "value": json.dumps(kept)}],
    }
    for projected in (None, {}, {"sources": [3]}, {"sources": [{"secret": {"items": [{"key": "k"}]}}]}):
        volumes = [{"name": "outrider-hidden-secrets", "projected": projected}]
        strange = Injection(pod(containers=[agent(), sidecar], volumes=volumes), [], {})
        assert isinstance(ephemeral(strange, env=[secret("X")]), Skipped)
