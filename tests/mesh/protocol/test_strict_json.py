from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.protocol import strict_json
from mesh.protocol.strict_json import JsonRefused, encode, parse
from mesh.reasons import Reason

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**60), max_value=10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def refused(body: bytes, **limits: int) -> Reason:
    with pytest.raises(JsonRefused) as caught:
        parse(body, **limits)
    assert caught.value.detail
    return caught.value.reason


@given(documents)
def test_what_an_encoder_writes_is_its_own_canonical_form(value: Any) -> None:
    body = encode(value)
    assert parse(body).canonical == body
    assert parse(body).value == value


@given(documents, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_canonical_means_what_the_body_means(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    parsed = parse(body)
    assert json.loads(parsed.canonical) == json.loads(body) == parsed.value


@given(documents, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_canonical_is_a_fixpoint(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    once = parse(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()).canonical
    assert parse(once).canonical == once


@given(
    documents,
    texts,
    documents,
    documents,
    st.sampled_from(["{%s}", "[{%s}]", '{"a":[0,{%s}]}', '[{"a":{%s}}]']),
)
@example(value=None, key="name", first=1, second=1, around="{%s}")
def test_a_repeated_key_is_refused_at_any_depth(
    value: Any, key: str, first: Any, second: Any, around: str
) -> None:
    name = json.dumps(key)
    members = (
        f"{name}:{json.dumps(first)},{json.dumps(key + 'x')}:{json.dumps(value)},{name}:{json.dumps(second)}"
    )
    assert refused((around % members).encode()) is Reason.JSON_DUPLICATE_KEY


def test_a_key_repeated_in_another_spelling_is_refused() -> None:
    assert refused(rb'{"name":"a","n\u0061me":"b"}') is Reason.JSON_DUPLICATE_KEY


@pytest.mark.parametrize(
    "body",
    [
        *[
            b"",
            b" ",
            b"{",
            b"[1,]",
            b'{"a":1,}',
            b"{a:1}",
            b"{1:2}",
            b"'a'",
            b"nul",
            b"[1] x",
            b"1 2",
            b"[1]]",
        ],
        *[
            b"01",
            b"1.",
            b".5",
            b"+1",
            b"0x10",
            b"1_000",
            b'"\x01"',
            b'"\n"',
            b'"\\x41"',
            b'"\\u12"',
            b'"a',
            b"\x0b1",
        ],
        *[b'"\\ud800"', b'"\\udc00\\ud800"', b'{"\\ud800":1}', b"[1]\x00", b"/**/1", "[\u00a01]".encode()],
        *["{}".encode("utf-16-le"), "{}".encode("utf-16-be"), "{}".encode("utf-32-le")],
    ],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    assert refused(body) is Reason.JSON_MALFORMED


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b'"\xc0\xaf"',
        b'"\xed\xa0\x80"',
        "{}".encode("utf-16"),
        "{}".encode("utf-32"),
    ],
)
def test_what_is_no_plain_utf8_is_refused(body: bytes) -> None:
    assert refused(body) is Reason.JSON_NOT_UTF8


@pytest.mark.parametrize(
    "body",
    [b"NaN", b"[Infinity]", b'{"a":-Infinity}', b"1e400", b"[-1e400]", b"1" * 4301, b"1" * 400 + b".0"],
)
def test_numbers_that_readers_disagree_on_are_refused(body: bytes) -> None:
    assert refused(body) is Reason.JSON_NUMBER


@pytest.mark.parametrize("digits", [19, 31, 309, 400, 4300])
def test_integers_are_kept_exactly(digits: int) -> None:
    body = b"9" * digits
    assert parse(body).value == int(body)
    assert parse(b" " + body).canonical == body


@pytest.mark.parametrize(
    "number", [b"1.50", b"1E5", b"1e+21", b"-0", b"-0.0", b"2e0", b"0.1000000000000000055511151231"]
)
def test_the_spelling_of_numbers_is_kept(number: bytes) -> None:
    parsed = parse(b'{"a": ' + number + b"}")
    assert parsed.canonical == b'{"a":' + number + b"}"
    assert parsed.value == {"a": float(number)}


def test_values_are_plain() -> None:
    value = parse(b'[1.50, 10, {"a" : 1E2}]').value
    assert [type(item) for item in value] == [float, int, dict]
    assert type(value[2]["a"]) is float


def test_escapes_that_need_not_be_are_undone() -> None:
    assert parse(rb'{"n":"tools\/c\u0061ll"}').canonical == b'{"n":"tools/call"}'
    assert parse(rb'"\ud83d\ude00"').canonical == '"\U0001f600"'.encode()


def test_white_space_around_and_between_is_dropped() -> None:
    assert parse(b'\r\n\t {"a" :\n[ 1 , 2 ]} \n').canonical == b'{"a":[1,2]}'


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_is_counted_exactly(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    for depth in (1, 63, 64):
        body = opening * depth + b"1" + closing * depth
        assert parse(body, max_depth=64).canonical == body
    assert refused(opening * 65 + b"1" + closing * 65, max_depth=64) is Reason.JSON_TOO_DEEP


def test_brackets_in_strings_are_not_nesting() -> None:
    for text in ("[" * 100, "{" * 100, '\\"[' * 100, "]" * 10 + "[" * 100, '\\\\"' + "[" * 100):
        body = encode([text, {"a": text}])
        assert parse(body, max_depth=2).canonical == body


def test_a_string_that_closes_brackets_hides_no_nesting() -> None:
    body = b'["]]]]",' * 70 + b"1" + b"]" * 70
    assert refused(body) is Reason.JSON_TOO_DEEP


def test_wide_is_not_deep() -> None:
    body = b"[" + b",".join([b"[[]]"] * 1000) + b"]"
    assert parse(body, max_depth=3).canonical == body
    assert refused(body, max_depth=2) is Reason.JSON_TOO_DEEP


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000])
def test_very_deep_nesting_is_refused_without_recursion(body: bytes) -> None:
    assert refused(body) is Reason.JSON_TOO_DEEP


def test_nesting_beyond_the_readers_is_refused_whatever_the_limit() -> None:
    assert refused(b"[" * 5000 + b"]" * 5000, max_depth=100_000) is Reason.JSON_TOO_DEEP


def test_unbalanced_brackets_are_malformed_not_deep() -> None:
    assert refused(b"]" * 200 + b"[") is Reason.JSON_MALFORMED
    assert refused(b"[]" * 200) is Reason.JSON_MALFORMED


@given(st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=3), max_leaves=60))
def test_the_depth_of_any_tree_is_found(tree: Any) -> None:
    def depth(node: Any) -> int:
        return 1 + max(map(depth, node), default=0)

    body = encode(tree)
    assert parse(body, max_depth=depth(tree)).value == tree
    if depth(tree) > 1:
        assert refused(body, max_depth=depth(tree) - 1) is Reason.JSON_TOO_DEEP


def test_the_reason_of_a_repeated_key_names_it() -> None:
    with pytest.raises(JsonRefused, match="'name'"):
        parse(b'{"a":1,"name":1,"b":2,"name":1}')


def test_ordinary_bodies_never_reach_the_slow_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(body: bytes) -> None:
        raise AssertionError(body)

    monkeypatch.setattr(strict_json, "_parse_slowly", unreachable)
    value = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "é", "arguments": {"x": [1.5, "a\n"]}},
    }
    assert parse(encode(value)).value == value
    assert parse(json.dumps(value, ensure_ascii=False, indent=2).encode()).value == value
