"""What the bench asks of a proxy: the command that starts it, and how a request names its target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.process import Command
from bench.trust import SERVER_HOST, Trust

HOST = SERVER_HOST  # what clients call the upstream
PORT = 8080
AUTHORITY = f"{HOST}:{PORT}"  # the Host field, which must agree with an absolute-form target


@dataclass(frozen=True, slots=True)
class Site:
    """Where a proxy stands: a folder for files, its port and the upstream's, which side speaks mutual TLS.

    `intercepted`: clients speak TLS to the upstream through it, and it ends that.
    """

    folder: Path
    listen: int
    upstream: int
    trust: Trust
    tls_in: bool = False
    tls_out: bool = False
    intercepted: bool = False

    @property
    def interception_root(self) -> Path:
        """The authority by which clients trust a proxy that ends their TLS."""
        return self.trust_folder / "ca.pem"

    @property
    def trust_folder(self) -> Path:
        """Where the proxy writes it."""
        return self.folder / "trust"


class Proxy(Protocol):
    """One proxy in one configuration. `decides` tells whether it grants tools by name."""

    name: str
    title: str
    decides: bool
    filters_lists: bool

    def available(self) -> None:
        """Raise Missing with the reason when it cannot run here. May fetch or build what it needs."""

    def command(self, site: Site) -> Command | None:
        """Write its configuration into the site's folder; return what starts it, None when nothing does."""

    def target(self, site: Site, path: str) -> str:
        """The request-target with which a client addresses the path through it."""


def origin_form(path: str) -> str:
    """The target that a reverse proxy expects (RFC 9112, 3.2.1)."""
    return path


def absolute_form(path: str) -> str:
    """The target that a forward proxy expects (RFC 9112, 3.2.2)."""
    return f"http://{AUTHORITY}{path}"
