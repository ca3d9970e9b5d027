"""The secrets that placeholders stand for: files that the sidecar alone mounts, read anew when they change.

A volume replaces its files while the pod runs, so each is looked at again, at most once a second and only when a
request needs it. They are in memory (tmpfs), where looking takes microseconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.hidden.variables import HiddenVariable

LOOK_SECONDS = 1.0
MOST_BYTES = 64 * 1024
"""Of one secret; those that go into requests have a few hundred."""

_Stamp = tuple[Path, int, int, int]


@dataclass(frozen=True, slots=True)
class Grants:
    """What one Backend gets: the secret by placeholder, None where it is not there now.

    `known`: every placeholder of the pod. One that is no key of `secrets` must not go to this Backend.
    """

    known: frozenset[bytes] = frozenset()
    secrets: Mapping[bytes, bytes | None] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: _Stamp | None
    secret: bytes | None = field(repr=False)


class HiddenSecrets:
    """Every placeholder of the pod; false where nothing is hidden.

    on_problem  told in a sentence why a file that is there cannot be used, whenever it was read
    now         seconds of any clock that only goes forward
    """

    __slots__ = ("_by_variable", "_given", "_now", "_on_problem", "_read", "known", "variables")

    def __init__(
        self,
        variables: Mapping[str, HiddenVariable],
        *,
        on_problem: Callable[[str], None] = lambda sentence: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.variables = {fake.encode(): one for fake, one in variables.items()}
        self.known = frozenset(self.variables)
        self._by_variable: dict[str, list[bytes]] = {}
        for fake, one in self.variables.items():
            self._by_variable.setdefault(one.variable, []).append(fake)
        self._on_problem = on_problem
        self._now = now
        self._read: dict[bytes, _Read] = {}
        self._given: dict[tuple[str, ...], tuple[float, Grants]] = {(): (float("inf"), Grants(self.known))}

    def __bool__(self) -> bool:
        return bool(self.known)

    def grants(self, variables: tuple[str, ...] = ()) -> Grants:
        """For a Backend whose credential names these variables. The same object as long as nothing has changed."""
        given = self._given.get(variables)
        now = self._now()
        if given is not None and now < given[0]:
            return given[1]
        secrets = {fake: self._secret(fake) for name in variables for fake in self._by_variable.get(name, ())}
        grants = Grants(self.known, secrets)
        if given is not None and given[1].secrets == secrets:
            grants = given[1]
        self._given[variables] = (now + LOOK_SECONDS, grants)
        return grants

    def use(self, named: Iterable[tuple[str, ...]]) -> None:
        """Forget what no Backend asks for any more; `named` are those of the configuration now in force."""
        kept = {(), *named}
        for variables in [one for one in self._given if one not in kept]:
            del self._given[variables]

    def named(self, placeholders: Iterable[bytes]) -> str:
        """The variables of these placeholders, in words for logs and answers."""
        known = (self.variables[fake] for fake in placeholders if fake in self.variables)
        return ", ".join(sorted(f"{one.variable} of container {one.container}" for one in known))

    def _secret(self, fake: bytes) -> bytes | None:
        before = self._read.get(fake)
        stamp = _newest(self.variables[fake].files)
        if before is None or before.stamp != stamp:
            before = _Read(None, None) if stamp is None else self._read_file(fake, stamp)
            self._read[fake] = before
        return before.secret

    def _read_file(self, fake: bytes, stamp: _Stamp) -> _Read:
        try:
            with stamp[0].open("rb") as file:
                stamp = _stamp(stamp[0], os.fstat(file.fileno()))
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            self._on_problem(f"{self.named([fake])}: its file cannot be read: {error.strerror}")
            return _Read(stamp, None)
        fault = _fault(content)
        if fault is not None:
            self._on_problem(f"{self.named([fake])}: what its file holds cannot be used: {fault}")
            return _Read(stamp, None)
        # What `echo` and editors leave at the end was never part of a secret that goes into a header.
        return _Read(stamp, content.rstrip(b"\r\n"))


def _newest(files: tuple[Path, ...]) -> _Stamp | None:
    """Of the last file that is there: by it, of several Secrets with the same key, the kubelet goes too."""
    for file in reversed(files):
        try:
            return _stamp(file, file.stat())
        except OSError:
            continue
    return None


def _stamp(file: Path, status: os.stat_result) -> _Stamp:
    # The time of change, which moves with permissions too, so that a file that could not be read is tried again.
    return file, status.st_ino, status.st_ctime_ns, status.st_size


def _fault(content: bytes) -> str | None:
    if len(content) > MOST_BYTES:
        return f"it is longer than {MOST_BYTES} bytes"
    if b"\0" in content:
        return "a NUL is in it"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "it is no UTF-8"
    return None
