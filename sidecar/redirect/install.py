"""Installing the rules: which IP versions, which backend, and what is left when something fails.

Whatever fails, fails closed: the step ends with an error and the pod does not start. Half of an installation is
taken away again, so that a second attempt, perhaps with another backend, begins on clean ground.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sidecar.redirect.backends import FAMILIES, ToolFailed, installer
from sidecar.redirect.commands import Runner
from sidecar.redirect.rules import Family, Plan, plan
from sidecar.redirect.settings import Address, Backend, Ipv6, RedirectSettings, read_address

ORDER: Final = (Backend.NFT, Backend.IPTABLES_NFT, Backend.IPTABLES_LEGACY)
IPV6_ADDRESSES: Final = Path("/proc/net/if_inet6")  # there exactly when the kernel has IPv6
RESOLVERS: Final = Path("/etc/resolv.conf")

Say = Callable[[str], None]


class NotInstalled(Exception):
    """The rules could not be installed; the message holds a line for each thing that was tried."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What was installed, and how."""

    backend: Backend
    plans: dict[Family, Plan]


def families(settings: RedirectSettings, say: Say, addresses: Path = IPV6_ADDRESSES) -> tuple[Family, ...]:
    """The IP versions to capture. Raises NotInstalled where leaving IPv6 out would leave a way around."""
    present = addresses.exists()
    if settings.ipv6 is Ipv6.ON and not present:
        raise NotInstalled("IPv6 is `on`, but the kernel has none; use `auto`")
    if settings.ipv6 is not Ipv6.OFF and present:
        return FAMILIES
    if present:
        if around := _routable(addresses.read_text(encoding="ascii")):
            raise NotInstalled(
                f"IPv6 is `off`, but the pod has the address {around[0]}, and what uses it would pass around the "
                "sidecar; use `auto`"
            )
        say(
            "WARNING: IPv6 is `off`: link-local IPv6 is not captured, and an address that appears later is not"
        )
    else:
        say("NOTE: IPv6 is not captured, because this kernel has none")
    return (Family.IPV4,)


def _routable(text: str) -> list[ipaddress.IPv6Address]:
    """The addresses that reach further than the link."""
    found = [ipaddress.IPv6Address(int(line.split()[0], 16)) for line in text.splitlines() if line]
    return [address for address in found if not (address.is_loopback or address.is_link_local)]


def with_resolvers(settings: RedirectSettings, say: Say, path: Path = RESOLVERS) -> RedirectSettings:
    """The settings with the resolvers of the pod, unless they were named."""
    if settings.nameservers:
        return settings
    try:
        found = _nameservers(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        say(f"WARNING: {path} cannot be read ({error.strerror}): DNS over TCP goes to the sidecar")
        found = ()
    return replace(settings, nameservers=found)


def _nameservers(text: str) -> tuple[Address, ...]:
    found = []
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                try:
                    found.append(read_address(address))
                except ValueError:
                    continue  # the resolver library ignores it as well
    return tuple(dict.fromkeys(found))


def install(settings: RedirectSettings, plans: dict[Family, Plan], run: Runner, say: Say) -> Installed:
    """Install with the backend that was chosen, or with the first that works. Raises NotInstalled."""
    tried = []
    for backend in ORDER if settings.backend is Backend.AUTO else (settings.backend,):
        way = installer(backend, run)
        try:
            way.apply(plans)
            if wrong := way.missing(plans):
                raise NotInstalled(f"{backend} reported success, but " + "; ".join(wrong))
        except ToolFailed as error:
            tried.append(f"{backend}: {error}")
            if error.failure.hopeless:
                break
            _take_away(backend, run, say)
            continue
        for other in ORDER:
            if other is not backend:
                _take_away(other, run, say)
        return Installed(backend, plans)
    raise NotInstalled("\n".join(tried))


def undo(run: Runner) -> list[Backend]:
    """Remove what any backend installed; those that had something. Raises NotInstalled with what failed."""
    removed, failed = [], []
    for backend in ORDER:
        try:
            if installer(backend, run).remove():
                removed.append(backend)
        except ToolFailed as error:
            failed.append(f"{backend}: {error}")
    if failed:
        raise NotInstalled("\n".join(failed))
    return removed


def planned(settings: RedirectSettings, captured: tuple[Family, ...]) -> dict[Family, Plan]:
    """The rules of each IP version."""
    return {family: plan(settings, family) for family in captured}


def _take_away(backend: Backend, run: Runner, say: Say) -> None:
    try:
        if installer(backend, run).remove():
            say(f"NOTE: rules that {backend} held were removed")
    except ToolFailed as error:
        say(f"NOTE: whether {backend} holds rules of ours is unknown: {error}")
