"""The rules as text for `nft -f`: one table of our own for each IP version, replaced in one transaction.

A table of its own makes removal exact, and other rules of the pod are never read or touched. What we accept
others may still refuse, and what they accept we may still refuse. Redirection comes just before the usual
priority, because the first rule that sets up translation for a connection wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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

TABLE: Final = "outrider"
NAMES: Final = {Family.IPV4: "ip", Family.IPV6: "ip6"}
# From where each chain is called: the hook's chain, and its type, hook and priority.
HOOKS: Final = {
    Chain.GUARD_IN: ("input", "type filter hook input priority -5; policy accept;"),
    Chain.GUARD_OUT: ("output", "type filter hook output priority -5; policy accept;"),
    Chain.INBOUND: ("nat_prerouting", "type nat hook prerouting priority -105; policy accept;"),
    Chain.OUTBOUND: ("nat_output", "type nat hook output priority -105; policy accept;"),
}

# A copy of the rules that no hook calls, to learn how the kernel and this version of the tool write them.
COPY: Final = f"{TABLE}_copy_"

_OURS = re.compile(rf"table ip6? (?:{TABLE}|{COPY}[0-9a-f]+)")
_CHAIN = re.compile(r"\tchain (\w+) \{")
_PRIORITY = re.compile(r"(?<=priority )(filter|dstnat)(?: ([+-]) (\d+))?")
_PRIORITIES = {"filter": 0, "dstnat": -100}
_TRACKED = {
    Tracked.ESTABLISHED: "ct state established",
    Tracked.REPLY: "ct state { established, related } ct direction reply",
    Tracked.REDIRECTED: "ct status dnat",
    Tracked.INVALID: "ct state invalid",
}


def installation(plans: Mapping[Family, Plan]) -> str:
    """One transaction that replaces our tables, whether they were there or not."""
    return "".join(_table(plan, family) for family, plan in plans.items())


def copy(plan: Plan, family: Family, name: str) -> str:
    """A table of this name with the same rules, which no packet meets."""
    lines = [f"table {NAMES[family]} {name} {{"]
    for chain, rules in plan.items():
        lines += _chain(chain, "", rules, family)
    for chain, (hook_chain, _) in HOOKS.items():
        lines += _chain(hook_chain, "", (ENTRIES[chain],), family)
    return "\n".join([*lines, "}"]) + "\n"


def removal(tables: str) -> str:
    """What deletes all of ours, and nothing else, of what `nft list tables` printed; "" when there is nothing."""
    return "".join(f"delete {line}\n" for line in tables.splitlines() if _OURS.fullmatch(line))


def rules(listed: str) -> dict[str, list[str]]:
    """Every line of each chain in a listed table, in order; under "" what is in the table and in no chain."""
    found: dict[str, list[str]] = {}
    chain = ""
    for line in listed.splitlines()[1:]:
        if match := _CHAIN.match(line):
            chain = match[1]
            found[chain] = []
        elif line == "\t}":
            chain = ""
        elif line.strip(" \t}"):
            found.setdefault(chain, []).append(_PRIORITY.sub(_number, line.strip()))
    return found


def expected(copied: str) -> dict[str, list[str]]:
    """What `rules` has to find, from the listing of a copy: the same, and the hooks."""
    hooks = {chain: [hook] for chain, hook in HOOKS.values()}
    return {chain: [*hooks.get(chain, []), *found] for chain, found in rules(copied).items()}


def _number(priority: re.Match[str]) -> str:
    """A priority such as `filter - 5` as the number that it is."""
    name, sign, distance = priority.groups()
    return str(_PRIORITIES[name] + int(f"{sign or ''}{distance or 0}"))


def _table(plan: Plan, family: Family) -> str:
    name = f"{NAMES[family]} {TABLE}"
    lines = [f"add table {name}", f"delete table {name}", f"table {name} {{"]
    for chain, rules in plan.items():
        lines += _chain(chain, "", rules, family)
    for chain, (hook_chain, hook) in HOOKS.items():
        lines += _chain(hook_chain, hook, (ENTRIES[chain],), family)
    return "\n".join([*lines, "}"]) + "\n"


def _chain(name: str, hook: str, rules: tuple[Rule, ...], family: Family) -> list[str]:
    head = [f"\tchain {name} {{", *([f"\t\t{hook}"] if hook else [])]
    return [*head, *(f"\t\t{_words(rule, family)}" for rule in rules), "\t}"]


def _words(rule: Rule, family: Family) -> str:
    words = [*_addresses(rule, family), *_owner(rule.owner), *_ports(rule, family)]
    if rule.tracked is not None:
        words.append(_TRACKED[rule.tracked])
    if rule.meant_for is not None:
        words.append(f"ct original {NAMES[family]} daddr {rule.meant_for}")
    words += [_statement(rule, family), f'comment "outrider: {rule.comment}"']
    return " ".join(words)


def _addresses(rule: Rule, family: Family) -> Iterator[str]:
    for key, loopback in (("iifname", rule.loopback_in), ("oifname", rule.loopback_out)):
        if loopback is not None:
            yield f'{key} {"" if loopback else "!= "}"lo"'
    for key, network in (("saddr !=", rule.not_from), ("daddr !=", rule.not_to), ("daddr", rule.to)):
        if network is not None:
            yield f"{NAMES[family]} {key} {network}"


def _owner(owner: Owner | None) -> Iterator[str]:
    """Packets of no process match none of these, not even the inequality."""
    if owner is None:
        return
    yield f"meta skuid {'!= ' if owner.others else ''}{owner.uid}"
    if owner.gid is not None:
        yield f"meta skgid {owner.gid}"


def _ports(rule: Rule, family: Family) -> Iterator[str]:
    for key, ports in (("dport", rule.to_ports), ("sport", rule.from_ports)):
        if ports:
            yield f"{rule.protocol} {key} {{ {', '.join(map(str, ports))} }}"
    if rule.protocol is not None and not (rule.to_ports or rule.from_ports):
        six = rule.protocol is Protocol.ICMP and family is Family.IPV6
        yield f"meta l4proto {'ipv6-icmp' if six else rule.protocol}"


def _statement(rule: Rule, family: Family) -> str:
    match rule.action:
        case Redirect(port):
            return f"redirect to :{port}"
        case Chain() as chain:
            return f"jump {chain}"
        case Verdict.RESET:
            return "reject with tcp reset"
        case Verdict.UNREACHABLE:
            return f"reject with {'icmpv6' if family is Family.IPV6 else 'icmp'} type port-unreachable"
        case Verdict.RETURN | Verdict.DROP as verdict:
            return str(verdict)
