"""The diff of two YAML documents."""

from __future__ import annotations

import pytest
import yaml

from cli.demo.yaml_diff import diff, short_yaml

POD = {"kind": "Pod", "metadata": {"labels": {"app": "triage"}}, "spec": {"containers": [{"name": "agent"}]}}


def test_what_was_added_has_a_plus_and_the_rest_a_space() -> None:
    after = {**POD, "metadata": {"labels": {"app": "triage", "new": "yes"}}}
    lines = diff(POD, after, width=80)
    assert ("+", "    new: 'yes'") in lines
    assert (" ", "    app: triage") in lines
    assert {sign for sign, _ in lines} == {"+", " "}


def test_what_was_removed_has_a_minus() -> None:
    assert ("-", "kind: Pod") in diff(POD, {**POD, "kind": "Job"}, width=80)


def test_equal_documents_have_no_difference() -> None:
    assert {sign for sign, _ in diff(POD, POD, width=80)} == {" "}


def test_short_documents_stay_valid_yaml_with_the_same_meaning() -> None:
    assert yaml.safe_load("\n".join(short_yaml(POD, 80))) == POD


@pytest.mark.parametrize("width", [20, 40, 98])
def test_no_line_is_wider_than_asked_for(width: int) -> None:
    long = {"annotations": {"status": "x" * 300}, "spec": {"containers": [{"name": "y" * 300, "image": "z"}]}}
    lines = list(short_yaml(long, width))
    assert max(map(len, lines)) == width
    assert all(line.endswith("…") for line in lines if len(line) == width)


def test_of_a_long_list_only_the_beginning_is_shown() -> None:
    document = {"env": [{"name": f"N{number}"} for number in range(7)]}
    assert list(short_yaml(document, 80)) == [
        "env:",
        "- {name: N0}",
        "- {name: N1}",
        "- {name: N2}",
        "- {name: N3}",
        "# … and 3 more",
    ]


def test_of_hidden_fields_only_the_number_is_shown() -> None:
    lines = list(short_yaml({"a": 1, "b": 2, "c": 3}, 80, frozenset({"a", "c"})))
    assert lines == ["b: 2", "# … and 2 more fields"]


def test_items_that_do_not_fit_in_one_line_are_written_in_block_style() -> None:
    document = {"containers": [{"name": "a", "image": "b" * 30}]}
    assert list(short_yaml(document, 30))[:2] == ["containers:", "- name: a"]
    assert list(short_yaml(document, 80)) == ["containers:", f"- {{name: a, image: {'b' * 30}}}"]


@pytest.mark.parametrize("value", [[], {}, "", None, ["a", "b"]])
def test_a_field_without_depth_stays_in_its_line(value: object) -> None:
    (line,) = short_yaml({"field": value}, 80)
    assert yaml.safe_load(line) == {"field": value}
