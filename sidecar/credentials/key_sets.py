"""The keys of issuers, kept: had before a token needs them, and followed when an issuer rotates them.

A token that names an unknown key makes us look again, but at most once in ten seconds for each issuer: made-up
names must not hammer an issuer, nor keep us from a key that is really new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from mesh.policy.user_auth import Issuer
from mesh.protocol.oauth.jwks import MOST_BYTES, JwksInvalid, KeySet, SigningKey, read_jwks
from mesh.protocol.oauth.metadata import ServerMetadata
from sidecar.credentials.fetch import Fetcher, FetchFailed
from sidecar.credentials.refreshed import Lifetimes, Refreshed, Unavailable

FRESH_SECONDS = 600.0
STALE_SECONDS = 86400.0
APART_SECONDS = 10.0
FETCH_SECONDS = 5.0

Place = tuple[str, str | None]
"""An issuer and where its keys are, if its entry says so: two entries may name one issuer."""
Changed = Callable[[Place, KeySet], None]


class Metadata(Protocol):
    """sidecar.credentials.issuers.Issuers."""

    async def metadata(self, issuer: str) -> ServerMetadata:
        """Raises Unavailable."""
        ...


class Tells(Protocol):
    """Who is told of what happens with issuers: the recorder."""

    def user_keys(self, issuer: str, problem: str | None, keys: int) -> None:
        """The keys of `issuer` were had (how many), or could not be (`problem`)."""
        ...


class KeySets:
    """The keys of each issuer. `changed` is told of each set that was had; `now`: seconds since 1970."""

    def __init__(
        self,
        fetch: Fetcher,
        metadata: Metadata,
        now: Callable[[], float],
        tells: Tells,
        changed: Changed,
        *,
        stale_seconds: float = STALE_SECONDS,
    ) -> None:
        self._fetch = fetch
        self._metadata = metadata
        self._now = now
        self._tells = tells
        self._changed = changed
        self._lifetimes = Lifetimes(FRESH_SECONDS, stale_seconds)
        self._sets: dict[Place, Refreshed[KeySet]] = {}

    def use(self, issuers: Iterable[Issuer]) -> None:
        """Keep the keys of these issuers only."""
        wanted = {place_of(issuer) for issuer in issuers}
        for place in self._sets.keys() - wanted:
            self._sets.pop(place).close()

    async def candidates(
        self, issuer: Issuer, key_id: str | None, algorithm: str, may_look: Callable[[], None] = lambda: None
    ) -> tuple[SigningKey, ...]:
        """The keys that a token with this header may be signed by, after another look where there is none.

        `may_look` raises what forbids that look. Raises Unavailable.
        """
        kept = self._kept(issuer)
        found = (await kept.get()).candidates(key_id, algorithm)
        if found:
            return found
        may_look()
        return (await kept.newer(APART_SECONDS)).candidates(key_id, algorithm)

    async def newer(self, issuer: Issuer, key_id: str | None, algorithm: str) -> tuple[SigningKey, ...]:
        """The same after another look, as often as that may be taken; raises Unavailable."""
        return (await self._kept(issuer).newer(APART_SECONDS)).candidates(key_id, algorithm)

    def refresh(self) -> None:
        """Renew in the background what is due."""
        for kept in self._sets.values():
            kept.refresh()

    def _kept(self, issuer: Issuer) -> Refreshed[KeySet]:
        place = place_of(issuer)
        kept = self._sets.get(place)
        if kept is None:
            kept = self._sets[place] = Refreshed(
                lambda: self._ask(issuer),
                self._now,
                self._lifetimes,
                name=f"keys of {issuer.issuer}",
                changed=lambda keys: self._changed(place, keys),
            )
        return kept

    async def _ask(self, issuer: Issuer) -> KeySet:
        """Raises Unavailable."""
        try:
            keys = await self._had(issuer)
        except Unavailable as unavailable:
            self._tells.user_keys(issuer.issuer, unavailable.detail, 0)
            raise
        self._tells.user_keys(issuer.issuer, None, len(keys.keys))
        return keys

    async def _had(self, issuer: Issuer) -> KeySet:
        url = issuer.jwks_uri or (await self._metadata.metadata(issuer.issuer)).jwks_uri
        if url is None:
            raise Unavailable(f"the metadata of {issuer.issuer} name no jwks_uri; set jwksUri")
        accept = [(b"accept", b"application/jwk-set+json, application/json")]
        try:
            answer = await self._fetch("GET", url, accept, seconds=FETCH_SECONDS, limit=MOST_BYTES)
            if answer.status != 200:
                raise Unavailable(f"{url} answered with status {answer.status}")
            return read_jwks(answer.body)
        except FetchFailed as failed:
            raise Unavailable(f"{url}: {failed.detail}") from failed
        except JwksInvalid as invalid:
            raise Unavailable(f"{url}: {invalid}") from invalid


def place_of(issuer: Issuer) -> Place:
    """Whose keys these are."""
    return issuer.issuer, issuer.jwks_uri
