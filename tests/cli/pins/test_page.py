"""docs/pinning.md tells the truth: its examples are run, and its figures are those of the code."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from cli.main import main
from mesh.pins.book import MAX_NAME, MOST_TOOLS, FirstUse
from mesh.pins.digest import definition
from mesh.policy.load import load_texts
from mesh.reasons import SENTENCES
from sidecar.proxy.pinning import MAX_DEFINITION
from sidecar.telemetry.names import METRICS

PATH = Path(__file__).parents[3] / "docs" / "pinning.md"
PAGE = PATH.read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))
SESSIONS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("session", SESSIONS)
def test_the_examples_run_as_shown(
    session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shown = ""
    for line in session.splitlines():
        if line.startswith("$ outrider "):
            main(shlex.split(line.removeprefix("$ outrider ")))
            out, told = capsys.readouterr()
            shown += f"{line}\n{told}{out}"
    if os.environ.get("OUTRIDER_REGENERATE"):
        page = PATH.read_text(encoding="utf-8")
        PATH.write_text(
            page.replace(f"```console\n{session}```", f"```console\n{shown}```"), encoding="utf-8"
        )
    else:
        assert shown == session


def test_the_documents_load() -> None:
    (backend,) = load_texts([("first-use.yaml", FILES["first-use.yaml"])]).backends
    assert backend.pin is not None


def test_every_reason_of_pins_is_told() -> None:
    for code in SENTENCES:
        if str(code).startswith("pin_"):
            assert f"`{code}`" in PAGE


def test_the_metrics_exist() -> None:
    assert set(re.findall(r"`(outrider_\w+)", PAGE)) <= {metric.name for metric in METRICS}


def test_the_figures_are_those_of_the_code() -> None:
    assert f"{FirstUse.WINDOW:.0f} seconds after the first page, or with {MOST_TOOLS} tools" in PAGE
    assert f"more than {MAX_DEFINITION} bytes" in PAGE
    assert f"more than\n{MAX_NAME} characters" in PAGE


@pytest.mark.parametrize(
    "member", re.findall(r"`([a-zA-Z]+)`", "".join(re.findall(r"^\| .* \| yes.*$", PAGE, re.M)))
)
def test_what_the_page_says_counts_does(member: str) -> None:
    assert member in definition({member: 1})


def test_lines_are_not_too_long() -> None:
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    assert not [line for line in prose.splitlines() if len(line) > 120 and not line.startswith("|")]
