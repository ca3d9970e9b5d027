"""Fetch a URL with one HTTP library: `fetch.py LIBRARY URL`. Every name resolves to this machine.

It knows nothing of authorities: which ones a library trusts is up to the environment.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

HERE = "127.0.0.1"
REAL = socket.getaddrinfo


def everything_is_here(host: Any, *rest: Any, **options: Any) -> Any:
    return REAL(HERE, *rest, **options)


class SocketToHere(socket.socket):
    """For libraries that connect by name."""

    def connect(self, address: Any) -> None:
        super().connect((HERE, *address[1:]))


def with_urllib(url: str) -> str:
    from urllib.request import urlopen

    with urlopen(url, timeout=20) as answer:  # noqa: S310 - the test's own URL
        return str(answer.read().decode())


def with_requests(url: str) -> str:
    import requests

    return str(requests.get(url, timeout=20).text)


def with_httpx(url: str) -> str:
    import httpx

    return str(httpx.get(url, timeout=20).text)


def with_httpx2(url: str) -> str:
    import httpx2

    return str(httpx2.get(url, timeout=20).text)


def with_httplib2(url: str) -> str:
    import httplib2

    _, body = httplib2.Http(timeout=20).request(url)
    return str(body.decode())


def with_aiohttp(url: str) -> str:
    import aiohttp

    async def fetch() -> str:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    return asyncio.run(fetch())


def with_botocore(url: str) -> str:
    """The HTTP client of the AWS SDK, with the roots that it would take."""
    from botocore.awsrequest import AWSRequest
    from botocore.httpsession import URLLib3Session
    from botocore.session import Session

    verify = Session().get_config_variable("ca_bundle") or True
    answer = URLLib3Session(verify=verify).send(AWSRequest("GET", url).prepare())
    return str(answer.content.decode())


if __name__ == "__main__":
    socket.getaddrinfo = everything_is_here
    socket.socket = SocketToHere  # type: ignore[misc]
    print(globals()[f"with_{sys.argv[1]}"](sys.argv[2]))
