"""The keys of issuers: had once, followed through rotation, and not to be hammered by made-up names."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from mesh.protocol.oauth.jwks import KeySet
from mesh.protocol.oauth.metadata import ServerMetadata
from sidecar.credentials.key_sets import KeySets, Place
from sidecar.credentials.refreshed import Unavailable
from tests.support.fakes import Clock
from tests.support.issuing import ENTRY, GOOD_JWKS, ISSUER, JWKS_URI, OTHER_RSA_KEY, Told, Web, jwk, jwks

DISCOVERED = dataclasses.replace(ENTRY, jwks_uri=None)


class Metadata:
    def __init__(self, jwks_uri: str | None = JWKS_URI) -> None:
        self.jwks_uri = jwks_uri

    async def metadata(self, issuer: str) -> ServerMetadata:
        return ServerMetadata(issuer, jwks_uri=self.jwks_uri)


class Kept:
    def __init__(self, metadata: Any = None, **more: Any) -> None:
        self.web, self.clock, self.told = Web(), Clock(), Told()
        self.web.serve(JWKS_URI, GOOD_JWKS)
        self.changed: list[tuple[Place, KeySet]] = []
        self.sets = KeySets(
            self.web,
            metadata or Metadata(),
            self.clock,
            self.told,
            lambda place, keys: self.changed.append((place, keys)),
            **more,
        )

    async def count(self, kid: str | None = "one", algorithm: str = "RS256") -> int:
        return len(await self.sets.candidates(ENTRY, kid, algorithm))


async def test_keys_are_fetched_once_for_many() -> None:
    kept = Kept()
    kept.web.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(kept.count()) for _ in range(500)]
    await asyncio.sleep(0)
    kept.web.gate.set()
    assert set(await asyncio.gather(*waiting)) == {1}
    assert len(kept.web.asked) == 1
    assert kept.told.keys == [(ISSUER, None, 2)]


async def test_keys_are_where_the_metadata_say() -> None:
    assert len(await Kept().sets.candidates(DISCOVERED, "one", "RS256")) == 1


async def test_metadata_without_keys_are_told() -> None:
    with pytest.raises(Unavailable, match="jwksUri"):
        await Kept(Metadata(None)).sets.candidates(DISCOVERED, "one", "RS256")


async def test_made_up_identifiers_do_not_hammer_the_issuer() -> None:
    kept = Kept()
    await kept.count()
    for number in range(1000):
        assert await kept.count(f"made-up-{number}") == 0
        kept.clock.now += 0.03
    assert len(kept.web.asked) <= 4


async def test_a_key_that_is_really_new_is_found_within_ten_seconds() -> None:
    kept = Kept()
    await kept.count()
    kept.clock.now += 9
    await kept.count("made-up")
    kept.web.serve(JWKS_URI, jwks(jwk(OTHER_RSA_KEY, kid="new")))
    kept.clock.now += 1
    assert await kept.count("new") == 1
    assert kept.changed[-1][0] == (ISSUER, JWKS_URI)


async def test_in_use_they_are_renewed_every_ten_minutes() -> None:
    kept = Kept()
    await kept.count()
    kept.clock.now += 600
    kept.sets.refresh()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(kept.web.asked) == 2


async def test_while_the_issuer_is_down_old_keys_count_for_as_long_as_is_said() -> None:
    kept = Kept(stale_seconds=3600.0)
    await kept.count()
    kept.web.fail(JWKS_URI)
    kept.clock.now += 3599
    assert await kept.count() == 1
    kept.clock.now += 1
    with pytest.raises(Unavailable):
        await kept.count()
    assert kept.told.keys[-1][1] is not None


async def test_an_unknown_key_of_an_issuer_that_is_down_is_no_unknown_key() -> None:
    kept = Kept()
    await kept.count()
    kept.web.fail(JWKS_URI)
    kept.clock.now += 10
    with pytest.raises(Unavailable):
        await kept.count("new")


@pytest.mark.parametrize("answer", [(b"<html>", 200), (GOOD_JWKS, 404), (GOOD_JWKS, 302), (b"", 500)])
async def test_what_is_no_set_of_keys_takes_nothing_from_the_last_one(answer: tuple[bytes, int]) -> None:
    kept = Kept()
    await kept.count()
    kept.web.serve(JWKS_URI, *answer)
    kept.clock.now += 700
    assert await kept.count() == 1
    kept.clock.now += 700
    assert await kept.count() == 1


async def test_a_set_that_turns_empty_counts() -> None:
    kept = Kept()
    await kept.count()
    kept.web.serve(JWKS_URI, jwks())
    kept.clock.now += 1200
    assert await kept.count() == 0


async def test_what_is_not_in_use_any_more_is_forgotten() -> None:
    kept = Kept()
    await kept.count()
    kept.sets.use([ENTRY])
    await kept.count()
    kept.sets.use([])
    await kept.count()
    assert len(kept.web.asked) == 2
