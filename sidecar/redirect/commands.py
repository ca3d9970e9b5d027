"""Running the tools that reach the kernel, and saying in words why one of them failed and what to do about it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

TOOL_SECONDS: Final = 30
LOCK_VARIABLE: Final = "XTABLES_LOCKFILE"
DEFAULT_LOCK: Final = "/run/xtables.lock"
# Images and init steps often have a bare PATH; the tools are in sbin.
TOOL_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Result:
    """How a tool ended. `missing`: there is no such binary."""

    code: int
    output: str
    errors: str
    missing: bool = False


class Runner(Protocol):
    """Runs one tool with `text` as its input; never raises for what the tool does."""

    def __call__(self, command: Sequence[str], text: str = "") -> Result: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a tool failed, in words, and the next step. `hopeless`: another tool would fail alike."""

    command: str
    cause: str
    step: str
    hopeless: bool = False

    def __str__(self) -> str:
        return f"{self.command}: {self.cause}; {self.step}"


# What the tools print, in the versions of the last ten years, against what it means.
_CAUSES: Final = (
    (
        r"Operation not permitted|Permission denied \(you must be root\)|must be root|EPERM",
        "the kernel refused it (EPERM)",
        "give the step the capabilities NET_ADMIN and NET_RAW; without root, as ambient ones or on the tools",
        True,
    ),
    (
        r"xtables\.lock|lock file|can't open lock",
        "its lock file cannot be written",
        f"set {LOCK_VARIABLE} to a writable path, or mount an emptyDir at /run",
        False,
    ),
    (
        r"(?i)another app is currently holding the xtables lock",
        "another process holds the iptables lock",
        "find out what else changes the rules of this pod",
        False,
    ),
    (
        r"can't initialize i?p?6?tables table|Table does not exist|Protocol not supported"
        r"|No chain/target/match by that name|Couldn't load (?:match|target)|does not support"
        r"|Extension .* revision|missing kernel module|No such file or directory|not supported"
        r"|Cache initialization failed",
        "the kernel lacks what it needs",
        "load nf_tables, nft_compat, nf_nat, xt_owner, xt_multiport, xt_conntrack, xt_REDIRECT and xt_REJECT "
        "on the node, or choose another backend",
        False,
    ),
)
_BY_HAND: Final = "print the rules with `dry-run`, and apply them by hand to find the one refused"


def explain(command: Sequence[str], result: Result) -> Failure:
    """Why `command` failed."""
    name = command[0]
    if result.missing:
        return Failure(name, "there is no such binary", "install it in the image, or choose another backend")
    said = " ".join(result.errors.split()) or f"exit code {result.code}"
    for pattern, cause, step, hopeless in _CAUSES:
        if re.search(pattern, said):
            return Failure(name, f"{cause}: {said[:300]}", step, hopeless)
    return Failure(name, said[:300], _BY_HAND)


def run_tool(command: Sequence[str], text: str = "") -> Result:
    """Run a tool of the image, found on a fixed path, for at most half a minute."""
    environment = {"PATH": TOOL_PATH, "LC_ALL": "C", LOCK_VARIABLE: lock_file()}
    try:
        finished = subprocess.run(  # noqa: S603 - names of our own, on a fixed path
            list(command),
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TOOL_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return Result(127, "", "", missing=True)
    except PermissionError as error:
        return Result(126, "", f"{command[0]} may not be executed: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Result(124, "", f"gave no answer within {TOOL_SECONDS} s")
    return Result(finished.returncode, finished.stdout, finished.stderr)


def lock_file() -> str:
    """A lock file that can be written: the one that was asked for, the usual one, or one among temporary files.

    Only processes of this pod share these rules, so that a lock of our own is enough where the usual one is
    read-only.
    """
    if chosen := os.environ.get(LOCK_VARIABLE):
        return chosen
    folder = os.path.dirname(DEFAULT_LOCK)
    writable = os.access(DEFAULT_LOCK if os.path.exists(DEFAULT_LOCK) else folder, os.W_OK)
    return (
        DEFAULT_LOCK
        if writable
        else str(Path(tempfile.gettempdir(), f"outrider-xtables-{os.geteuid()}.lock"))
    )
