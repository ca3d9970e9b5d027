from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.guard.framing import as_description, as_envelope, as_opened, as_result, as_structured
from cli.guard.rows import DataUnreadable, Row, read_data
from cli.guard.scores import Counts, percentile
from cli.guard.spans import (
    gold_spans,
    gold_values,
    score_but_email,
    score_document,
    score_spans,
    score_values,
)
from mesh.policy.guardrails import NO_OPTIONS, Action, DetectorKind, Part, Processor
from sidecar.guardrails.verdict import Finding, Leaf

PII = Processor("pii", DetectorKind.PII, Action.FLAG, NO_OPTIONS[DetectorKind.PII])
TEXT = "call 0123456789 now"


def finding(start: int, end: int, kind: str = "PHONE", text: str = TEXT) -> Finding:
    return Finding(PII, kind, Leaf(text, {}, "text", Part.RESULTS, ()), start, end, 1.0, "plain")


def phoned(text: str = TEXT) -> Row:
    return Row("1", text, True, {"spans": [[5, 15, "PHONE_NUMBER"], [0, 4, "PERSON"]]})


@pytest.mark.parametrize(
    ("start", "end", "kind", "hits"),
    [
        (5, 15, "PHONE", 1),
        (5, 10, "PHONE", 1),  # half of it
        (5, 9, "PHONE", 0),  # less
        (0, 19, "PHONE", 1),  # it is half of what was found, and more
        (5, 15, "CARD", 0),  # another type
    ],
)
def test_a_span_is_found_when_half_of_both_overlaps_as_the_same_type(
    start: int, end: int, kind: str, hits: int
) -> None:
    counts = score_spans(phoned(), [finding(start, end, kind)])
    assert (counts.positives, counts.hits, counts.told, counts.right) == (1, hits, 1, hits)


def test_a_find_of_the_whole_text_is_no_find_of_a_word_in_it() -> None:
    text = TEXT + " and then for a long while nothing at all"
    assert score_spans(phoned(text), [finding(0, len(text), text=text)]).hits == 0


def test_kinds_that_the_data_does_not_mark_are_not_scored() -> None:
    counts = score_spans(phoned(), [finding(0, 4, "PASSPORT")])
    assert (counts.told, counts.benign) == (0, 0)


def test_what_is_found_outside_of_the_text_itself_is_not_scored() -> None:
    assert score_spans(phoned(), [finding(5, 15, text="another " + TEXT)]).told == 0


def test_a_value_is_found_where_half_of_it_is_found_as_its_type() -> None:
    row = Row("1", "", True, {"gold": [["PHONE_NUMBER", "0123456789"], ["PERSON", "Ann"], ["odd"], 7]})
    assert gold_values(row) == [("PHONE", "0123456789")]
    assert score_values(row, [finding(5, 15)]).hits == 1
    assert score_values(row, [finding(5, 9)]).hits == 0
    assert score_values(row, [finding(5, 15, "CARD")]).hits == 0


def test_a_value_is_found_where_it_stands_escaped() -> None:
    row = Row("1", "", True, {"gold": [["EMAIL_ADDRESS", "zo\u00eb@example.org"]]})
    text = json.dumps("zo\u00eb@example.org")
    assert score_values(row, [finding(1, len(text) - 1, "EMAIL", text)]).hits == 1


def test_anything_found_where_nothing_is_makes_a_document_wrong() -> None:
    row = Row("1", TEXT, False, {})
    assert score_values(row, [finding(0, 4, "PASSPORT")]).wrong == 1
    assert score_document(row, [finding(0, 4)]).wrong == 1
    assert score_document(row, []).wrong == 0


@pytest.mark.parametrize(
    "spans",
    [
        None,
        "x",
        [1],
        [[1]],
        [[0, 1, 5]],
        [[0, 1, "PERSON"]],
        [["0", 1, "US_SSN"]],
        [[2, 1, "US_SSN"]],
        [[0, 1, []]],
    ],
)
def test_odd_gold_is_passed_over(spans: object) -> None:
    assert gold_spans(Row("1", "", True, {"spans": spans})) == []


