"""The three ways into the kernel: native nftables, and either variant of iptables.

Each one can apply the rules, read back what is there, and remove what is ours. They share nothing but that; a pod
may hold rules of several at once, and the kernel obeys them all.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from sidecar.redirect import iptables, nft
from sidecar.redirect.commands import Failure, Result, Runner, explain
from sidecar.redirect.rules import Family, Plan
from sidecar.redirect.settings import Backend

LOCK_SECONDS: Final = "5"
FAMILIES: Final = (Family.IPV4, Family.IPV6)
Rules = dict[str, list[str]]  # by chain, in order


class ToolFailed(Exception):
    """A tool did not do what it was asked; the image, the kernel or the pod's privileges are at fault."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Installer(Protocol):
    """One way into the kernel. Every method raises ToolFailed, except where it says so."""

    def text(self, plans: Mapping[Family, Plan]) -> str:
        """What would be applied to an empty namespace."""
        ...

    def apply(self, plans: Mapping[Family, Plan]) -> None:
        """Bring the kernel to `plans`, whatever of ours was there."""
        ...

    def missing(self, plans: Mapping[Family, Plan]) -> list[str]:
        """Where the kernel's rules are not those of `plans`."""
        ...

    def remove(self) -> bool:
        """Remove all of ours, of both IP versions; whether there was any. Without its tool there is none."""
        ...


def installer(backend: Backend, run: Runner) -> Installer:
    """The installer of one backend, which is not `auto`."""
    if backend is Backend.NFT:
        return Nft(run)
    return Iptables(run, "legacy" if backend is Backend.IPTABLES_LEGACY else "nft")


@dataclass(frozen=True, slots=True)
class Nft:
    """Native nftables: one transaction for both IP versions."""

    run: Runner

    def text(self, plans: Mapping[Family, Plan]) -> str:
        return nft.installation(plans)

    def apply(self, plans: Mapping[Family, Plan]) -> None:
        _check(self.run, ["nft", "-f", "-"], nft.installation(plans))

    def missing(self, plans: Mapping[Family, Plan]) -> list[str]:
        found = []
        for family, plan in plans.items():
            if listed := self._listed(family):
                found += _differences(family, nft.expected(self._copied(family, plan)), nft.rules(listed))
            else:
                found.append(_absent(family))
        return found

    def remove(self) -> bool:
        tables = self.run(["nft", "list", "tables"])
        if tables.missing:
            return False
        if tables.code:
            raise ToolFailed(explain(["nft"], tables))
        text = nft.removal(tables.output)
        if text:
            _check(self.run, ["nft", "-f", "-"], text)
        return bool(text)

    def _listed(self, family: Family) -> str:
        """Our table as the kernel holds it, or nothing."""
        if _table(family) not in _check(self.run, ["nft", "list", "tables"]).output.splitlines():
            return ""
        return _check(self.run, ["nft", "list", "table", nft.NAMES[family], nft.TABLE]).output

    def _copied(self, family: Family, plan: Plan) -> str:
        """The rules as this tool lists them: versions differ in their spelling, and only a whole rule is proof."""
        name = nft.COPY + secrets.token_hex(8)  # of its own, since another step may read back just now
        _check(self.run, ["nft", "-f", "-"], nft.copy(plan, family, name))
        try:
            return _check(self.run, ["nft", "list", "table", nft.NAMES[family], name]).output
        finally:
            _check(self.run, ["nft", "-f", "-"], nft.removal(f"table {nft.NAMES[family]} {name}"))


@dataclass(frozen=True, slots=True)
class Iptables:
    """One variant of iptables: a transaction for each IP version and table."""

    run: Runner
    variant: str

    def text(self, plans: Mapping[Family, Plan]) -> str:
        return "".join(
            f"# {self._tool(family, 'restore')}\n{iptables.installation(plan, family, '')}"
            for family, plan in plans.items()
        )

    def apply(self, plans: Mapping[Family, Plan]) -> None:
        for family, plan in plans.items():
            self._restore(family, iptables.installation(plan, family, self._saved(family)))

    def missing(self, plans: Mapping[Family, Plan]) -> list[str]:
        found = []
        for family, plan in plans.items():
            wanted = iptables.rules(iptables.installation(plan, family, ""))
            found += _differences(family, wanted, iptables.rules(self._saved(family)))
        return found

    def remove(self) -> bool:
        texts = {family: iptables.removal(self._present(family)) for family in FAMILIES}
        for family, text in texts.items():
            if text:
                self._restore(family, text)
        return any(texts.values())

    def _tool(self, family: Family, verb: str) -> str:
        return f"{'ip6tables' if family is Family.IPV6 else 'iptables'}-{self.variant}-{verb}"

    def _restore(self, family: Family, text: str) -> None:
        _check(self.run, [self._tool(family, "restore"), "--noflush", "-w", LOCK_SECONDS], text)

    def _saved(self, family: Family) -> str:
        tool = self._tool(family, "save")
        return "".join(_check(self.run, [tool, "-t", table]).output for table in iptables.TABLES)

    def _present(self, family: Family) -> str:
        """What is there, where a tool or a kernel that lacks the tables has none."""
        results = [self.run([self._tool(family, "save"), "-t", table]) for table in iptables.TABLES]
        for result in results:
            failure = explain([self._tool(family, "save")], result)
            if result.code and failure.hopeless:
                raise ToolFailed(failure)
        return "".join(result.output for result in results if not result.code)


def _check(run: Runner, command: list[str], text: str = "") -> Result:
    result = run(command, text)
    if result.code:
        raise ToolFailed(explain(command, result))
    return result


def _table(family: Family) -> str:
    return f"table {nft.NAMES[family]} {nft.TABLE}"


def _absent(family: Family) -> str:
    return f"{family.title}: none of the rules is there"


def _differences(family: Family, wanted: Rules, found: Rules) -> list[str]:
    """The chains whose rules are not, one after the other, those that we wanted, and what nobody wanted."""
    if not any(found.values()):
        return [_absent(family)]
    chains = {**wanted, **found}
    return [
        f"{family.title}: chain {chain} is not as installed: {_first(wanted.get(chain, []), found.get(chain, []))}"
        for chain in chains
        if found.get(chain, []) != wanted.get(chain, [])
    ]


def _first(wanted: list[str], found: list[str]) -> str:
    """The first place where two lists of rules differ."""
    place = next((at for at, pair in enumerate(zip(wanted, found, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        place = min(len(wanted), len(found))
    there = f"`{found[place]}`" if place < len(found) else "nothing"
    return f"{there} in place of {f'`{wanted[place]}`' if place < len(wanted) else 'nothing'}"
