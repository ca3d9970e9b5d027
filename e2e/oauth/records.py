"""What an authorization server of these tests remembers, and how it is told to misbehave."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Behaviour:
    """How the next answers of the token endpoint differ from honest ones.

    `delay` in seconds; `status`: answer this, with an empty JSON object; `lie`: a name in lies.py, with `location`
    where it needs one; `times`: for how many requests, None for all.
    """

    delay: float = 0.0
    status: int | None = None
    lie: str | None = None
    location: str | None = None
    times: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


HONEST = Behaviour()


class Records:
    """Counts, violations, refusals and accepted requests. Handlers are threads, so it is locked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._behaviour: Behaviour | None = None
        self._seen: set[tuple[str, str]] = set()
        self.clear()

    def clear(self) -> None:
        """As at the start, but assertions that were used stay used."""
        with self._lock:
            self._behaviour = None
            self._counts: Counter[str] = Counter()
            self._violations: list[str] = []
            self._refusals: list[str] = []
            self._granted: list[dict[str, Any]] = []
            self._tokens: list[str] = []

    def count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def violation(self, sentence: str) -> None:
        with self._lock:
            self._violations.append(sentence)

    def refusal(self, error: str, description: str) -> None:
        with self._lock:
            self._refusals.append(f"{error}: {description}")

    def granted(self, **what: Any) -> None:
        """Something was issued; `what` holds no token."""
        with self._lock:
            self._granted.append(what)

    def token(self, *values: str | None) -> None:
        """Tokens and assertions that were seen or made, for tests that look where they are."""
        with self._lock:
            self._tokens += [value for value in values if value]

    def first_use(self, of: str, jti: str) -> bool:
        """Whether an assertion of `of` is seen for the first time."""
        with self._lock:
            known = (of, jti) in self._seen
            self._seen.add((of, jti))
            return not known

    def behave(self, behaviour: Behaviour) -> None:
        with self._lock:
            self._behaviour = behaviour

    def behaviour(self) -> Behaviour:
        """How to answer the request at hand, which is counted."""
        with self._lock:
            now = self._behaviour
            if now is None:
                return HONEST
            if now.times is not None:
                now.times -= 1
                if now.times <= 0:
                    self._behaviour = None
            return now

    def read(self, name: str) -> Any:
        """One of counts, violations, refusals, granted, tokens."""
        with self._lock:
            return {
                "counts": dict(self._counts),
                "violations": list(self._violations),
                "refusals": list(self._refusals),
                "granted": list(self._granted),
                "tokens": list(self._tokens),
            }[name]
