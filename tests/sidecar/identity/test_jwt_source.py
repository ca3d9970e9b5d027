from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mesh.identity.jwt_svid import JwtSvid
from mesh.identity.spiffe_id import SpiffeId
from sidecar.identity.jwt_source import jwt_fault, jwt_source_of

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ME, OTHER = SpiffeId("a.example", "/x"), SpiffeId("a.example", "/y")
SVID = JwtSvid(ME, ("db", "vault"), NOW + timedelta(minutes=5), "token")


@pytest.mark.parametrize("own", [ME, None])
def test_a_token_for_all_of_the_audience_is_good(own: SpiffeId | None) -> None:
    assert jwt_fault(SVID, ("db", "vault"), own, NOW) is None


@pytest.mark.parametrize(
    ("audience", "own", "now", "fault"),
    [
        (("db", "idp"), ME, NOW, "not for db, idp"),
        (("db",), OTHER, NOW, "and we are spiffe://a.example/y"),
        (("db",), ME, NOW + timedelta(minutes=5), "expired at"),
    ],
)
def test_any_other_has_a_fault(audience: tuple[str, ...], own: SpiffeId, now: datetime, fault: str) -> None:
    assert fault in str(jwt_fault(SVID, audience, own, now))


def test_a_provider_with_tokens_is_their_source() -> None:
    class Source:
        async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvid:
            return SVID

    source = Source()
    assert jwt_source_of(source) is source
    assert jwt_source_of(object()) is None
    assert jwt_source_of(None) is None
