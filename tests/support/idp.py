"""An issuer on loopback: metadata, keys, and a token endpoint that exchanges what it issued."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

from tests.support.issuing import EC_KEY, claims, header, jwk, jwks, token

AGENT = "https://agent.example.com"
Raw = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Idp:
    """Answers until `down`; `tokens` is what was asked of the token endpoint, `answer` how it answers."""

    def __init__(self) -> None:
        self.port = 0
        self.down = False
        self.asked: list[str] = []
        self.tokens: list[dict[str, str]] = []
        self.keys = jwks(jwk(EC_KEY, kid="two"))
        self.answer: Callable[[dict[str, str]], tuple[int, Any]] = self.exchanged
        self.gate: asyncio.Event | None = None
        self.made: list[str] = []
        self.metadata: dict[str, Any] = {}
        """What the metadata say instead, by member."""
        self.raw: dict[str, Raw] = {}
        """Who answers instead, by the end of the path; with whatever bytes."""

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}/realms/acme"

    def token(self, user: str = "alice", **changed: Any) -> str:
        """A user's token for the agent."""
        said = {"iss": self.issuer, "sub": user, "aud": AGENT, "exp": int(time.time()) + 300, "azp": "web"}
        made = token(claims(**{**said, "iat": ..., **changed}), header(alg="ES256", kid="two"), EC_KEY)
        self.made.append(made)
        return made

    def exchanged(self, form: dict[str, str]) -> tuple[int, Any]:
        """Anything for anybody: for its user, by its number."""
        body = {"access_token": f"exchanged-token-{len(self.tokens)}", "token_type": "Bearer"}
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return 200, {**body, "expires_in": 300, "issued_token_type": kind}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not self.down:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [
                    int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-le")
                ]
                body = await reader.readexactly(length[0] if length else 0)
                path = head.split(b" ")[1].decode()
                for end, raw in self.raw.items():
                    if path.endswith(end):
                        self.asked.append(path)
                        await raw(writer)
                        return
                status, value = await self._reply(path, body.decode())
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                fields = f"content-type: application/json\r\ncontent-length: {len(data)}\r\n"
                writer.write(f"HTTP/1.1 {status} Said\r\n{fields}\r\n".encode() + data)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _reply(self, path: str, body: str) -> tuple[int, Any]:
        self.asked.append(path)
        if path.endswith("/token"):
            self.tokens.append({name: values[0] for name, values in parse_qs(body).items()})
            if self.gate is not None:
                await self.gate.wait()
            return self.answer(self.tokens[-1])
        if path.endswith("/jwks"):
            return 200, self.keys
        if "/.well-known/" in path:
            endpoints = {"token_endpoint": self.issuer + "/token", "jwks_uri": self.issuer + "/jwks"}
            return 200, {"issuer": self.issuer, **endpoints, **self.metadata}
        return 404, {}


@asynccontextmanager
async def idp() -> AsyncIterator[Idp]:
    """Run one on a free port."""
    made = Idp()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
