from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy.metadata import name_check

SPEC = "spec: {protocol: TCP, host: a.b, port: 1, tls: {mode: None}}"
Faults = Callable[..., list[str]]


def document(api: str = "outrider.dev/v1alpha1", kind: str = "Backend", metadata: str = "{name: a}") -> str:
    return f"apiVersion: {api}\nkind: {kind}\nmetadata: {metadata}\n{SPEC}\n"


def test_a_document_has_version_kind_name_and_spec(faults: Faults) -> None:
    assert faults(document()) == []
    assert faults("{}") == [
        "1: apiVersion: missing; write outrider.dev/v1alpha1",
        "1: kind: missing; allowed: AgentPolicy, Backend, XAccessPolicy, XBackend",
        "1: metadata: missing; write {name: ...}",
        "1: spec: missing; what the document says",
    ]


@pytest.mark.parametrize("text", ["[a]", "a", "42"])
def test_a_document_is_a_mapping(faults: Faults, text: str) -> None:
    assert "expected a mapping" in faults(text)[0]


def test_other_versions_and_kinds_are_told(faults: Faults) -> None:
    assert faults(document(api="outrider.dev/v1", kind="Secret")) == [
        '1: apiVersion: "outrider.dev/v1" is not known; allowed: outrider.dev/v1alpha1 for our own, '
        "agentic.networking.x-k8s.io/v1alpha1, agentic.networking.x-k8s.io/v0alpha0, "
        "gateway.networking.x-k8s.io/v1alpha1",
        '2: kind: "Secret" is not known; allowed: AgentPolicy, Backend, XAccessPolicy, XBackend',
    ]


@pytest.mark.parametrize(
    ("api", "kind", "versions"),
    [
        (
            "outrider.dev/v1alpha1",
            "XAccessPolicy",
            "agentic.networking.x-k8s.io/v1alpha1, agentic.networking.x-k8s.io/v0alpha0",
        ),
        ("agentic.networking.x-k8s.io/v1alpha1", "Backend", "outrider.dev/v1alpha1"),
        (
            "agentic.networking.x-k8s.io/v1alpha1",
            "XBackend",
            "agentic.networking.x-k8s.io/v0alpha0, gateway.networking.x-k8s.io/v1alpha1",
        ),
    ],
)
def test_a_kind_of_another_version_is_a_fault(faults: Faults, api: str, kind: str, versions: str) -> None:
    assert faults(document(api=api, kind=kind)) == [
        f"2: kind: {kind} is none of {api}; allowed as apiVersion: {versions}"
    ]


def test_what_an_api_server_adds_is_ignored(faults: Faults) -> None:
    metadata = (
        "{name: a, namespace: b, labels: {x: y}, annotations: {x: 1}, uid: 1-2, resourceVersion: '3', "
        "generation: 4, creationTimestamp: 2026-11-23T10:00:00Z, managedFields: [{a: b}]}"
    )
    assert faults(document(metadata=metadata) + "status: {anything: [1]}\n") == []


@pytest.mark.parametrize(
    "metadata",
    ["{name: A}", "{name: a_b}", "{name: -a}", "{name: a..b}", "{name: ''}", "{name: 1}", "{name: [a]}", "a"],
)
def test_bad_names_are_faults(faults: Faults, metadata: str) -> None:
    assert len(faults(document(metadata=metadata))) == 1


@pytest.mark.parametrize("namespace", ["A", "a.b", "''", "no", "a" + "b" * 63])
def test_bad_namespaces_are_faults(faults: Faults, namespace: str) -> None:
    assert len(faults(document(metadata=f"{{name: a, namespace: {namespace}}}"))) == 1


def test_a_misspelt_metadata_field_is_a_fault(faults: Faults) -> None:
    assert "did you mean namespace?" in faults(document(metadata="{name: a, namspace: b}"))[0]


def test_the_spec_is_checked_even_where_the_name_is_missing(faults: Faults) -> None:
    text = document(metadata="{}").replace("port: 1", "port: 0")
    assert len(faults(text)) == 2


def test_names_are_dns_subdomains() -> None:
    assert name_check("a-1.b") is None
    assert name_check("a" * 63 + "." + "b" * 63) is None
    assert name_check(".".join(["a" * 60] * 5)) is not None
