from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest

from mesh.policy.errors import ErrorLog
from mesh.policy.fields import (
    INVALID,
    Field,
    Place,
    Reader,
    Sheet,
    boolean,
    choice,
    integer,
    list_of,
    read_object,
    read_text,
    text,
)
from mesh.policy.yaml_tree import read_documents


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


def read(reader: Reader, source: str) -> tuple[Any, list[str]]:
    log = ErrorLog("p")
    (node,) = read_documents(source, log)
    value = reader(node, Place(Sheet(log), "x"))
    return value, [error.message for error in log.listed()]


def only_fault(reader: Reader, source: str) -> str:
    value, messages = read(reader, source)
    assert value is INVALID
    (message,) = messages
    return message


@pytest.mark.parametrize("source", ["list_*", '"no"', "'10'", "a b", "10.0.0.1"])
def test_strings_are_read_as_written(source: str) -> None:
    assert read(read_text, source) == (source.strip("\"'"), [])


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("no", "boolean"),
        ("on", "boolean"),
        ("1e3", "number"),
        ("0o10", "number"),
        ("12", "number"),
        ("2026-01-01", "date"),
    ],
)
def test_words_that_are_no_strings_to_every_reader_need_quotes(source: str, kind: str) -> None:
    assert (
        only_fault(read_text, source)
        == f"expected a string, but YAML reads {source} as a {kind}; put it in quotes"
    )


def test_a_very_long_number_is_cut_in_the_message() -> None:
    assert len(only_fault(read_text, "1" * 500)) < 200


@pytest.mark.parametrize(
    ("source", "found"), [("[a]", "a list"), ("{a: b}", "a mapping"), ("!x\n- a", None), ('""', "")]
)
def test_other_shapes_are_told(source: str, found: str | None) -> None:
    value, messages = read(read_text, source)
    if found:
        assert messages == [f"expected a string, found {found}"]
    elif found == "":
        assert (value, messages) == ("", [])
    else:
        assert len(messages) == 2


def test_a_field_left_empty_is_told() -> None:
    log = ErrorLog("p")
    (node,) = read_documents("a:\n", log)
    read_object(node, Place(Sheet(log), ""), {"a": Field(read_text)})
    assert [str(error) for error in log.listed()] == ["p:1: a: expected a string, found nothing"]


def test_a_check_tells_what_is_wrong() -> None:
    check = text(lambda value: None if value == "a" else "only a")
    assert read(check, "a") == ("a", [])
    assert only_fault(check, "b") == "only a"
    assert only_fault(check, "[b]") == "expected a string, found a list"


def test_a_choice_is_read_as_its_member() -> None:
    value, messages = read(choice(Colour), "red")
    assert value is Colour.RED
    assert messages == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gren", '"gren" is not allowed, did you mean green?; allowed: red, green'),
        ("RED", '"RED" is not allowed, did you mean red?; allowed: red, green'),
        ("violet", '"violet" is not allowed; allowed: red, green'),
        ("blue", "blue is not supported by this version; allowed: red, green"),
        ("yes", '"yes" is not allowed; allowed: red, green'),
    ],
)
def test_a_bad_choice_tells_what_is_allowed(source: str, message: str) -> None:
    assert only_fault(choice(Colour, unsupported=("blue",)), source) == message


def test_integers_are_plain_decimal_and_in_range() -> None:
    assert read(integer(1, 10), "7") == (7, [])
    assert only_fault(integer(1, 10), "11") == "11 is out of range; allowed: 1 to 10"
    for source in ("a", '"7"', "[7]", "0x7", "07", "7.0", "{}"):
        assert "expected a whole number from 1 to 10, without quotes" in only_fault(integer(1, 10), source)


def test_booleans_are_true_or_false() -> None:
    assert read(boolean, "true") == (True, [])
    assert read(boolean, "false") == (False, [])
    for source in ("yes", '"true"', "1", "[]", "True"):
        assert "expected true or false" in only_fault(boolean, source)


def test_a_list_reports_each_bad_item_and_keeps_the_rest() -> None:
    value, messages = read(list_of(integer(1, 9)), "[1, x, 3, 10]")
    assert value == (1, INVALID, 3, INVALID)
    assert len(messages) == 2


def test_lists_have_bounds() -> None:
    assert read(list_of(read_text, at_least=1), "[]")[1] == ["0 entries; allowed: 1 to 1000"]
    assert read(list_of(read_text, at_most=2), "[a, b, c]") == (("a", "b"), ["3 entries; allowed: 0 to 2"])


@pytest.mark.parametrize("source", ["a", "{a: b}", '""'])
def test_a_list_is_a_list(source: str) -> None:
    assert "expected a list" in only_fault(list_of(read_text), source)


FIELDS = {"name": Field(read_text, missing="the name"), "size": Field(integer(0, 9), default=3)}


def read_it(source: str) -> tuple[dict[str, Any] | None, list[str]]:
    log = ErrorLog("p")
    (node,) = read_documents(source, log)
    fields = read_object(
        node, Place(Sheet(log), ""), FIELDS, unsupported=("later",), ignored=frozenset({"note"})
    )
    return fields, [str(error) for error in log.listed()]


def test_an_object_has_every_field_or_its_default() -> None:
    assert read_it("name: a\nnote: [anything, 1]\n") == ({"name": "a", "size": 3}, [])


def test_missing_unknown_and_unsupported_fields_are_told_at_once() -> None:
    values, messages = read_it("siez: 1\nlater: 2\nzzz: 3\nsize: x\n")
    assert values == {"name": INVALID, "size": INVALID}
    assert messages == [
        "p:1: name: missing; the name",
        "p:1: siez: unknown field, did you mean size?; allowed: name, size",
        "p:2: later: not supported by this version; remove it, since it would have no effect",
        "p:3: zzz: unknown field; allowed: name, size",
        'p:4: size: expected a whole number from 0 to 9, without quotes, found "x"',
    ]


def test_an_object_is_a_mapping() -> None:
    assert read_it("[a]") == (None, ["p:1: expected a mapping, found a list"])


@pytest.mark.parametrize("reader", [read_text, boolean, integer(0, 1), list_of(read_text), choice(Colour)])
def test_a_value_that_was_refused_before_is_not_reported_again(reader: Reader) -> None:
    log = ErrorLog("p")
    (node,) = read_documents("a: &x b\nc: *x\nd: *x\n", log)
    before = len(log.listed())
    read_object(node, Place(Sheet(log), ""), {"a": Field(read_text), "c": Field(reader), "d": Field(reader)})
    assert len(log.listed()) == before


def test_a_document_that_is_an_alias_is_reported_once() -> None:
    log = ErrorLog("p")
    (node,) = read_documents("- &x a\n- *x\n", log)
    place = Place(Sheet(log), "")
    before = len(log.listed())
    list_of(lambda item, at: read_object(item, at, {}))(node, place)
    assert len(log.listed()) == before + 1
