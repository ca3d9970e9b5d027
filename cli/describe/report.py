"""A description as blocks for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from cli.describe.description import UNKNOWN, Description
from cli.describe.journal import Denial
from cli.output.blocks import Block, Heading, Line, Row, Table

_LONG = 200


def blocks(found: Description) -> Iterator[Block]:
    """For people."""
    yield Heading(f"Pod {found.namespace}/{found.name}")
    yield from _identity(found)
    if not found.injected:
        yield Line("It has no sidecar; `outrider check-inject` says why.", 2, "failed")
        yield from _warnings(found)
        return
    yield Heading("Sidecar")
    yield _pairs(found.sidecar)
    yield Heading("Ports")
    yield _pairs(found.ports)
    if found.configuration:
        yield Heading("Configuration")
        yield _pairs(found.configuration)
    yield Heading("Settings")
    rows = [Row((one.name, one.value, one.layer), _really(one.really)) for one in found.settings]
    yield Table(("setting", "value", "set by"), tuple(rows))
    yield from _policies(found)
    yield from _denials(found)
    yield from _warnings(found)


def as_json(found: Description) -> dict[str, Any]:
    """For programs."""
    rights = found.rights
    return {
        "name": found.name,
        "namespace": found.namespace,
        "injected": found.injected,
        "identity": {
            "expected": found.expected_id,
            "issuer": found.issuer or None,
            "actual": found.journal.spiffe_id or None,
            "notAfter": found.journal.not_after or None,
            "trouble": found.journal.trouble or None,
        },
        "sidecar": dict(found.sidecar),
        "ports": dict(found.ports),
        "configuration": dict(found.configuration) or None,
        "settings": [
            {"name": one.name, "value": one.value, "layer": one.layer, "container": one.really or None}
            for one in found.settings
        ],
        "policies": None
        if rights is None
        else {
            "selecting": list(rights.policies),
            "standing": list(rights.standing),
            "egress": rights.egress,
            "outbound": [{"to": to, "may": may} for to, may in rights.outbound],
            "inbound": [{"from": source, "may": may} for source, may in rights.inbound],
            "narrowed": list(rights.narrowed),
            "errors": list(rights.errors),
            "access": list(rights.access),
            "remarks": list(rights.remarks),
            "users": dict(rights.users) or None,
            "credentials": [{"backend": name, "gets": gets} for name, gets in rights.credentials],
        },
        "policiesUnread": found.policies_unread or None,
        "denials": [asdict(one) for one in found.journal.denials],
        "failures": [asdict(one) for one in found.journal.failures],
        "logUnread": found.log_unread or None,
        "warnings": [{"id": one, "seen": seen, "hint": hint} for one, seen, hint in found.warnings],
    }


def _identity(found: Description) -> Iterator[Block]:
    actual = found.journal.spiffe_id or "not in its log"
    if found.log_unread:
        actual = f"unknown, for its log cannot be read: {_line(found.log_unread)}"
    until = f", until {found.journal.not_after}" if found.journal.not_after else ""
    guess = "" if UNKNOWN not in found.expected_id else " (--trust-domain NAME says which)"
    yield _pairs(
        (
            ("should be", f"{found.expected_id}{guess}"),
            *([("is", f"{actual}{until}")] if found.injected else []),
            *([("issued by", found.issuer)] if found.issuer else []),
        )
    )


def _policies(found: Description) -> Iterator[Block]:
    yield Heading("Policies")
    rights = found.rights
    if rights is None:
        yield Line(f"Not known: {found.policies_unread}.", 2)
        return
    for error in rights.errors:
        yield Line(error, 2, "error")
    if rights.errors:
        yield Line("With these errors the sidecar keeps what it had, or does not start.", 2)
        return
    if not rights.policies:
        alone = "only XAccessPolicies decide" if rights.access else "nothing is allowed"
        yield Line(f"No AgentPolicy selects it: {alone}.", 2, "warning")
    for policy, standing in zip(rights.policies, rights.standing, strict=True):
        yield Line("; ".join(filter(None, (policy, standing))), 2)
    for policy in rights.access:
        yield Line(policy, 2)
    for narrowed in rights.narrowed:
        yield Line(f"narrowed by annotation, {narrowed}", 2)
    for remark in rights.remarks:
        yield Line(remark, 2, "warning")
    if found.policies_unread:
        yield Line(f"As far as it can be told: {found.policies_unread}.", 2, "warning")
    if rights.outbound:
        yield Table(("may call", "what"), tuple(Row(pair) for pair in rights.outbound))
    if rights.inbound:
        yield Table(("called by", "what"), tuple(Row(pair) for pair in rights.inbound))
    if rights.credentials:
        yield Table(("Backend", "gets"), tuple(Row(pair) for pair in rights.credentials))
    if rights.users:
        yield Heading("Users")
        yield _pairs(rights.users)


def _denials(found: Description) -> Iterator[Block]:
    yield Heading("Last denials")
    if found.log_unread:
        yield Line("Not known, since its log cannot be read.", 2)
    elif not found.journal.denials:
        yield Line("None in its log.", 2)
    else:
        yield _events(found.journal.denials)
    if found.journal.failures:
        yield Heading("Last failures of backends")
        yield _events(found.journal.failures)


def _events(events: tuple[Denial, ...]) -> Table:
    rows = [
        Row((one.time, one.what, f"{one.reason}{' (observed)' if one.observed else ''}"), _rule(one.rule))
        for one in events
    ]
    return Table(("time", "what", "reason"), tuple(rows))


def _warnings(found: Description) -> Iterator[Block]:
    if found.warnings:
        yield Heading("Warnings")
        yield Table(("", ""), tuple(Row(("warning", seen), (hint,)) for _, seen, hint in found.warnings))


def _line(text: str) -> str:
    """In one line, and not a page that a proxy answered."""
    said = " ".join(text.split())
    return said if len(said) <= _LONG else f"{said[:_LONG]}…"


def _pairs(pairs: tuple[tuple[str, str], ...]) -> Table:
    return Table(("", ""), tuple(Row(pair) for pair in pairs))


def _really(value: str) -> tuple[str, ...]:
    return (f"but the container has {value}",) if value else ()


def _rule(rule: str) -> tuple[str, ...]:
    return (rule,) if rule else ()
