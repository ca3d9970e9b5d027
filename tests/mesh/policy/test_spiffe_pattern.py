from __future__ import annotations

import re
import time

import pytest

from mesh.policy.spiffe_pattern import id_fault, is_pattern, pattern_regex, source_fault


@pytest.mark.parametrize("value", ["spiffe://cluster.local/ns/a/sa/b", "spiffe://td-1_x/A.b"])
def test_spiffe_ids_of_workloads_are_good(value: str) -> None:
    assert id_fault(value) is None
    assert source_fault(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "cluster.local/ns/a",
        "SPIFFE://td/a",
        "spiffe://",
        "spiffe://td",
        "spiffe://td/",
        "spiffe:///a",
        "spiffe://TD/a",
        "spiffe://td:80/a",
        "spiffe://u@td/a",
        "spiffe://td/a//b",
        "spiffe://td/a/../b",
        "spiffe://td/./b",
        "spiffe://td/a/",
        "spiffe://td/a%20b",
        "spiffe://td/a#b",
        "spiffe://td/é",
        "spiffe://td/" + "a" * 2048,
    ],
)
def test_other_texts_are_faults_everywhere(value: str) -> None:
    assert id_fault(value) is not None
    assert source_fault(value) is not None


@pytest.mark.parametrize(
    "value", ["*", "spiffe://td/ns/*/sa/x", "spiffe://td/*", "spiffe://td/ns/a?/sa/*-bot"]
)
def test_patterns_are_good_sources_but_no_ids(value: str) -> None:
    assert is_pattern(value)
    assert source_fault(value) is None
    assert id_fault(value) is not None


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("spiffe://*/ns/a", "trust domain is written out"),
        ("spiffe://t?/ns/a", "trust domain is written out"),
        ("spiffe://td/**", "** is no pattern"),
        ("spiffe://td/*a*b*c*d*e", "at most 4 stars"),
        ("spiffe://td/*/", "empty path segment"),
        ("ns/*", "does not begin with spiffe://"),
        ("**", "does not begin with spiffe://"),
    ],
)
def test_bad_patterns_are_explained(value: str, fault: str) -> None:
    assert fault in (source_fault(value) or "")


@pytest.mark.parametrize(
    ("pattern", "spiffe_id", "matches"),
    [
        ("spiffe://td/ns/a/sa/x", "spiffe://td/ns/a/sa/x", True),
        ("spiffe://td/ns/a/sa/x", "spiffe://td/ns/a/sa/xy", False),
        ("spiffe://td/ns/a.b/sa/x", "spiffe://td/ns/aXb/sa/x", False),
        ("spiffe://td/ns/*/sa/x", "spiffe://td/ns/a/sa/x", True),
        ("spiffe://td/ns/*/sa/x", "spiffe://td/ns/a/b/sa/x", False),
        ("spiffe://td/ns/*/sa/x", "spiffe://other/ns/a/sa/x", False),
        ("spiffe://td/ns/prod-*/sa/x", "spiffe://td/ns/prod-eu/sa/x", True),
        ("spiffe://td/ns/prod-*/sa/x", "spiffe://td/ns/prod-eu/sa/y/sa/x", False),
        ("spiffe://td/ns/*a*b/sa/x", "spiffe://td/ns/1a2a3b/sa/x", True),
        ("spiffe://td/ns/*a*b/sa/x", "spiffe://td/ns/1a2b3/sa/x", False),
        ("spiffe://td/ns/a?/sa/x", "spiffe://td/ns/ab/sa/x", True),
        ("spiffe://td/ns/a?/sa/x", "spiffe://td/ns/a//sa/x", False),
        ("spiffe://td/ns/prod/*", "spiffe://td/ns/prod/sa/x", True),
        ("spiffe://td/ns/prod/*", "spiffe://td/ns/prod2/sa/x", False),
        ("spiffe://td/*", "spiffe://td/x", True),
        ("spiffe://td/*", "spiffe://td.evil/x", False),
        ("*", "spiffe://any/x", True),
        ("*", "unauthenticated", False),
        ("unauthenticated", "unauthenticated", True),
        ("unauthenticated", "spiffe://any/x", False),
    ],
)
def test_wildcards_stay_in_their_segment_except_a_last_star(
    pattern: str, spiffe_id: str, matches: bool
) -> None:
    assert (re.fullmatch(pattern_regex(pattern), spiffe_id) is not None) is matches


def test_a_long_id_against_many_stars_is_fast() -> None:
    pattern = re.compile(pattern_regex("spiffe://td/" + "/".join(["*a*a*a*b"] * 10)))
    start = time.perf_counter()
    assert pattern.fullmatch("spiffe://td/" + "a" * 2000) is None
    assert time.perf_counter() - start < 0.5