@given(
    *(st.integers(0, 40) for _ in range(2)),
    *(st.integers(0, 40) for _ in range(2)),
)
def test_figures_are_shares(hits: int, missed: int, wrong: int, quiet: int) -> None:
    counts = Counts(hits + missed, hits, hits + wrong, hits, wrong + quiet, wrong)
    every = (counts.recall, counts.precision, counts.false_positive_rate, counts.f(1), counts.f(2))
    assert all(one is None or 0 <= one <= 1 for one in every)


def test_without_anything_benign_there_is_no_precision() -> None:
    counts = Counts(4, 3, 3, 3)
    assert (counts.recall, counts.precision, counts.f(1)) == (0.75, None, None)


def test_nothing_found_at_all_is_the_worst_f() -> None:
    assert Counts(4, 0, 0, 0, 2, 0).f(2) == 0.0
    assert Counts(4, 0, 1, 0, 2, 1).f(2) == 0.0


def test_counts_add_up() -> None:
    total = Counts(1, 1, 1, 1, 1, 1)
    total.add(Counts(1, 0, 3, 1, 1, 0))
    assert total == Counts(2, 1, 4, 2, 2, 1)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.99, 4.0), (0.0, 1.0), (0.25, 1.0)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == value
    assert percentile([], share) == 0.0


def test_documents_are_shown_as_what_they_are() -> None:
    inner = '{"a": {"b": "c"}}'
    outer = json.dumps({"content": [{"type": "text", "text": inner}]})
    texts = {(one.key, one.part) for one in as_result("words")}
    assert ("text", Part.RESULTS) in texts
    assert [one.key for one in as_structured(inner)] == ["structuredContent"]
    assert [one.key for one in as_opened(outer)] == ["structuredContent"]
    assert [one.key for one in as_opened(inner)] == ["structuredContent"]
    assert {one.key for one in as_envelope(outer)} == {"type", "text"}
    assert ("description", Part.DESCRIPTIONS) in {(one.key, one.part) for one in as_description("words")}


@pytest.mark.parametrize("framing", [as_structured, as_envelope, as_opened])
@pytest.mark.parametrize("text", ["no json", "7", '"quoted"', "[" * 100_000])
def test_what_is_no_json_is_shown_as_text(framing, text: str) -> None:  # type: ignore[no-untyped-def]
    assert {one.key for one in framing(text)} == {"type", "text"}


def test_bad_lines_cost_no_good_ones(tmp_path: Path) -> None:
    lines = [
        '{"id": "a", "text": "x", "label": 1, "more": [1]}',
        "",
        "{",
        "7",
        '{"text": "x"}',
        '{"text": 5, "label": 1}',
        '{"text_b64": "*", "label": 1}',
        '{"text_b64": "eA==", "label": false}',
    ]
    (tmp_path / "f.jsonl").write_text("\n".join(lines))
    data = read_data(tmp_path, frozenset({"f", "g"}))
    assert [(one.id, one.text, one.label) for one in data.rows["f"]] == [
        ("a", "x", True),
        ("f:8", "x", False),
    ]
    assert len([one for one in data.complaints if one.startswith("f.jsonl:")]) == 5
    assert "g.jsonl is not there: nothing is measured on it" in data.complaints


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "f.jsonl").mkdir()
    (tmp_path / "g.jsonl").write_text('{"text": "x", "label": 1}\n')
    data = read_data(tmp_path, frozenset({"f", "g"}))
    assert any("f.jsonl: cannot be read" in one for one in data.complaints)
    with pytest.raises(DataUnreadable):
        read_data(tmp_path, frozenset({"f"}))


def test_addresses_of_honest_documents_do_not_count_where_they_stand_in_all_of_them() -> None:
    row = Row("1", TEXT, False, {})
    assert score_but_email(row, [finding(5, 15, "EMAIL")]).wrong == 0
    assert score_but_email(row, [finding(5, 15, "EMAIL"), finding(5, 15)]).wrong == 1
