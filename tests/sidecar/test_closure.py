"""What a sidecar loads: its memory is paid once per pod."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("aiohttp", "grpc", "kubernetes", "mcp", "pydantic", "rich", "spiffe", "webhook", "cli")


def test_a_sidecar_loads_nothing_heavy_until_it_is_configured_to() -> None:
    script = f"import sys, sidecar.__main__; print(*(set({HEAVY!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
