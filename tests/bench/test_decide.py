from __future__ import annotations

import pytest

from bench import decide


@pytest.mark.parametrize("matching", [True, False])
@pytest.mark.parametrize("count", [1, 10, 120])
@pytest.mark.parametrize("make", [decide.outbound, decide.inbound, decide.access])
def test_the_question_is_granted_so_that_the_case_measures_what_it_says(
    make: object, count: int, matching: bool
) -> None:
    case = make(count, matching)  # type: ignore[operator]
    assert case.ask()
    case.forget()
    assert case.ask()


def test_what_depends_on_the_request_is_worked_out_each_time() -> None:
    cases = list(decide.on_requests())
    assert [case.ask() for case in cases] == [True] * 3
    assert all(case.policy._conditional and not case.policy._cache for case in cases)


def test_a_row_refuses_to_measure_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "BATCH_SECONDS", 0.0001)
    case = decide.outbound(10, matching=True)
    assert decide._row("x", "10", case).startswith("| x | 10 | ")
    with pytest.raises(RuntimeError):
        decide._row("x", "10", decide.Case("x", case.policy, case.target, "unknown"))
