"""The ValidatingAdmissionPolicy speaks of the same names as admission does. What it decides is tried on an API
server, in e2e."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from mesh.reasons import Reason
from mesh.settings import table, trust
from mesh.settings.installation import CONTROL_AUDIENCE
from webhook.admission.boundary import UNDOING
from webhook.admission.trust import MOUNT


@pytest.fixture(scope="module")
def spec(find) -> dict[str, Any]:
    return find("ValidatingAdmissionPolicy")["spec"]


def variable(spec: dict[str, Any], name: str) -> str:
    (expression,) = [one["expression"] for one in spec["variables"] if one["name"] == name]
    return expression


def test_reserved_names_are_those_of_the_settings_table(spec) -> None:
    assert set(ast.literal_eval(variable(spec, "reservedContainers"))) == table.RESERVED_CONTAINERS
    assert set(ast.literal_eval(variable(spec, "reservedVolumes"))) == table.RESERVED_VOLUMES


def test_labels_are_those_of_the_settings_table(spec) -> None:
    whole = str(spec)
    for setting in (table.NAMESPACE_INJECTION, table.POD_INJECT, table.ROSSOCTL_INJECT, table.KAGENTI_INJECT):
        assert f"'{setting.name}'" in whole
    assert f"'{table.POD_INJECTED.name}'" in whole


def test_the_trust_volume_may_be_mounted_as_admission_mounts_it(spec) -> None:
    (expression, _) = [
        one["expression"] for one in spec["validations"] if table.TRUST_VOLUME in one["expression"]
    ]
    assert MOUNT == {"name": table.TRUST_VOLUME, "mountPath": trust.TRUST_DIRECTORY, "readOnly": True}
    assert f"m.mountPath == '{trust.TRUST_DIRECTORY}' && m.?readOnly.orValue(false)" in expression


def test_messages_name_a_reason_and_what_to_do(spec) -> None:
    known = set(Reason)
    for one in spec["validations"]:
        found = re.match(r"outrider \(([a-z_, ]+)\): .+", one["message"])
        assert found, one["message"]
        assert set(found[1].split(", ")) <= known, one["message"]
        assert "\n" not in one["message"]


def test_every_code_in_parentheses_is_a_reason_and_the_policys_own_ones_are_all_given(spec) -> None:
    written = " ".join(
        one.get(key, "") for one in spec["validations"] for key in ("message", "messageExpression")
    )
    given = {code for codes in re.findall(r"outrider \(([^)]*)\)", written) for code in codes.split(", ")}
    assert given <= set(Reason)
    reasons = list(Reason)
    assert given >= set(reasons[reasons.index(Reason.SIDECAR_MISSING) :])


def test_every_variable_is_used_and_every_used_one_is_there(spec) -> None:
    names = [one["name"] for one in spec["variables"]]
    expressions = [one["expression"] for one in (*spec["variables"], *spec["validations"])]
    used = set(re.findall(r"variables\.(\w+)", " ".join(expressions)))
    assert used == set(names)
    for place, one in enumerate(spec["variables"]):
        assert set(re.findall(r"variables\.(\w+)", one["expression"])) <= set(names[:place])


@pytest.mark.parametrize("changed", [{"nativeSidecars": "never"}, {"nativeSidecars": "always"}])
def test_replicas_with_other_settings_may_serve_during_an_upgrade(changed, find) -> None:
    other = find("ValidatingAdmissionPolicy", values={"settings": changed})
    assert other["spec"] == find("ValidatingAdmissionPolicy", values={})["spec"]


def test_images_are_of_the_repositories_that_the_values_name(find) -> None:
    values = {"finalState": {"images": ["registry.example/a", "registry.example/b"]}}
    whole = str(find("ValidatingAdmissionPolicy", values=values))
    assert "['registry.example/a', 'registry.example/b'].exists" in whole
    values = {"sidecarImage": {"registry": "registry.example"}}
    assert "['registry.example/outrider/sidecar'].exists" in str(
        find("ValidatingAdmissionPolicy", values=values)
    )


def test_capabilities_that_undo_capture_are_those_of_admission(spec) -> None:
    (found,) = [
        re.search(r" in (\[[^]]*\])", one["expression"]) for one in spec["validations"] if "CAP_" in str(one)
    ]
    assert found is not None
    assert set(ast.literal_eval(found[1])) == UNDOING


def test_what_the_platform_allows_is_not_refused_afterwards(find) -> None:
    values = {"settings": {"allow": ["privileged-containers"]}}
    assert "node_reached" not in str(find("ValidatingAdmissionPolicy", values=values))


def test_tokens_are_looked_for_where_they_are_an_identity(find) -> None:
    assert f"== '{CONTROL_AUDIENCE}'" in variable(find("ValidatingAdmissionPolicy")["spec"], "tokens")
    without = {"control": {"enabled": False}, "identity": {"provider": "spire"}}
    assert "identity_exposed" not in str(find("ValidatingAdmissionPolicy", values=without))
