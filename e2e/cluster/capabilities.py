"""Linux capabilities by number, and which of them a container has."""

from __future__ import annotations

from typing import Any, Final

_BY_NUMBER: Final = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
    SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
    AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
    PERFMON BPF CHECKPOINT_RESTORE
"""
_LEFT_TO_ROOT: Final = """
    CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT
    KILL AUDIT_WRITE
"""
NUMBER: Final = {name: number for number, name in enumerate(_BY_NUMBER.split())}
DEFAULT: Final = frozenset(_LEFT_TO_ROOT.split())
"""What container runtimes leave to root."""


def numbers(asked: dict[str, Any]) -> list[int]:
    """The capabilities that `securityContext.capabilities` comes to."""
    drop = {name.removeprefix("CAP_") for name in asked.get("drop") or []}
    add = {name.removeprefix("CAP_") for name in asked.get("add") or []}
    kept = set() if "ALL" in drop else set(DEFAULT) - drop
    wanted = set(NUMBER) if "ALL" in add else kept | add
    return sorted(NUMBER[name] for name in wanted)


def bounding(mask: int) -> str:
    """A bounding set as setpriv(1) takes it, from the mask that the kernel shows."""
    held = [name.lower() for name, number in NUMBER.items() if mask >> number & 1]
    return ",".join(["-all", *(f"+{name}" for name in held)])
