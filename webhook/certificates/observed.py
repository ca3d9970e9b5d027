"""What this replica knows of the Secret and of both configurations, as watches bring it, and what it serves with.

A serving certificate is taken into use only once every entry trusts it, unless there is nothing better: so it does
not matter in which order the Secret and the configurations are seen to change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from cryptography import x509

from webhook.admission.serving_tls import CertificateUnusable, SwitchedCertificate
from webhook.certificates.bundles import Configuration, authorities, read_configuration
from webhook.certificates.material import Found, Material, bundle, read
from webhook.certificates.plan import Scene, adoptable
from webhook.cluster.client import Document, decode
from webhook.cluster.failures import Log


class _Secret(msgspec.Struct):
    data: dict[str, str] | None = None


class One:
    """One object of the API server, which may not be there. A store for `watching.follow`."""

    __slots__ = ("_changed", "_take")

    def __init__(self, take: Callable[[bytes | None], None], changed: Callable[[], None]) -> None:
        self._take = take
        self._changed = changed

    def replace(self, items: tuple[bytes, ...]) -> None:
        """See watching.Store, as for all below."""
        self._told(items[0] if items else None)

    def put(self, item: bytes) -> None:
        self._told(item)

    def remove(self, item: bytes) -> None:
        self._told(None)

    def live(self, live: bool) -> None:
        """No matter: what was seen last holds until something else is seen."""

    def _told(self, item: bytes | None) -> None:
        self._take(item)
        self._changed()


class Observed:
    """See the module. `changed` is called after every change, `now` gives the time of day."""

    def __init__(
        self,
        serving: SwitchedCertificate,
        names: Sequence[str],
        configurations: Sequence[str],
        now: Callable[[], datetime],
        log: Log,
        changed: Callable[[], None],
    ) -> None:
        self._serving = serving
        self._names = tuple(names)
        self._now = now
        self._log = log
        self._tell = changed
        self.secret_known = False
        self.secret: Document | None = None
        self.found = Found(Material(), empty=True)
        self.remembered: Material | None = None
        self.served: x509.Certificate | None = None
        self._configurations: dict[str, Configuration | None] = {}
        self._wanted = tuple(configurations)
        self._published: tuple[bytes, datetime] | None = None

    def secret_store(self) -> One:
        """Where the watch of the Secret brings what it sees."""
        return One(self.take_secret, self.refresh)

    def configuration_store(self, name: str) -> One:
        """Where the watch of one configuration brings what it sees."""
        return One(lambda item: self.take_configuration(name, item), self.refresh)

    def take_secret(self, item: bytes | None) -> None:
        """The Secret as it is now, or None. Raises ApiFailed for what is none."""
        data = {} if item is None else decode(item, _Secret).data or {}
        self.secret = None if item is None else decode(item, dict[str, Any])
        self.secret_known = True
        before = self.found.faults
        self.found = read(data)
        if self.found.faults and self.found.faults != before:
            self._log({"event": "secret_broken", "faults": list(self.found.faults)})
        material = self.found.material
        if not self.found.faults and material.authority is not None and material.leaf is not None:
            self.remembered = material

    def take_configuration(self, name: str, item: bytes | None) -> None:
        """A configuration as it is now, or None. Raises ApiFailed for what is none."""
        self._configurations[name] = None if item is None else read_configuration(item)

    def refresh(self) -> None:
        """Draw the consequences of what was taken in."""
        self._follow_publication()
        self._choose()
        self._tell()

    def scene(self) -> Scene:
        """What the leader decides upon."""
        held = [
            certificate
            for one in self.present
            for _, text in one.entries
            for certificate in authorities(text)
        ]
        return Scene(
            self.found,
            self.remembered,
            None if self._published is None else self._published[1],
            adoptable(held, self._now()),
            self._names,
            self._now(),
        )

    @property
    def present(self) -> list[Configuration]:
        """The configurations that are there."""
        return [one for one in self._configurations.values() if one is not None]

    @property
    def trusted(self) -> bytes:
        """What every entry is to trust."""
        return bundle(self.found.material.trusted)

    def problems(self) -> list[str]:
        """Why an API server could not call this replica; empty when it can."""
        if self.served is None:
            return ["there is no certificate to serve with yet"]
        if self._now() >= self.served.not_valid_after_utc:
            return ["the serving certificate has expired"]
        unknown = [name for name in self._wanted if name not in self._configurations]
        problems = [f"the caBundle of {name} has not been seen yet" for name in unknown]
        for one in self.present:
            if not one.trusts(self.served):
                problems.append(f"the caBundle of {one.name} does not vouch for the serving certificate")
        return problems

    def _follow_publication(self) -> None:
        wanted = self.trusted
        known = all(name in self._configurations for name in self._wanted)
        if not wanted or not known or not all(one.holds(wanted) for one in self.present):
            self._published = None
        elif self._published is None or self._published[0] != wanted:
            self._published = (wanted, self._now())

    def _choose(self) -> None:
        leaf = self.found.material.leaf
        if leaf is None or self.found.material.authority is None or leaf.certificate == self.served:
            return
        if self.served is not None and self._still_good(self.served) and not self._vouched(leaf.certificate):
            return
        try:
            self._serving.use(leaf.certificate_pem + leaf.key_pem)
        except CertificateUnusable as error:
            self._log({"event": "certificate", "error": str(error)})
            return
        self.served = leaf.certificate
        self._log({"event": "certificate", "not_after": leaf.certificate.not_valid_after_utc.isoformat()})

    def _still_good(self, leaf: x509.Certificate) -> bool:
        return self._now() < leaf.not_valid_after_utc and self._vouched(leaf)

    def _vouched(self, leaf: x509.Certificate) -> bool:
        return all(one.trusts(leaf) for one in self.present)
