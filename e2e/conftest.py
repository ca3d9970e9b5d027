"""Fixtures of the end-to-end room: each real part starts once for a run, or is skipped loudly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e import environments, namespaces, sidecars, subjects
from e2e.environments import NodeParts, Unavailable
from e2e.meshed_pods import MeshedPods, meshed_pods

# What could not be had, with the reason: said once more at the end, where nobody overlooks it.
UNAVAILABLE: dict[str, str] = {}


def skip(part: str, reason: object) -> None:
    """Skip the test that needs `part`, and remember why."""
    UNAVAILABLE[part] = str(reason)
    pytest.skip(f"{part} cannot be had here: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for part, reason in UNAVAILABLE.items():
        terminalreporter.write_line(f"NOT TESTED: {part}: {reason}", red=True, bold=True)


@pytest.fixture(scope="session")
def node() -> NodeParts:
    try:
        return environments.node()
    except Unavailable as reason:
        skip("Node with the npm packages", reason)
        raise


@pytest.fixture(scope="session")
def python_v2() -> Path:
    try:
        return environments.python_with_mcp_v2()
    except Unavailable as reason:
        skip("mcp 2.x", reason)
        raise


@pytest.fixture(scope="session")
def python_v1() -> Path:
    try:
        return environments.python_with_mcp_v1()
    except Unavailable as reason:
        skip("mcp 1.x", reason)
        raise


@pytest.fixture(scope="session")
def pods(tmp_path_factory: pytest.TempPathFactory, python_v1: Path, python_v2: Path) -> Iterator[MeshedPods]:
    if reason := namespaces.missing():
        skip("pods in network namespaces", reason)
    with meshed_pods(tmp_path_factory.mktemp("pods"), python_v1, python_v2) as built:
        yield built


class Subjects:
    """The servers that probes are aimed at, each started when it is first asked for."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._running: dict[str, subjects.Server] = {}

    def __call__(self, program: str) -> subjects.Server:
        if program not in self._running:
            try:
                self._running[program] = self._stack.enter_context(subjects.running(program, self._folder))
            except Unavailable as reason:
                skip(program, reason)
        return self._running[program]


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subjects]:
    with ExitStack() as stack:
        yield Subjects(tmp_path_factory.mktemp("subjects"), stack)


class Sidecars:
    """A sidecar per policy, each started when it is first asked for and shared by the tests that name it."""

    def __init__(self, factory: pytest.TempPathFactory, stack: ExitStack) -> None:
        self._factory = factory
        self._stack = stack
        self._running: dict[str, sidecars.Sidecar] = {}

    def __call__(self, key: str, documents: list[object], **settings: object) -> sidecars.Sidecar:
        if reason := sidecars.missing():
            skip("the sidecar", reason)
        if key not in self._running:
            folder = self._factory.mktemp(f"sidecar-{key}")
            self._running[key] = self._stack.enter_context(sidecars.running(folder, documents, **settings))
        return self._running[key]


@pytest.fixture(scope="session")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecars]:
    with ExitStack() as stack:
        yield Sidecars(tmp_path_factory, stack)
