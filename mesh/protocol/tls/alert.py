"""Alerts: how a client is told, in TLS, that its connection is refused before TLS has begun.

Closed without one, a client says "unexpected end of file" and its user looks for a fault in the network.
Source: RFC 8446, section 6.
"""

from __future__ import annotations

from enum import IntEnum

from mesh.reasons import Reason

_FATAL = 2
_ALERT_RECORD = bytes((21, 3, 3, 0, 2))


class Alert(IntEnum):
    """Descriptions that a proxy has a use for."""

    ILLEGAL_PARAMETER = 47
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    INTERNAL_ERROR = 80
    MISSING_EXTENSION = 109
    UNRECOGNIZED_NAME = 112


_ALERTS = {
    Reason.CLIENT_HELLO_MALFORMED: Alert.DECODE_ERROR,
    Reason.SERVER_NAME_INVALID: Alert.ILLEGAL_PARAMETER,
    Reason.SERVER_NAME_MISSING: Alert.MISSING_EXTENSION,
    Reason.SERVER_NAME_MISMATCH: Alert.UNRECOGNIZED_NAME,
    Reason.INTERCEPTION_UNAVAILABLE: Alert.UNRECOGNIZED_NAME,
    Reason.UPSTREAM_UNREACHABLE: Alert.INTERNAL_ERROR,
    Reason.UPSTREAM_CONNECT_TIMEOUT: Alert.INTERNAL_ERROR,
}


def fatal_alert(alert: Alert) -> bytes:
    """The record that ends a connection whose handshake has not begun; nothing may be sent after it."""
    return _ALERT_RECORD + bytes((_FATAL, alert))


def refusal(reason: Reason) -> bytes:
    """What to send a client that is refused for `reason`; b"" for one that does not speak TLS.

    Whatever a policy refuses is access_denied.
    """
    if reason is Reason.NOT_TLS:
        return b""
    return fatal_alert(_ALERTS.get(reason, Alert.ACCESS_DENIED))
