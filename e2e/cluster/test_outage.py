"""The webhook, the API server, etcd and the ways between them go away, and come back."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from e2e.cluster.api import ApiError, Json
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.handshakes import addresses, ask
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod, workload
from e2e.cluster.node import Node
from e2e.cluster.restarts import RESTARTS
from e2e.cluster.steady import Steady, steady_creation
from mesh.settings import installation as names
from mesh.settings.table import SIDECAR_CONTAINER

REVIEWS = "outrider_admissions_total{"
ENABLED = {"outrider.dev/injection": "enabled"}
REQUIRED = {"outrider.dev/injection": "required"}
DISABLED = {"outrider.dev/injection": "disabled"}
ASKS = {"outrider.dev/inject": "true"}
DECLINES = {"outrider.dev/inject": "false"}
POLICY: Json = {
    "apiVersion": "outrider.dev/v1alpha1",
    "kind": "AgentPolicy",
    "metadata": {"name": "all"},
    "spec": {"selector": {}, "outbound": [{"backend": "*", "tools": {"allow": ["*"]}}]},
}


@pytest.fixture
def agents(make_namespace: MakeNamespace) -> str:
    return make_namespace(**ENABLED)


def scale(outrider: Installation, replicas: int) -> None:
    """Change how many replicas there are, and wait until that is so."""
    outrider.kube.patch("Deployment", names.WEBHOOK, {"spec": {"replicas": replicas}}, outrider.namespace)
    if replicas:
        outrider.ready()
    else:
        outrider.kube.until(lambda: not outrider.pods(), "no replica", outrider.namespace)


@contextlib.contextmanager
def without_replicas(outrider: Installation) -> Iterator[None]:
    scale(outrider, 0)
    try:
        yield
    finally:
        scale(outrider, 2)


def refusal(kube: Kube, namespace: str, manifest: Json) -> str:
    """Why it cannot be created; "" where it can."""
    try:
        kube.create(manifest, namespace=namespace, dry_run=True)
    except ApiError as error:
        return error.message
    return ""


def served(kube: Kube, namespace: str) -> bool:
    """Does a pod of an enabled namespace get its sidecar now?"""
    try:
        return injected(kube.create(pod("probe"), namespace=namespace, dry_run=True))
    except ApiError:
        return False


def injected(made: Json) -> bool:
    return bool((made["spec"].get("initContainers") or [{}])[0].get("name") == SIDECAR_CONTAINER)


def restarts(outrider: Installation) -> dict[str, int]:
    """Of each replica by name."""
    return {
        one["metadata"]["name"]: one["status"]["containerStatuses"][0]["restartCount"]
        for one in outrider.pods()
    }


def leader(outrider: Installation) -> str:
    """The replica that leads, once one does."""

    def look() -> str | None:
        holder = outrider.kube.the("Lease", names.WEBHOOK, outrider.namespace).get("spec", {})
        return holder.get("holderIdentity") or None

    return outrider.kube.until(look, "somebody leads", outrider.namespace)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Several that create pods at once, so that the API server calls over several connections, old and new."""

    kube: Kube
    namespace: str
    each: list[Steady]

    @property
    def created(self) -> list[Json]:
        return [made for one in self.each for made in one.created]

    @property
    def failed(self) -> list[ApiError]:
        return [error for one in self.each for error in one.failed]

    @property
    def slowest(self) -> float:
        return max(one.slowest for one in self.each)

    def more(self, count: int = 20) -> None:
        """Wait for so many more pods."""
        until = len(self.created) + count
        what = f"more pods: {self.failed[-3:]}"
        self.kube.until(lambda: len(self.created) >= until or None, what, self.namespace)


def busiest(outrider: Installation, steady: Crowd) -> str:
    """The replica that most of the calls go to: the API server keeps its connections."""
    before = reviews(outrider)
    steady.more(30)
    after = reviews(outrider)
    return max(after, key=lambda name: after[name] - before.get(name, 0))


def reviews(outrider: Installation) -> dict[str, float]:
    """How many requests each replica has answered."""
    counted = {}
    for one in outrider.pods():
        url = f"http://{one['status']['podIP']}:15020/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        lines = [line for line in text.splitlines() if line.startswith(REVIEWS)]
        counted[one["metadata"]["name"]] = sum(float(line.rsplit(" ", 1)[1]) for line in lines)
    return counted


@contextlib.contextmanager
def crowd(kube: Kube, namespace: str, size: int = 4) -> Iterator[Crowd]:
    with contextlib.ExitStack() as stack:
        each = [
            stack.enter_context(steady_creation(kube, namespace, lambda n: pod(f"agent-{n}"), pause=0.05))
            for _ in range(size)
        ]
        made = Crowd(kube, namespace, each)
        made.more()
        yield made
        made.more()


