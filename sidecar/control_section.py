"""The section `control` of the sidecar's configuration: where the control plane is, and what each proves by."""

from __future__ import annotations

import ssl
from pathlib import Path

from mesh.policy.errors import shown
from mesh.policy.fields import Field, text
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import absolute_form
from sidecar.readers import section
from sidecar.settings import ControlSettings


def url_fault(value: str) -> str | None:
    """Why `value` is not where the control plane can be; None when it can."""
    try:
        target = absolute_form(value.encode())
    except HttpRefused as refused:
        return f"{shown(value)}: {refused.detail}"
    if target.scheme != "https":
        return f"{shown(value)} would show the token to the network; write an https:// URL"
    if b"?" in target.path:
        return f"{shown(value)} has a query; write it without"
    return None


def path_fault(value: str) -> str | None:
    """Why `value` cannot be a path; None when it can."""
    return None if value and "\0" not in value else f"{shown(value)} is no path"


def _roots_fault(value: str) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=value)
        why = "" if context.cert_store_stats()["x509"] else "it holds none"
    except (ssl.SSLError, ValueError) as error:
        why = str(error)
    return f"no PEM certificates can be read from it: {why}" if why else None


def _control_of(url: str, roots: str, token: str, state: str | None) -> ControlSettings:
    return ControlSettings(
        absolute_form(url.encode()), roots, Path(token), None if state is None else Path(state)
    )


_CONTROL = {
    "url": Field(text(url_fault), missing="the https:// URL of the control plane"),
    "roots": Field(text(_roots_fault), missing="the roots that vouch for the control plane, as PEM text"),
    "token": Field(text(path_fault), missing="the file of the ServiceAccount token"),
    "state": Field(text(path_fault)),
}

read_control = section(_CONTROL, _control_of)
"""The reader of the section; gives ControlSettings."""
