"""Sheets: all texts of a message as one, and back from a place to its leaf."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy.guardrails import Part
from mesh.protocol.mcp.places import Root
from sidecar.guardrails.hit import SEPARATOR
from sidecar.guardrails.leaves import Sheet, number_text
from tests.support.fuzzing import examples


def root(value: Any, **more: Any) -> Root:
    return Root({"arguments": value}, "arguments", Part.ARGUMENTS, ("params",), **more)


def texts(sheet: Sheet) -> list[str]:
    return sheet.text.split(SEPARATOR) if sheet.text else []


def test_keys_stand_before_their_values_in_the_order_of_the_message() -> None:
    sheet = Sheet([root({"a": "x", "b": {"c": ["y", {"d": "z"}], "e": "w"}, "f": []})])
    assert texts(sheet) == ["a", "x", "b", "c", "y", "d", "z", "e", "w", "f"]
    assert len(sheet) == 10


def test_numbers_of_seven_digits_are_texts_and_shorter_ones_are_not() -> None:
    values = [4111111111111111, -1234567, 123456, 0, True, None, 1234.5678, 12.5, 1e300, 123456.7e15]
    assert texts(Sheet([root(values)])) == ["4111111111111111", "-1234567", "1234.5678", "1.234567e+20"]
    assert texts(Sheet([root(1234567)])) == ["1234567"]
    assert texts(Sheet([root(12.5)])) == []


def test_integers_of_thousands_of_digits_are_spelt_somehow() -> None:
    assert number_text(10**4290) is not None
    assert (number_text(10**6000) or "").startswith("0x")


def test_numbers_that_cannot_be_masked_are_texts_too() -> None:
    sheet = Sheet([root({"t": 12345678901, "u": 1}, maskable=False), root(4111111111111111, maskable=False)])
    assert texts(sheet) == ["t", "12345678901", "u", "4111111111111111"]
    leaf = sheet.leaves((3,))[3]
    assert (leaf.form, leaf.maskable) == ("number", False)


def test_the_key_of_a_root_is_a_text_where_it_is_the_senders_word() -> None:
    sheet = Sheet([root("x", named=True), root(["y"], named=True)])
    assert texts(sheet) == ["arguments", "x", "arguments", "y"]
    leaf = sheet.leaf_at(0)[0]
    assert (leaf.text, leaf.form, leaf.maskable, leaf.where) == (
        "arguments",
        "key",
        False,
        "params.arguments",
    )
    assert sheet.leaf_at(len("arguments") + 1)[0].text == "x"
    assert sheet.leaf_at(len(sheet.text) - 1)[0].text == "y"


def test_a_separator_within_a_text_does_not_divide_it() -> None:
    sheet = Sheet([root({"a": f"x{SEPARATOR}y", "b": "z"})])
    assert texts(sheet) == ["a", "x y", "b", "z"]
    leaf, start = sheet.leaf_at(sheet.text.index("y"))
    assert (leaf.text, start) == (f"x{SEPARATOR}y", 2)


def test_a_leaf_knows_where_it_stands() -> None:
    arguments = {"list": [1, {"deep": "value"}], "n": 12345678}
    sheet = Sheet([root(arguments)])
    leaf, start = sheet.leaf_at(sheet.text.index("value") + 2)
    assert sheet.text[start : start + 5] == "value"
    assert leaf.where == "params.arguments.list.1.deep"
    assert leaf.holder is arguments["list"][1]  # type: ignore[index]
    assert leaf.key == "deep"
    number, _ = sheet.leaf_at(len(sheet.text) - 1)
    assert (number.form, number.text, number.where) == ("number", "12345678", "params.arguments.n")
    key, _ = sheet.leaf_at(0)
    assert (key.form, key.text, key.maskable) == ("key", "list", False)


def test_a_separator_belongs_to_the_text_before_it() -> None:
    sheet = Sheet([root(["ab", "cd"])])
    assert [sheet.index_at(offset) for offset in range(5)] == [0, 0, 0, 1, 1]
    assert sheet.span(1) == (3, 5)


def test_nothing_gives_an_empty_sheet() -> None:
    assert Sheet([]).text == ""
    assert list(Sheet([]).starts) == []
    assert Sheet([root({}), root(None)]).text == ""


def test_nesting_of_any_depth_is_walked() -> None:
    value: Any = "inmost"
    for _ in range(100_000):
        value = [value]
    sheet = Sheet([root(value)])
    assert sheet.text == "inmost"
    assert len(sheet.leaf_at(0)[0].path) == 100_001
    while isinstance(value, list):  # taken apart by hand: the interpreter would recurse
        value = value.pop()


def test_what_stands_deep_is_walked_like_the_rest() -> None:
    inmost: Any = {"k": "v", "n": [12345678, 12, 1.5, None], "e": {}}
    value = inmost
    for _ in range(200):
        value = {"d": value}
    sheet = Sheet([root(value)])
    assert texts(sheet) == ["d"] * 200 + ["k", "v", "n", "12345678", "e"]
    leaf, _ = sheet.leaf_at(sheet.text.index("v"))
    assert leaf.holder is inmost


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab1 \x1f\x00é😀", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\x1f", max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)
roots = st.lists(
    st.builds(
        lambda value, named, maskable: root(value, named=named, maskable=maskable),
        *(values, st.booleans(), st.booleans()),
    ),
    max_size=4,
)


@settings(max_examples=examples(300), deadline=None)
@given(roots)
def test_every_text_leads_back_to_its_leaf(roots: list[Root]) -> None:
    sheet = Sheet(roots)
    leaves = sheet.leaves(range(len(sheet)))
    assert sorted(leaves) == list(range(len(sheet)))
    for index, leaf in leaves.items():
        start, end = sheet.span(index)
        assert sheet.text[start:end] == leaf.text.replace(SEPARATOR, " ")
        assert sheet.index_at(start) == index or start == end
        assert sheet.root_of(index).part is leaf.part
        if leaf.form == "value":
            assert leaf.holder[leaf.key] is leaf.text
        holder: Any = {"params": sheet.root_of(index).holder}
        for step in leaf.path:
            holder = holder[step]
        assert holder is leaf.holder
