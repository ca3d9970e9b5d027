"""The metadata of authorization servers, by issuer: found where the specifications say, and kept.

The names of issuers come from whoever writes policies and Backends, never from a token.
"""

from __future__ import annotations

from collections.abc import Callable

from mesh.protocol.oauth.metadata import MetadataInvalid, ServerMetadata, probe_urls, read_metadata
from sidecar.credentials.fetch import Fetcher, FetchFailed
from sidecar.credentials.refreshed import Lifetimes, Refreshed, Unavailable

LIFETIMES = Lifetimes(fresh=3600.0, stale=86400.0)
FETCH_SECONDS = 5.0
MOST_ISSUERS = 256


class Issuers:
    """What each issuer publishes, at most `MOST_ISSUERS` of them. `now`: seconds since 1970."""

    def __init__(self, fetch: Fetcher, now: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now = now
        self._known: dict[str, Refreshed[ServerMetadata]] = {}

    async def metadata(self, issuer: str) -> ServerMetadata:
        """The metadata of `issuer`; raises Unavailable where there are none, of now or of the last day."""
        known = self._known.pop(issuer, None)
        if known is None:
            known = Refreshed(lambda: self._ask(issuer), self._now, LIFETIMES, name=f"metadata of {issuer}")
            if len(self._known) >= MOST_ISSUERS:
                self._known.pop(next(iter(self._known))).close()
        self._known[issuer] = known
        return await known.get()

    async def _ask(self, issuer: str) -> ServerMetadata:
        """Try each place; raises Unavailable with what was wrong with a document, else what the last one said."""
        try:
            places = probe_urls(issuer)
        except MetadataInvalid as invalid:
            raise Unavailable(str(invalid)) from invalid
        problem, wrong = "", ""
        for url in places:
            try:
                answer = await self._fetch(
                    "GET", url, [(b"accept", b"application/json")], seconds=FETCH_SECONDS
                )
                if answer.status == 200:
                    return read_metadata(issuer, answer.body)
            except FetchFailed as failed:
                # The other places are on the same server.
                detail = f"the metadata of {issuer}: {failed.detail}"
                raise Unavailable(detail, plain_text=failed.plain_text) from failed
            except MetadataInvalid as invalid:
                wrong = wrong or f"{url}: {invalid}"
            else:
                problem = f"{url}: answered with status {answer.status}"
        raise Unavailable(wrong or problem, invalid=bool(wrong))
