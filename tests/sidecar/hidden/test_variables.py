"""The section hiddenSecrets: what admission writes is read, and faults are told without what the files hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.policy.errors import PolicyInvalid
from sidecar.config import load_config
from sidecar.hidden.variables import HiddenVariable

FAKE = "outrider-hidden-0123456789abcdef0123456789abcdef"


def load(tmp_path, text):
    path = tmp_path / "sidecar.yaml"
    path.write_text("policies: [p.yaml]\n" + text)
    return load_config(path, {})


def test_files_are_relative_to_the_configuration(tmp_path) -> None:
    config = load(
        tmp_path,
        f"credentials: {{directory: secrets}}\n"
        f"hiddenSecrets: {{{FAKE}: {{container: c, variable: V, files: [a, /b], originals: [{{x: 1}}]}}}}\n",
    )
    assert config.hidden_secrets == {FAKE: HiddenVariable("c", "V", (tmp_path / "a", Path("/b")))}
    assert config.credentials == tmp_path / "secrets"


def test_without_the_section_nothing_is_hidden(tmp_path) -> None:
    config = load(tmp_path, "")
    assert config.hidden_secrets == {}
    assert config.credentials is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hiddenSecrets: x", "expected a mapping"),
        ("hiddenSecrets: {abc: {container: c, variable: V, files: [a]}}", "is no placeholder"),
        (f"hiddenSecrets: {{{FAKE}: {{container: c, variable: V}}}}", "the files that may hold the secret"),
        (f"hiddenSecrets: {{{FAKE}: {{container: '', variable: V, files: [a]}}}}", "the name of a container"),
        (f"hiddenSecrets: {{{FAKE}: {{container: !x c, variable: V, files: [a]}}}}", "tags are refused"),
        (f"hiddenSecrets: {{{FAKE}: {{container: c, variable: V, files: !x [a]}}}}", "tags are refused"),
        (f"hiddenSecrets: {{{FAKE}: c}}", "expected a container, a variable and files"),
        ("hiddenSecrets: !x {}", "tags are refused"),
        (f"hiddenSecrets: {{{FAKE}: {{container: c, variable: V, files: ['']}}}}", "expected a path"),
        (f"hiddenSecrets: {{{FAKE}: {{container: c, variable: V, files: [a], more: 1}}}}", "more"),
        ("credentials: {}", "the folder with the Secrets"),
    ],
)
def test_faults_are_told(tmp_path, text, fault) -> None:
    with pytest.raises(PolicyInvalid) as invalid:
        load(tmp_path, text)
    assert fault in str(invalid.value)
