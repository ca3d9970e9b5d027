from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from mesh.policy import Backend, Documents, PolicyInvalid, load_objects, load_texts, read_object_alone
from mesh.policy.load import load_alone
from tests.support.access_policies import backend

BACKEND = """\
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github}
spec: {protocol: MCP, host: github.tools, port: 8080, tls: {mode: None}}
"""
POLICY = """\
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec: {outbound: [{backend: github}]}
"""


def test_no_files_are_no_documents() -> None:
    assert load_texts([]) == Documents()
    assert load_texts([("empty.yaml", "# nothing here\n")]) == Documents()


def test_documents_of_several_files_refer_to_one_another() -> None:
    documents = load_texts([("a.yaml", POLICY), ("b.yaml", BACKEND)])
    assert [policy.name for policy in documents.policies] == ["triage"]
    assert [backend.name for backend in documents.backends] == ["github"]


def test_errors_of_all_files_come_together_in_their_order() -> None:
    texts = [
        ("one.yaml", "a: ]"),
        ("two.yaml", POLICY),
        ("three.yaml", BACKEND.replace("port: 8080", "port: 0") + "---\n" + BACKEND),
    ]
    with pytest.raises(PolicyInvalid) as caught:
        load_texts(texts)
    assert [(error.file, error.line, error.path) for error in caught.value.errors] == [
        ("one.yaml", 1, ""),
        ("three.yaml", 4, "spec.port"),
        ("three.yaml", 8, "metadata.name"),
    ]


def test_the_rendered_error_is_one_line_per_fault() -> None:
    with pytest.raises(
        PolicyInvalid, match=r"^p\.yaml:4: spec\.outbound\[0\]\.backend: there is no Backend github"
    ):
        load_texts([("p.yaml", POLICY)])


def test_a_thousand_documents_load_quickly_and_completely() -> None:
    text = "---\n".join(
        BACKEND.replace("github", f"github{i}")
        + "---\n"
        + POLICY.replace("triage", f"t{i}").replace("github", f"github{i}")
        for i in range(500)
    )
    documents = load_texts([("many.yaml", text)])
    assert (len(documents.backends), len(documents.policies)) == (500, 500)


def test_a_document_alone_may_name_what_is_not_there(agent_policy: Callable[..., str]) -> None:
    load_alone("a", agent_policy("{outbound: [{backend: nowhere}]}"))


@pytest.mark.parametrize("text", ["", "a: 1", "{}\n---\n{}\n"])
def test_what_is_not_one_document_is_a_fault(text: str) -> None:
    with pytest.raises(PolicyInvalid):
        load_alone("a", text)


def test_two_documents_are_not_one(agent_policy: Callable[..., str]) -> None:
    with pytest.raises(PolicyInvalid, match="2 documents, exactly one is needed"):
        load_alone("a", agent_policy("{}", "a") + "---\n" + agent_policy("{}", "b"))


def test_only_a_control_plane_says_what_a_backend_was_made_from() -> None:
    made = backend()
    made["metadata"]["annotations"] = {"outrider.dev/origin": "XBackend.g/tools/other"}
    (sent,) = load_objects([made]).backends
    (written,) = load_texts([("a.yaml", json.dumps(made))]).backends
    alone = read_object_alone(made)
    assert isinstance(alone, Backend)
    assert [one.origin for one in (sent, written, alone)] == ["XBackend.g/tools/other", "", ""]
