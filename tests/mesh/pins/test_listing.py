"""Pages put together, and bounds to how much is held for it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mesh.pins.listing import MAX_CURSOR, MOST_HELD, MOST_OPEN, MOST_PAGES, Item, Listings, Whole


def items(*names: str) -> tuple[Item, ...]:
    return tuple(Item(name, f"sha256:{name}") for name in names)


def test_a_list_is_whole_after_its_last_page() -> None:
    lists = Listings(100)
    assert lists.page("a", None, "1", items("x")) is None
    assert lists.page("a", "1", "", items()) is None
    assert lists.page("a", "", None, items("y", "z")) == Whole(items("x", "y", "z"))


def test_one_page_is_a_whole_list() -> None:
    assert Listings(100).page("a", None, None, items("x")) == Whole(items("x"))


def test_a_page_that_follows_nothing_completes_nothing() -> None:
    lists = Listings(100)
    lists.page("a", None, "1", items("x"))
    assert lists.page("a", "2", None, items("y")) is None
    assert lists.page("b", "1", None, items("y")) is None


def test_a_page_may_be_asked_for_again() -> None:
    lists = Listings(100)
    lists.page("a", None, "1", items("x"))
    assert lists.page("a", "1", None, items("y")) == lists.page("a", "1", None, items("y"))


def test_too_many_tools_are_not_followed() -> None:
    lists = Listings(3)
    lists.page("a", None, "1", items("x", "y"))
    assert lists.page("a", "1", None, items("z", "w")) is None


def test_cursors_that_are_none_end_the_chase() -> None:
    lists = Listings(100)
    for after in (1, {}, "x" * (MAX_CURSOR + 1)):
        assert lists.page("a", None, after, items("x")) is None
    assert lists._open == {}


def test_endless_lists_are_given_up() -> None:
    lists = Listings(100)
    cursor = None
    for number in range(MOST_PAGES):
        lists.page("a", cursor, str(number), items())
        cursor = str(number)
    assert lists.page("a", cursor, None, items("x")) is None


@given(st.lists(st.integers(0, 500), max_size=200))
def test_what_is_held_is_bounded(sizes: list[int]) -> None:
    lists = Listings(10_000)
    for number, size in enumerate(sizes):
        lists.page("a", None, str(number), items(*map(str, range(size))))
        assert len(lists._open) <= MOST_OPEN
        assert sum(page.tools for page in lists._open.values()) <= MOST_HELD


@given(st.lists(st.lists(st.text("abc", min_size=1), max_size=4), min_size=1, max_size=6))
def test_pages_in_any_number_make_the_same_list(pages: list[list[str]]) -> None:
    lists = Listings(100)
    cursors = [None, *map(str, range(len(pages) - 1)), None]
    whole = None
    for (cursor, after), names in zip(pairwise(cursors), pages, strict=True):
        whole = lists.page("a", cursor, after, items(*names))
    assert whole == Whole(items(*[name for names in pages for name in names]))