@pytest.mark.parametrize("answered", [True, False], ids=["nobody-there", "nobody-answers"])
def test_without_a_webhook_only_those_are_refused_that_asked_for_it_and_are_told_who_is_missing(
    answered: bool, outrider: Installation, kube: Kube, make_namespace: MakeNamespace, kubelet: Node
) -> None:
    plain, enabled = make_namespace(), make_namespace(**ENABLED)
    with without_replicas(outrider) if answered else frozen(outrider, kubelet):
        for namespace, labels in ((plain, {}), (plain, DECLINES), (enabled, DECLINES), ("kube-system", {})):
            began = time.monotonic()
            assert refusal(kube, namespace, pod("app", labels=labels)) == ""
            assert time.monotonic() - began < 1
        began = time.monotonic()
        said = refusal(kube, enabled, pod("app"))
        took = time.monotonic() - began
        assert 'failed calling webhook "enabled.injector.outrider.dev"' in said
        assert "outrider-webhook.outrider-system.svc" in said
        assert ("no endpoints available" in said) if answered else ("deadline exceeded" in said)
        assert took < 6.5
    print(f"refused after {took:.2f} s: {said}")
    kube.until(lambda: served(kube, enabled) or None, "it serves again", outrider.namespace)


@contextlib.contextmanager
def frozen(outrider: Installation, kubelet: Node, which: Sequence[str] | None = None) -> Iterator[None]:
    """Replicas, or these of them, that hold their connections and answer nothing."""
    containers = [
        kubelet.worker(outrider.namespace, one["metadata"]["name"]).container("webhook")
        for one in outrider.pods()
        if which is None or one["metadata"]["name"] in which
    ]
    try:
        for container in containers:
            container.freeze()
        yield
    finally:
        for container in containers:
            if container.running:
                container.thaw()
        outrider.ready()


@pytest.mark.parametrize(
    ("namespace_labels", "pod_labels", "entry"),
    [
        (ENABLED, ASKS, "enabled.injector.outrider.dev"),
        (REQUIRED, {}, "required.injector.outrider.dev"),
        (REQUIRED, DECLINES, "required.injector.outrider.dev"),
        ({}, ASKS, "pod.injector.outrider.dev"),
        (DISABLED, ASKS, "disabled.injector.outrider.dev"),
        (DISABLED, {}, ""),
        ({}, {}, ""),
    ],
)
def test_every_entry_refuses_for_itself(
    namespace_labels: dict[str, str],
    pod_labels: dict[str, str],
    entry: str,
    without_webhook: Installation,
    kube: Kube,
    make_namespace: MakeNamespace,
) -> None:
    said = refusal(kube, make_namespace(**namespace_labels), pod("app", labels=pod_labels))
    assert entry in said if entry else said == ""


def test_the_namespaces_that_a_cluster_needs_to_heal_are_never_asked_about(
    without_webhook: Installation, kube: Kube
) -> None:
    for namespace in ("kube-system", "kube-public", without_webhook.namespace):
        kube.patch("Namespace", namespace, {"metadata": {"labels": ENABLED}})
        try:
            said = refusal(kube, namespace, pod("app"))
        finally:
            kube.patch("Namespace", namespace, {"metadata": {"labels": dict.fromkeys(ENABLED)}})
        assert "failed calling webhook" not in said, namespace


def test_policies_that_nobody_can_check_are_refused_with_the_name_of_who_is_missing(
    without_webhook: Installation, kube: Kube, namespace: str
) -> None:
    assert 'failed calling webhook "documents.validator.outrider.dev"' in refusal(kube, namespace, POLICY)
    plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}, "data": {"key": "value"}}
    assert refusal(kube, namespace, plain) == ""
    labelled = {**plain, "metadata": {"name": "mine", "labels": {"outrider.dev/policies": "true"}}}
    assert 'failed calling webhook "configmaps.validator.outrider.dev"' in refusal(kube, namespace, labelled)


@pytest.fixture
def without_webhook(outrider: Installation) -> Iterator[Installation]:
    """Nobody answers; for tests that follow one another without a replica in between."""
    if outrider.pods():
        scale(outrider, 0)
    return outrider


def test_a_deployment_waits_with_an_event_that_says_why_and_comes_up_when_the_control_plane_is_back(
    without_webhook: Installation, kube: Kube, agents: str
) -> None:
    kube.apply(workload("Deployment", "agent", pod("agent"), replicas=1), namespace=agents)
    event = kube.wait_event("failed calling webhook", agents)
    assert "FailedCreate" in event
    assert "enabled.injector.outrider.dev" in event
    scale(without_webhook, 2)

    def created() -> Json | None:
        return next(iter(kube.items("Pod", agents, "app=agent")), None)

    assert injected(kube.until(created, "its pod", agents))


