from __future__ import annotations

import time

import pytest
import yaml

from mesh.policy import yaml_tree
from mesh.policy.errors import ErrorLog
from mesh.policy.yaml_tree import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    Mapping,
    Scalar,
    Sequence,
    child_path,
    read_documents,
)


@pytest.fixture(params=["libyaml", "pure"], autouse=True)
def _either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pure":
        monkeypatch.setattr(yaml_tree, "_LOADER", yaml.SafeLoader)


def read(text: str) -> tuple[list[yaml_tree.Node], list[str]]:
    log = ErrorLog("p.yaml")
    nodes = read_documents(text, log)
    return nodes, [str(error).removeprefix("p.yaml:") for error in log.listed()]


def faults(text: str) -> str:
    return "\n".join(read(text)[1])


def test_values_keep_their_text_and_line() -> None:
    nodes, errors = read('a: 010\nb:\n- "no"\n- no\n')
    assert errors == []
    assert isinstance(nodes[0], Mapping)
    first, second = nodes[0].entries
    assert (first.key, first.line, first.value) == ("a", 1, Scalar(1, "010", plain=True))
    assert second.value == Sequence(3, (Scalar(3, "no", plain=False), Scalar(4, "no", plain=True)))


def test_several_documents_are_read_and_empty_ones_skipped() -> None:
    nodes, errors = read("---\n---\na: b\n---\n# nothing\n---\nnull\n---\nc: d\n...\n")
    assert [node.line for node in nodes] == [3, 9]
    assert errors == []


def test_an_empty_text_has_no_documents() -> None:
    assert read("") == ([], [])


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "\t- x", 'a: "b', "a: *", "%YAML 9.9\n---\na: b", "{a: b}}", "]"]
)
def test_broken_syntax_is_one_fault_with_its_line(text: str) -> None:
    assert faults(text).startswith("1: not valid YAML") or "not valid YAML" in faults(text)


@pytest.mark.parametrize("text", ["a: \x00", "\ud800", 'a: "\\UFFFFFFFF"', "a: \x07", "\ufffe"])
def test_characters_that_yaml_forbids_are_a_fault(text: str) -> None:
    assert "not valid YAML" in faults(text)


def test_duplicate_keys_name_both_lines() -> None:
    nodes, errors = read("allow: [a]\ndeny: [b]\nallow: [c]\n")
    assert errors == ['3: allow: the key "allow" stands twice, first on line 1; keep one']
    assert isinstance(nodes[0], Mapping)
    assert [entry.key for entry in nodes[0].entries] == ["allow", "deny"]


def test_aliases_and_anchors_are_refused() -> None:
    text = faults("a: &x [b]\nc: *x\nd: [*x]\n")
    assert "1: a: anchor &x" in text
    assert "2: c: alias *x" in text
    assert "3: d[0]: alias *x" in text


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["a0: &a0 [lol]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    start = time.perf_counter()
    assert "aliases are refused" in faults("\n".join(lines))
    assert time.perf_counter() - start < 2


def test_aliases_cannot_be_keys() -> None:
    assert "alias *x" in faults("a: &x b\n*x : c\n")


def test_merge_keys_are_refused() -> None:
    assert "merge key <<" in faults("a:\n  <<: {b: c}\n")
    assert faults('a:\n  "<<": b\n') == ""


@pytest.mark.parametrize(
    "text", ["a: !!str b", "a: !x [b]", "!!map {a: b}", "a: !!python/object:os.system b", "a: ! b"]
)
def test_tags_are_refused(text: str) -> None:
    assert "tags are refused" in faults(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1: a", "the key 1 is read as a number"),
        ("on: a", "the key on is read as a boolean"),
        ("~: a", "the key ~ is read as a null"),
        ("?\n: a", "the key (empty) is read as a null"),
        ("2026-01-01: a", "the key 2026-01-01 is read as a date"),
        ("? [a]\n: b", "a key is a list or mapping"),
        ("? {a: b}\n: c", "a key is a list or mapping"),
    ],
)
def test_keys_are_strings(text: str, fault: str) -> None:
    assert fault in faults(text)


def test_the_value_of_a_refused_key_is_still_checked() -> None:
    text = faults("on: {a: &x b}\n")
    assert "the key on" in text
    assert "anchor &x" in text


def test_quoted_keys_of_any_text_are_fine() -> None:
    assert faults('"on": a\n"1": b\n') == ""


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 2000 + "a", "{a: " * 50 + "b" + "}" * 50, "? " * 500])
def test_deep_nesting_is_a_fault_and_not_a_crash(text: str) -> None:
    assert f"nested deeper than {MAX_DEPTH} levels" in faults(text) or "not valid YAML" in faults(text)


def test_a_file_of_more_than_the_limit_is_not_read() -> None:
    assert "characters; at most" in faults("#" * (MAX_CHARACTERS + 1))


@pytest.mark.parametrize(
    ("path", "key", "child"),
    [
        ("", "spec", "spec"),
        ("spec", "tools", "spec.tools"),
        ("labels", "app.kubernetes.io/name", 'labels["app.kubernetes.io/name"]'),
        ("", "a b", '["a b"]'),
    ],
)
def test_paths_are_readable_whatever_the_key(path: str, key: str, child: str) -> None:
    assert child_path(path, key) == child
