"""Pods that are created all the time while something else happens, with every refusal on record."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from e2e.cluster.api import ApiError, Json
from e2e.cluster.kube import Kube


@dataclass(slots=True)
class Steady:
    """How it went so far."""

    created: list[Json] = field(default_factory=list)
    failed: list[ApiError] = field(default_factory=list)
    slowest: float = 0.0


@contextlib.contextmanager
def steady_creation(
    kube: Kube, namespace: str, make: Callable[[int], Json], *, pause: float = 0.02, dry_run: bool = True
) -> Iterator[Steady]:
    """Create what `make` gives for 0, 1, 2… until the block ends. A dry run passes admission and runs nothing."""
    went, over = Steady(), threading.Event()

    def run() -> None:
        number = 0
        while not over.is_set():
            began = time.monotonic()
            try:
                went.created.append(kube.create(make(number), namespace=namespace, dry_run=dry_run))
            except ApiError as error:
                went.failed.append(error)
            went.slowest = max(went.slowest, time.monotonic() - began)
            number += 1
            over.wait(pause)
        kube.api.forget()

    thread = threading.Thread(target=run, name="steady creation", daemon=True)
    thread.start()
    try:
        yield went
    finally:
        over.set()
        thread.join(60)
