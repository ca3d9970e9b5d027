"""Completion scripts, in the shells that are here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cli.completion.words import Takes, subcommands
from cli.main import COMMANDS, build_parser, main


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def completed(line: str, text: str, folder: Path) -> list[str]:
    """What bash would offer for the last word of `line`."""
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    program = (
        f"{text}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _outrider 2>/dev/null; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, cwd=folder)
    return [one for one in done.stdout.splitlines() if one]


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("outrider che", ["check", "check-inject"]),
        ("outrider check --p", ["--pre"]),
        ("outrider check --output ", ["text", "json"]),
        ("outrider check -o j", ["json"]),
        ("outrider check -n ", []),
        ("outrider analyze --fail-on w", ["warning"]),
        ("outrider describe ", ["pod"]),
        ("outrider completion ", ["bash", "zsh", "fish"]),
        ("outrider --ver", ["--version"]),
        ("outrider inject -f my", ["my pods.yaml", "my.yaml"]),
        ("outrider analyze my.", ["my.yaml"]),
        ("outrider check-inject my.", ["my.yaml"]),
        ("outrider analyze --settings my.", ["my.yaml"]),
        ("outrider nothing --", []),
        ("outrider policy ", ["test", "explain", "diff", "validate", "import"]),
        ("outrider policy test my.", ["my.yaml"]),
        ("outrider policy diff --fail-on", ["--fail-on-widening"]),
        ("outrider policy explain --kind p", ["prompt"]),
    ],
)
def test_bash_completes(line, expected, capsys, tmp_path) -> None:
    for name in ("my.yaml", "my pods.yaml", "other.yaml"):
        (tmp_path / name).touch()
    assert sorted(completed(line, script("bash", capsys), tmp_path)) == sorted(expected)


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_knows_every_command_and_every_option(capsys, tmp_path) -> None:
    text = script("bash", capsys)
    assert set(completed("outrider ", text, tmp_path)) == {command.name for command in COMMANDS}
    parser = build_parser({command.name for command in COMMANDS})
    for command in subcommands(parser)[1:]:
        flags = {flag for word in command.options for flag in word.flags}
        assert set(completed(f"outrider {command.name} -", text, tmp_path)) == flags


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_option_stands_in_every_script(shell, capsys) -> None:
    text = script(shell, capsys)
    parser = build_parser({command.name for command in COMMANDS})
    for command in subcommands(parser):
        assert command.name in text
        for word in command.options:
            for flag in word.flags:
                spelled = (
                    flag if shell != "fish" else f"-l {flag[2:]}" if flag[:2] == "--" else f"-s {flag[1:]}"
                )
                assert spelled in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_read_their_script(shell, capsys, tmp_path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(script(shell, capsys))
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_quotes_in_help_do_not_end_a_specification(capsys) -> None:
    assert "the mesh'\\''s ports" in script("zsh", capsys)
    assert "the mesh\\'s ports" in script("fish", capsys)


def test_what_a_word_takes_is_read_from_its_parser() -> None:
    parser = build_parser({"inject", "describe"})
    words = {name: command for command in subcommands(parser) for name in [command.name]}
    filename = next(word for word in words["inject"].options if "-f" in word.flags)
    assert (filename.takes, filename.repeated) == (Takes.FILE, True)
    assert [word.choices for word in words["describe"].arguments] == [("pod",), ()]
    assert [word.takes for word in words["describe"].arguments] == [Takes.CHOICE, Takes.TEXT]
