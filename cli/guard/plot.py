"""Figures with targets as bars, with what others reach: an SVG, written without a library of plots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from cli.guard.measures import FALSE
from cli.guard.peers import FIGURES
from cli.guard.results import Judged, Result

_LEFT, _RIGHT, _BAR, _STEP = 300, 90, 14, 24
_WIDTH: Final = 960
_ROOM: Final = _WIDTH - _LEFT - _RIGHT
_GOOD, _BAD, _TARGET, _OTHERS, _INK = "#2b7a78", "#c0392b", "#222222", "#b58900", "#333333"


class Panel(NamedTuple):
    """Bars that share a scale, which ends at `most`."""

    title: str
    most: float
    bars: list[tuple[Result, Judged]]


def drawn(results: Iterable[Result]) -> str:
    """The text of an SVG file: what has to be high above, what has to be low below."""
    bars = [(result, one) for result in results for one in result.judged]
    panels = [
        Panel("Recall (F2 where it says so)", 1.0, [bar for bar in bars if bar[1].target.figure != FALSE]),
        Panel("False positive rate", 0.1, [bar for bar in bars if bar[1].target.figure == FALSE]),
    ]
    lines: list[str] = []
    top = 30
    for panel in panels:
        lines += _panel(panel, top)
        top += _STEP * len(panel.bars) + 80
    lines.append(_text(20, top - 20, "Bar: Outrider. Black mark: target. Circles: others (hover for names)."))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" '
        f'viewBox="0 0 {_WIDTH} {top}" font-family="sans-serif" font-size="12">'
    )
    return "\n".join((head, f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>', *lines, "</svg>\n"))


def _panel(panel: Panel, top: int) -> Iterator[str]:
    yield _text(20, top, panel.title, weight="bold")
    bottom = top + 14 + _STEP * len(panel.bars)
    for part in range(6):
        x = _LEFT + _ROOM * part / 5
        yield f'<line x1="{x:.1f}" y1="{top + 8}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>'
        yield _text(x, bottom + 14, f"{panel.most * part / 5:g}", anchor="middle")
    for index, (result, one) in enumerate(panel.bars):
        yield from _bar(panel, result, one, top + 16 + _STEP * index)


def _bar(panel: Panel, result: Result, one: Judged, y: int) -> Iterator[str]:
    figure = one.target.figure
    name = f"{result.detector}: {result.source}" + (" (F2)" if figure == "F2" else "")
    width = _ROOM * min(one.value / panel.most, 1)
    yield _text(_LEFT - 8, y + 11, name, anchor="end")
    yield f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{_GOOD if one.met else _BAD}"/>'
    x = _LEFT + _ROOM * min(one.target.bound / panel.most, 1)
    yield (
        f'<line x1="{x:.1f}" y1="{y - 3}" x2="{x:.1f}" y2="{y + _BAR + 3}" stroke="{_TARGET}" stroke-width="2"/>'
    )
    for peer, value, _ in FIGURES.get((result.detector, result.source, figure), ()):
        x = _LEFT + _ROOM * min(value / panel.most, 1)
        yield (
            f'<circle cx="{x:.1f}" cy="{y + _BAR / 2}" r="4" fill="none" stroke="{_OTHERS}" stroke-width="2">'
            f"<title>{escape(peer.name)} {value:.3f}</title></circle>"
        )
    yield _text(_WIDTH - _RIGHT + 12, y + 11, f"{one.value:.3f}")


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}" fill="{_INK}"'
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'
