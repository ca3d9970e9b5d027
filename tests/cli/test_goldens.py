"""Golden files of `outrider inject`: goldens/NAME.in.yaml becomes NAME.out.yaml and NAME.report.

A first line `# args: …` in the input adds arguments. With OUTRIDER_REGENERATE=1 in the environment the expected
files are written anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.main import main

FOLDER = Path(__file__).parent / "goldens"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in FOLDER.glob("*.in.yaml"))
ARGUMENTS = "# args: "


def expect(path: Path, actual: str) -> None:
    if os.environ.get("OUTRIDER_REGENERATE"):
        path.write_text(actual, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == actual


@pytest.mark.parametrize("case", CASES)
def test_manifests_come_out_as_recorded(case, capsys, monkeypatch) -> None:
    monkeypatch.chdir(FOLDER)
    source = f"{case}.in.yaml"
    first = (FOLDER / source).read_text(encoding="utf-8").splitlines()[0]
    more = first.removeprefix(ARGUMENTS).split() if first.startswith(ARGUMENTS) else []
    code = main(["inject", "-f", source, *more])
    out, report = capsys.readouterr()
    expect(FOLDER / f"{case}.out.yaml", out)
    expect(FOLDER / f"{case}.report", f"{report}exit {code}\n")


@pytest.mark.parametrize("case", CASES)
def test_injecting_the_output_again_changes_nothing(case, capsys, monkeypatch) -> None:
    monkeypatch.chdir(FOLDER)
    out = f"{case}.out.yaml"
    first = (FOLDER / f"{case}.in.yaml").read_text(encoding="utf-8").splitlines()[0]
    more = first.removeprefix(ARGUMENTS).split() if first.startswith(ARGUMENTS) else []
    assert main(["inject", "-f", out, *more]) == 0
    assert capsys.readouterr().out == (FOLDER / out).read_text(encoding="utf-8")


def test_every_golden_belongs_to_an_input() -> None:
    used = {f"{case}{suffix}" for case in CASES for suffix in (".in.yaml", ".out.yaml", ".report")}
    others = {"settings.yaml", "capturing.yaml"}
    assert {path.name for path in FOLDER.iterdir()} == used | others
