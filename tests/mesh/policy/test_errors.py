from __future__ import annotations

from mesh.policy.errors import MAX_ERRORS, ErrorLog, PolicyError, PolicyInvalid, shown


def test_an_error_names_file_line_path_and_fault() -> None:
    error = PolicyError("policies.yaml", 12, "spec.outbound[0].tools.allow[2]", "bad")
    assert str(error) == "policies.yaml:12: spec.outbound[0].tools.allow[2]: bad"


def test_an_error_of_the_whole_document_has_no_path() -> None:
    assert str(PolicyError("p.yaml", 1, "", "not valid YAML")) == "p.yaml:1: not valid YAML"


def test_the_exception_lists_every_error_on_a_line_of_its_own() -> None:
    errors = (PolicyError("a", 1, "x", "one"), PolicyError("b", 2, "", "two"))
    assert str(PolicyInvalid(errors)) == "a:1: x: one\nb:2: two"
    assert PolicyInvalid(errors).errors == errors


def test_errors_are_listed_by_line() -> None:
    log = ErrorLog("p")
    log.add(9, "b", "later")
    log.add(2, "a", "earlier")
    assert [error.line for error in log.listed()] == [2, 9]


def test_past_the_limit_errors_are_only_counted() -> None:
    log = ErrorLog("p")
    for line in range(MAX_ERRORS + 5):
        log.add(line + 1, "", "bad")
    listed = log.listed()
    assert log.full
    assert len(listed) == MAX_ERRORS + 1
    assert listed[-1].message == "5 more errors are not listed"


def test_shown_text_is_quoted_printable_and_short() -> None:
    assert shown("abc") == '"abc"'
    assert shown("a\nb\u202e") == '"a\\nb\\u202e"'
    assert shown("\ud800") == '"\\ud800"'
    assert len(shown("x" * 1000)) < 70
