"""Distribution against an API server of a few objects: from a change there to a sidecar and back into status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.api_server import FakeApiServer, serving
from tests.support.control_world import DOMAINS, access_policy, agent_policy, agentic_backend, backend
from tests.support.slow import until
from webhook.admission.metrics import AdmissionMetrics
from webhook.cluster.failures import Troubles
from webhook.cluster.pace import Pace
from webhook.distribution.plane import Distribution, Place, distribution

PODS = "/api/v1/namespaces/{}/pods/{}"
SERVICES = "/api/v1/namespaces/{}/services/{}"
POLICIES = "/apis/outrider.dev/v1alpha1/namespaces/{}/agentpolicies/{}"
BACKENDS = "/apis/outrider.dev/v1alpha1/namespaces/{}/backends/{}"
ACCESS = "/apis/agentic.networking.x-k8s.io/v1alpha1/namespaces/{}/xaccesspolicies/{}"
XBACKENDS = "/apis/agentic.networking.x-k8s.io/v0alpha0/namespaces/{}/xbackends/{}"
APPLIED = "/api/v1/namespaces/outrider-system/configmaps/outrider-applied"
KINDS = (
    "pods",
    "services",
    "configmaps",
    "agentpolicies",
    "backends",
    "xaccesspolicies",
    "/apis/agentic.networking.x-k8s.io/v0alpha0/xbackends",
)


class Cluster(FakeApiServer):
    """Objects by kind, namespace and name; kinds that no CRD has been installed for are not found."""

    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self.kinds |= set(kinds or KINDS)
        self.put(APPLIED, {"kind": "ConfigMap"})

    def make(self, path: str, namespace: str, name: str, spec: Any = None, **metadata: Any) -> str:
        place = path.format(namespace, name)
        before = self.objects.get(place, {})
        generation = before.get("metadata", {}).get("generation", 0) + 1
        document = {
            "metadata": {
                "namespace": namespace,
                "uid": f"uid-{namespace}-{name}",
                "generation": generation,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                **metadata,
            },
            "spec": spec,
        }
        if "status" in before:
            document["status"] = before["status"]
        self.put(place, document)
        return place

    def pod(self, name: str, namespace: str = "agents", account: str = "triage", **labels: str) -> str:
        labels = {"outrider.dev/injected": "true", **labels}
        return self.make(PODS, namespace, name, {"serviceAccountName": account}, labels=labels)

    def condition(self, place: str, kind: str) -> tuple[str, str] | None:
        for one in (self.objects[place].get("status") or {}).get("conditions") or []:
            if one["type"] == kind:
                return one["status"], one["reason"]
        return None


@dataclass
class Replica:
    made: Distribution
    log: list[dict[str, object]]
    sleeps: list[float] = field(default_factory=list)


@asynccontextmanager
async def replica(
    cluster: Cluster, folder: Path, name: str = "one", leads: bool = True
) -> AsyncIterator[Replica]:
    """One that runs; its pauses are short."""
    log: list[dict[str, object]] = []
    sleeps: list[float] = []

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        await asyncio.sleep(0.01)

    async with serving(cluster, folder) as client, asyncio.TaskGroup() as group:
        pace = Pace(sleep=sleep)
        made = distribution(
            client,
            Place("outrider-system", name),
            DOMAINS,
            AdmissionMetrics(),
            log.append,
            pace,
            lambda: Troubles(log.append, lambda *_: None),
            lambda: leads,
        )
        tasks = [group.create_task(_run(task)) for task in made.tasks]
        try:
            await until(lambda: made.problems() == [])
            yield Replica(made, log, sleeps)
        finally:
            for task in tasks:
                task.cancel()


async def _run(task: Any) -> None:
    await task()


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.pod("triage-1", app="triage")
    return made


async def test_whose_pods_run_is_known_once_they_are_listed(cluster, tmp_path) -> None:
    blind = distribution(
        None,  # type: ignore[arg-type]
        Place("outrider-system", "one"),
        DOMAINS,
        AdmissionMetrics(),
        lambda _line: None,
        Pace(),
        lambda: Troubles(lambda _line: None, lambda *_: None),
        lambda: True,
    )
    assert blind.runs("agents", "triage") is None
    async with replica(cluster, tmp_path) as one:
        assert one.made.runs("agents", "triage") is True
        assert one.made.runs("agents", "payroll") is False
        assert one.made.runs("finance", "triage") is False
        place = PODS.format("agents", "triage-1")
        metadata = {**cluster.objects[place]["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        cluster.put(place, {**cluster.objects[place], "metadata": metadata})
        await until(lambda: one.made.runs("agents", "triage") is False)


def connect(one: Replica, name: str = "triage-1", namespace: str = "agents"):
    pod = one.made.world.cohorts.pods[namespace, name]
    return one.made.hub.connect(pod, "")


async def test_a_change_reaches_a_sidecar_and_what_became_of_it_the_status(cluster, tmp_path) -> None:
    place = cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}, "github"))
    async with replica(cluster, tmp_path) as one:
        mailbox = connect(one)
        await until(lambda: cluster.condition(place, "Applied") == ("False", "Pending"))
        assert cluster.condition(place, "Accepted") == ("True", "Accepted")
        assert cluster.objects[place]["status"]["appliedTo"] == "0/1"
        one.made.hub.heard(mailbox, applied=mailbox.offered.version)
        await until(lambda: cluster.condition(place, "Applied") == ("True", "Applied"))
        status = cluster.objects[place]["status"]
        assert (status["applied"], status["appliedTo"]) == ({"current": 1, "total": 1}, "1/1")
        version = mailbox.offered.version
        cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}, egress="allow"))
        await until(lambda: mailbox.offered.version != version)
        await until(lambda: cluster.condition(place, "Applied") == ("False", "Pending"))
        from mesh.distribution.messages import Refused

        one.made.hub.heard(mailbox, refused=Refused(mailbox.offered.version, "policy_invalid", "too new"))
        await until(lambda: cluster.condition(place, "Applied") == ("False", "Refused"))
        applied = cluster.objects[place]["status"]["conditions"][1]
        assert "policy_invalid: too new" in applied["message"]
        assert applied["observedGeneration"] == 2


async def test_nothing_is_written_while_nothing_changes(cluster, tmp_path) -> None:
    place = cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}))
    other = cluster.make(BACKENDS, "agents", "github", backend())
    async with replica(cluster, tmp_path) as one:
        await until(lambda: bool(cluster.condition(place, "Applied") and cluster.condition(other, "Applied")))
        await until(lambda: len(one.sleeps) > 5)
        writes = cluster.count("PATCH")
        before = len(one.sleeps)
        await until(lambda: len(one.sleeps) > before + 10)
        assert cluster.count("PATCH") == writes


async def test_only_the_leader_writes_of_objects_and_counts_what_others_say(cluster, tmp_path) -> None:
    place = cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}))
    cluster.pod("triage-2", app="triage")
    async with (
        replica(cluster, tmp_path, "one") as one,
        replica(cluster, tmp_path, "two", leads=False) as two,
    ):
        for number, each in enumerate((one, two)):
            mailbox = connect(each, f"triage-{number + 1}")
            each.made.hub.heard(mailbox, applied=mailbox.offered.version)
        await until(lambda: cluster.objects[place].get("status", {}).get("appliedTo") == "2/2")
        assert set(cluster.objects[APPLIED]["binaryData"]) == {"one", "two"}


async def test_an_invalid_version_is_told_and_the_last_valid_one_survives_a_restart(
    cluster, tmp_path
) -> None:
    place = cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}, "github"))
    async with replica(cluster, tmp_path) as one:
        version = connect(one).offered.version
        cluster.make(POLICIES, "agents", "mine", {"outbound": "nonsense"})
        await until(lambda: cluster.condition(place, "Accepted") == ("False", "Invalid"))
        await until(lambda: "last-valid" in cluster.objects[APPLIED]["binaryData"])
        message = cluster.objects[place]["status"]["conditions"][0]["message"]
        assert "generation 1, stays in force" in message
    async with replica(cluster, tmp_path) as again:
        assert connect(again).offered.version == version
        cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}))
        await until(lambda: cluster.condition(place, "Accepted") == ("True", "Accepted"))
        await until(lambda: "last-valid" not in cluster.objects[APPLIED]["binaryData"])


async def test_what_has_no_room_to_be_written_down_is_told_and_hinders_nothing(
    cluster, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("webhook.distribution.last_valid.MOST_PACKED", 100)
    place = cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}, "github"))
    async with replica(cluster, tmp_path) as one:
        cluster.make(POLICIES, "agents", "mine", {"outbound": "nonsense"})
        await until(lambda: cluster.condition(place, "Accepted") == ("False", "Invalid"))
        await until(lambda: any(line["event"] == "last_valid_left_out" for line in one.log))
        (line,) = [line for line in one.log if line["event"] == "last_valid_left_out"]
        assert line["objects"] == ["AgentPolicy.outrider.dev/agents/mine"]
        assert "something closed stands in" in str(line["error"])
        assert "last-valid" not in cluster.objects[APPLIED]["binaryData"]
        cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}))
        await until(lambda: cluster.condition(place, "Accepted") == ("True", "Accepted"))
        await until(lambda: [line for line in one.log if line.get("number") == 0])


async def test_last_valid_versions_that_the_api_server_refuses_hinder_nothing(cluster, tmp_path) -> None:
    async def refused(request: web.Request) -> web.StreamResponse | None:
        said = await request.text() if request.method == "PATCH" else ""
        return web.json_response({"message": "Too long"}, status=422) if "last-valid" in said else None

    cluster.faults.append(refused)
    place = cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}, "github"))
    async with replica(cluster, tmp_path) as one:
        cluster.make(POLICIES, "agents", "mine", {"outbound": "nonsense"})
        await until(lambda: any(line.get("subject") == "last-valid" for line in one.log))
        await until(lambda: cluster.condition(place, "Accepted") == ("False", "Invalid"))


async def test_conflicts_and_closed_destinations_are_told(cluster, tmp_path) -> None:
    first = cluster.make(BACKENDS, "agents", "a", backend())
    second = cluster.make(BACKENDS, "agents", "b", backend(), creationTimestamp="2026-02-01T00:00:00Z")
    third = cluster.make(XBACKENDS, "agents", "c", agentic_backend("missing"))
    async with replica(cluster, tmp_path):
        await until(lambda: cluster.condition(second, "Conflicted") == ("True", "OlderExists"))
        await until(lambda: cluster.condition(first, "Conflicted") == ("False", "NoConflict"))
        await until(lambda: cluster.condition(third, "Accepted") == ("False", "ServiceNotFound"))


async def test_an_access_policy_has_an_ancestor_for_each_target_beside_those_of_others(
    cluster, tmp_path
) -> None:
    place = cluster.make(ACCESS, "agents", "guard", access_policy("c", "agents/triage"))
    others = {"controllerName": "sigs.k8s.io/other", "ancestorRef": {"name": "x"}, "conditions": []}
    cluster.put(place, {**cluster.objects[place], "status": {"ancestors": [others]}})
    async with replica(cluster, tmp_path):
        await until(lambda: len(cluster.objects[place]["status"]["ancestors"]) == 2)
        theirs, ours = cluster.objects[place]["status"]["ancestors"]
        assert theirs == others
        assert ours["controllerName"] == "outrider.dev/controller"
        assert ours["ancestorRef"] == {
            "group": "agentic.networking.x-k8s.io",
            "kind": "XBackend",
            "name": "c",
            "namespace": "agents",
        }
        (condition,) = ours["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "Accepted",
            "True",
            "Accepted",
        )


async def test_kinds_that_are_not_installed_are_no_trouble_and_are_found_later(tmp_path) -> None:
    cluster = Cluster("pods", "services", "configmaps")
    cluster.pod("triage-1", app="triage")
    async with replica(cluster, tmp_path) as one:
        mailbox = connect(one)
        assert mailbox.offered.documents == ()
        assert one.log == []
        cluster.kinds.add("agentpolicies")
        cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}))
        await until(lambda: len(mailbox.offered.documents) == 1)


async def test_a_kind_that_goes_missing_for_a_moment_changes_nothing(cluster, tmp_path) -> None:
    cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}))
    async with replica(cluster, tmp_path) as one:
        mailbox = connect(one)
        seen = mailbox.offered.version
        cluster.kinds.discard("agentpolicies")
        cluster.compact()
        cluster.make(BACKENDS, "agents", "github", backend())
        await until(lambda: mailbox.offered.version != seen)
        assert len(mailbox.offered.documents) == 2


async def test_a_list_taken_anew_changes_nothing(cluster, tmp_path) -> None:
    cluster.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}))
    cluster.make(POLICIES, "agents", "gone", agent_policy({"app": "triage"}))
    async with replica(cluster, tmp_path) as one:
        mailbox = connect(one)
        version = mailbox.offered.version
        cluster.compact()
        cluster.make(POLICIES, "tools", "other", agent_policy())
        await until(lambda: len(one.made.world.entries) == 3)
        assert mailbox.offered.version == version
        cluster.delete(POLICIES.format("agents", "gone"))
        await until(lambda: mailbox.offered.version != version)


async def test_a_status_that_may_not_be_written_is_told_once_and_holds_up_no_other(cluster, tmp_path) -> None:
    cluster.fail(403, method="PATCH", path="/apis/outrider.dev/v1alpha1/namespaces/agents/agentpolicies")
    cluster.make(POLICIES, "agents", "a", agent_policy())
    cluster.make(POLICIES, "agents", "b", agent_policy())
    place = cluster.make(BACKENDS, "agents", "github", backend())
    async with replica(cluster, tmp_path) as one:
        await until(lambda: cluster.condition(place, "Accepted") == ("True", "Accepted"))
        before = len(one.sleeps)
        await until(lambda: len(one.sleeps) > before + 5)
        told = [line["subject"] for line in one.log if line["event"] == "api_failure"]
        assert told == ["status of AgentPolicy.outrider.dev"]
