"""Makes the inside of one container and becomes its program. Run by file with Python's own library only.

Namespaces for mounts, processes, IPC and the host name are new; the network's is the pod's. The root is this
machine's, copied on write into memory, so nothing that a container writes outside its volumes stays. The program
is process 1 of the container, as with any runtime: what it starts dies with it.

The launcher itself stays outside and passes on what it reads: `t` is SIGTERM, `k` SIGKILL. When the other end is
gone, so is the container. It exits with the program's code, or 128 and the signal's number.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = (
    0x20000,
    0x4000000,
    0x8000000,
    0x20000000,
    0x40000000,
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CAPABILITIES = 41
SETPCAP = 8
START_ERROR = 128
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}

libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    parts = [None if part is None else os.fsencode(part) for part in (source, target, kind, data)]
    done = libc.mount(parts[0], parts[1], parts[2], ctypes.c_ulong(flags), parts[3])
    _checked(done, f"mount {source} {target}")


def _unshare(flags: int) -> None:
    _checked(libc.unshare(flags), "unshare")


def _enter_network(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    _checked(libc.setns(descriptor, CLONE_NEWNET), f"setns {path}")
    os.close(descriptor)


def _root(spec: dict[str, Any]) -> str:
    """Mount the container's root; returns where."""
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    base = os.path.join(spec["folder"], "root")
    os.makedirs(base, exist_ok=True)
    _mount("tmpfs", base, "tmpfs", 0, "mode=755")
    upper, work, root = (os.path.join(base, name) for name in ("upper", "work", "merged"))
    for folder in (upper, work, root):
        os.mkdir(folder)
    _mount("overlay", root, "overlay", 0, f"lowerdir=/,upperdir={upper},workdir={work}")
    _mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _mount("/sys", root + "/sys", None, MS_BIND | MS_REC)
    _devices(root + "/dev")
    return root


def _devices(folder: str) -> None:
    _mount("tmpfs", folder, "tmpfs", MS_NOSUID, "mode=755")
    for name in DEVICES:
        _touch(f"{folder}/{name}")
        _mount(f"/dev/{name}", f"{folder}/{name}", None, MS_BIND)
    for name, target in LINKS.items():
        os.symlink(target, f"{folder}/{name}")
    for name, options in (("shm", "mode=1777"), ("mqueue", "mode=1777")):
        os.mkdir(f"{folder}/{name}")
        _mount("tmpfs", f"{folder}/{name}", "tmpfs", MS_NOSUID | MS_NODEV, options)


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))


def _open_sources(spec: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Handles on what is mounted, taken while this machine's own paths are still paths."""
    binds = [*spec["binds"], *_out_of_sight(spec["code"], [bind["target"] for bind in spec["binds"]])]
    return [(os.open(bind["source"], os.O_PATH | os.O_CLOEXEC), bind) for bind in binds]


def _out_of_sight(code: list[str], targets: list[str]) -> list[dict[str, Any]]:
    """Code that the copy of the root does not show: on another file system, or below a mount such as /tmp."""
    here = os.stat("/").st_dev
    hiding = tuple(target.rstrip("/") + "/" for target in targets)
    return [
        {"source": path, "target": path, "readOnly": True}
        for path in code
        if os.stat(path).st_dev != here or path.startswith(hiding)
    ]


def _bind(handle: int, bind: dict[str, Any]) -> None:
    target = bind["target"]
    if os.path.isdir(f"/proc/self/fd/{handle}"):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _touch(target)
    _mount(f"/proc/self/fd/{handle}", target, None, MS_BIND | MS_REC)
    if bind["readOnly"]:
        _mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY)


def _make_readable(code: list[str]) -> None:
    """Let every user through to the code, in the container's copy: the interpreter may be in root's home."""
    for path in code:
        while path != "/":
            mode = os.stat(path).st_mode & 0o7777
            if mode & 0o001 == 0:
                os.chmod(path, mode | 0o055)
            path = os.path.dirname(path)


def _become(spec: dict[str, Any]) -> None:
    """Capabilities, groups and user, in the order in which each may still be changed."""
    if not spec["privileged"]:
        kept = set(spec["capabilities"])
        for capability in sorted(set(range(CAPABILITIES)) - kept, key=lambda number: number == SETPCAP):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups(spec["groups"])
    os.setresgid(spec["gid"], spec["gid"], spec["gid"])
    os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    if spec["noNewPrivileges"]:
        _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def _inside(spec: dict[str, Any]) -> None:
    """Everything of the new process up to the program. Does not return."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    socket.sethostname(spec["hostname"])
    root = _root(spec)
    sources = _open_sources(spec)
    os.chroot(root)
    os.chdir("/")
    _make_readable(spec["code"])
    for handle, bind in sources:
        _bind(handle, bind)
        os.close(handle)
    os.makedirs(spec["workingDir"], exist_ok=True)
    if spec["readOnlyRoot"]:
        _mount(None, "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY)
    os.chdir(spec["workingDir"])
    os.umask(0o022)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    _become(spec)
    os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - that is what it is for


def _enter(spec: dict[str, Any]) -> None:
    try:
        _inside(spec)
    except OSError as error:
        message = f"{spec['argv'][0]}: {error}"
        print(message, file=sys.stderr, flush=True)
        os.write(spec["complaint"], message.encode())
        os._exit(START_ERROR)


def _until_over(child: int) -> int:
    """Pass signals on until the program is over; its exit code."""
    handle = os.pidfd_open(child)
    commands = {b"t": signal.SIGTERM, b"k": signal.SIGKILL}
    listening = [handle, 0]
    while True:
        readable, _, _ = select.select(listening, [], [])
        if handle in readable:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = os.read(0, 1)
        signal.pidfd_send_signal(handle, commands.get(said, signal.SIGKILL))
        if not said:
            listening = [handle]


def main() -> None:
    """Launch what the JSON file of the first argument says."""
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if spec["network"]:
        _enter_network(spec["network"])
    _unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID)
    spec["complaint"] = os.open(
        os.path.join(spec["folder"], "start-error"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600
    )
    hears, tells = os.pipe()  # closed by exec, so that its end says that the program runs
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _enter(spec)
    os.close(tells)
    os.read(hears, 1)
    written = os.path.join(spec["folder"], "pid")
    with open(written + ".part", "w", encoding="ascii") as file:
        file.write(str(child))
    os.rename(written + ".part", written)
    code = _until_over(child)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
