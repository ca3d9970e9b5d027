"""Which hosts may be intercepted at all: those that Backends declare, and of them only what can be inspected.

The set is fixed when a process starts. The certificate of its authority is limited to it, and the application
reads that certificate once, at its own start: a host that policy names later cannot be added to what it trusts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mesh.policy.documents import Backend, BackendProtocol, TlsMode

WILDCARD = "*."


class TrustNotWritten(Exception):
    """The files by which the application trusts the interception CA cannot be written; whoever configured the
    folder, or mounted it, is at fault."""


@dataclass(frozen=True, slots=True)
class DeclaredHosts:
    """`exact` are host names and IP addresses in their one spelling; `suffixes` are those of `*.suffix`."""

    exact: frozenset[str]
    suffixes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, backends: Iterable[Backend]) -> DeclaredHosts:
        """The hosts of the Backends whose TLS may be ended here.

        Not those of protocol TCP, in which there is nothing to inspect, and not those reached without TLS: what
        the application encrypts would leave in plain text.
        """
        hosts = {
            backend.host
            for backend in backends
            if backend.protocol is not BackendProtocol.TCP and backend.tls.mode is not TlsMode.NONE
        }
        wild = {host for host in hosts if host.startswith(WILDCARD)}
        return cls(frozenset(hosts - wild), frozenset(host.removeprefix(WILDCARD) for host in wild))

    def cover(self, host: str) -> bool:
        """Whether `host` (lower case, no trailing dot) is declared; a wildcard covers one label, as for routes."""
        label, _, suffix = host.partition(".")
        return host in self.exact or (label != "" and suffix in self.suffixes)

    def beyond(self, other: DeclaredHosts) -> tuple[str, ...]:
        """The hosts here that `other` does not cover."""
        exact = {host for host in self.exact if not other.cover(host)}
        return (*sorted(exact), *(f"{WILDCARD}{suffix}" for suffix in sorted(self.suffixes - other.suffixes)))

    def __bool__(self) -> bool:
        return bool(self.exact or self.suffixes)


NOTHING = DeclaredHosts(frozenset({"nothing.invalid"}))
"""For an authority that must exist and may vouch for nobody: a name that no host can have (RFC 2606)."""
