"""What this replica signs with: the Secret as the watch brings it, or as it was before somebody broke it.

What cannot be used changes nothing: the keys from before stay in force, the fault is told of once, and nobody
writes over it. Who signs at which moment stands in the keyring itself, so all replicas change over together.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from mesh.identity.bundle import TrustBundle
from mesh.identity.bundle_document import BundleDocument
from mesh.identity.ca import Authority
from mesh.identity.jwt_svid import JwtKey
from mesh.identity.pem import CERTIFICATE, write_pem
from mesh.settings.table import PREFIX
from webhook.certificates.observed import One
from webhook.cluster.client import Document, decode
from webhook.cluster.failures import Log
from webhook.identity.authorities import NotSigning
from webhook.identity.keyring.given import Given, is_given, read_given
from webhook.identity.keyring.plan import Asked
from webhook.identity.keyring.stored import KEYRING_KEY, KeyringInvalid, read_keyring
from webhook.identity.keyring.values import Keyring, Times

ROTATE: Final = f"{PREFIX}rotate"
"""Annotation of the Secret: any new value asks for a new root."""
REPLACE_NOW: Final = f"{PREFIX}replace-now"
"""Annotation of the Secret: any new value replaces every key at once."""


class _Meta(msgspec.Struct):
    annotations: dict[str, str] | None = None


class _Secret(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    data: dict[str, str] | None = None


class InForce:
    """Authorities of a cluster. `changed` is called after every change; `now` gives the time of day.

    secret   the Secret as it was read last, for whoever writes it; None where it is not there
    fault    what is wrong with it, "" where nothing
    empty    there is no CA in it, not even a broken one
    keyring  the last one that could be used; `given` likewise, an authority that somebody else looks after
    """

    def __init__(
        self,
        trust_domain: str,
        times: Times,
        now: Callable[[], datetime],
        log: Log,
        changed: Callable[[], None],
    ) -> None:
        self.trust_domain = trust_domain
        self.times = times
        self.known = False
        self.secret: Document | None = None
        self.fault = ""
        self.empty = False
        self.asked = Asked()
        self.keyring: Keyring | None = None
        self.given: Given | None = None
        self._now = now
        self._log = log
        self._changed = changed
        self._seen = now()

    def store(self) -> One:
        """Where the watch of the Secret brings what it sees."""
        return _Watched(self.take, self._changed, self._confirm)

    def take(self, item: bytes | None) -> None:
        """The Secret as it is now, or None. Raises ApiFailed for what is none."""
        read = None if item is None else decode(item, _Secret)
        self.secret = None if item is None else decode(item, dict[str, Any])
        self.known = True
        self._confirm()
        if read is None:
            self._tell("it is not there; the chart makes it, empty: helm upgrade brings it back")
            return
        annotations = read.metadata.annotations or {}
        self.asked = Asked(annotations.get(ROTATE, ""), annotations.get(REPLACE_NOW, ""))
        try:
            self._use(_decoded(read.data or {}))
        except KeyringInvalid as invalid:
            self._tell(str(invalid))

    def tell(self) -> None:
        """Have everybody know of a change that the watch has not brought."""
        self._changed()

    @property
    def signing(self) -> Authority:
        """See Authorities, as for all below."""
        authority = self._authority()
        until = authority.certificate.not_valid_after_utc
        if self._now() >= until:
            raise NotSigning(f"the CA's issuer expired at {until:%Y-%m-%d %H:%M} UTC")
        return authority

    @property
    def jwt_key(self) -> JwtKey:
        if self.given is not None and self.given.token_keys:
            return self.given.token_keys[0]
        key = self._fresh().token_key(self._now()).key
        if key is None:
            raise NotSigning("the CA has no key for tokens")
        return key

    def bundle(self, refresh_hint: int | None = None) -> BundleDocument:
        if self.given is None:
            return self._kept().bundle(refresh_hint)
        own = self.keyring
        tokens = {} if own is None else own.bundle().jwt_keys
        tokens = {**tokens, **{one.key_id: one.key.public_key() for one in self.given.token_keys}}
        ders = () if own is None else own.trust_bundle.authorities_der
        roots = tuple(dict.fromkeys((*self.given.roots_der, *ders)))
        # Nobody counts how often others change theirs, so there is no sequence to tell.
        return BundleDocument(TrustBundle(self.trust_domain, roots), tokens, None, refresh_hint)

    @property
    def roots_pem(self) -> str:
        """The roots as PEM, "" where there are none yet."""
        try:
            return write_pem(CERTIFICATE, *self.bundle().x509.authorities_der)
        except NotSigning:
            return ""

    def trusted(self) -> TrustBundle | None:
        """The roots as a bundle, None where there are none yet."""
        try:
            return self.bundle().x509
        except NotSigning:
            return None

    @property
    def bridges(self) -> tuple[bytes, ...]:
        """What vouches for our root to those who know only one before it (DER)."""
        others = self.given is not None and self.given.authority is not None
        return () if others or self.keyring is None else self.keyring.bridges

    @property
    def others_sign(self) -> bool:
        """Has somebody put an authority of theirs into the Secret, which is theirs to renew?"""
        return self.given is not None and self.given.authority is not None

    def problems(self) -> list[str]:
        """Why nothing can be issued; empty where it can."""
        try:
            _ = (self.signing, self.jwt_key)
        except NotSigning as unknown:
            return [str(unknown)]
        return []

    def aging(self) -> str:
        """A sentence where an authority that others renew is near its end, else ""."""
        if self.given is None or self.given.authority is None:
            return ""
        left, certificate = self.given.expires - self._now(), self.given.authority.certificate
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        if left > min(life / 4, timedelta(days=30)):
            return ""
        return (
            f"the authority in the Secret expires at {self.given.expires:%Y-%m-%d %H:%M} UTC: renew it there"
        )

    def _use(self, data: Mapping[str, bytes]) -> None:
        given = read_given(data, self.trust_domain, self._now()) if is_given(data) else None
        text = data.get(KEYRING_KEY, b"")
        keyring = read_keyring(text, self.trust_domain) if text else None
        self.empty = keyring is None and (given is None or given.authority is None)
        if keyring is not None or given is not None:
            self.given = given
            self.keyring = keyring or (None if given is not None and given.authority else self.keyring)
        lost = self.empty and self.others_sign
        self._tell("the authority that somebody put there is gone; it stays in use in memory" if lost else "")

    def _authority(self) -> Authority:
        if self.given is not None and self.given.authority is not None:
            return self.given.authority
        return self._fresh().issuer(self._now()).authority

    def _kept(self) -> Keyring:
        if self.keyring is None:
            raise NotSigning(self._why())
        return self.keyring

    def _fresh(self) -> Keyring:
        """Refused where a root may have been announced, put in use and withdrawn without our seeing it."""
        keyring = self._kept()
        if self._now() - self._seen >= self.times.ahead:
            raise NotSigning(f"the Secret of the CA has not been seen since {self._seen:%Y-%m-%d %H:%M} UTC")
        return keyring

    def _why(self) -> str:
        if not self.known:
            return "the Secret of the CA has not been seen yet"
        return f"the Secret of the CA: {self.fault or 'it holds nothing yet; the leader fills it'}"

    def _confirm(self) -> None:
        self._seen = self._now()

    def _tell(self, fault: str) -> None:
        if fault != self.fault:
            self.fault = fault
            self._log(
                {"event": "ca_secret", "error": fault} if fault else {"event": "ca_secret", "usable": True}
            )


class _Watched(One):
    """One that also tells when the watch is known to bring whatever there is."""

    __slots__ = ("_confirm",)

    def __init__(
        self,
        take: Callable[[bytes | None], None],
        changed: Callable[[], None],
        confirm: Callable[[], None],
    ) -> None:
        super().__init__(take, changed)
        self._confirm = confirm

    def live(self, live: bool) -> None:
        """See watching.Store."""
        if live:
            self._confirm()


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    decoded = {}
    for name, value in data.items():
        try:
            decoded[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as malformed:
            raise KeyringInvalid(f"{name}: no base64") from malformed
    return decoded
