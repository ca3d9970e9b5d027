"""Asking the system's resolver, which may take many seconds to say that nobody answers.

An event loop's own lookups share a few threads: a handful of names whose servers are silent would hold up every
other name. So the names that an agent chose cannot use up the threads of those that are declared, and a name is
asked for once however many wait for it. The threads are daemons, because none of them can be interrupted and the
process must be able to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

from sidecar.tasks import spawn

Found = tuple[int, str, tuple[Any, ...]]
"""Address family, address as text, and the address as sockets take it."""

DECLARED_AT_ONCE = 16
UNDECLARED_AT_ONCE = 8


class Lookups:
    """Lookups of which at most `at_once` are under way; more wait their turn.

    `ask`: what blocks until the resolver has answered; it may raise OSError and UnicodeError.
    """

    def __init__(self, at_once: int, ask: Callable[[str, int], list[Found]] | None = None) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._ask = ask or ask_system
        self._asked: dict[tuple[str, int], asyncio.Task[list[Found] | OSError]] = {}

    async def __call__(self, host: str, port: int) -> list[Found]:
        """Every address of a host, best first; an address is its own. Raises OSError where there is none."""
        key = host, port
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = spawn(self._answer(host, port), name=f"look up {host}")
            asked.add_done_callback(lambda done: self._asked.pop(key, None))
        # Whoever waits may leave; the question stays asked, for the others and because it cannot be taken back.
        found = await asyncio.shield(asked)
        if isinstance(found, OSError):
            raise found
        return found

    async def _answer(self, host: str, port: int) -> list[Found] | OSError:
        async with self._turn:
            loop = asyncio.get_running_loop()
            answered: asyncio.Future[list[Found] | OSError] = loop.create_future()

            def work() -> None:
                answer: list[Found] | OSError
                try:
                    answer = self._ask(host, port)
                except OSError as error:
                    answer = error
                except UnicodeError as error:
                    answer = OSError(f"{host!r} is no name that can be looked up: {error}")
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(_settle, answered, answer)

            threading.Thread(target=work, name=f"look up {host}", daemon=True).start()
            return await answered


def _settle(future: asyncio.Future[list[Found] | OSError], answer: list[Found] | OSError) -> None:
    if not future.done():
        future.set_result(answer)


def ask_system(host: str, port: int) -> list[Found]:
    """As the C library resolves names: files, search domains and all. Blocks."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(address[0]), address) for family, _, _, _, address in answers]
