"""`python -m sidecar` as a process: what an operator sees."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.policy.errors import PolicyError, PolicyInvalid
from sidecar.__main__ import main
from sidecar.environment import CONFIG_VARIABLE

POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec: {egress: allow}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies.yaml").write_text(POLICY, encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "sidecar.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def start(path: Path, **variables: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    command = [sys.executable, "-m", "sidecar", "--config", str(path)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**environment, **variables})


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, str]]:
    assert process.stderr is not None
    return map(json.loads, process.stderr)


LISTEN = 'listen: {forward: "127.0.0.1:0", telemetry: "127.0.0.1:0"}\npolicies: [policies.yaml]\n'


def test_it_says_where_it_listens_and_ends_well_on_sigterm(folder: Path) -> None:
    with start(write(folder, LISTEN)) as process:
        ready = next(line for line in events(process) if line["event"] == "ready")
        host, _, port = ready["forward"].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5):
            process.send_signal(signal.SIGTERM)
            stopped = next(line for line in events(process) if line["event"] == "stopped")
        assert process.wait(10) == 0
    assert ready["policies"] == ["AgentPolicy/triage"]
    assert stopped["complete"] is True


def test_every_fault_of_the_policies_is_told_and_nothing_starts(folder: Path) -> None:
    (folder / "policies.yaml").write_text(POLICY.replace("allow", "perhaps") + "  x: 1\n", encoding="utf-8")
    with start(write(folder, LISTEN)) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "policies.yaml:" in told
    assert '"event"' not in told


def test_every_fault_of_the_file_is_told(folder: Path) -> None:
    with start(write(folder, "listen: 7\nlimits: {headers: many}\n")) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "sidecar.yaml:1: listen" in told
    assert "sidecar.yaml:2: limits.headers" in told
    assert "policies: missing" in told


def test_a_file_that_is_not_there_is_told(folder: Path) -> None:
    with start(folder / "nothing.yaml") as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "nothing.yaml: cannot be read" in told


def test_an_address_in_use_is_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = LISTEN.replace('forward: "127.0.0.1:0"', f'forward: "127.0.0.1:{port}"')
        with start(write(folder, text)) as process:
            _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "another process on that port" in told


def test_while_it_waits_for_an_svid_it_says_why_and_can_be_ended(folder: Path) -> None:
    identity = f'identity: {{provider: workload-api, socket: "unix://{folder}/none.sock"}}\n'
    with start(write(folder, LISTEN + identity)) as process:
        problem = next(line for line in events(process) if line["event"] == "identity_problem")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert "none.sock" in problem["detail"]


def test_roots_that_cannot_be_read_are_told(folder: Path) -> None:
    (folder / "roots.pem").write_text("no certificates", encoding="utf-8")
    with start(write(folder, LISTEN + "authorities: roots.pem\n")) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "sidecar.yaml:3: authorities: " in told
    assert "roots.pem: no PEM certificates" in told


def test_a_misspelt_variable_and_faults_of_the_file_are_told_together(folder: Path) -> None:
    path = write(folder, LISTEN.replace("127.0.0.1:0", "0.0.0.0:15002", 1))
    with start(path, OUTRIDER_LOG_DECISION="none") as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "environment:1: OUTRIDER_LOG_DECISION: no setting has this name" in told
    assert "sidecar.yaml:1: listen.forward: 0.0.0.0:15002 is reached from other machines" in told


# What ends before anything listens, without a process of its own.


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variables of ours around."""
    for name in list(os.environ):
        if name.startswith("OUTRIDER_"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("policies: [missing.yaml]\n", "missing.yaml:1: cannot be read"),
        ("policies: [policies.yaml]\nunheard: 1\n", "unheard"),
        ("policies: [policies.yaml]\nlog: {decisions: some}\n", "log.decisions"),
    ],
)
def test_bad_input_exits_2_with_the_fault(
    folder: Path, bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    assert main(["--config", str(write(folder, text))]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("when", ["Sidecar.__init__", "Sidecar.start"])
def test_a_policy_that_this_version_cannot_carry_out_exits_2_with_its_sentence(
    folder: Path, bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], when: str
) -> None:
    def refuse(*_: object) -> None:
        raise PolicyInvalid(
            (PolicyError("AgentPolicy/triage outbound[0]", 0, "guardrails.pii", "no such kinds"),)
        )

    bare.setattr(f"sidecar.app.{when}", refuse)
    assert main(["--config", str(write(folder, LISTEN))]) == 2
    told = capsys.readouterr().err
    assert "AgentPolicy/triage outbound[0]: guardrails.pii: no such kinds\n" in told
    assert "Traceback" not in told


def test_a_kind_that_no_detector_knows_exits_2_with_what_may_be_meant(
    folder: Path, bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = "spec: {outbound: [{backend: '*', guardrails: {pii: {action: mask, kinds: [EMIAL]}}}]}"
    (folder / "policies.yaml").write_text(POLICY.replace("spec: {egress: allow}", spec), encoding="utf-8")
    assert main(["--config", str(write(folder, LISTEN))]) == 2
    told = capsys.readouterr().err
    assert "policies.yaml:5: spec.outbound[0].guardrails.pii.kinds[0]" in told
    assert "did you mean EMAIL?" in told


def test_a_file_that_is_no_text_exits_2(
    folder: Path, bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "sidecar.yaml"
    path.write_bytes(b"\xff\xfe")
    assert main(["--config", str(path)]) == 2
    assert "sidecar.yaml: cannot be read" in capsys.readouterr().err


def test_the_file_may_be_named_by_a_variable(
    folder: Path, bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare.setenv(CONFIG_VARIABLE, str(write(folder, "listen: 7\n")))
    assert main([]) == 2
    assert "sidecar.yaml:1: listen" in capsys.readouterr().err


def test_with_neither_file_nor_variables_it_says_what_is_missing(
    bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 2
    assert "the configuration is empty" in capsys.readouterr().err


def test_a_folder_for_trust_that_cannot_be_written_is_told(folder: Path) -> None:
    text = LISTEN + f'interception: {{directory: "{folder}/nowhere"}}\n'
    with start(write(folder, text)) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"interception.directory: {folder}/nowhere: No such file or directory; it must exist" in told
