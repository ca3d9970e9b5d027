"""The section `control`, and what it takes besides."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.identity.ca import make_authority
from mesh.policy.errors import PolicyInvalid
from sidecar.config import Denials, Provider, SidecarConfig, load_config

PEM = ssl.DER_cert_to_PEM_cert(
    make_authority("a.example", datetime.now(UTC), timedelta(days=1)).bundle.authorities_der[0]
)
AGENT = {"AGENT_NAMESPACE": "agents", "AGENT_NAME": "triage-1", "AGENT_UID": "uid"}
CONTROL = {"CONTROL_URL": "https://control:15012", "CONTROL_ROOTS": PEM, "CONTROL_TOKEN": "/t/token"}


def config_of(**variables: str) -> SidecarConfig:
    return load_config(None, {f"OUTRIDER_{name}": value for name, value in variables.items()})


def faults(**variables: str) -> str:
    with pytest.raises(PolicyInvalid) as caught:
        config_of(**variables)
    return "\n".join(f"{error.path}: {error.message}" for error in caught.value.errors)


def test_variables_say_all_of_it() -> None:
    config = config_of(
        **AGENT, **CONTROL, CONTROL_STATE="state", IDENTITY_PROVIDER="builtin", DENIALS="forbidden"
    )
    control = config.control
    assert control is not None
    assert (control.server.host, control.server.port, control.roots) == ("control", 15012, PEM)
    assert (control.token, control.state) == (Path("/t/token"), Path("state"))
    assert (config.agent.uid, config.policies) == ("uid", ())
    assert (config.identity.provider, config.denials) == (Provider.BUILTIN, Denials.FORBIDDEN)


def test_a_file_says_it_too_and_its_paths_are_relative(tmp_path: Path) -> None:
    roots = "".join(f"    {line}\n" for line in PEM.splitlines())
    text = (
        "agent: {namespace: agents, name: a, uid: u}\n"
        f"control:\n  url: https://c/x\n  token: t\n  state: s\n  roots: |\n{roots}"
    )
    path = tmp_path / "sidecar.yaml"
    path.write_text(text, encoding="utf-8")
    control = load_config(path, {}).control
    assert control is not None
    assert (control.token, control.state, control.roots) == (tmp_path / "t", tmp_path / "s", PEM)
    assert control.server.path == b"/x"


def test_what_is_absent_has_its_default() -> None:
    config = config_of(**AGENT, **CONTROL)
    assert config.control is not None
    assert config.control.state is None
    assert config.denials is Denials.HIDDEN


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"CONTROL_URL": "http://control"}, "control.url: .*would show the token to the network"),
        ({"CONTROL_URL": "https://control/?a=b"}, "control.url: .*has a query"),
        ({"CONTROL_URL": "control"}, "control.url"),
        ({"CONTROL_URL": ""}, "control.url: missing; the https:// URL"),
        ({"CONTROL_ROOTS": ""}, "control.roots: missing"),
        ({"CONTROL_ROOTS": "no roots"}, "control.roots: no PEM certificates can be read"),
        ({"CONTROL_TOKEN": ""}, "control.token: missing"),
        ({"AGENT_UID": ""}, "agent.uid: missing; the control plane has to be told"),
        ({"AGENT_NAMESPACE": ""}, "agent.namespace: missing"),
        ({"POLICIES": "p.yaml"}, "policies: the control plane gives the policies"),
        ({"DENIALS": "loud"}, "denials: "),
    ],
)
def test_what_cannot_work_is_told(changed: dict[str, str], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        raise AssertionError(faults(**{**AGENT, **CONTROL, **changed}))


def test_without_either_source_of_policies_both_are_named() -> None:
    assert "policies: missing; at least one file or folder, or the section control" in faults(**AGENT)


def test_the_builtin_identity_needs_a_control_plane() -> None:
    assert "identity.provider: builtin has its SVID from the control plane" in faults(
        POLICIES="p.yaml", IDENTITY_PROVIDER="builtin"
    )
