"""Each thing is said once, however often it was seen."""

from __future__ import annotations

from sidecar.guardrails.found import Found, distinct
from sidecar.guardrails.hit import Hit


def found(
    start: int,
    end: int,
    *,
    kind: str = "EMAIL",
    view: str = "plain",
    part: int = 0,
    seen: int | None = None,
    leaf: int = 0,
) -> Found:
    return Found(leaf, kind, start, end, Hit(kind, 0, end - start if seen is None else seen), view, part)


def test_the_same_span_is_one_and_the_plain_reading_is_named() -> None:
    assert distinct([found(1, 9), found(1, 9, view="folded")]) == [found(1, 9)]


def test_the_reader_that_sees_more_is_believed() -> None:
    partly, whole = found(4, 9), found(1, 9, view="folded", seen=7)
    assert distinct([partly, whole]) == [whole]


def test_a_span_that_only_says_where_something_was_decoded_from_gives_way() -> None:
    exact, vague = found(40, 49), found(0, 500, view="rot13", seen=9)
    assert distinct([exact, vague]) == [exact]
    assert distinct([exact, found(60, 69), vague]) == [exact, found(60, 69)]
    assert distinct([vague]) == [vague]


def test_what_a_cut_divided_is_put_together() -> None:
    assert distinct([found(0, 50, part=0), found(20, 90, part=1)]) == [found(0, 90, seen=50)]


def test_different_kinds_texts_and_places_stay_apart() -> None:
    several = [found(0, 5), found(0, 5, kind="PHONE"), found(7, 9), found(7, 9, leaf=1)]
    assert set(distinct(several)) == set(several)
    assert len(distinct(several)) == 4


def test_spans_that_cross_in_one_piece_are_both_kept() -> None:
    assert distinct([found(0, 5), found(3, 9, view="folded")]) == [found(0, 5), found(3, 9, view="folded")]
