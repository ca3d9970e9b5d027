"""A token endpoint that lies: nothing of it reaches a Backend, a log or the agent.

Each row is an answer to the exchange of a user's token for one of the audience crm.
"""

from __future__ import annotations

import json

import pytest

from mesh.policy.credentials import ClientAuth, ClientMethod, Exchange
from mesh.reasons import Reason
from sidecar.credentials.fetch import Fetched
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.mint.exchange import mint
from tests.support.token_endpoint import (
    ALICE,
    SECRET,
    USERS_TOKEN,
    FakeFetch,
    answer,
    given,
    jwt,
    parts,
    server,
)

CLIENT = ClientAuth(ClientMethod.SECRET_POST, "triage", secret=SECRET)
CONFIG = Exchange(server(CLIENT), audience="crm", scopes=("a",))
PASSWORD = "cl1ent-s3cr3t"
TYPE = "urn:ietf:params:oauth:token-type:"


def text(body: str, status: int = 200) -> Fetched:
    return answer(body.encode(), status)


def redirect(status: int, location: str) -> Fetched:
    return answer(b"", status, [(b"location", location.encode())])


ANSWER_INVALID = {
    "a token for another audience": given(jwt(sub="alice", aud="payroll")),
    "a token for everybody but us": given(jwt(sub="alice", aud=["payroll", "crm2", "CRM"])),
    "an audience that two readers read differently": given("aGk.eyJhdWQiOiJjcm0iLCJhdWQiOiJldmlsIn0.c2ln"),
    "the user's token": given(USERS_TOKEN),
    "the user's token with another signature": given(USERS_TOKEN.rpartition(".")[0] + ".AAAA"),
    "our secret as token": given(PASSWORD),
    "a header of its own in the token": given("x\r\nX-Admin: yes"),
    "a line feed in the token": given("x\nX-Admin: yes"),
    "a NUL in the token": given("x\x00"),
    "a second credential in the token": given("x, Basic YWRtaW46"),
    "a token of 17 KiB": given("x" * 17 * 1024),
    "an empty token": given(""),
    "a list of tokens": answer({"access_token": ["x"], "token_type": "Bearer"}),
    "another kind of token": given(token_type="mac"),
    "a token bound to a key": given(token_type="DPoP"),
    "no kind of token": answer({"access_token": "x"}),
    "a refresh token called so": given(issued_token_type=TYPE + "refresh_token"),
    "an identity assertion": given(issued_token_type=TYPE + "id-jag"),
    "a refresh token alone": answer({"refresh_token": "x", "token_type": "Bearer", "expires_in": 1}),
    "a negative lifetime": given(expires_in=-1),
    "no lifetime left": given(expires_in=0),
    "a lifetime that is no number": text('{"access_token":"x","token_type":"Bearer","expires_in":NaN}'),
    "a lifetime without end": text('{"access_token":"x","token_type":"Bearer","expires_in":1e999}'),
    "a token of long ago": given(jwt(aud="crm", exp=1)),
    "two tokens": text('{"access_token":"x","access_token":"y","token_type":"Bearer"}'),
    "two kinds": text('{"access_token":"x","token_type":"mac","token_type":"Bearer"}'),
    "JSON of a thousand levels": text('{"a":' + "[" * 1000 + "]" * 1000 + "}"),
    "JSON in JSON": answer({"data": {"access_token": "x", "token_type": "Bearer"}}),
    "JSON as text": answer(json.dumps({"access_token": "x", "token_type": "Bearer"})),
    "no object": text("[]"),
    "a form": text("access_token=x&token_type=Bearer"),
    "a page": Fetched(200, [(b"content-type", b"text/html")], b"<html><form>Log in</form></html>"),
    "nothing": text(""),
    "a redirect to another host": redirect(302, "https://evil.example/token"),
    "a redirect that keeps the body": redirect(307, "https://evil.example/token"),
    "a redirect to the node": redirect(308, "http://169.254.169.254/latest/"),
    "a redirect to nowhere": answer(b"", 301),
    "success of another kind": answer({"access_token": "x", "token_type": "Bearer"}, 201),
}
OTHERS = {
    "10 MB": (text("x" * 10_000_000), Reason.CREDENTIAL_UNAVAILABLE),
    "the secret in its error": (answer({"error": PASSWORD}, 400), Reason.CREDENTIAL_REFUSED),
    "the user's token in its words": (
        answer({"error": "invalid_grant", "error_description": f"bad token {USERS_TOKEN}"}, 400),
        Reason.CREDENTIAL_REFUSED,
    ),
    "log lines in its words": (
        answer({"error": "x", "error_description": 'a\n{"event":"ready"}\x1b[2J'}, 400),
        Reason.CREDENTIAL_REFUSED,
    ),
    "a page with 401": (Fetched(401, [], b"<html>"), Reason.CREDENTIAL_REFUSED),
    "a page with 503": (Fetched(503, [], b"<html>"), Reason.CREDENTIAL_UNAVAILABLE),
    "a token with 500": (
        answer({"access_token": "x", "token_type": "Bearer"}, 500),
        Reason.CREDENTIAL_UNAVAILABLE,
    ),
}
ATTACKS = {name: (said, Reason.CREDENTIAL_ANSWER_INVALID) for name, said in ANSWER_INVALID.items()} | OTHERS


@pytest.mark.parametrize(("said", "reason"), ATTACKS.values(), ids=ATTACKS)
async def test_a_lie_is_refused_and_nothing_secret_is_told(said: Fetched, reason: Reason) -> None:
    fetch = FakeFetch([said])
    with pytest.raises(CredentialRefused) as caught:
        await mint(CONFIG, ALICE, frozenset(), parts=parts(fetch, secrets={SECRET: PASSWORD.encode()}))
    no = caught.value
    assert no.reason is reason
    assert len(fetch.requests) == 1
    told = f"{no} {no!r} {no.detail} {no.__cause__!r}"
    for secret in (USERS_TOKEN, USERS_TOKEN.partition(".")[2], PASSWORD, "eyJ", "X-Admin", "latest"):
        assert secret not in told
    assert no.detail.isprintable()
    assert len(no.detail) < 600


async def test_the_truth_is_taken() -> None:
    fetch = FakeFetch(
        [given(jwt(sub="alice", aud=["crm", "account"]), refresh_token="never-kept", scope="a")]
    )
    issued = await mint(CONFIG, ALICE, frozenset(), parts=parts(fetch, secrets={SECRET: PASSWORD.encode()}))
    assert "never-kept" not in repr(issued.fields) + repr(issued.secrets)
    assert "eyJ" not in repr(issued)
