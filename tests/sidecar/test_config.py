"""The sidecar's file and environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.policy.errors import PolicyInvalid
from sidecar.config import Decisions, Provider, load_config, parse_address
from sidecar.limits import Limits
from sidecar.policies import load_files

MINIMAL = "policies: [p.yaml]\n"


def config_of(text: str, tmp_path: Path, **environment: str):  # type: ignore[no-untyped-def]
    path = tmp_path / "sidecar.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, {f"OUTRIDER_{name}": value for name, value in environment.items()})


def faults(text: str, tmp_path: Path) -> list[str]:
    with pytest.raises(PolicyInvalid) as caught:
        config_of(text, tmp_path)
    return [f"{error.line}: {error.path}: {error.message}" for error in caught.value.errors]


def test_the_smallest_file_names_its_policies_and_gets_safe_defaults(tmp_path: Path) -> None:
    config = config_of(MINIMAL, tmp_path)
    assert config.policies == (tmp_path / "p.yaml",)
    assert config.listen.forward == ("127.0.0.1", 15002)
    assert config.listen.inbound is None
    assert config.identity.provider is Provider.NONE
    assert config.limits == Limits()
    assert config.decisions is Decisions.ALL


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = 'listen: {forward: "nowhere"}\nlimits: {bodyBytes: -1, bodyByts: 2}\nlog: {decisions: some}\n'
    found = faults(text, tmp_path)
    assert len(found) == 5
    assert found[0].startswith("1: listen.forward")
    assert any("did you mean bodyBytes" in fault for fault in found)
    assert any("policies" in fault for fault in found)


def test_an_inbound_listener_without_an_identity_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults(MINIMAL + 'listen: {inbound: "0.0.0.0:15443"}\n', tmp_path)
    assert "identity.provider" in fault


@pytest.mark.parametrize("text", ["", "[]", "a: [", "policies: [a]\n---\npolicies: [b]\n"])
def test_a_file_that_is_no_configuration_is_refused(text: str, tmp_path: Path) -> None:
    assert faults(text, tmp_path)


def test_environment_variables_win_over_the_file(tmp_path: Path) -> None:
    config = config_of(
        MINIMAL + 'agent: {name: file, namespace: agents}\nlisten: {forward: "127.0.0.1:1"}\n',
        tmp_path,
        AGENT_NAME="pod",
        AGENT_LABELS='{"app": "triage"}',
        LISTEN_FORWARD="off",
        LIMITS='{"idleSeconds": 0.5, "headers": 7}',
        APPLICATION_PORTS="9000, 9001",
        CONNECT='{"a:1": "b:2"}',
        IDENTITY_PROVIDER="workload-api",
        IDENTITY_SOCKET="unix:///x.sock",
        LISTEN_INBOUND="[::1]:15443",
        LOG_DECISIONS="refused",
        POLICIES="a.yaml,b",
    )
    assert (config.agent.name, config.agent.namespace, config.agent.labels) == (
        "pod",
        "agents",
        {"app": "triage"},
    )
    assert config.listen.forward is None
    assert config.listen.inbound == ("::1", 15443)
    assert (config.limits.idle_seconds, config.limits.headers) == (0.5, 7)
    assert config.application.ports == (9000, 9001)
    assert config.connect == {"a:1": "b:2"}
    assert config.identity.socket == "unix:///x.sock"
    assert config.decisions is Decisions.REFUSED
    assert config.policies == (tmp_path / "a.yaml", tmp_path / "b")


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    config = load_config(None, {"OUTRIDER_POLICIES": "p.yaml"})
    assert config.policies == (Path("p.yaml"),)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a:1", ("a", 1)),
        ("[::1]:2", ("::1", 2)),
        ("a", None),
        ("a:70000", None),
        ("a b:1", None),
        (":1", None),
    ],
)
def test_addresses_are_host_and_port(text: str, address: tuple[str, int] | None) -> None:
    assert parse_address(text) == address


def test_policy_files_and_folders_are_read_and_faults_of_all_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    (folder / "notes.txt").write_text("not yaml", encoding="utf-8")
    (tmp_path / "latin.yaml").write_bytes(b"kind: \xff\n")
    with pytest.raises(PolicyInvalid) as caught:
        load_files([folder, tmp_path / "latin.yaml", tmp_path / "missing.yaml"])
    told = str(caught.value)
    assert "a.yaml" in told
    assert "no UTF-8" in told
    assert "missing.yaml:1: cannot be read" in told
    assert "notes.txt" not in told
