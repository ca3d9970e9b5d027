"""The CRDs on a real API server, without any webhook: what they refuse and store, and what clients see of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from charts.build_crds import KINDS, crd
from e2e.cluster.api import ApiError, Json
from e2e.cluster.kube import DISCOVERY, Kube
from e2e.processes import ROOT
from tests.support.refused_documents import LEFT, REFUSED, refused_document

EXAMPLES = list(yaml.safe_load_all((ROOT / "charts" / "examples.yaml").read_text(encoding="utf-8")))
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
WHEN = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def crds(kube: Kube) -> Iterator[Kube]:
    """The CRDs and nothing else of us; gone afterwards."""
    for kind in KINDS:
        kube.apply(crd(kind))
    for kind in KINDS:
        name = crd(kind)["metadata"]["name"]
        kube.until(
            lambda name=name: _established(kube.the("CustomResourceDefinition", name)), f"{name} is served"
        )
    yield kube
    for kind in KINDS:
        kube.delete("CustomResourceDefinition", crd(kind)["metadata"]["name"])


def _established(one: Json) -> bool | None:
    conditions = {each["type"]: each["status"] for each in (one.get("status") or {}).get("conditions") or ()}
    assert conditions.get("NonStructuralSchema") != "True", one["status"]
    return conditions.get("Established") == conditions.get("NamesAccepted") == "True" or None


def example(kind: str, **metadata: str) -> Json:
    found: Json = copy.deepcopy(next(one for one in EXAMPLES if one["kind"] == kind))
    found["metadata"] = {"name": found["metadata"]["name"], **metadata}
    return found


@pytest.mark.parametrize("document", EXAMPLES, ids=[one["metadata"]["name"] for one in EXAMPLES])
def test_every_example_is_stored_as_it_is(crds: Kube, namespace: str, document: Json) -> None:
    crds.create({**document, "metadata": {"name": document["metadata"]["name"]}}, namespace=namespace)
    stored = crds.the(document["kind"], document["metadata"]["name"], namespace)
    assert contains(stored["spec"], document["spec"])
    assert crds.warnings == ()


def contains(stored: Any, given: Any) -> bool:
    """Everything that was given, and defaults beside it."""
    if isinstance(given, dict):
        return all(key in stored and contains(stored[key], value) for key, value in given.items())
    if isinstance(given, list):
        return len(stored) == len(given) and all(map(contains, stored, given))
    return bool(stored == given)


@pytest.mark.parametrize(("kind", "wrong", "spec", "word"), REFUSED, ids=[f"{k}-{n}" for k, n, *_ in REFUSED])
def test_the_api_server_refuses_and_says_why(
    crds: Kube, kind: str, wrong: str, spec: dict[str, Any], word: str
) -> None:
    with pytest.raises(ApiError) as refused:
        crds.create(refused_document(kind, spec), namespace="default", dry_run=True)
    assert refused.value.status == 422, wrong
    assert word in refused.value.message


@pytest.mark.parametrize(("kind", "wrong", "spec", "word"), LEFT, ids=[f"{k}-{n}" for k, n, *_ in LEFT])
def test_what_may_be_misspelt_is_left_to_the_webhook(
    crds: Kube, kind: str, wrong: str, spec: dict[str, Any], word: str
) -> None:
    crds.create(refused_document(kind, spec), namespace="default", dry_run=True)


def test_what_a_later_version_says_is_kept(crds: Kube, namespace: str) -> None:
    document = example("AgentPolicy")
    document["spec"]["outbound"][0]["tools"]["later"] = ["x"]
    document["spec"]["later"] = {"deny": ["x"]}
    stored = crds.create(document, namespace=namespace)
    assert stored["spec"]["later"] == {"deny": ["x"]}
    assert stored["spec"]["outbound"][0]["tools"]["later"] == ["x"]


def test_defaults_are_written_out(crds: Kube, namespace: str) -> None:
    policy = crds.create(_named("AgentPolicy", "p", {}), namespace=namespace)
    assert policy["spec"] == {"mode": "enforce", "egress": "deny"}
    spec = {"protocol": "TCP", "host": "a.example", "port": 1, "tls": {"mode": "None"}}
    assert crds.create(_named("Backend", "b", spec), namespace=namespace)["spec"]["path"] == "/"


def _named(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": "outrider.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def test_the_status_is_a_resource_of_its_own(crds: Kube, namespace: str) -> None:
    made = crds.create({**example("AgentPolicy"), "status": {"appliedTo": "9/9"}}, namespace=namespace)
    assert "status" not in made
    status = {
        "observedGeneration": 1,
        "applied": {"current": 2, "total": 3},
        "appliedTo": "2/3",
        "conditions": [_condition("Accepted", "True"), _condition("Applied", "False")],
    }
    crds.api.patch(_status(crds, made), {"status": status}, "application/merge-patch+json")
    crds.patch("AgentPolicy", made["metadata"]["name"], {"status": {"appliedTo": "9/9"}}, namespace)
    found = crds.the("AgentPolicy", made["metadata"]["name"], namespace)
    assert found["status"] == status
    assert found["metadata"]["generation"] == 1
    wrong = {"status": {"conditions": [_condition("Accepted", "Perhaps")]}}
    with pytest.raises(ApiError):
        crds.api.patch(_status(crds, made), wrong, "application/merge-patch+json")


def _status(kube: Kube, made: Json) -> str:
    return kube.path(made["kind"], made["metadata"]["namespace"], made["metadata"]["name"]) + "/status"


def _condition(name: str, status: str) -> Json:
    return {
        "type": name,
        "status": status,
        "reason": "Because",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": WHEN,
    }


def test_tables_show_what_matters(crds: Kube, namespace: str) -> None:
    for kind in KINDS:
        made = crds.create(example(kind), namespace=namespace)
        states = {"Accepted": "True", "Conflicted": "False", "ResolvedRefs": "False"}
        conditions = [_condition(name, state) for name, state in states.items()]
        status = {"appliedTo": "3/3", "conditions": conditions}
        crds.api.patch(_status(crds, made), {"status": status}, "application/merge-patch+json")
    head, row = table(crds, "AgentPolicy", namespace)
    assert head == ["Name", "Mode", "Egress", "Accepted", "Resolved", "Applied", "Age"]
    assert row[1:6] == ["enforce", "deny", "True", "False", "3/3"]
    head, row = table(crds, "Backend", namespace)
    assert head == ["Name", "Protocol", "Host", "Port", "Accepted", "Conflicted", "Applied", "Age"]
    assert row[1:7] == ["MCP", "github.tools.svc.cluster.local", 8080, "True", "False", "3/3"]


def table(kube: Kube, kind: str, namespace: str) -> tuple[list[str], list[Any]]:
    """What `kubectl get` shows without -o wide: the heads, and the first row."""
    found = kube.api.request("GET", kube.path(kind, namespace), accept=TABLE)
    shown = [at for at, one in enumerate(found["columnDefinitions"]) if not one["priority"]]
    heads = [found["columnDefinitions"][at]["name"] for at in shown]
    return heads, [found["rows"][0]["cells"][at] for at in shown]


def test_discovery_tells_short_names_and_the_category(crds: Kube) -> None:
    groups = crds.api.request("GET", "/apis", accept=DISCOVERY)["items"]
    versions = next(one for one in groups if one["metadata"]["name"] == "outrider.dev")["versions"]
    found = {one["resource"]: one for version in versions for one in version["resources"]}
    assert {name: one["shortNames"] for name, one in found.items()} == {
        "agentpolicies": ["agp"],
        "backends": ["agb"],
    }
    for one in found.values():
        assert one["categories"] == ["outrider"]
        assert [sub["subresource"] for sub in one["subresources"]] == ["status"]
    others = {
        short
        for group in groups
        for version in group["versions"]
        for one in version["resources"]
        for short in one.get("shortNames", ())
        if group["metadata"]["name"] != "outrider.dev"
    }
    assert not others & {"agp", "agb"}


def test_explain_tells_every_field(crds: Kube) -> None:
    """What `kubectl explain` reads: the published OpenAPI, with descriptions."""
    published = crds.until(lambda: _published(crds), "the schema is published")
    spec = published["dev.outrider.v1alpha1.AgentPolicy"]["properties"]["spec"]
    names = spec["properties"]["outbound"]["items"]["properties"]["tools"]["properties"]
    assert names["allow"]["description"].startswith("What is granted")


def _published(kube: Kube) -> Json | None:
    try:
        found: Json = kube.api.get("/openapi/v3/apis/outrider.dev/v1alpha1")["components"]["schemas"]
    except ApiError:
        return None
    return found if "dev.outrider.v1alpha1.AgentPolicy" in found else None
