"""The settings ConfigMap is a settings file that the control plane takes, and means what the values say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh.settings import installation, table
from mesh.settings.kinds import Kind
from webhook.admission import settings_file
from webhook.admission.identity_settings import IdentityProvider
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import parse_settings

HERE = Path(__file__).parent
CHART = HERE.parents[1] / "charts" / "outrider"
WHOLE = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]
SCHEMA = WHOLE["settings"]
VALUES = sorted((HERE / "values").glob("*.yaml"))


def settings_of(find: Any, values: dict[str, Any]) -> InjectionSettings:
    data = find("ConfigMap", installation.WEBHOOK_SETTINGS, values=values)["data"]
    assert list(data) == [installation.SETTINGS_KEY]
    parsed = parse_settings(data[installation.SETTINGS_KEY], installation.SETTINGS_KEY)
    assert parsed.namespaces is None
    return parsed.injection


def test_the_defaults_are_those_of_the_code(find) -> None:
    expected = InjectionSettings(
        image=f"outrider/sidecar:{table.VERSION}",
        ignored_namespaces=InjectionSettings().ignored_namespaces | {"outrider-system"},
    )
    given = settings_of(find, {})
    # What an installation has and no plain settings file: a control plane, which issues identities.
    assert given.identity.chosen is IdentityProvider.BUILTIN
    control = given.control_plane
    assert control.url == f"https://{installation.CONTROL}.outrider-system.svc.cluster.local:15012"
    assert control.audience == installation.CONTROL_AUDIENCE
    assert expected == replace(given, identity=expected.identity, control_plane=expected.control_plane)


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_the_control_plane_takes_every_settings_file(path, find) -> None:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings = settings_of(find, values)
    said = values.get("settings", {})
    assert settings.authorities == values.get("authorities", "")
    assert settings.uid == said.get("uid", table.SIDECAR_UID)
    assert set(settings.ignored_namespaces) >= {"kube-system", "outrider-system"}


def test_the_schema_knows_every_key_of_a_settings_file() -> None:
    made_by_the_chart = {"image", "imagePullPolicy", "namespaces", "identity", "controlPlane"}
    made_by_the_chart |= {"federation", "authorities"}
    assert set(SCHEMA["properties"]) == set(settings_file._FIELDS) - made_by_the_chart


def test_the_schema_knows_every_key_of_the_sections() -> None:
    from webhook.admission import identity_settings
    from webhook.identity.federation import peers

    sections = SCHEMA["properties"]
    assert set(sections["ports"]["properties"]) == set(settings_file._PORTS)
    assert set(sections["redirect"]["properties"]) == set(settings_file._REDIRECT)
    assert set(sections["egress"]["properties"]) == set(settings_file._EGRESS)
    identity = WHOLE["identity"]["properties"]
    assert {"provider", *identity["spire"]["properties"]} == set(identity_settings._IDENTITY)
    assert set(identity["files"]["properties"]) == set(identity_settings._FILES)
    assert set(WHOLE["federation"]["properties"]["trustDomains"]["items"]["properties"]) == set(peers._PEER)


def test_values_yaml_names_every_setting_that_has_a_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert set(values["settings"]) == set(SCHEMA["properties"])


def test_ports_are_those_of_the_settings_table() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    ports = {
        setting.name: setting.default
        for setting in vars(table).values()
        if getattr(setting, "kind", "") == Kind.PORT
    }
    given = values["settings"]["ports"]
    assert ports == {
        "forward": str(given["forward"]),
        "inbound": str(given["inbound"]),
        "telemetry": str(given["telemetry"]),
        "outbound-redirect": str(given["outboundRedirect"]),
        "inbound-redirect": str(given["inboundRedirect"]),
    }


def test_the_chart_is_of_the_version_that_the_code_says() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == chart["version"] == table.VERSION
