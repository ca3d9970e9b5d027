"""A gateway repeats the caller's token in places of its own: the application holds it in none of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest

from tests.support.loopback import answering, json_answer
from tests.support.user_pod import USERS, UserPod, user_pod

PLACES = (
    b"x-forwarded-access-token: %b",
    b"x-amzn-oidc-accesstoken: %b",
    b"x-original-authorization: Bearer %b",
    b"cookie: a=b; session=%b; c=d",
    b"x-original-url: /ask?access_token=%b&x=y",
    b"x-twice: %b %b",
)


@asynccontextmanager
async def world(users: str = "") -> AsyncIterator[UserPod]:
    script, _ = answering(json_answer({}))
    async with user_pod(script, users=USERS.removesuffix("}") + users + "}") as pod:
        yield pod


async def got(pod: UserPod, *lines: bytes, path: bytes = b"/ask", body: bytes = b"") -> tuple[bytes, bytes]:
    """What the application gets of such a request."""
    pod.caller.received = b""
    head = b"".join(line + b"\r\n" for line in lines)
    length = b"content-length: %d\r\n" % len(body)
    pod.caller.transport.write(b"POST %b HTTP/1.1\r\nhost: agent\r\n%b%b\r\n%b" % (path, head, length, body))
    assert (await pod.caller.head()).startswith(b"HTTP/1.1 200")
    return pod.got[-1]


def places(token: bytes) -> list[bytes]:
    return [place.replace(b"%b", token) for place in PLACES]


async def test_a_handle_stands_wherever_the_token_stood() -> None:
    async with world() as pod:
        token = pod.idp.token().encode()
        lines = [b"authorization: Bearer " + token, *places(token)]
        head, _ = await got(pod, *lines, path=b"/ask?a=b&access_token=%b&c=d" % token)
        assert token not in head
        found = re.search(rb"authorization: Bearer (orh_\S+)", head)
        assert found is not None
        for line in places(found[1]):
            assert line + b"\r\n" in head
        assert b" /ask?a=b&access_token=%b&c=d " % found[1] in head


async def test_nothing_stands_there_where_the_application_gets_nothing() -> None:
    async with world(", application: nothing") as pod:
        token = pod.idp.token().encode()
        lines = [b"authorization: Bearer " + token, *places(token), b"x-kept: 1"]
        head, _ = await got(pod, *lines, path=b"/ask?a=b&access_token=%b&c=d" % token)
        assert token not in head
        assert b"orh_" not in head
        assert b"authorization:" not in head.replace(b"x-original-authorization:", b"")
        assert b"x-forwarded-access-token" not in head
        assert b"cookie: a=b; session=; c=d\r\n" in head
        assert b"x-kept: 1\r\n" in head
        assert b" /ask?a=b&access_token=&c=d " in head


async def test_the_token_stays_where_the_application_gets_the_token() -> None:
    async with world(", application: token") as pod:
        token = pod.idp.token().encode()
        head, _ = await got(pod, b"authorization: Bearer " + token, *places(token))
        assert all(line + b"\r\n" in head for line in places(token))


async def test_a_body_is_left_as_it_is() -> None:
    async with world() as pod:
        token = pod.idp.token().encode()
        _, body = await got(pod, b"authorization: Bearer " + token, body=b"token=" + token)
        assert body == b"token=" + token


@pytest.mark.parametrize("scheme", [b"DPoP", b"Token", b"Basic"])
async def test_other_schemes_are_none_of_ours_where_no_user_is_required(scheme: bytes) -> None:
    async with world(", required: false") as pod:
        line = b"authorization: %b %b" % (scheme, pod.idp.token().encode())
        assert line in (await got(pod, line))[0]


async def test_what_is_repeated_on_the_next_request_of_a_connection_is_replaced_as_well() -> None:
    async with world() as pod:
        token = pod.idp.token().encode()
        for _ in range(3):
            head, _ = await got(pod, b"authorization: Bearer " + token, *places(token))
            assert token not in head


async def test_a_token_that_is_spelled_for_a_query_is_found_in_it() -> None:
    async with world() as pod:
        token = pod.idp.token().encode()
        spelled = quote(token, safe="").replace(".", "%2E").encode()
        head, _ = await got(pod, b"authorization: Bearer " + token, path=b"/ask?access_token=" + spelled)
        assert spelled not in head
        assert b"access_token=orh_" in head
