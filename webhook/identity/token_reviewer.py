"""Who calls? A ServiceAccount token in, a workload out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.issuance import Refusal
from mesh.identity.spiffe_id import SCHEME, SpiffeId


class TokenRefused(Exception):
    """The token proves nobody. The caller is at fault unless `refusal` is `unavailable`.

    `retry_after`: seconds, where it is known when asking again may help.
    """

    def __init__(self, refusal: Refusal, detail: str, retry_after: int | None = None) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal
        self.detail = detail
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Caller:
    """A workload as Kubernetes knows it. `pod` and `uid` are "" for a token that is not bound to a pod.

    `expires`: when the token does (aware, UTC).
    """

    namespace: str
    service_account: str
    expires: datetime
    pod: str = ""
    uid: str = ""

    def spiffe_id(self, trust_domain: str) -> SpiffeId:
        """Its identity; raises TokenRefused for names that no SPIFFE ID can hold."""
        name = f"{SCHEME}{trust_domain}/ns/{self.namespace}/sa/{self.service_account}"
        if "/" in self.namespace + self.service_account:
            raise TokenRefused(Refusal.TOKEN_REFUSED, "a name in the token holds a slash")
        try:
            return SpiffeId.parse(name)
        except SpiffeIdInvalid as invalid:
            raise TokenRefused(Refusal.TOKEN_REFUSED, f"no identity: {invalid}") from invalid


class TokenReviewer(Protocol):
    """Judges tokens."""

    async def review(self, token: str, source: str = "") -> Caller:
        """The workload that `token` proves; raises TokenRefused. `source`: the address that it came from."""
        ...
