"""Somebody else's webhook before and after ours: what it adds is covered, what it undoes is made good or refused.

API servers call webhooks by name, and those with `IfNeeded` once more where a later one has changed the pod. So
ours has the last word over one that is called once, the final-state policy over one that is called again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from e2e.cluster.api import ApiError
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.foreign_webhook import ForeignWebhook, foreign_webhook
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod
from mesh.settings.table import SIDECAR_CONTAINER

Pod = dict[str, Any]
Patch = list[dict[str, Any]]
Mutate = Callable[[Pod], Patch]
Create = Callable[..., tuple[Pod, ForeignWebhook]]
ENABLED = {"outrider.dev/injection": "enabled"}
BEFORE, AFTER = "aa-before", "zz-after"
ADDED = {"name": "added", "image": "example/app"}
PROXIES = {"HTTP_PROXY", "https_proxy", "NO_PROXY"}


def names(containers: list[Pod] | None) -> list[str]:
    return [one["name"] for one in containers or []]


def variables(container: Pod) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in container.get("env", [])}


def put(path: str, value: Any, op: str = "add") -> dict[str, Any]:
    return {"op": op, "path": path, "value": value}


def add_container(seen: Pod) -> Patch:
    return [] if "added" in names(seen["spec"]["containers"]) else [put("/spec/containers/-", ADDED)]


def add_init_container(seen: Pod) -> Patch:
    known = seen["spec"].get("initContainers")
    if "added" in names(known):
        return []
    return [put("/spec/initContainers/-", ADDED) if known else put("/spec/initContainers", [ADDED])]


def add_volume(seen: Pod) -> Patch:
    volumes = names(seen["spec"].get("volumes"))
    return [] if "scratch" in volumes else [put("/spec/volumes/-", {"name": "scratch", "emptyDir": {}})]


def add_variable(seen: Pod) -> Patch:
    if "FOREIGN" in variables(seen["spec"]["containers"][0]):
        return []
    one = {"name": "FOREIGN", "value": "1"}
    there = "env" in seen["spec"]["containers"][0]
    return [put("/spec/containers/0/env/-", one) if there else put("/spec/containers/0/env", [one])]


def change_probe(seen: Pod) -> Patch:
    return [put("/spec/containers/0/readinessProbe", {"httpGet": {"path": "/other", "port": 8081}})]


def sidecar_at(seen: Pod) -> int | None:
    known = names(seen["spec"].get("initContainers"))
    return known.index(SIDECAR_CONTAINER) if SIDECAR_CONTAINER in known else None


def of_sidecar(change: Callable[[str], Patch]) -> Mutate:
    """A change of the sidecar by its path, where there is one."""

    def patch(seen: Pod) -> Patch:
        at = sidecar_at(seen)
        return [] if at is None else change(f"/spec/initContainers/{at}")

    return patch


def replace_status(seen: Pod) -> Patch:
    return [put("/metadata/annotations/outrider.dev~1status", "{}")] if sidecar_at(seen) is not None else []


def get_in_front(seen: Pod) -> Patch:
    return (
        []
        if sidecar_at(seen) != 0
        else [
            put("/spec/initContainers/0", {**ADDED, "name": f"front-{len(seen['spec']['initContainers'])}"})
        ]
    )


@pytest.fixture
def agents(outrider: Installation, make_namespace: MakeNamespace) -> str:
    return make_namespace(**ENABLED)


@pytest.fixture
def created(plane: ControlPlane, kube: Kube, agents: str) -> Create:
    """What comes of a pod where somebody else's webhook is called, too; raises ApiError."""

    def create(name: str, mutate: Mutate, policy: str, **spec: Any) -> tuple[Pod, ForeignWebhook]:
        with foreign_webhook(plane, kube, name, mutate, agents, reinvocationPolicy=policy) as foreign:
            kube.until(lambda: in_force(foreign), "the webhook is called")
            foreign.seen.clear()
            return kube.create(pod("agent", **spec), namespace=agents, dry_run=True), foreign

    def in_force(foreign: ForeignWebhook) -> bool:
        labels = {"outrider.dev/inject": "false"}
        kube.create(pod("probe", labels=labels), namespace=agents, dry_run=True)
        return bool(foreign.seen)

    return create


EITHER_SIDE = pytest.mark.parametrize("name", [BEFORE, AFTER])
POLICY = pytest.mark.parametrize("policy", ["Never", "IfNeeded"])


@EITHER_SIDE
@POLICY
def test_containers_of_others_get_their_proxy(name: str, policy: str, created: Create) -> None:
    made, foreign = created(name, add_container, policy)
    assert (sidecar_at(foreign.seen[0]) is None) == (name == BEFORE)
    assert names(made["spec"]["containers"]) == ["app", "added"]
    assert all(variables(one).keys() >= PROXIES for one in made["spec"]["containers"])
    assert names(made["spec"]["initContainers"]) == [SIDECAR_CONTAINER]


