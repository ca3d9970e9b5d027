"""The sidecar's log, read back: who it is, and what it refused last.

The log holds JSON lines; what is no such line (a traceback, another program's) is passed over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

SHOWN = 10
_REFUSING = frozenset({"refused_message", "observed_address", "observed_token", "caller_token"})


@dataclass(frozen=True, slots=True)
class Denial:
    """One line about something that was refused, or would be under enforcement (`observed`)."""

    time: str
    reason: str
    what: str
    rule: str
    observed: bool


@dataclass(frozen=True, slots=True)
class Journal:
    """What a log tells. `spiffe_id` and `not_after` are of the last SVID; empty where there was none.
    `failures` are calls that were allowed, and that nobody answered. `configuration` is the version that is in
    force, `refused` what was sent since and is not, `lost` why the control plane is not there."""

    spiffe_id: str = ""
    not_after: str = ""
    trouble: str = ""
    denials: tuple[Denial, ...] = ()
    failures: tuple[Denial, ...] = ()
    configuration: str = ""
    refused: str = ""
    lost: str = ""


def read_journal(text: str) -> Journal:
    """The last identity, the last configuration and the last denials of a log."""
    spiffe_id = not_after = trouble = configuration = refused = lost = ""
    denials: list[Denial] = []
    failures: list[Denial] = []
    for line in text.splitlines():
        event = _event(line)
        match event.get("event"):
            case "identity":
                spiffe_id, not_after = _text(event, "spiffe_id"), _text(event, "not_after")
                trouble = ""
            case "identity_problem":
                trouble = _text(event, "detail")
            case "identity_expired":
                trouble = f"expired since {_text(event, 'since')}"
            case "configuration":
                configuration, refused = _text(event, "version"), ""
            case "configuration_refused":
                refused = ": ".join(filter(None, (_text(event, "reason"), *_texts(event, "errors"))))
            case "control_connected":
                lost = ""
            case "control_problem":
                lost = _text(event, "detail").rstrip(".")
            case "decision" if event.get("allowed") is False or event.get("observed"):
                denials.append(_denial(event))
            case "upstream_failure":
                failures.append(_denial(event))
            case kind if kind in _REFUSING:
                denials.append(_denial(event))
    told = tuple(denials[-SHOWN:]), tuple(failures[-SHOWN:])
    return Journal(spiffe_id, not_after, trouble, *told, configuration, refused, lost)


def _event(line: str) -> dict[str, Any]:
    if not line.startswith("{"):
        return {}
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _denial(event: dict[str, Any]) -> Denial:
    subject = [_text(event, key) for key in ("direction", "backend", "destination", "method", "name")]
    peer = _text(event, "peer")
    if event.get("direction") == "inbound" and peer:
        subject.append(f"from {peer}")
    return Denial(
        _text(event, "time"),
        _text(event, "reason"),
        " ".join(filter(None, subject)) or str(event.get("event")),
        _text(event, "rule") or _text(event, "detail"),
        bool(event.get("observed")),
    )


def _texts(event: dict[str, Any], key: str) -> list[str]:
    value = event.get(key)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _text(event: dict[str, Any], key: str) -> str:
    value = event.get(key)
    return value if isinstance(value, str) else ""
