"""Who asks for reviews costs the API server and us only so much, whoever they are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from mesh.identity.issuance import Refusal
from tests.support.ca import AUDIENCE, TokenIssuer, WallClock
from webhook.cluster.failures import Troubles
from webhook.identity import token_review
from webhook.identity.token_review import TokenReviews
from webhook.identity.token_reviewer import TokenRefused

CLOCK = WallClock(datetime(2026, 1, 1, tzinfo=UTC))
TOKENS = TokenIssuer(CLOCK)
EXTRA = {
    "authentication.kubernetes.io/pod-name": ["triage-1"],
    "authentication.kubernetes.io/pod-uid": ["2"],
}
YES = {
    "authenticated": True,
    "audiences": [AUDIENCE],
    "user": {"username": "system:serviceaccount:agents:triage", "extra": EXTRA},
}


class Api:
    """Answers once it is told to."""

    def __init__(self, status: Any = YES) -> None:
        self.status = status
        self.asked: list[str] = []
        self.answers = asyncio.Event()

    async def create(self, _collection: Any, document: Any) -> bytes:
        self.asked.append(document["spec"]["token"])
        await self.answers.wait()
        return msgspec.json.encode({"status": self.status})


def reviews(api: Api) -> TokenReviews:
    troubles = Troubles(lambda _line: None, lambda *_: None)
    return TokenReviews(api, AUDIENCE, troubles, CLOCK, CLOCK.seconds)  # type: ignore[arg-type]


async def begun(made: TokenReviews, source: str = "", token: str = "") -> asyncio.Task[Any]:
    """Someone waits for an answer."""
    waiting = asyncio.ensure_future(made.review(token or TOKENS.token(), source))
    for _ in range(4):
        await asyncio.sleep(0)
    return waiting


async def left(*waiting: asyncio.Task[Any]) -> None:
    """They give up."""
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def refusal(waiting: asyncio.Task[Any]) -> TokenRefused:
    with pytest.raises(TokenRefused) as raised:
        await waiting
    return raised.value


async def test_a_question_that_nobody_waits_for_any_more_is_not_asked() -> None:
    api = Api()
    made = reviews(api)
    crowd = [await begun(made, f"10.0.0.{one}") for one in range(token_review.MOST_AT_ONCE + 50)]
    await left(*crowd)
    honest = await begun(made, "10.1.0.1")
    assert made.waiting == token_review.MOST_AT_ONCE + 1, "what has been asked is heard out"
    api.answers.set()
    assert (await honest).pod == "triage-1"
    assert len(api.asked) == token_review.MOST_AT_ONCE + 1
    assert made.waiting == 0


async def test_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    api = Api()
    made = reviews(api)
    crowd = [await begun(made, f"10.0.0.{one}") for one in range(token_review.MOST_AT_ONCE)]
    token = TOKENS.token()
    first, second = await begun(made, "a", token), await begun(made, "b", token)
    await left(first)
    api.answers.set()
    assert (await second).uid == "2"
    await asyncio.gather(*crowd)
    assert api.asked.count(token) == 1


async def test_one_address_can_have_only_so_many_wait() -> None:
    api = Api()
    made = reviews(api)
    crowd = [await begun(made, "10.0.0.1") for _ in range(token_review.MOST_OF_ONE)]
    refused = await refusal(await begun(made, "10.0.0.1"))
    assert (refused.refusal, refused.retry_after) == (Refusal.UNAVAILABLE, token_review.RETRY_SECONDS)
    other = await begun(made, "10.0.0.2")
    await left(*crowd[token_review.MOST_AT_ONCE :])
    again = await begun(made, "10.0.0.1")
    api.answers.set()
    assert await other == await again
    await asyncio.gather(*crowd[: token_review.MOST_AT_ONCE])


async def test_only_so_many_questions_wait_at_all() -> None:
    made = reviews(Api())
    crowd = [await begun(made, str(one)) for one in range(token_review.MOST_WAITING)]
    refused = await refusal(await begun(made, "another"))
    assert (refused.refusal, refused.retry_after) == (Refusal.UNAVAILABLE, token_review.RETRY_SECONDS)
    await left(*crowd)


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"aud": ["other"]}, "audience"),
        ({"aud": "other"}, "audience"),
        ({"aud": 5}, "audience"),
        ({"kubernetes.io": None}, "not bound to a pod"),
        ({"kubernetes.io": {"namespace": "agents", "pod": {"name": "x"}}}, "not bound to a pod"),
        ({"kubernetes.io": {"namespace": "agents", "pod": {"name": "x", "uid": 5}}}, "not bound to a pod"),
        ({"exp": 5}, "expired"),
        ({"exp": "5"}, "exp is no date"),
        ({"exp": True}, "exp is no date"),
    ],
)
async def test_what_can_be_seen_here_the_api_server_is_not_asked(claims: dict[str, Any], told: str) -> None:
    api = Api()
    refused = await refusal(await begun(reviews(api), token=TOKENS.token(**claims)))
    assert told in refused.detail
    assert api.asked == []


async def test_an_audience_may_stand_alone() -> None:
    api = Api()
    api.answers.set()
    assert (await reviews(api).review(TOKENS.token(aud=AUDIENCE))).pod == "triage-1"


async def test_a_refusal_is_remembered_for_a_moment() -> None:
    api = Api({"authenticated": False, "error": "no"})
    api.answers.set()
    made, token = reviews(api), TOKENS.token()
    first = await refusal(await begun(made, token=token))
    second = await refusal(await begun(made, token=token))
    assert (second.refusal, second.detail) == (first.refusal, first.detail)
    assert len(api.asked) == 1
    CLOCK.move(token_review.REFUSED_SECONDS)
    await refusal(await begun(made, token=token))
    assert len(api.asked) == 2


async def test_only_so_many_answers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_review, "MOST_REMEMBERED", 2)
    api = Api({"authenticated": False})
    api.answers.set()
    made, first = reviews(api), TOKENS.token()
    for token in (first, TOKENS.token(), TOKENS.token(), first):
        await refusal(await begun(made, token=token))
    assert len(api.asked) == 4
