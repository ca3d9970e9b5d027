"""Our JWT-SVID as the credential itself."""

from __future__ import annotations

import pytest

from mesh.identity.jws import read_jws
from mesh.policy.credentials import SvidToken
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.mint.svid import mint
from sidecar.credentials.mint.token_endpoint import Parts
from tests.support.token_endpoint import ALICE, ME, NOW, FakeFetch, FakeIssuers, FakeSource, answer, proof

CONFIG = SvidToken("https://mcp.example")
NONE: frozenset[str] = frozenset()


async def test_it_is_for_the_audience_and_ends_with_itself() -> None:
    fetch = FakeFetch([answer({})])
    source = FakeSource(fetch.clock)
    parts = Parts(fetch, FakeIssuers(), proof(source, fetch.clock), fetch.clock, "crm")
    issued = await mint(CONFIG, ALICE, NONE, parts=parts)
    ((name, value),) = issued.fields
    assert name == b"authorization"
    claims = read_jws(value.decode().removeprefix("Bearer ")).claims
    assert (claims["sub"], claims["aud"]) == (str(ME), [CONFIG.audience])
    assert issued.expires == NOW + 300
    assert fetch.requests == []


async def test_each_is_new_since_the_last_may_be_what_was_not_accepted() -> None:
    fetch = FakeFetch([answer({})])
    source = FakeSource(fetch.clock)
    parts = Parts(fetch, FakeIssuers(), proof(source, fetch.clock), fetch.clock, "crm")
    await mint(CONFIG, None, NONE, parts=parts)
    await mint(CONFIG, None, NONE, parts=parts)
    assert len(source.asked) == 2


async def test_without_jwt_svids_there_is_none() -> None:
    fetch = FakeFetch([answer({})])
    parts = Parts(fetch, FakeIssuers(), proof(None, fetch.clock), fetch.clock, "crm")
    with pytest.raises(CredentialRefused, match=r"Backend crm: .* no JWT-SVIDs") as refused:
        await mint(CONFIG, None, NONE, parts=parts)
    assert refused.value.reason is Reason.CREDENTIAL_UNAVAILABLE
