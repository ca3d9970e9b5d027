from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mesh.identity.issuance import BundlesAnswer, SvidAnswer
from sidecar.identity import files, workload_api
from sidecar.identity.backoff import Backoff
from sidecar.identity.builtin import BuiltinProvider
from sidecar.identity.endless import endless
from sidecar.identity.files import FilesProvider
from sidecar.identity.identity_files import FileLayout
from sidecar.identity.provider import Identity, IdentityProvider
from sidecar.identity.workload_api import WorkloadApiProvider
from sidecar.tasks import spawn


class Sleeps:
    """Sleeps that take no time; after `most` of them nothing goes on."""

    def __init__(self, most: int) -> None:
        self.delays: list[float] = []
        self.enough = asyncio.Event()
        self._most = most

    async def __call__(self, seconds: float) -> None:
        self.delays.append(seconds)
        if len(self.delays) == self._most:
            self.enough.set()
            await asyncio.Event().wait()


async def run_until(sleeps: Sleeps, run: Any) -> list[str]:
    """Run until nothing goes on; returns what the loop was told of failed tasks."""
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: told.append(repr(context.get("exception")))
    )
    task = spawn(run, name="provider")
    try:
        async with asyncio.timeout(60):
            await sleeps.enough.wait()
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return told


async def test_what_fails_unforeseen_is_told_and_begun_again_later_each_time() -> None:
    sleeps, problems = Sleeps(3), []

    async def fail() -> None:
        raise OverflowError("int too large")

    told = await run_until(
        sleeps, endless(fail, problems.append, Backoff(first=1, longest=2, draw=lambda: 1.0), sleeps)
    )
    assert sleeps.delays == [1, 2, 2]
    assert told == ["OverflowError('int too large')"] * 3
    assert problems == ["the identity provider failed (OverflowError: int too large) and is begun again"] * 3


async def test_what_ends_is_begun_again_too() -> None:
    sleeps, problems = Sleeps(2), []

    async def end() -> None:
        return

    await run_until(sleeps, endless(end, problems.append, Backoff(first=1), sleeps))
    assert problems == ["the identity provider ended and is begun again"] * 2


async def test_cancelling_reaches_what_runs() -> None:
    cancelled, begun = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = spawn(endless(run, lambda problem: None, Backoff(), asyncio.sleep), name="endless")
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


class Broken:
    """A CA's client with a fault that nobody foresaw."""

    async def svid(self, csr: str) -> SvidAnswer:
        raise OverflowError("svid")

    async def bundles(self) -> BundlesAnswer:
        raise OverflowError("bundles")


def builtin(sleeps: Sleeps, problem: Callable[[str], None], _patch: pytest.MonkeyPatch) -> IdentityProvider:
    client: Any = Broken()
    return BuiltinProvider(client, on_problem=problem, sleep=sleeps)


def of_files(sleeps: Sleeps, problem: Callable[[str], None], patch: pytest.MonkeyPatch) -> IdentityProvider:
    def broken(paths: object) -> None:
        raise OverflowError("files")

    patch.setattr(files, "read_files", broken)
    return FilesProvider(FileLayout(Path("a"), None, Path("b")), on_problem=problem, sleep=sleeps)


def of_workload_api(
    sleeps: Sleeps, problem: Callable[[str], None], patch: pytest.MonkeyPatch
) -> IdentityProvider:
    def broken(socket: str) -> None:
        raise OverflowError("stream")

    patch.setattr(workload_api, "Stream", broken)
    return WorkloadApiProvider("unix:///none", on_problem=problem, sleep=sleeps)


@pytest.mark.parametrize("make", [builtin, of_files, of_workload_api])
async def test_no_provider_ends_by_what_nobody_foresaw(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps, problems = Sleeps(3), []
    published: list[Identity] = []
    provider = make(sleeps, problems.append, monkeypatch)
    told = await run_until(sleeps, provider.run(published.append))
    assert len(told) == 3
    (problem,) = problems
    assert "failed (OverflowError" in problem
