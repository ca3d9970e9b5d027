"""How the containers of a pod end: hooks, SIGTERM, grace, SIGKILL; native sidecars last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from e2e.cluster.container import Container, Kind
from e2e.cluster.probes import Asked, Say

LEAST_GRACE: Final = 2.0
POLL_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Ending:
    """Ends containers. `pod` is asked again while one waits, since its grace may be shortened meanwhile."""

    pod: Callable[[], dict[str, Any]]
    nobody_cares: Callable[[], bool]
    hook: Callable[[Container, dict[str, Any], float], Asked]
    say: Say

    def end(self, containers: Sequence[Container], grace: float) -> None:
        """End all of them within the grace; a sidecar has a little time of its own when it was used up before."""
        deadline = time.monotonic() + grace
        self._end([one for one in containers if one.kind is not Kind.SIDECAR and one.running], deadline)
        for sidecar in reversed([one for one in containers if one.kind is Kind.SIDECAR and one.running]):
            self._end([sidecar], max(deadline, time.monotonic() + LEAST_GRACE))

    def _end(self, containers: Sequence[Container], deadline: float) -> None:
        """End some containers at the same time."""
        for container in containers:
            self.say("Normal", "Killing", f"Stopping container {container.name}")
        threads = [
            threading.Thread(target=self._before_stop, args=(one, deadline), daemon=True)
            for one in containers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        for container in containers:
            container.terminate()
        self._until(lambda: not any(one.running for one in containers), deadline)
        for container in containers:
            container.kill()
            container.wait(10)

    def _before_stop(self, container: Container, deadline: float) -> None:
        hook = (container.spec.get("lifecycle") or {}).get("preStop")
        if not hook:
            return
        if pause := hook.get("sleep"):
            self._until(lambda: False, min(deadline, time.monotonic() + pause["seconds"]))
            return
        good, said = self.hook(container, hook, deadline - time.monotonic())
        if not good:
            self.say("Warning", "FailedPreStopHook", said)

    def _until(self, done: Callable[[], bool], deadline: float) -> None:
        """Until it is done, its time is over, or nobody cares any more."""
        asked = self._asked()
        while not done() and time.monotonic() < deadline:
            if self.nobody_cares() or (asked is not None and self._asked() != asked):
                return
            time.sleep(POLL_SECONDS)

    def _asked(self) -> int | None:
        grace: int | None = self.pod()["metadata"].get("deletionGracePeriodSeconds")
        return grace
