"""Tokens of somebody else, or for somebody else: the log says what differs, the caller learns nothing of us."""

from __future__ import annotations

import pytest

from mesh.reasons import Reason
from tests.support.attacked_pod import attacked_pod
from tests.support.idp import AGENT


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(
    ("claims", "reason", "said"),
    [
        ({"aud": "https://other.example"}, Reason.TOKEN_AUDIENCE, "aud is 'https://other.example',"),
        ({"aud": ["a", "b\r\n"]}, Reason.TOKEN_AUDIENCE, "aud is 'a, b\\r\\n',"),
        ({"aud": "x" * 1000}, Reason.TOKEN_AUDIENCE, f"aud is '{'x' * 128}...',"),
        ({"iss": "https://evil.example"}, Reason.TOKEN_ISSUER, "iss is 'https://evil.example',"),
    ],
)
async def test_the_log_says_what_differs(
    claims: dict[str, object], reason: Reason, said: str, again: bool
) -> None:
    async with attacked_pod() as p:
        bearer = f"authorization: Bearer {p.idp.token('alice', **claims)}"
        for _ in range(1 + again):
            answer = await p.knock("GET /ask", bearer)
        assert answer.startswith(b"HTTP/1.1 401")
        event, line = p.lines.lines[-1]
        assert (event, line["reason"]) == ("refused_message", reason)
        accepted = AGENT if reason is Reason.TOKEN_AUDIENCE else p.idp.issuer
        assert said in str(line["detail"])
        assert str(line["detail"]).endswith(f"; accepted: {accepted}")
        assert b"accepted: " not in answer
        assert p.idp.issuer.encode() not in answer
