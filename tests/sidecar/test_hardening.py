"""What other processes of the sidecar's user, and core files, can see of its memory."""

from __future__ import annotations

import ctypes
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar import hardening
from sidecar.hardening import harden

# An ordinary process of a user without privileges; the kernel takes dumpable away from whoever changes their user.
BEGINS = """
import ctypes, os, resource, sys
from sidecar.hardening import harden
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
"""

HARDENED = """
told = []
if sys.argv[1] == "harden":
    harden(told.append)
print(told, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE), flush=True)
sys.stdin.read()
"""

READER = """
try:
    with open(f"/proc/{sys.argv[1]}/environ", "rb") as file:
        file.read()
    with open(f"/proc/{sys.argv[1]}/mem", "rb"):
        print("opened")
except OSError as error:
    print(type(error).__name__)
"""

OWN_FILES = """
harden(print)
descriptor = os.memfd_create("x", os.MFD_CLOEXEC)
os.write(descriptor, b"mine")
print(open(f"/proc/self/fd/{descriptor}").read(), os.path.exists("/proc/self/mounts"))
"""


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BEGINS + code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_by_the_same_user(how: str) -> tuple[str, str]:
    """What a process says of itself, and how another one of its user fares with its memory."""
    with python(HARDENED, how) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        with python(READER, str(process.pid)) as reader:
            found = reader.communicate()[0].strip()
        process.communicate()
    return said, found


def test_another_process_of_the_same_user_reads_nothing() -> None:
    said, found = read_by_the_same_user("harden")
    assert said == "[] 0 (0, 0)"
    assert found == "PermissionError"


def test_a_process_that_is_not_hardened_could_be_read() -> None:
    restricted = Path("/proc/sys/kernel/yama/ptrace_scope")
    if restricted.exists() and restricted.read_text(encoding="ascii").strip() != "0":
        pytest.skip("the kernel keeps processes of one user apart anyway")
    assert read_by_the_same_user("no")[1] == "opened"


def test_a_hardened_process_still_opens_its_own_files_in_memory() -> None:
    with python(OWN_FILES) as process:
        assert process.communicate()[0].strip() == "mine True"


@pytest.fixture
def no_limits_changed(monkeypatch):
    """This process is not to be changed by its own tests."""
    set_limits: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: set_limits.append((which, limits)))
    return set_limits


class Library:
    def __init__(self, result: int) -> None:
        self.prctl = lambda *arguments: result


def test_what_the_kernel_refuses_is_told_and_not_fatal(monkeypatch, no_limits_changed) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library(-1))
    monkeypatch.setattr(ctypes, "get_errno", lambda: 1)
    told: list[str] = []
    harden(told.append)
    assert told == [
        "other processes of this user may read this one's memory (PR_SET_DUMPABLE): Operation not permitted"
    ]
    assert no_limits_changed == [(resource.RLIMIT_CORE, (0, 0))]


def test_other_systems_than_linux_are_told_of(monkeypatch) -> None:
    def refuse(which: int, limits: tuple[int, int]) -> None:
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    told: list[str] = []
    harden(told.append)
    assert told == [
        "core files cannot be switched off (RLIMIT_CORE): not allowed",
        "other processes of this user may read this one's memory (PR_SET_DUMPABLE): only Linux has this",
    ]


def test_nothing_is_told_where_all_is_well(monkeypatch, no_limits_changed) -> None:
    monkeypatch.setattr(hardening.ctypes, "CDLL", lambda *_, **__: Library(0))
    told: list[str] = []
    harden(told.append)
    assert told == []
