from __future__ import annotations

import pytest

from sidecar.redirect import commands
from sidecar.redirect.commands import Result, explain, lock_file, run_tool


@pytest.mark.parametrize(
    ("errors", "cause", "step", "hopeless"),
    [
        ("netlink: Error: cache initialization failed: Operation not permitted", "EPERM", "NET_ADMIN", True),
        (
            "Could not fetch rule set generation id: Permission denied (you must be root)",
            "EPERM",
            "ambient",
            True,
        ),
        (
            "Fatal: can't open lock file /run/xtables.lock: Permission denied",
            "lock file",
            "XTABLES_LOCKFILE",
            False,
        ),
        (
            "Another app is currently holding the xtables lock; still 4s",
            "holds the iptables lock",
            "changes",
            False,
        ),
        ("can't initialize ip6tables table `nat': Table does not exist", "kernel lacks", "nf_nat", False),
        (
            "Extension owner revision 0 not supported, missing kernel module?",
            "kernel lacks",
            "xt_owner",
            False,
        ),
        (
            "line 5: RULE_APPEND failed (Invalid argument): rule in chain X",
            "RULE_APPEND failed",
            "dry-run",
            False,
        ),
        ("", "exit code 3", "dry-run", False),
    ],
)
def test_a_failure_names_its_cause_and_the_next_step(errors, cause, step, hopeless) -> None:
    failure = explain(["tool", "-x"], Result(3, "", errors))
    assert failure.command == "tool"
    assert cause in failure.cause
    assert step in failure.step
    assert failure.hopeless is hopeless


def test_a_tool_that_is_not_there_is_a_result() -> None:
    result = run_tool(["outrider-no-such-tool"])
    assert result.missing
    assert "there is no such binary" in str(explain(["outrider-no-such-tool"], result))


def test_a_tool_gets_text_and_a_fixed_environment(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XTABLES_LOCKFILE", str(tmp_path / "lock"))
    monkeypatch.setenv("LD_PRELOAD_LIKE", "x")
    result = run_tool(
        ["sh", "-c", "cat; env | cut -d= -f1 | sort | tr '\\n' ' '; echo no >&2; exit 3"], "text "
    )
    assert result.output.startswith("text ")
    assert {"LC_ALL", "PATH", "XTABLES_LOCKFILE"} <= set(result.output.split())
    assert "LD_PRELOAD_LIKE" not in result.output
    assert (result.errors, result.code) == ("no\n", 3)


def test_a_tool_that_hangs_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(commands, "TOOL_SECONDS", 0.05)
    assert run_tool(["sleep", "5"]).code == 124


def test_a_tool_that_may_not_be_executed_is_a_result(monkeypatch, tmp_path) -> None:
    (tmp_path / "tool").write_text("not a program")
    monkeypatch.setattr(commands, "TOOL_PATH", str(tmp_path))
    assert "may not be executed" in run_tool(["tool"]).errors


@pytest.mark.parametrize(
    ("asked", "exists", "writable", "expected"),
    [
        ("/somewhere/lock", True, True, "/somewhere/lock"),
        (None, True, True, "/run/xtables.lock"),
        (None, False, True, "/run/xtables.lock"),
        (None, True, False, None),
        (None, False, False, None),
    ],
)
def test_the_lock_is_a_file_that_can_be_written(monkeypatch, asked, exists, writable, expected) -> None:
    asked_about = []
    monkeypatch.delenv("XTABLES_LOCKFILE", raising=False)
    if asked:
        monkeypatch.setenv("XTABLES_LOCKFILE", asked)
    monkeypatch.setattr("os.path.exists", lambda path: exists)
    monkeypatch.setattr("os.access", lambda path, mode: asked_about.append(path) or writable)
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/scratch")
    found = lock_file()
    assert found == expected if expected else found.startswith("/scratch/outrider-xtables-")
    assert asked_about == ([] if asked else ["/run/xtables.lock" if exists else "/run"])
