"""docs/policy-command.md tells the truth: its examples are run, and what they print stands there."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from cli.main import main
from cli.policy.expectations import _KEYS
from cli.policy.judging import State

PATH = Path(__file__).parents[3] / "docs" / "policy-command.md"
PAGE = PATH.read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```yaml\n(.*?)```", PAGE, re.DOTALL))
SESSIONS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("session", SESSIONS)
def test_the_examples_run_as_shown(session, tmp_path, monkeypatch, capsys) -> None:
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


def test_every_verdict_and_key_is_explained() -> None:
    for word in (*State, *_KEYS):
        assert f"`{word}`" in PAGE


def test_lines_are_not_too_long() -> None:
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    assert not [line for line in prose.splitlines() if len(line) > 115 and not line.startswith("|")]
