"""`python -m bench.token_endpoint`: the least that can be called a token endpoint, as a process of its own.

It gives every request a new token and counts: so what is measured is who asks. `GET /count` answers how many
tokens were given since the last time. The port is the first line of its output.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
    b"content-length: %d\r\n\r\n%b"
)
_BODY = (
    b'{"access_token":"bench-%012d","issued_token_type":"urn:ietf:params:oauth:token-type:access_token",'
    b'"token_type":"Bearer","expires_in":3600,"scope":"crm.read"}'
)
_LENGTH = b"\r\ncontent-length: "


class Endpoint:
    """What all connections share."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.given = 0
        self.asked = 0

    def answer(self, head: bytes) -> bytes:
        """The body for one request."""
        if head.startswith(b"GET /count "):
            asked, self.asked = self.asked, 0
            return b"%d" % asked
        self.given += 1
        self.asked += 1
        return _BODY % self.given


class Connection(asyncio.Protocol):
    """Reads requests one after the other, each with Content-Length or without body."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._read = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[: end + 2]
            at = head.lower().find(_LENGTH)
            length = int(head[at + len(_LENGTH) : head.index(b"\r\n", at + 2)]) if at >= 0 else 0
            if len(self._read) < end + 4 + length:
                return
            self._read = self._read[end + 4 + length :]
            body = self._endpoint.answer(head)
            answer = _ANSWER % (len(body), body)
            if self._endpoint.delay and not head.startswith(b"GET"):
                asyncio.get_running_loop().call_later(self._endpoint.delay, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def serve(delay: float) -> None:
    """Until the standard input ends."""
    endpoint = Endpoint(delay)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