@EITHER_SIDE
@POLICY
def test_init_containers_of_others_come_after_the_sidecar(name: str, policy: str, created: Create) -> None:
    made, _ = created(name, add_init_container, policy)
    assert names(made["spec"]["initContainers"]) == [SIDECAR_CONTAINER, "added"]
    assert variables(made["spec"]["initContainers"][1]).keys() >= PROXIES


@EITHER_SIDE
@POLICY
def test_volumes_and_variables_of_others_stay(name: str, policy: str, created: Create) -> None:
    made, _ = created(name, lambda seen: [*add_volume(seen), *add_variable(seen)], policy)
    assert names(made["spec"]["volumes"]).count("scratch") == 1
    assert variables(made["spec"]["containers"][0])["FOREIGN"] == "1"
    assert variables(made["spec"]["containers"][0]).keys() >= PROXIES


@EITHER_SIDE
def test_a_probe_of_others_is_asked_by_the_sidecar_like_the_authors(name: str, created: Create) -> None:
    transparent = {"annotations": {"outrider.dev/capture": "transparent"}}
    first = {"readinessProbe": {"httpGet": {"path": "/mine", "port": 8080}}}
    made, _ = created(name, change_probe, "Never", **transparent, **first)
    probe = made["spec"]["containers"][0]["readinessProbe"]["httpGet"]
    assert (probe["path"], probe["port"]) == ("/app-health/app/readiness", 15020)
    (sidecar,) = (one for one in made["spec"]["initContainers"] if one["name"] == SIDECAR_CONTAINER)
    asked = json.loads(variables(sidecar)["OUTRIDER_APPLICATION_PROBES"])
    assert asked["app/readiness"]["httpGet"]["path"] == "/other"


NATIVE_ONLY = ("restartPolicy", "startupProbe", "readinessProbe", "livenessProbe")
UNDOING: list[tuple[str, Mutate, str]] = [
    ("removed", of_sidecar(lambda path: [{"op": "remove", "path": path}]), "sidecar_missing"),
    ("image", of_sidecar(lambda path: [put(f"{path}/image", "evil/sidecar:1")]), "sidecar_image"),
    ("command", of_sidecar(lambda path: [put(f"{path}/command", ["sleep"])]), "sidecar_changed"),
    ("user", of_sidecar(lambda path: [put(f"{path}/securityContext/runAsUser", 0)]), "sidecar_uid"),
    (
        "plain",
        of_sidecar(lambda path: [{"op": "remove", "path": f"{path}/{key}"} for key in NATIVE_ONLY]),
        "sidecar_displaced",
    ),
    ("in front", get_in_front, "sidecar_displaced"),
]


@pytest.mark.parametrize(("what", "undo", "reason"), UNDOING, ids=[one[0] for one in UNDOING])
def test_what_a_webhook_undoes_once_is_made_good(
    what: str, undo: Mutate, reason: str, created: Create
) -> None:
    made, foreign = created(AFTER, undo, "Never")
    assert sidecar_at(foreign.seen[0]) == 0
    assert undo(foreign.seen[0]), "it did try"
    untouched, _ = created(BEFORE, lambda seen: [], "Never")
    assert made["spec"]["initContainers"][0] == untouched["spec"]["initContainers"][0]


@pytest.mark.parametrize(("what", "undo", "reason"), UNDOING, ids=[one[0] for one in UNDOING])
def test_what_a_webhook_undoes_again_is_refused_by_the_final_state_policy(
    what: str, undo: Mutate, reason: str, created: Create
) -> None:
    with pytest.raises(ApiError) as refused:
        created(AFTER, undo, "IfNeeded")
    assert "ValidatingAdmissionPolicy 'outrider-final-state'" in refused.value.message
    assert f"outrider ({reason})" in refused.value.message


def test_a_status_of_others_is_replaced(created: Create) -> None:
    made, _ = created(AFTER, replace_status, "Never")
    assert json.loads(made["metadata"]["annotations"]["outrider.dev/status"])["sidecar"] == "native"


def test_annotations_of_others_count_like_the_authors(created: Create) -> None:
    def ask(seen: Pod) -> Patch:
        return (
            [put("/metadata/annotations", {"outrider.dev/memory": "111Mi"})]
            if sidecar_at(seen) is None
            else []
        )

    made, _ = created(BEFORE, ask, "Never")
    assert made["spec"]["initContainers"][0]["resources"]["requests"]["memory"] == "111Mi"


@POLICY
def test_a_webhook_that_never_keeps_still_ends(policy: str, created: Create) -> None:
    """Each call adds a container, so that all who want to be called again are."""

    def grow(seen: Pod) -> Patch:
        return [put("/spec/containers/-", {**ADDED, "name": f"added-{len(seen['spec']['containers'])}"})]

    made, foreign = created(AFTER, grow, policy)
    assert len(foreign.seen) == (1 if policy == "Never" else 2)
    assert names(made["spec"]["initContainers"]) == [SIDECAR_CONTAINER]
    covered = [one["name"] for one in made["spec"]["containers"] if variables(one).keys() >= PROXIES]
    assert covered == ["app", "added-1"]
