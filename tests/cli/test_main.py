from __future__ import annotations

import subprocess
import sys

import pytest

from cli.main import COMMANDS, main


def test_help_names_every_command(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(command.name in text and command.summary.split()[0] in text for command in COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["inject"], ["inject", "--nonsense"]])
def test_a_wrong_command_line_ends_with_two(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: outrider" in capsys.readouterr().err


def test_the_version_is_told(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == "outrider 0.1.0\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_its_own_help(command, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command.name, "--help"])
    assert ended.value.code == 0
    assert "options:" in capsys.readouterr().out


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path) -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a}]}\n---\n"
    (tmp_path / "pods.yaml").write_text(pod * 3000)
    script = (
        "import subprocess, sys;"
        "run = subprocess.Popen([sys.executable, '-m', 'cli.main', 'inject', '-f', sys.argv[1]],"
        " stdout=subprocess.PIPE, stderr=subprocess.PIPE);"
        "run.stdout.close(); error = run.stderr.read(); run.stderr.close();"
        "print(run.wait(), b'Traceback' in error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "pods.yaml")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1 False\n"


@pytest.mark.parametrize(
    "arguments",
    [["inject", "-f", "-"], ["analyze", "-"], ["check-inject", "-"], ["check", "--help"]],
)
def test_what_asks_no_cluster_imports_no_client(arguments) -> None:
    script = (
        "import contextlib, sys\n"
        "from cli.main import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(sys.argv[1:])\n"
        "print(sorted({'kubernetes', 'rich', 'aiohttp', 'urllib3'} & set(sys.modules)), file=sys.stderr)"
    )
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a}]}\n"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], input=pod, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] in (
        "[]",
        "['aiohttp', 'rich']" if "completion" in arguments else "[]",
    )
