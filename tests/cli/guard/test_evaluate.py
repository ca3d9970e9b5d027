from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cli.guard.measures import DETECTORS, MEASURES, Measure
from cli.guard.peers import FIGURES, PEERS, said
from cli.main import main
from mesh.policy.guardrails import DetectorKind

ROOT = Path(__file__).parents[3]


def evaluated(folder: Path, *options: str) -> dict[tuple[str, str], Any]:
    """The results of the command's JSON by detector and source."""
    file = folder / "out.json"
    assert main(["guard", "eval", str(folder), "--json", str(file), *options]) == 0
    return {(one["detector"], one["source"]): one for one in json.loads(file.read_text())["results"]}


def test_figures_are_those_that_were_worked_out_by_hand(data: Path) -> None:
    found = evaluated(data)
    # One of two spans; of two that were told one is right; the document without any has one.
    spans = found["pii", "pii_presidio"]["scores"]
    assert (spans["positives"], spans["found"], spans["recall"], spans["precision"]) == (2, 1, 0.5, 0.5)
    assert (spans["f2"], spans["false_positive_rate"]) == (0.5, 1.0)
    values = found["pii", "pii_mcp_json"]["scores"]
    assert (values["positives"], values["recall"], values["false_positive_rate"]) == (1, 1.0, 0.0)
    secrets = found["secrets", "noseyparker"]["scores"]
    assert [secrets[key] for key in ("recall", "precision", "f1", "false_positive_rate")] == [0.5] * 4
    injection = found["injection", "pi_obfuscated"]
    assert injection["scores"]["precision"] == 1.0
    # 5 * 1 * 0.5 / (4 * 1 + 0.5)
    assert injection["scores"]["f2"] == pytest.approx(5 / 9)
    assert injection["parts"] == {"plain": {"found": 1, "of": 1}, "polite": {"found": 0, "of": 1}}


def test_pins_are_asked_about_pairs(data: Path) -> None:
    found = evaluated(data, "--only", "pinning")["pinning", "rugpull_pairs"]
    assert [found["scores"][key] for key in ("positives", "recall", "benign", "wrong")] == [2, 1.0, 1, 0]
    assert all(one["met"] for one in found["targets"])
    assert found["late"] == ["r3", "r4"]


def test_ids_of_what_went_wrong_are_told(data: Path) -> None:
    found = evaluated(data, "--only", "secrets")
    assert found["secrets", "noseyparker"]["missed"] == ["s2"]
    assert found["secrets", "noseyparker"]["wrong"] == ["s3"]
    assert all(detector == "secrets" for detector, _ in found)


def test_targets_are_judged_without_rounding(data: Path) -> None:
    found = evaluated(data)
    recall, false = found["secrets", "noseyparker"]["targets"]
    assert recall == {"figure": "recall", "bound": 0.8, "value": 0.5, "met": False}
    assert false == {"figure": "FPR", "bound": 0.1, "value": 0.5, "met": False}
    assert all(one["met"] for one in found["pii", "pii_mcp_json"]["targets"])


def test_all_detectors_together_are_timed(data: Path) -> None:
    together = evaluated(data)["all five", "pii_mcp_json"]
    assert together["scores"] is None
    assert together["p99_microseconds"] >= together["p50_microseconds"] > 0
    assert together["microseconds_per_kb"] > 0


