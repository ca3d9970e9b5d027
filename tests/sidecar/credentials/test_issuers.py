"""Metadata of issuers: where they are looked for, and for how long they count."""

from __future__ import annotations

import json

import pytest

from sidecar.credentials.issuers import MOST_ISSUERS, Issuers
from sidecar.credentials.refreshed import Unavailable
from tests.support.fakes import Clock
from tests.support.issuing import ISSUER, Web

OAUTH = "https://idp.example.com/.well-known/oauth-authorization-server/realms/acme"
OPENID = "https://idp.example.com/.well-known/openid-configuration/realms/acme"
APPENDED = ISSUER + "/.well-known/openid-configuration"
DOCUMENT = json.dumps({"issuer": ISSUER, "jwks_uri": ISSUER + "/jwks"}).encode()


@pytest.mark.parametrize(("place", "asked"), [(OAUTH, 1), (OPENID, 2), (APPENDED, 3)])
async def test_metadata_are_found_at_each_place(place: str, asked: int) -> None:
    web = Web()
    web.serve(place, DOCUMENT)
    assert (await Issuers(web, Clock()).metadata(ISSUER)).jwks_uri == ISSUER + "/jwks"
    assert [url for _, url, _ in web.asked] == [OAUTH, OPENID, APPENDED][:asked]


@pytest.mark.parametrize("wrong", [b"<html>", b'{"issuer": "https://evil.example.com"}'])
async def test_what_is_no_document_of_this_issuer_is_passed_over(wrong: bytes) -> None:
    web = Web()
    web.serve(OAUTH, wrong)
    web.serve(OPENID, DOCUMENT)
    assert (await Issuers(web, Clock()).metadata(ISSUER)).issuer == ISSUER


async def test_they_are_kept_for_an_hour() -> None:
    web, clock = Web(), Clock()
    web.serve(OAUTH, DOCUMENT)
    issuers = Issuers(web, clock)
    for _ in range(3):
        await issuers.metadata(ISSUER)
        clock.now += 1000
    assert len(web.asked) == 1


@pytest.mark.parametrize(("status", "told"), [(404, "404"), (302, "302"), (500, "500")])
async def test_an_issuer_without_metadata_is_told(status: int, told: str) -> None:
    web = Web()
    web.serve(APPENDED, b"", status)
    with pytest.raises(Unavailable, match=told):
        await Issuers(web, Clock()).metadata(ISSUER)


async def test_an_issuer_that_does_not_answer_is_asked_at_one_place_only_and_not_again_at_once() -> None:
    web = Web()
    web.fail(OAUTH)
    issuers = Issuers(web, Clock())
    for _ in range(2):
        with pytest.raises(Unavailable, match="connection refused"):
            await issuers.metadata(ISSUER)
    assert len(web.asked) == 1


@pytest.mark.parametrize("wrong", [b"<html>", b'{"issuer": "https://evil.example.com"}'])
async def test_that_there_was_an_answer_and_it_is_none_is_told_again_and_again(wrong: bytes) -> None:
    web = Web()
    web.serve(OAUTH, wrong)
    issuers = Issuers(web, Clock())
    for _ in range(2):
        with pytest.raises(Unavailable, match="the metadata are") as caught:
            await issuers.metadata(ISSUER)
        assert (caught.value.invalid, caught.value.plain_text) == (True, False)


async def test_what_is_no_issuer_is_told() -> None:
    with pytest.raises(Unavailable, match="issuer"):
        await Issuers(Web(), Clock()).metadata("nobody")


async def test_issuers_are_bounded() -> None:
    web = Web()
    issuers = Issuers(web, Clock())
    for number in range(MOST_ISSUERS + 5):
        with pytest.raises(Unavailable):
            await issuers.metadata(f"https://{number}.example.com")
    assert len(issuers._known) == MOST_ISSUERS
