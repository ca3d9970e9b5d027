"""One container: its process, how often it was started, and what a kubelet would write of it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final

from e2e.cluster import images
from e2e.cluster.capabilities import bounding, numbers
from e2e.cluster.images import Image
from e2e.cluster.launch import START_ERROR

LAUNCHER: Final = Path(__file__).with_name("launch.py")
MESSAGE_BYTES: Final = 4096
MESSAGE_LINES: Final = 80
FIRST_BACK_OFF: Final = 0.5
LONGEST_BACK_OFF: Final = 10.0
POLL_SECONDS: Final = 0.01
_NOT_RUNNING: Final = "the container does not run"
PROGRAM_SECONDS: Final = 5.0


class Kind(Enum):
    """When a container runs."""

    INIT = "init"
    SIDECAR = "sidecar"
    MAIN = "main"
    EPHEMERAL = "ephemeral"


class Container:
    """A container of a pod, started again as often as its pod wants. One thread starts and stops it."""

    def __init__(
        self, spec: dict[str, Any], kind: Kind, image: Image, folder: Path, woken: Callable[[], None]
    ) -> None:
        self.spec = spec
        self.kind = kind
        self.image = image
        self.name: str = spec["name"]
        self.restarts = 0
        self.state: dict[str, Any] = {"waiting": {"reason": "PodInitializing"}}
        self.last: dict[str, Any] = {}
        self.id = ""
        self.started = False
        self.ready = False
        self.next_start = 0.0
        self.log = folder / f"{self.name}.0.log"
        self.before: Path | None = None
        self._folder = folder
        self._starts = 0
        self._woken = woken
        self._process: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._over.set()

    @property
    def running(self) -> bool:
        return not self._over.is_set()

    @property
    def exit_code(self) -> int | None:
        """How it ended, when it has run and is not running."""
        ended = self.state.get("terminated") or (
            self.last.get("terminated") if "waiting" in self.state else None
        )
        return None if ended is None else int(ended["exitCode"])

    @property
    def ever_started(self) -> bool:
        return self._starts > 0

    def wait_for(self, reason: str, message: str = "") -> None:
        """It does not run, and this is why."""
        self.state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}

    def start(self, launch: dict[str, Any]) -> None:
        """Start it with what `launch.py` reads, but for what is known here."""
        if self._starts:
            self.restarts += 1
            self.last = self.state if "terminated" in self.state else self.last
            self.before = self.log
        self.id = secrets.token_hex(32)
        inside = self._folder / f"{self.name}.{self._starts}"
        inside.mkdir(parents=True)
        self.log = self._folder / f"{self.name}.{self._starts}.log"
        self._starts += 1
        message = inside / "termination-message"
        message.touch()
        message.chmod(0o666)
        target = self.spec.get("terminationMessagePath") or "/dev/termination-log"
        binds = [*launch["binds"], {"source": str(message), "target": target, "readOnly": False}]
        written = inside / "launch.json"
        written.write_text(json.dumps({**launch, "binds": binds, "folder": str(inside)}), encoding="utf-8")
        self._spawn(written, inside)

    def _spawn(self, written: Path, inside: Path) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCHER), str(written)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={},
                cwd="/",
                start_new_session=True,
            )
        began = now()
        self._over.clear()
        self.started, self.ready = False, False
        self.state = {"running": {"startedAt": began}}
        name = f"container {self.name}"
        threading.Thread(
            target=self._wait, args=(self._process, inside, began), name=name, daemon=True
        ).start()

    def _wait(self, process: subprocess.Popen[bytes], inside: Path, began: str) -> None:
        code = process.wait()
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        complaint = inside / "start-error"
        said = complaint.read_text(encoding="utf-8") if complaint.exists() else ""
        reason = "Completed" if code == 0 else "StartError" if said and code == START_ERROR else "Error"
        ended: dict[str, Any] = {
            "exitCode": code,
            "reason": reason,
            "startedAt": began,
            "finishedAt": now(),
            "containerID": f"process://{self.id}",
        }
        if message := said or self._message(inside, code):
            ended["message"] = message
        self.state = {"terminated": ended}
        self.started, self.ready = False, False
        self._over.set()
        self._woken()

    def _message(self, inside: Path, code: int) -> str:
        written = (inside / "termination-message").read_bytes()
        if not written and code != 0 and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            written = b"".join(self.log.read_bytes().splitlines(keepends=True)[-MESSAGE_LINES:])[-2048:]
        return written[-MESSAGE_BYTES:].decode("utf-8", "replace")

    def terminate(self) -> None:
        """SIGTERM to its first process."""
        self._tell(b"t")

    def kill(self) -> None:
        """SIGKILL, and with it everything that it started."""
        self._tell(b"k")

    def freeze(self) -> None:
        """Stop its first process where it is: its sockets stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        pid = self._program(PROGRAM_SECONDS)
        assert pid is not None, f"{self.name} does not run"
        os.kill(pid, number)

    def wait(self, seconds: float) -> bool:
        """Whether it was over within this time."""
        return self._over.wait(max(0.0, seconds))

    def end(self, grace: float) -> None:
        """SIGTERM, and SIGKILL when the grace is over."""
        self.terminate()
        if not self.wait(grace):
            self.kill()
            self.wait(10)

    def _tell(self, what: bytes) -> None:
        process = self._process
        if process is not None and process.stdin is not None and self.running:
            with contextlib.suppress(OSError, ValueError):
                process.stdin.write(what)
                process.stdin.flush()

    def pid(self) -> int | None:
        """Its first process as this machine knows it; None until the program runs."""
        written = self._folder / f"{self.name}.{self._starts - 1}" / "pid"
        text = written.read_text(encoding="ascii") if written.exists() else ""
        return int(text) if text else None

    def _program(self, seconds: float) -> int | None:
        """Its first process, waited for while the container is being made; None where it does not run."""
        deadline = time.monotonic() + seconds
        while (pid := self.pid()) is None and self.running and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return pid if self.running else None

    def run(self, command: list[str], env: dict[str, str], seconds: float) -> tuple[int, str]:
        """Run a command inside, as `kubectl exec` would; its code and what it printed."""
        pid = self._program(seconds)
        if pid is None:
            return 126, _NOT_RUNNING
        try:
            like = _like(pid)
        except (FileNotFoundError, ProcessLookupError):
            return 126, _NOT_RUNNING  # it ended at this moment
        enter = [
            "nsenter",
            f"--target={pid}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--root",
            "--wd",
        ]
        try:
            done = subprocess.run(
                [*enter, *like, *command],
                env=env,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 124, f"command {command} timed out after {seconds:g} s"
        return done.returncode, (done.stdout + done.stderr)

    def back_off(self) -> float:
        """How long it has to wait before it is started again."""
        ran = self.state.get("terminated", {})
        quick = ran and _seconds(ran["startedAt"], ran["finishedAt"]) < 60
        wait = FIRST_BACK_OFF * 2 ** max(0, self.restarts - 1) if quick and self.restarts else 0.0
        return min(wait, LONGEST_BACK_OFF)

    def status(self) -> dict[str, Any]:
        """As in the pod's status."""
        return {
            "name": self.name,
            "image": self.spec["image"],
            "imageID": f"process://{self.image.part}" if self.ever_started else "",
            "containerID": f"process://{self.id}" if self.id else "",
            "ready": (self.ready and self.running) or (self.kind is Kind.INIT and self.exit_code == 0),
            "started": self.started and self.running,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last,
        }


def _like(pid: int) -> list[str]:
    """What gives a command the user, groups and limits of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    groups = ",".join(fields["Groups"].split())
    return [
        "setpriv",
        f"--reuid={fields['Uid'].split()[0]}",
        f"--regid={fields['Gid'].split()[0]}",
        f"--groups={groups}" if groups else "--clear-groups",
        f"--bounding-set={bounding(int(fields['CapBnd'], 16))}",
        "--inh-caps=-all",
        *(["--no-new-privs"] if fields["NoNewPrivs"] == "1" else []),
    ]


def privileges(pod: dict[str, Any], container: dict[str, Any], image: Image) -> dict[str, Any]:
    """Who a container runs as, for `launch.py`. Raises PermissionError where runAsNonRoot forbids it."""
    whole, own = pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}
    merged = {**whole, **own}
    uid = merged.get("runAsUser", image.user)
    if merged.get("runAsNonRoot") and uid == 0:
        raise PermissionError(
            "container has runAsNonRoot and image will run as root"
            if "runAsUser" not in merged
            else "container's runAsUser breaks non-root policy"
        )
    gid = merged.get("runAsGroup", uid if "runAsUser" not in merged else 0)
    groups = list(whole.get("supplementalGroups") or [])
    if "fsGroup" in whole:
        groups.append(whole["fsGroup"])
    return {
        "uid": uid,
        "gid": gid,
        "groups": groups,
        "privileged": bool(own.get("privileged")),
        "capabilities": numbers(own.get("capabilities") or {}),
        "noNewPrivileges": own.get("allowPrivilegeEscalation") is False,
        "readOnlyRoot": bool(own.get("readOnlyRootFilesystem")),
        "code": images.code(image),
    }


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
