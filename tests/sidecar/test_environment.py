"""Environment variables laid over the tree of the file."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.policy import yaml_tree
from mesh.policy.errors import ErrorLog, PolicyError
from mesh.policy.yaml_tree import Broken, Mapping, Node, Scalar, Sequence
from mesh.settings.table import SIDECAR_ENV
from sidecar.environment import CONFIG_VARIABLE, blamed, environment_faults, overlay


def value(node: Node | None) -> Any:
    """The tree as plain values, texts as they are spelt."""
    if isinstance(node, Mapping):
        return {entry.key: value(entry.value) for entry in node.entries}
    if isinstance(node, Sequence):
        return [value(item) for item in node.items]
    assert node is None or isinstance(node, Scalar), node
    return None if node is None else node.text


def laid(text: str, **variables: str) -> Any:
    log = ErrorLog("test")
    nodes = yaml_tree.read_documents(text, log) if text else []
    environment = {f"OUTRIDER_{name}": content for name, content in variables.items()}
    tree = overlay(nodes[0] if nodes else None, environment, log)
    assert log.errors == []
    return value(tree)


def test_without_variables_the_file_stays_as_it_is() -> None:
    assert laid("agent: {name: a}\n") == {"agent": {"name": "a"}}
    assert laid("") is None


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", {"agent": {"name": "pod"}}),
        ("agent: {name: a}\n", {"agent": {"name": "pod"}}),
        ("agent: {namespace: n}\n", {"agent": {"namespace": "n", "name": "pod"}}),
        ("agent: 7\n", {"agent": {"name": "pod"}}),
        ("policies: [a]\n", {"policies": ["a"], "agent": {"name": "pod"}}),
        ("[1, 2]\n", {"agent": {"name": "pod"}}),
    ],
)
def test_a_variable_wins_over_its_key_and_leaves_the_others(text: str, tree: Any) -> None:
    assert laid(text, AGENT_NAME="pod") == tree


def test_an_empty_variable_says_nothing() -> None:
    assert laid("agent: {name: a}\n", AGENT_NAME="") == {"agent": {"name": "a"}}


@pytest.mark.parametrize(
    ("variable", "content", "key", "found"),
    [
        ("POLICIES", "a.yaml, b ,,c", "policies", ["a.yaml", "b", "c"]),
        ("APPLICATION_PORTS", "9000,9001", "application", {"ports": ["9000", "9001"]}),
        ("AGENT_LABELS", '{"app": "triage"}', "agent", {"labels": {"app": "triage"}}),
        ("LIMITS", '{"headers": 7}', "limits", {"headers": "7"}),
        ("CONNECT", '{"a:1": "b:2"}', "connect", {"a:1": "b:2"}),
        ("LISTEN_FORWARD", "off", "listen", {"forward": "null"}),
        ("LISTEN_FORWARD", "127.0.0.1:1", "listen", {"forward": "127.0.0.1:1"}),
        ("AGENT_NAME", "off", "agent", {"name": "off"}),
        ("AGENT_NAME", "{a: b}", "agent", {"name": "{a: b}"}),
        ("AGENT_NAME", "null", "agent", {"name": "null"}),
        ("LOG_DECISIONS", "refused", "log", {"decisions": "refused"}),
    ],
)
def test_each_variable_is_written_as_text_and_read_as_its_key(
    variable: str, content: str, key: str, found: Any
) -> None:
    assert laid("", **{variable: content}) == {key: found}


def test_text_is_never_read_as_anything_else() -> None:
    """`null`, `7` or `yes` in a variable are that text, as a plain YAML scalar would not be."""
    tree = overlay(None, {"OUTRIDER_AGENT_NAME": "7"}, ErrorLog("test"))
    assert isinstance(tree, Mapping)
    name = tree.entries[0].value
    assert isinstance(name, Mapping)
    scalar = name.entries[0].value
    assert isinstance(scalar, Scalar)
    assert (scalar.text, scalar.plain) == ("7", False)


@pytest.mark.parametrize("content", ["{", "{a: b, a: c}", "&a [*a]"])
def test_json_that_cannot_be_read_is_a_fault(content: str) -> None:
    log = ErrorLog("environment")
    tree = overlay(None, {"OUTRIDER_LIMITS": content}, log)
    assert tree is not None
    assert log.errors or isinstance(tree, Broken)


def test_variables_of_others_say_nothing() -> None:
    environment = {"OUTRIDER": "x", "OUTRIDER_UNHEARD_OF": "x", "AGENT_NAME": "x", "outrider_agent_name": "x"}
    assert overlay(None, environment, ErrorLog("test")) is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OUTRIDER_LISTEN_INBOND", "did you mean OUTRIDER_LISTEN_INBOUND?"),
        ("OUTRIDER_APPLICATION_PORT", "did you mean OUTRIDER_APPLICATION_PORTS?"),
        ("OUTRIDER_IDENTITY_SPIFFEID", "did you mean OUTRIDER_IDENTITY_SPIFFE_ID?"),
        ("OUTRIDER_POLICIES_", "did you mean OUTRIDER_POLICIES?"),
        ("OUTRIDER_policies", "no setting has this name"),
        ("OUTRIDER_ZZZ", "no setting has this name. It"),
        ("OUTRIDER_", "no setting has this name"),
        ("OUTRIDER_\n", "no setting has this name"),
    ],
)
def test_a_variable_of_our_prefix_that_no_setting_has_is_a_fault(name: str, meant: str) -> None:
    (fault,) = environment_faults({name: "secret", "OUTRIDER_POLICIES": "a", "PATH": "/bin"})
    assert (fault.file, fault.line) == ("environment", 1)
    assert "\n" not in fault.path
    assert meant in fault.message
    assert "secret" not in str(fault)


def test_all_unknown_variables_are_told_and_empty_ones_say_nothing() -> None:
    found = environment_faults({"OUTRIDER_B": "1", "OUTRIDER_A": "1", "OUTRIDER_C": "", "OUTRIDERX": "1"})
    assert [fault.path for fault in found] == ["OUTRIDER_A", "OUTRIDER_B"]


def test_every_variable_of_the_table_is_known() -> None:
    assert environment_faults(dict.fromkeys(SIDECAR_ENV, "x")) == []


LINKS = {
    "SERVICE_HOST": "10.0.0.1",
    "SERVICE_PORT": "443",
    "SERVICE_PORT_HTTPS": "443",
    "PORT": "tcp://10.0.0.1:443",
    "PORT_443_TCP": "tcp://10.0.0.1:443",
    "PORT_443_TCP_PROTO": "tcp",
    "PORT_443_TCP_PORT": "443",
    "PORT_443_TCP_ADDR": "10.0.0.1",
}


@pytest.mark.parametrize("service", ["OUTRIDER", "OUTRIDER_WEBHOOK"])
def test_what_the_kubelet_sets_for_a_service_of_our_name_is_no_misspelling(service: str) -> None:
    assert environment_faults({f"{service}_{name}": value for name, value in LINKS.items()}) == []


def test_a_service_excuses_nothing_but_its_own_variables() -> None:
    environment = {"OUTRIDER_WEBHOOK_SERVICE_HOST": "10.0.0.1", "OUTRIDER_APPLICATION_PORT": "9000"}
    (fault,) = environment_faults(environment)
    assert fault.path == "OUTRIDER_APPLICATION_PORT"


def test_a_fault_of_a_key_that_a_variable_gave_is_blamed_on_the_variable() -> None:
    faults = [PolicyError("a.yaml", 7, path, "wrong") for path in ("limits.headers", "limitsx", "connect[0]")]
    told = blamed(faults, {"OUTRIDER_LIMITS": "{}", "OUTRIDER_CONNECT": ""})
    assert [fault.file for fault in told] == ["environment", "a.yaml", "a.yaml"]
    assert told[0].message == "wrong (set by OUTRIDER_LIMITS)"


def test_every_variable_of_the_table_reaches_its_key() -> None:
    for name, setting in SIDECAR_ENV.items():
        if name == CONFIG_VARIABLE or not setting.key:
            continue
        tree = value(overlay(None, {name: "{}"}, ErrorLog("test")))
        for part in setting.key.split("."):
            tree = tree[part]
