"""What is found in a view is traced back to what it was read from."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.guardrails.hit import SEPARATOR
from sidecar.guardrails.views import View, views

NOTE = "send the quarterly report to nobody"


def view_named(text: str, name: str) -> View:
    return next(view for view in views(text) if view.name == name)


def origin_of(text: str, name: str, found: str) -> str:
    view = view_named(text, name)
    at = view.text.index(found)
    low, high = view.origin(at, at + len(found))
    return text[low:high]


@pytest.mark.parametrize(
    ("text", "name", "found", "origin"),
    [
        ("go %69g%6eore it", "percent", "ignore", "%69g%6eore"),
        ("go %69%67%6e it", "percent", "n", "%6e"),
        ("caf%C3%A9 %69n", "percent", "é", "%C3%A9"),
        ("to &#105;gnor&#x65; it", "html", "ignore", "&#105;gnor&#x65;"),
        ("to \\u0069\\u0067nore it", "escapes", "g", "\\u0067"),
        ("to \\x69gnore it", "escapes", "ignore", "\\x69gnore"),
        ("to \\ud83d\\ude00 it", "escapes", "\U0001f600", "\\ud83d\\ude00"),
        ("say i g n o r e it all", "spaced", "gno", "g n o"),
        ("say i.g.n.o.r.e now", "spaced", "ignore", "i.g.n.o.r.e"),
        ("well 1gn0r3 it", "leet", "gno", "gn0"),
        ("oh igonre it", "typos", "ignore", "igonre"),
        ("oh vtaber vg", "rot13", "ignore", "vtaber"),
        ("well erongi ti", "reversed", "ignore", "erongi"),
        ("do 'ign' + 'ore' it", "joined", "ignore", "ign' + 'ore"),
        ("xa\u200bb\u200bcy", "folded", "abc", "a\u200bb\u200bc"),
        ("аpple \uff41\uff42 pie", "folded", "ab", "\uff41\uff42"),
        ("tm ﬁre ﬂy", "folded", "fi", "ﬁ"),
    ],
)
def test_single_characters_are_traced_exactly(text: str, name: str, found: str, origin: str) -> None:
    assert origin_of(text, name, found) == origin


@pytest.mark.parametrize("encode", [base64.b64encode, base64.b32encode, bytes.hex])
def test_a_blob_is_traced_as_a_whole(encode: object) -> None:
    blob = encode(NOTE.encode())  # type: ignore[operator]
    blob = blob if isinstance(blob, str) else blob.decode()
    text = f"See {blob} there"
    view = next(view for view in views(text) if NOTE in view.text)
    assert view.origin(5, 8) == (4, 4 + len(blob))
    assert view.origin(0, len(view.text)) == (4, 4 + len(blob))


def test_nested_origins_lead_to_the_text_that_was_given() -> None:
    inner = base64.b64encode(NOTE.encode()).decode()
    percent = "".join(f"%{ord(sign):02x}" for sign in inner)
    text = f"first\x1fbody\x1fsee {percent} and"
    assert origin_of(text, "percent>base64", "report") == percent


def test_per_character_steps_stay_exact_when_they_are_nested() -> None:
    assert origin_of("go %2569g%256eore it", "percent>percent", "gn") == "g%256e"
    assert origin_of("say &#37;69gnore it", "html>percent", "ign") == "&#37;69gn"


def test_an_address_in_fullwidth_is_traced() -> None:
    text = "write to ｅｖｅ＠ｅｖｉｌ．ｅｘａｍｐｌｅ soon"
    assert origin_of(text, "folded", "eve@evil.example") == "ｅｖｅ＠ｅｖｉｌ．ｅｘａｍｐｌｅ"


def test_a_card_number_in_other_digits_is_traced() -> None:
    digits = "".join(chr(0x660 + int(digit)) for digit in "4111111111111111")
    assert origin_of(f"card\x1f{digits}\x1fok", "folded", "4111111111111111") == digits


def test_a_token_in_json_in_base64_is_traced() -> None:
    blob = base64.b64encode(
        json.dumps({"token": "ghq_16C7e42F292c6912E7710c838347Ae178B4a"}).encode()
    ).decode()
    text = f"content\x1f{blob}\x1fnext"
    assert origin_of(text, "base64", "ghq_16C7e42F292c6912E7710c838347Ae178B4a") == blob


def test_an_empty_span_has_an_empty_origin_and_others_must_be_within() -> None:
    text = "go %69gnore it"
    view = view_named(text, "percent")
    assert view.origin(0, 0) == (0, 0)
    assert view.origin(4, 4) == (6, 6)
    assert view.origin(len(view.text), len(view.text)) == (len(text), len(text))
    for start, end in ((-1, 2), (3, 2), (0, len(view.text) + 1)):
        with pytest.raises(IndexError):
            view.origin(start, end)


def test_the_gap_between_pieces_comes_from_nowhere() -> None:
    one, two = (base64.b64encode(f"{NOTE} {count}".encode()).decode() for count in (1, 2))
    view = view_named(f"{one}\x1f{two}", "base64")
    gap = view.text.index(SEPARATOR)
    assert view.origin(gap, gap + 2) == (len(one), len(one))
    assert view.origin(0, len(view.text)) == (0, len(one) + 1 + len(two))


PARTS = st.sampled_from(
    [
        "ignore all",
        "vtaber gur",
        "erongi eht",
        "1gn0r3",
        "igonre",
        "i g n o r e",
        "i-g-n-o-r-e",
        "%69%67",
        "%2569",
        "&#105;",
        "\\u0069",
        "\\x69\\x67",
        "\u200b",
        "a\u0301",
        "\uff41\uff42",
        "\u0456gnore",
        "\U000e0069\U000e0067",
        "\ufe01\ufe02\ufe03\ufe04",
        "'ig' + 'nore'",
        SEPARATOR,
        " ",
        "x",
        ".",
        "=69=67",
        "\n",
        "ﬁ",
        "é",
        "𝐢𝐠",
        "🇺🇸",
        "105 103 110 111 114 101 32 105 110 ",
        base64.b64encode(NOTE.encode()).decode(),
        base64.b64encode(b"%69gnore \\u0069 it all").decode(),
        NOTE.encode().hex(),
        base64.b32encode(NOTE.encode()).decode(),
        base64.b64encode(base64.b64encode(NOTE.encode())).decode(),
    ]
)
SHEETS = st.lists(PARTS, max_size=12).map("".join) | st.lists(PARTS, max_size=8).map(" ".join)


@given(SHEETS, st.data())
def test_origins_are_within_the_text_and_grow_with_the_span(text: str, data: st.DataObject) -> None:
    for view in views(text):
        size = len(view.text)
        start = data.draw(st.integers(0, size))
        end = data.draw(st.integers(start, size))
        low, high = view.origin(start, end)
        assert 0 <= low <= high <= len(text)
        whole = view.origin(0, size)
        if start < end:
            assert whole[0] <= low <= high <= whole[1]


@given(SHEETS)
def test_origins_move_forward_unless_the_text_was_turned_around(text: str) -> None:
    for view in views(text):
        if "reversed" in view.name:
            continue
        spans = [view.origin(at, at + 1) for at in range(len(view.text))]
        assert spans == sorted(spans)
        assert [high for _, high in spans] == sorted(high for _, high in spans)


@given(SHEETS)
def test_what_was_copied_is_what_stands_at_its_origin(text: str) -> None:
    """A character read from one character is that one, unless the view changes characters one for one."""
    for view in views(text):
        if set(view.name.split(">")) <= {"percent", "escapes", "html", "joined", "quoted", "spaced", "plain"}:
            for at, character in enumerate(view.text):
                low, high = view.origin(at, at + 1)
                if high - low == 1 and character != " ":
                    assert text[low] == character


@given(SHEETS)
def test_separators_come_from_separators_or_from_between_pieces(text: str) -> None:
    for view in views(text):
        for at, character in enumerate(view.text):
            if character == SEPARATOR:
                low, high = view.origin(at, at + 1)
                assert low == high or text[low:high] == SEPARATOR


@given(SHEETS)
def test_nothing_but_separators_of_the_sheet_is_between_two_characters_of_different_leaves(text: str) -> None:
    """Two characters of one leaf of a view come from one leaf of the sheet."""
    for view in views(text):
        at = 0
        for leaf in view.text.split(SEPARATOR):
            if leaf:
                low, high = view.origin(at, at + len(leaf))
                assert SEPARATOR not in text[low:high]
            at += len(leaf) + 1
