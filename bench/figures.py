"""The arithmetic of a report: medians of repetitions, ratios between proxies, and whether a target is met.

Machines are shared, so a single figure says little: every one is taken several times, in turns with the
other proxies, and its median counts. What is compared with a target is a ratio within one run wherever the
target is a ratio.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median

OTHERS_SHARE = "others_share"  # the figure that tells how much of the proxy's core others took
QUIET_SHARE = 0.1  # up to this much is what a machine at rest shows


@dataclass(frozen=True, slots=True)
class Cell:
    """Which figure: of which proxy, under which load, and its name."""

    proxy: str
    load: str
    figure: str


@dataclass(slots=True)
class Results:
    """Every value that was measured, by cell."""

    values: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, proxy: str, load: str, figures: dict[str, float]) -> None:
        """Add the figures of one repetition."""
        for name, value in figures.items():
            self.values[Cell(proxy, load, name)].append(value)

    def get(self, proxy: str, load: str, figure: str) -> float | None:
        """The median over the quiet repetitions; None when it was not measured."""
        found = self.values.get(Cell(proxy, load, figure))
        if not found:
            return None
        shares = self.values.get(Cell(proxy, load, OTHERS_SHARE), [0.0] * len(found))
        return median(quiet(found, shares))

    def spread(self, proxy: str, load: str, figure: str) -> float | None:
        """How far the repetitions lie apart: (largest - smallest) / median."""
        found = self.values.get(Cell(proxy, load, figure))
        if not found or not median(found):
            return None
        return (max(found) - min(found)) / median(found)


def quiet(values: list[float], shares: list[float]) -> list[float]:
    """The values of those repetitions during which others took little of the proxy's core.

    What others take costs the proxy its caches too. So of noisy repetitions only the better half counts.
    """
    limit = max(QUIET_SHARE, median(shares))
    return [value for value, share in zip(values, shares, strict=True) if share <= limit]


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """ours / theirs; None when either is not there or there is nothing to divide by."""
    if ours is None or not theirs:
        return None
    return ours / theirs


def difference(ours: float | None, theirs: float | None) -> float | None:
    """ours - theirs; None when either is not there."""
    if ours is None or theirs is None:
        return None
    return ours - theirs


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure beside the most that it may be."""

    title: str
    measured: float | None
    target: float
    unit: str

    @property
    def met(self) -> bool | None:
        """Whether it is within its target; None when it was not measured."""
        return None if self.measured is None else self.measured <= self.target

    @property
    def sentence(self) -> str:
        """`met`, `missed by 12 %` or `not measured`."""
        if self.measured is None:
            return "not measured"
        if self.measured <= self.target:
            return "met"
        return f"missed by {100 * (self.measured - self.target) / self.target:.0f} %"