def test_replicas_that_are_all_killed_come_back_by_themselves_with_what_they_served(
    outrider: Installation, kube: Kube, agents: str, kubelet: Node
) -> None:
    trusted = outrider.authorities()
    before = restarts(outrider)
    with crowd(kube, agents) as steady:
        for name in before:
            kubelet.worker(outrider.namespace, name).container("webhook").kill()
        began = time.monotonic()
        kube.until(lambda: len(steady.failed) > 0, "the first refusal", agents)
        steady.more()
        took = time.monotonic() - began
        kube.until(lambda: sum(restarts(outrider).values()) == sum(before.values()) + 2, "both restarted")
        outrider.ready()
    print(f"both killed: {len(steady.failed)} refused in {took:.2f} s")
    assert all("failed calling webhook" in error.message for error in steady.failed)
    assert all(map(injected, steady.created))
    assert outrider.authorities() == trusted
    assert restarts(outrider).keys() == before.keys()


def test_a_replica_that_is_killed_under_load_costs_the_calls_that_were_dialled_to_it(
    outrider: Installation, kube: Kube, agents: str, kubelet: Node
) -> None:
    with crowd(kube, agents) as steady:
        killed = busiest(outrider, steady)
        before = restarts(outrider)[killed]
        began = time.monotonic()
        kubelet.worker(outrider.namespace, killed).container("webhook").kill()
        kube.until(
            lambda: restarts(outrider)[killed] > before or None, "it is started again", outrider.namespace
        )
        outrider.ready()
        took = time.monotonic() - began
    print(f"one killed: {len(steady.failed)} of {len(steady.created)} refused, {took:.2f} s until ready")
    assert all("failed calling webhook" in error.message for error in steady.failed)
    assert steady.slowest < 5
    assert all(map(injected, steady.created))