def test_the_table_says_what_was_missed_and_what_others_reach(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["guard", "eval", str(data), "--only", "secrets,injection"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "missed: secrets on noseyparker: recall >= 0.8, missed by 0.3000: 0.5000" in said
    assert "recall of others: noseyparker 0.928*, gitleaks 0.489" in said
    assert "plain 1/1, polite 0/1" in said
    assert "leave one source out" in said


def test_a_missed_target_fails_only_when_asked_to(data: Path) -> None:
    assert main(["guard", "eval", str(data), "--strict"]) == 1
    assert main(["guard", "eval", str(data), "--only", "exfiltration", "--strict"]) == 0


def test_files_that_are_missing_unknown_or_short_are_told(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "of_my_own.jsonl").write_text("{}\n")
    (data / "MANIFEST.json").write_text(json.dumps([{"file": "tool_desc.jsonl", "n": 3}, "odd", {"file": 1}]))
    main(["guard", "eval", str(data), "--only", "injection"])
    said = capsys.readouterr().out
    assert "benign_sql.jsonl is not there" in said
    assert "of_my_own.jsonl is none that anything is measured on" in said
    assert "tool_desc.jsonl has 1 rows where MANIFEST.json says 3" in said


@pytest.mark.parametrize("content", ["", "[]", "not json"])
def test_a_manifest_that_says_nothing_is_passed_over(data: Path, content: str) -> None:
    (data / "MANIFEST.json").write_text(content)
    assert main(["guard", "eval", str(data), "--only", "pii"]) == 0


def test_nothing_to_measure_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guard", "eval", str(tmp_path)]) == 2
    assert "holds no rows" in capsys.readouterr().err
    assert main(["guard", "eval", str(tmp_path / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_bad_input(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guard", "eval", str(data), "--only", "pii", "--json", str(data / "no" / "x.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_unknown_detector_is_refused_with_those_there_are(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["guard", "eval", str(data), "--only", "pii,magic"])
    assert "no such detector: magic; there are pii, secrets" in capsys.readouterr().err


def test_the_plot_has_a_bar_a_target_and_circles_for_others(data: Path) -> None:
    file = data / "plot.svg"
    assert main(["guard", "eval", str(data), "--only", "pii", "--plot", str(file)]) == 0
    drawn = ElementTree.fromstring(file.read_text())  # noqa: S314
    space = "{http://www.w3.org/2000/svg}"
    bars = drawn.findall(f"{space}rect")
    # The background, F2, recall and the false positives of values.
    assert len(bars) == 4
    titles = [one.text for one in drawn.iter(f"{space}title")]
    assert "Presidio 0.814" in titles
    widths = [float(bar.get("width", "0")) for bar in bars[1:]]
    assert widths[0] == pytest.approx(widths[1] / 2)
    assert widths[2] == 0


def test_every_measure_asks_a_detector_that_is_there() -> None:
    assert {measure.detector for measure in MEASURES} <= {kind.value for kind in DetectorKind}
    assert len({(one.detector, one.source) for one in MEASURES}) == len(MEASURES)
    assert {one.detector for one in MEASURES} < set(DETECTORS)


def test_peers_are_compared_on_sources_that_are_measured() -> None:
    sources = {(one.detector, one.source) for one in MEASURES}
    assert {key[:2] for key in FIGURES} <= sources
    assert {peer for figures in FIGURES.values() for peer, _, _ in figures} == set(PEERS)
    assert all(0 <= value <= 1 for figures in FIGURES.values() for _, value, _ in figures)


def test_the_best_of_others_is_named_first() -> None:
    assert said("exfiltration", "exfil_synth", "FPR") == "cpex-exfil 0.390"
    assert said("secrets", "gitleaks", "FPR").startswith("detect-secrets 0.085, cpex-secrets")
    assert said("secrets", "gitleaks", "recall").startswith("gitleaks 0.968*, detect-secrets")
    assert said("terms", "anything", "recall") == ""


def test_every_target_of_the_table_is_a_share() -> None:
    def bounds(measure: Measure) -> list[float]:
        return [target.bound for target in measure.targets]

    assert all(0 <= bound <= 1 for measure in MEASURES for bound in bounds(measure))
    assert sum(map(len, map(bounds, MEASURES))) >= 20


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_without_data_says_what_to_set() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OUTRIDER_GUARD_DATA"}
    done = subprocess.run(
        ["make", "named-data"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "set OUTRIDER_GUARD_DATA to the folder of the labelled .jsonl files" in done.stderr


def test_a_terminal_gets_the_same_table_in_colours(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.output.write.colourful", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert main(["guard", "eval", str(data), "--only", "secrets"]) == 0
    said = capsys.readouterr().out
    assert "\x1b[1;31mfailed  missed by 0.3000: 0.5000\x1b[0m" in said
    first = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()[0]
    assert first.split()[:3] == ["DETECTOR", "SOURCE", "N"]
    assert first.split()[-2:] == ["TARGET", "REACHED"]
