"""Credentials of Backends and users of policies on their way to sidecars: whole, and where the Backend
goes alone.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mesh.policy.credentials import StaticSecret
from mesh.policy.load import load_objects, read_object_alone
from tests.support.control_world import DOMAINS, backend, compiled, documents, pod, put
from webhook.admission.judge_documents import judge as judge_document
from webhook.admission.outcome import Refusal
from webhook.distribution.judging import judge
from webhook.distribution.kinds import AGENT_POLICY, BACKEND
from webhook.distribution.world import World

EXAMPLES = [
    one
    for one in yaml.safe_load_all(
        (Path(__file__).parents[3] / "charts" / "examples.yaml").read_text(encoding="utf-8")
    )
    if one["kind"] in ("Backend", "AgentPolicy")
]
SECRET = {"secret": {"name": "idp", "key": "token"}}


@pytest.fixture
def world() -> World:
    made = World(DOMAINS, read_object_alone, judge)
    made.put_pod(pod(app="triage"))
    return made


def test_every_credential_and_every_section_on_users_arrives_whole(world: World) -> None:
    for one in EXAMPLES:
        put(
            world, BACKEND if one["kind"] == "Backend" else AGENT_POLICY, one["metadata"]["name"], one["spec"]
        )
    given = documents(compiled(world, pod(app="triage")))
    for one in EXAMPLES:
        assert given[f"{one['kind']}/agents/{one['metadata']['name']}"]["spec"] == one["spec"]
    sent, written = load_objects(given.values()), load_objects(EXAMPLES)
    assert {one.name: one.credential for one in sent.backends} == {
        one.name: one.credential for one in written.backends
    }
    assert {one.name: one for one in sent.policies} == {one.name: one for one in written.policies}


def test_a_credential_goes_where_its_backend_goes(world: World) -> None:
    put(world, BACKEND, "github", backend(credential=SECRET))
    assert (
        documents(compiled(world, pod(app="triage")))["Backend/agents/github"]["spec"]["credential"] == SECRET
    )
    elsewhere = pod(namespace="other", app="triage")
    world.put_pod(elsewhere)
    assert not documents(compiled(world, elsewhere))


def test_admission_says_what_the_loader_says_and_no_secret() -> None:
    spec = backend(credential={"secret": "hunter2", "svid": {}})
    request = {
        "operation": "CREATE",
        "kind": {"group": "outrider.dev", "version": "v1alpha1", "kind": "Backend"},
        "object": {
            "apiVersion": "outrider.dev/v1alpha1",
            "kind": "Backend",
            "metadata": {"name": "github", "namespace": "agents"},
            "spec": spec,
        },
    }
    refused = judge_document(request, control=True)
    assert isinstance(refused, Refusal)
    said = "\n".join(map(str, refused.problems))
    assert "spec.credential.secret: expected {name: ..., key: ...} of a Secret" in said
    assert "spec.credential.svid.audience: missing" in said
    assert "hunter2" not in said


def test_neither_a_value_nor_its_text_holds_more_than_names() -> None:
    (one,) = load_objects(
        [
            {
                "apiVersion": "outrider.dev/v1alpha1",
                "kind": "Backend",
                "metadata": {"name": "github"},
                "spec": backend(credential=SECRET),
            }
        ]
    ).backends
    assert isinstance(one.credential, StaticSecret)
    assert "idp" in repr(one.credential)
