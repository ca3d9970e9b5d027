"""docs/injection.md tells the truth: its examples run, its truth table is that of the code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from cli.main import main
from mesh.reasons import Reason
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Skipped
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import SettingsInvalid, parse_settings

PAGE = (Path(__file__).parents[2] / "docs" / "injection.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```yaml\n(.*?)```", PAGE, re.DOTALL))
SESSIONS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("session", SESSIONS)
def test_the_examples_run_as_shown(session, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shown = []
    for line in session.splitlines():
        if line.startswith("$ outrider "):
            command, _, target = line.removeprefix("$ outrider ").partition(" > ")
            main(shlex.split(command))
            out, report = capsys.readouterr()
            if target:
                Path(target).write_text(out, encoding="utf-8")
            shown += [line, *report.splitlines(), *([] if target else out.splitlines())]
    assert shown == session.splitlines()


def test_the_truth_table_is_that_of_the_code() -> None:
    table = PAGE.split("<!-- truth table -->\n")[1].split("\n\n")[0].splitlines()
    columns = [None, "true", "false", "neither"]
    for row in table[2:]:
        label, *cells = [cell.strip() for cell in row.strip("|").split("|")]
        labels = {} if label == "unset" else {"outrider.dev/injection": label.strip("`")}
        for value, cell in zip(columns, cells, strict=True):
            metadata = {} if value is None else {"labels": {"outrider.dev/inject": value}}
            pod = {"metadata": metadata, "spec": {"containers": [{"name": "agent"}]}}
            became = inject(pod, Namespace("agents", labels), InjectionSettings())
            if isinstance(became, Injection):
                assert cell == "injected"
            else:
                verb = "skipped" if isinstance(became, Skipped) else "refused"
                assert cell == f"{verb} `{became.reason}`"


def test_the_settings_shown_are_valid_and_name_every_key() -> None:
    text = FILES["settings.yaml"]
    assert parse_settings(text, "settings.yaml").namespaces
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings("unknown: 1\n", "x")
    keys = str(caught.value).split("allowed: ")[1].split(", ")
    assert re.findall(r"^([a-zA-Z]+):", text, re.MULTILINE) == keys


def test_the_service_shown_leads_to_where_the_sidecar_takes_mutual_tls() -> None:
    pod, service = yaml.safe_load_all(FILES["tickets.yaml"])
    became = inject(pod, Namespace("tools", {}), InjectionSettings())
    assert isinstance(became, Injection)
    assert service["spec"]["selector"].items() <= became.pod["metadata"]["labels"].items()
    (sidecar,) = became.pod["spec"]["initContainers"]
    env = {one["name"]: one.get("value", "") for one in sidecar["env"]}
    (port,) = service["spec"]["ports"]
    assert env["OUTRIDER_LISTEN_INBOUND"].rpartition(":")[2] == str(port["targetPort"])
    assert env["OUTRIDER_APPLICATION_PORTS"] == str(port["port"])


def test_nothing_is_found_in_the_service_shown_and_all_in_one_that_leads_elsewhere(tmp_path, capsys) -> None:
    for target, code in (("15443", None), ("15002", "OUT0403")):
        (tmp_path / "a.yaml").write_text(FILES["tickets.yaml"].replace("15443", target))
        main(["analyze", "-o", "json", str(tmp_path / "a.yaml")])
        found = {one["code"] for one in json.loads(capsys.readouterr().out)}
        assert found - {"OUT0206"} == ({code} if code else set())


def test_every_reason_on_the_page_exists() -> None:
    table = PAGE.split("| reason | what |\n")[1].split("\n\n")[0]
    reasons = re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)
    assert len(reasons) == 17
    assert set(reasons) <= set(Reason)
