"""Short ways to write documents: bodies of specs in, documents, faults or a compiled policy out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import Documents, Policy, PolicyInvalid, compile_policy, load_texts

HEAD = "apiVersion: outrider.dev/v1alpha1\n"
GITHUB = "{protocol: MCP, host: github.tools.svc, port: 8080, path: /mcp, tls: {mode: None}}"


def document_text(kind: str, name: str, spec: str, namespace: str | None = None) -> str:
    """A YAML document; `spec` is flow style on one line, or block style from a new line on."""
    metadata = f"{{name: {name}}}" if namespace is None else f"{{name: {name}, namespace: {namespace}}}"
    return f"{HEAD}kind: {kind}\nmetadata: {metadata}\nspec: {spec}\n"


@pytest.fixture(scope="session")
def backend() -> Callable[..., str]:
    """backend(name="github", spec=..., namespace=None) -> text of a Backend document."""

    def make(name: str = "github", spec: str = GITHUB, namespace: str | None = None) -> str:
        return document_text("Backend", name, spec, namespace)

    return make


@pytest.fixture(scope="session")
def agent_policy() -> Callable[..., str]:
    """agent_policy(spec, name="triage", namespace=None) -> text of an AgentPolicy document."""

    def make(spec: str, name: str = "triage", namespace: str | None = None) -> str:
        return document_text("AgentPolicy", name, spec, namespace)

    return make


@pytest.fixture(scope="session")
def load() -> Callable[..., Documents]:
    """load(*documents) -> Documents."""

    def run(*documents: str) -> Documents:
        return load_texts([("policies.yaml", "---\n".join(documents))])

    return run


@pytest.fixture(scope="session")
def compiled(load: Callable[..., Documents]) -> Callable[..., Policy]:
    """compiled(*documents, labels=None, namespace=None) -> Policy."""

    def run(*documents: str, labels: dict[str, str] | None = None, namespace: str | None = None) -> Policy:
        return compile_policy(load(*documents), labels=labels or {}, namespace=namespace)

    return run


@pytest.fixture(scope="session")
def faults() -> Callable[..., list[str]]:
    """faults(*documents) -> what is wrong, as `line path: message`; empty when nothing is."""

    def run(*documents: str) -> list[str]:
        try:
            load_texts([("policies.yaml", "---\n".join(documents))])
        except PolicyInvalid as invalid:
            return [str(error).removeprefix("policies.yaml:") for error in invalid.errors]
        return []

    return run
