"""What a process and its children cost, read from /proc: CPU time and resident memory.

CPU is the run time of every thread, in nanoseconds (/proc/PID/task/TID/schedstat): the same quantity as
`utime` + `stime` of /proc/PID/stat, which the kernel rounds to ticks of 10 ms. Where the kernel keeps no
schedstat, the ticks are used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NANOSECONDS = 1_000_000_000
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class CpuTime:
    """CPU time so far in nanoseconds: all of it, and the part in user mode as far as ticks tell."""

    total_ns: int
    user_ns: int

    def __sub__(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(self.total_ns - earlier.total_ns, self.user_ns - earlier.user_ns)

    def __add__(self, other: CpuTime) -> CpuTime:
        return CpuTime(self.total_ns + other.total_ns, self.user_ns + other.user_ns)


def parse_stat(text: str) -> tuple[int, int]:
    """User and system time in clock ticks, from /proc/PID/stat (proc(5): fields 14 and 15).

    The second field, the command, may hold spaces and parentheses: what counts begins after the last `)`.
    """
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[11]), int(fields[12])


def parse_schedstat(text: str) -> int:
    """Nanoseconds on the CPU, from /proc/PID/task/TID/schedstat."""
    return int(text.split()[0])


def parse_rss(text: str) -> int:
    """Resident memory in bytes, from /proc/PID/status; 0 for a process that has none any more (a zombie)."""
    for line in text.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def parse_core_busy(text: str, core: int) -> int:
    """Ticks that a core did not idle, stolen ones included, from /proc/stat (proc(5): cpuN, in fields)."""
    for line in text.splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
            return user + nice + system + irq + softirq + steal
    raise ValueError(f"/proc/stat does not speak of core {core}")


def core_busy_ns(core: int) -> int:
    """How long the core did not idle so far, in nanoseconds."""
    return parse_core_busy(_read(PROC / "stat"), core) * (NANOSECONDS // os.sysconf("SC_CLK_TCK"))


def tree(pid: int) -> list[int]:
    """The process and all its descendants that are alive."""
    found = [pid]
    for task in _tasks(pid):
        for child in _read(task / "children").split():
            found.extend(tree(int(child)))
    return found


def cpu_time(pid: int) -> CpuTime:
    """CPU time of the process and its descendants so far."""
    total = CpuTime(0, 0)
    for member in tree(pid):
        total += _process_cpu(member)
    return total


def resident(pid: int) -> int:
    """Resident memory of the process and its descendants, in bytes (shared pages count in each)."""
    return sum(parse_rss(_read(PROC / str(member) / "status")) for member in tree(pid))


def _process_cpu(pid: int) -> CpuTime:
    stat = _read(PROC / str(pid) / "stat")
    if not stat:
        return CpuTime(0, 0)
    tick = NANOSECONDS // os.sysconf("SC_CLK_TCK")
    user, system = (ticks * tick for ticks in parse_stat(stat))
    precise = [parse_schedstat(text) for text in map(_read, _schedstats(pid)) if text]
    return CpuTime(sum(precise) if precise else user + system, user)


def _schedstats(pid: int) -> Iterator[Path]:
    return (task / "schedstat" for task in _tasks(pid))


def _tasks(pid: int) -> list[Path]:
    try:
        return list((PROC / str(pid) / "task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []


def _read(path: Path) -> str:
    """The file's text; nothing when its process ended meanwhile or the kernel does not have it."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