def test_deleted_pods_of_the_control_plane_are_made_again_while_nobody_answers(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    before = set(restarts(outrider))
    for name in before:
        kube.delete("Pod", name, outrider.namespace, grace=0, wait=False)
    outrider.ready()
    kube.until(lambda: served(kube, agents) or None, "it serves again", outrider.namespace)
    assert not before & set(restarts(outrider))


def test_a_replica_that_hangs_under_load_costs_the_calls_that_it_had_until_it_is_taken_out(
    outrider: Installation, kube: Kube, agents: str, kubelet: Node
) -> None:
    with crowd(kube, agents) as steady:
        hung = busiest(outrider, steady)
        began = time.monotonic()
        with frozen(outrider, kubelet, [hung]):
            kube.until(lambda: len(steady.failed) > 0 or None, "a refusal", agents)
            steady.more(50)
            took = time.monotonic() - began
    print(f"one hung: {len(steady.failed)} of {len(steady.created)} refused in {took:.2f} s")
    assert all("deadline exceeded" in error.message for error in steady.failed)
    assert len(steady.failed) <= 2 * len(steady.each)
    assert steady.slowest < 7


def test_a_leader_that_hangs_costs_its_own_calls_until_it_is_taken_out_and_another_one_leads(
    outrider: Installation, kube: Kube, agents: str, kubelet: Node
) -> None:
    first = leader(outrider)
    with crowd(kube, agents) as steady:
        with frozen(outrider, kubelet, [first]):
            kube.until(lambda: leader(outrider) != first or None, "another one leads", outrider.namespace, 40)
            second = leader(outrider)
            count = len(steady.failed)
            steady.more(50)
            late = len(steady.failed) - count
    print(f"one hung: {len(steady.failed)} refused, slowest {steady.slowest:.2f} s; {late} after it was out")
    assert late == 0
    # One call of each that were under way, and one that was dialled before it was taken out.
    assert len(steady.failed) <= 2 * len(steady.each)
    assert all("deadline exceeded" in error.message for error in steady.failed)
    assert steady.slowest < 7
    assert all(map(injected, steady.created))
    # The first one is back, and knows that it leads no more.
    assert leader(outrider) == second


@RESTARTS
def test_an_api_server_that_crashes_and_comes_back_finds_the_replicas_as_they_were(
    outrider: Installation, kube: Kube, agents: str, plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    before, trusted = restarts(outrider), outrider.authorities()
    plane.restart_api_server()
    began = time.monotonic()
    kube.until(lambda: served(kube, agents) or None, "it serves again", outrider.namespace)
    took = time.monotonic() - began
    print(f"API server restarted: serving {took:.2f} s after it was ready")
    assert served(kube, make_namespace(**ENABLED))
    outrider.ready()
    assert restarts(outrider) == before
    assert outrider.authorities() == trusted
    reset_bundles(kube)
    kube.until(lambda: outrider.authorities() == trusted or None, "the leader works", outrider.namespace)


def reset_bundles(kube: Kube) -> None:
    """Make every entry trust nobody, for a leader to put right."""
    for kind, name in (
        ("MutatingWebhookConfiguration", names.INJECTOR),
        ("ValidatingWebhookConfiguration", names.VALIDATOR),
    ):
        entries = kube.the(kind, name)["webhooks"]
        for entry in entries:
            entry["clientConfig"].pop("caBundle", None)
        kube.patch(kind, name, {"webhooks": entries})


def test_replicas_that_cannot_reach_the_api_server_go_on_serving_namespaces_that_they_know(
    outrider: Installation, kube: Kube, agents: str, kubelet: Node, make_namespace: MakeNamespace
) -> None:
    before = restarts(outrider)
    known_to_all(outrider, agents)
    with cut_off(outrider, kubelet), crowd(kube, agents) as steady:
        fresh = make_namespace(**ENABLED)
        began = time.monotonic()
        said = refusal(kube, fresh, pod("app"))
        took = time.monotonic() - began
        print(f"unknown namespace, no API server: {took:.2f} s: {said}")
        assert took < 5
        # Until whoever leads has lost the Lease, which is longer than any request takes.
        lease = kube.the("Lease", names.WEBHOOK, outrider.namespace)["spec"]["renewTime"]
        until = time.monotonic() + 12
        kube.until(lambda: time.monotonic() > until, "the Lease has run out", outrider.namespace)
        assert kube.the("Lease", names.WEBHOOK, outrider.namespace)["spec"]["renewTime"] == lease
    assert not steady.failed, steady.failed[:3]
    assert all(map(injected, steady.created))
    kube.until(lambda: served(kube, fresh) or None, "it knows the new namespace", outrider.namespace)
    trusted = outrider.authorities()
    reset_bundles(kube)
    kube.until(lambda: outrider.authorities() == trusted or None, "somebody leads again", outrider.namespace)
    assert restarts(outrider) == before


def known_to_all(outrider: Installation, namespace: str) -> None:
    """Wait until every replica has heard of a namespace."""

    def look() -> bool:
        found = addresses(outrider)
        said = [ask(address, outrider, pod("probe"), namespace) for address in found]
        return len(found) == 2 and all(one["allowed"] and "patch" in one for one in said)

    outrider.kube.until(look, f"both replicas know {namespace}", outrider.namespace)


@contextlib.contextmanager
def cut_off(outrider: Installation, kubelet: Node) -> Iterator[None]:
    """What replicas send to anybody on their own account is lost; they are asked and answer."""
    rules = (
        "table inet cut { "
        "chain out { type filter hook output priority 0; oif lo accept; "
        "tcp sport {10250, 15020} accept; meta l4proto tcp drop; }; "
        "chain in { type filter hook input priority 0; iif lo accept; "
        "tcp dport {10250, 15020} accept; meta l4proto tcp drop; }; }"
    )
    found = [kubelet.worker(outrider.namespace, one["metadata"]["name"]).network for one in outrider.pods()]
    networks = [network for network in found if network is not None]
    try:
        for network in networks:
            done = network.run(["nft", rules])
            assert done.returncode == 0, done.stderr
        yield
    finally:
        for network in networks:
            network.run(["nft", "delete", "table", "inet", "cut"])


def test_replicas_without_permissions_go_on_serving_and_lead_again_when_they_have_them_back(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    bindings = [
        kube.the("ClusterRoleBinding", names.WEBHOOK),
        kube.the("RoleBinding", names.WEBHOOK, outrider.namespace),
    ]
    before, trusted = restarts(outrider), outrider.authorities()
    known_to_all(outrider, agents)
    for one in bindings:
        kube.delete(one["kind"], names.WEBHOOK, one["metadata"].get("namespace"))
    try:
        with crowd(kube, agents) as steady:
            kube.until(lambda: "forbidden" in outrider.log() or None, "it is told", outrider.namespace)
    finally:
        for one in bindings:
            for key in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
                one["metadata"].pop(key, None)
            kube.create(one)
    assert not steady.failed, steady.failed[:3]
    reset_bundles(kube)
    kube.until(lambda: outrider.authorities() == trusted or None, "somebody leads", outrider.namespace)
    outrider.ready()
    assert restarts(outrider) == before


def test_an_etcd_that_hangs_for_a_while_leaves_nothing_behind(
    outrider: Installation, kube: Kube, agents: str, plane: ControlPlane
) -> None:
    before, trusted = restarts(outrider), outrider.authorities()
    plane.etcd.freeze()
    try:

        def hangs() -> bool:
            try:
                plane.admin.text("GET", "/readyz/etcd")
            except ApiError:
                return True
            return False

        kube.until(hangs, "the API server notices")
    finally:
        plane.etcd.thaw()
    plane.until_ready()
    kube.until(lambda: served(kube, agents) or None, "it serves again", outrider.namespace)
    outrider.ready()
    assert restarts(outrider) == before
    assert outrider.authorities() == trusted
