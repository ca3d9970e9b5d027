"""Answers of token endpoints under mutated and arbitrary bytes.

Only NoToken escapes, nothing that was sent is told or given back, and every token that is taken can stand in a
header field and ends within a day.
"""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh.protocol.oauth.grants import ACCESS_TOKEN, ID_JAG
from mesh.protocol.oauth.token_refusal import NoToken, Wanted
from mesh.protocol.oauth.token_response import MOST_SECONDS, read_token_response
from mesh.reasons import Reason
from tests.support.fuzzing import examples
from tests.support.token_endpoint import NOW, jwt

SENT = ("users-opaque-token", jwt(sub="alice", aud="crm"), "client-s3cr3t")
SEEDS = [
    b'{"access_token":"abc","token_type":"Bearer","expires_in":300,"scope":"a b"}',
    b'{"access_token":"%s","token_type":"bearer","expires_in":"60"}'
    % jwt(aud=["crm"], exp=NOW + 50).encode(),
    b'{"access_token":"%s","token_type":"N_A","issued_token_type":"%s"}'
    % (jwt(aud="crm").encode(), ID_JAG.encode()),
    b'{"access_token":"%s","token_type":"Bearer"}' % SENT[1].encode(),
    b'{"error":"invalid_grant","error_description":"the token users-opaque-token is bad"}',
    b'{"error":"client-s3cr3t","error_description":"%s"}' % SENT[1].encode(),
    b"<html>log in</html>",
]
FRAGMENTS = [
    *(b'"', b"\\", b"\\u000d\\u000a", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\x00", b"\xff"),
    *(b"NaN", b"-1", b"1e999", b"9" * 400, b"null", b"true", b"[]", b"{}", b"\xef\xbb\xbf", b"[" * 40),
    *(
        b'"access_token":"x",',
        b'"token_type":"mac"',
        b'"expires_in":0',
        b'"aud":"evil"',
        *map(str.encode, SENT),
    ),
]
STATUS = st.sampled_from([200, 200, 200, 200, 302, 400, 401, 403, 404, 429, 500, 503])
REASONS = {Reason.CREDENTIAL_REFUSED, Reason.CREDENTIAL_UNAVAILABLE, Reason.CREDENTIAL_ANSWER_INVALID}
LEFT = re.compile(r"[!-~]+")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A seed with fragments put in, taken out or in place of what was there."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 12)))
        data[start:end] = draw(st.sampled_from(FRAGMENTS) | st.binary(max_size=4))
    return bytes(data)


@given(
    data=mutated() | st.binary(max_size=80),
    status=STATUS,
    header=st.tuples(st.sampled_from([b"location", b"retry-after", b"content-type"]), st.binary(max_size=30)),
    kind=st.sampled_from([ACCESS_TOKEN, ID_JAG]),
)
@example(SEEDS[3], 200, (b"content-type", b""), ACCESS_TOKEN)
@example(SEEDS[5], 400, (b"location", b""), ACCESS_TOKEN)
@example(b'{"error":"a","access_token":{}}', 200, (b"location", b""), ACCESS_TOKEN)
@example(b'{"access_token":"a","token_type":[],"issued_token_type":{}}', 200, (b"location", b""), ID_JAG)
@settings(max_examples=examples(600), deadline=None)
def test_answers(data: bytes, status: int, header: tuple[bytes, bytes], kind: str) -> None:
    wanted = Wanted("crm", frozenset({"asked"}), kind, SENT)
    try:
        token = read_token_response(status, [header], data, wanted, asked=NOW, now=NOW + 1)
    except NoToken as no:
        _check(no)
        return
    assert status == 200
    assert LEFT.fullmatch(token.value)
    assert token.value not in SENT
    assert len(token.value) <= 16 * 1024
    assert NOW + 1 < token.expires <= NOW + MOST_SECONDS


def _check(no: NoToken) -> None:
    assert no.reason in REASONS
    assert no.detail.isascii()
    assert no.detail.isprintable()
    assert len(no.detail) < 1500
    assert not any(secret in f"{no} {no.error}" for secret in SENT)
    assert no.retry_after is None or 0 <= no.retry_after <= 3600
