"""Who calls? A ServiceAccount token in, a workload out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.issuance import Refusal
from mesh.identity.spiffe_id import SCHEME, SpiffeId


class TokenRefused(Exception):
    """The token proves nobody. The caller is at fault unless `refusal` is `unavailable`."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Caller:
    """A workload as Kubernetes knows it. `pod` is None for a token that is not bound to one."""

    namespace: str
    service_account: str
    pod: str | None = None

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

    async def review(self, token: str) -> Caller:
        """The workload that `token` proves; raises TokenRefused."""
        ...
