"""The rules as text for `iptables-restore --noflush` and `ip6tables-restore --noflush`, both variants alike.

Naming a chain of ours empties it, and the calls that are there already are removed before new ones are put first,
so that one restore brings any earlier state to the wanted one: a table changes in one step or not at all. The
guards stand first, because between the two tables a closed pod is better than an open one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Final

from sidecar.redirect.rules import (
    ENTRIES,
    Chain,
    Family,
    Owner,
    Plan,
    Protocol,
    Redirect,
    Rule,
    Tracked,
    Verdict,
)
from sidecar.redirect.settings import MAX_ID

PREFIX: Final = "OUTRIDER_"
PORTS_PER_RULE: Final = 15  # the most that one multiport match takes
TABLES: Final = {
    "filter": ((Chain.GUARD_IN, "INPUT"), (Chain.GUARD_OUT, "OUTPUT")),
    "nat": ((Chain.INBOUND, "PREROUTING"), (Chain.OUTBOUND, "OUTPUT")),
}

_CALL = re.compile(rf"-A ([A-Z]+) (.*-[jg] {PREFIX}[A-Z_]+)")
_CHAIN = re.compile(rf":({PREFIX}[A-Z_]+) ")
_TO_OURS = re.compile(rf".*-[jg] {PREFIX}[A-Z_]+")
_RULE = re.compile(r"-(?:A|I) (\S+) (?:1 )?(.*)")
_TRACKED = {
    Tracked.ESTABLISHED: "--ctstate ESTABLISHED",
    Tracked.REPLY: "--ctstate ESTABLISHED,RELATED --ctdir REPLY",
    Tracked.REDIRECTED: "--ctstate DNAT",
    Tracked.INVALID: "--ctstate INVALID",
}


def installation(plan: Plan, family: Family, saved: str) -> str:
    """What brings the tables to `plan`; `saved` is what the matching `iptables-save` prints now."""
    lines = []
    for table, chains in TABLES.items():
        lines.append(f"*{table}")
        lines += [f":{_name(chain)} - [0:0]" for chain, _ in chains]
        lines += _calls(saved, table)
        for chain, hook in chains:
            lines += [f"-I {hook} 1 {words}" for words in _words(ENTRIES[chain], family)]
        for chain, _ in chains:
            lines += [f"-A {_name(chain)} {words}" for rule in plan[chain] for words in _words(rule, family)]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def removal(saved: str) -> str:
    """What takes all of ours, and nothing else, out of the tables that `saved` shows; "" when there is nothing."""
    lines = []
    for table in TABLES:
        chains = [found[1] for line in _table(saved, table) if (found := _CHAIN.match(line))]
        calls = _calls(saved, table)
        if chains or calls:
            lines += [f"*{table}", *calls]
            lines += [f"-F {chain}" for chain in chains]
            lines += [f"-X {chain}" for chain in chains]
            lines.append("COMMIT")
    return "\n".join(lines) + "\n" if lines else ""


def rules(text: str) -> dict[str, list[str]]:
    """Each rule of our chains, and what leads up to our calls; alike for our text and what the kernel made of it.

    Whatever stands in front of a call may take packets away from it, and belongs to what is compared.
    """
    found: dict[str, list[str]] = {}
    for table in TABLES:
        for line in _table(text, table):
            if match := _RULE.fullmatch(line):
                chain = match[1] if match[1].startswith(PREFIX) else f"{table} {match[1]}"
                found.setdefault(chain, []).append(match[2])
    return {
        chain: [_normal(line) for line in (lines if chain.startswith(PREFIX) else _up_to_calls(lines))]
        for chain, lines in found.items()
    }


def _up_to_calls(lines: list[str]) -> list[str]:
    calls = [place for place, line in enumerate(lines) if _TO_OURS.fullmatch(line)]
    return lines[: calls[-1] + 1] if calls else []


def _normal(words: str) -> str:
    """A rule with its options in one order, each with what belongs to it, and the states of a list as well."""
    try:
        split = shlex.split(words)
    except ValueError:  # somebody's comment that goes over the end of the line: no rule of ours
        return words
    options: list[list[str]] = [[]]
    for word in split:
        if word == "!" or (word.startswith("-") and options[-1] != ["!"]):
            options.append([word])
        else:
            states = "--ctstate" in options[-1]
            options[-1].append(",".join(sorted(word.split(","))) if states else word)
    return " ".join(shlex.join(option) for option in sorted(options) if option)


def _table(saved: str, table: str) -> list[str]:
    """The lines of one table in what `iptables-save` printed."""
    lines = saved.splitlines()
    if f"*{table}" not in lines:
        return []
    start = lines.index(f"*{table}")
    return lines[start + 1 : lines.index("COMMIT", start)]


def _calls(saved: str, table: str) -> list[str]:
    """What deletes each call of a chain of ours from a chain that is not."""
    return [f"-D {found[1]} {found[2]}" for line in _table(saved, table) if (found := _CALL.fullmatch(line))]


def _name(chain: Chain) -> str:
    return PREFIX + chain.upper()


def _words(rule: Rule, family: Family) -> Iterator[str]:
    """One rule as one line or, where a match cannot hold everything, as several that together mean the same."""
    for ports in _portions(rule):
        for owner in _owners(rule.owner):
            words = [*_addresses(rule, family), owner, ports]
            if rule.tracked is not None:
                words.append(f"-m conntrack {_TRACKED[rule.tracked]}")
            if rule.meant_for is not None:
                words.append(f"-m conntrack --ctorigdst {rule.meant_for}")
            words += [f'-m comment --comment "outrider: {rule.comment}"', _target(rule, family)]
            yield " ".join(word for word in words if word)


def _addresses(rule: Rule, family: Family) -> Iterator[str]:
    if rule.protocol is not None:
        six = rule.protocol is Protocol.ICMP and family is Family.IPV6
        yield "-p ipv6-icmp" if six else f"-p {rule.protocol}"
    for flag, loopback in (("-i", rule.loopback_in), ("-o", rule.loopback_out)):
        if loopback is not None:
            yield f"{'' if loopback else '! '}{flag} lo"
    for flag, network in (("! -s", rule.not_from), ("! -d", rule.not_to), ("-d", rule.to)):
        if network is not None:
            yield f"{flag} {network}"


def _portions(rule: Rule) -> Iterator[str]:
    ports = rule.to_ports or rule.from_ports
    flag = "--dports" if rule.to_ports else "--sports"
    if not ports:
        yield ""
    for start in range(0, len(ports), PORTS_PER_RULE):
        some = ",".join(map(str, ports[start : start + PORTS_PER_RULE]))
        yield f"-m multiport {flag} {some}"


def _owners(owner: Owner | None) -> Iterator[str]:
    """Packets of no process match `! --uid-owner`, so that others are named by the ranges around the UID."""
    if owner is None:
        yield ""
    elif owner.others:
        yield f"-m owner --uid-owner 0-{owner.uid - 1}"
        if owner.uid < MAX_ID:
            yield f"-m owner --uid-owner {owner.uid + 1}-{MAX_ID}"
    else:
        group = "" if owner.gid is None else f" --gid-owner {owner.gid}"
        yield f"-m owner --uid-owner {owner.uid}{group}"


def _target(rule: Rule, family: Family) -> str:
    match rule.action:
        case Redirect(port):
            return f"-j REDIRECT --to-ports {port}"
        case Chain() as chain:
            return f"-j {_name(chain)}"
        case Verdict.RESET:
            return "-j REJECT --reject-with tcp-reset"
        case Verdict.UNREACHABLE:
            icmp = "icmp6" if family is Family.IPV6 else "icmp"
            return f"-j REJECT --reject-with {icmp}-port-unreachable"
        case Verdict.RETURN | Verdict.DROP as verdict:
            return f"-j {verdict.upper()}"
