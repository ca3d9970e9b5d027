from __future__ import annotations

from pathlib import Path

import pytest

from mesh.policy.errors import PolicyInvalid
from mesh.policy.guardrails import Action, DetectorKind, Rate
from mesh.policy.narrowing import Narrowing
from sidecar.config import load_config


def read(folder: Path, section: str, **variables: str) -> Narrowing:
    path = folder / "sidecar.yaml"
    path.write_text(f"policies: [p.yaml]\n{section}", encoding="utf-8")
    environment = {f"OUTRIDER_NARROW_{name}": value for name, value in variables.items()}
    return load_config(path, environment).narrowing


def faults(folder: Path, section: str, **variables: str) -> str:
    with pytest.raises(PolicyInvalid) as invalid:
        read(folder, section, **variables)
    return str(invalid.value)


def test_without_the_section_nothing_is_taken_away(tmp_path: Path) -> None:
    assert read(tmp_path, "") == read(tmp_path, "narrow: {}\n") == Narrowing()


def test_every_key_is_read(tmp_path: Path) -> None:
    section = (
        'narrow: {policies: [a, b], toolsAllow: ["x/*", "y/b c"], toolsDeny: ["*/*delete*"], mode: enforce, '
        'guardrails: {sql: block, pii: mask}, rates: ["60/m", "x/b=5/s"]}\n'
    )
    assert read(tmp_path, section) == Narrowing(
        frozenset({"a", "b"}),
        (("x/*", "y/b c"),),
        ("*/*delete*",),
        enforce=True,
        guardrails=((DetectorKind.PII, Action.MASK), (DetectorKind.SQL, Action.BLOCK)),
        rates=(("*/*", Rate(60, 60.0)), ("x/b", Rate(5, 1.0))),
    )


def test_what_variables_say_of_content_and_rates_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, "", GUARDRAILS='{"secrets":"block"}', RATES='["1000/h"]')
    assert found.guardrails == ((DetectorKind.SECRETS, Action.BLOCK),)
    assert found.rates == (("*/*", Rate(1000, 3600.0)),)
    assert found.told() == {"guardrails": {"secrets": "block"}, "rates": ("1000/h",)}


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("guardrails: {pi: mask}", "narrow.guardrails.pi: unknown field"),
        ("guardrails: {pii: 'off'}", "narrow.guardrails.pii: an annotation only makes it stricter"),
        ("guardrails: {sql: mask}", "narrow.guardrails.sql: sql masks nothing"),
        ("guardrails: {pii: [x]}", "narrow.guardrails.pii: expected a string, found a list"),
        ("guardrails: x", "narrow.guardrails: expected a mapping"),
        ("rates: ['5/m', 5/d]", 'narrow.rates[1]: "5/d" is no rate'),
    ],
)
def test_what_says_nothing_of_content_and_rates_is_a_fault(tmp_path: Path, section: str, told: str) -> None:
    assert told in faults(tmp_path, f"narrow: {{{section}}}\n")


@pytest.mark.parametrize(
    ("written", "lists"),
    [
        ('["x/*"]', (("x/*",),)),
        ("[]", ((),)),
        ('[["x/*"], ["*/a"]]', (("x/*",), ("*/a",))),
        ("[[]]", ((),)),
    ],
)
def test_tools_are_allowed_by_one_list_or_by_several(
    tmp_path: Path, written: str, lists: tuple[tuple[str, ...], ...]
) -> None:
    assert read(tmp_path, f"narrow: {{toolsAllow: {written}}}\n").tools_allow == lists
    assert read(tmp_path, "", TOOLS_ALLOW=written).tools_allow == lists


def test_variables_win_over_the_file(tmp_path: Path) -> None:
    section = 'narrow: {policies: [a], toolsDeny: ["x/*"]}\n'
    found = read(tmp_path, section, POLICIES="[]", TOOLS_DENY='["y/$(HOME)"]', MODE="enforce")
    assert found == Narrowing(frozenset(), (), ("y/$(HOME)",), enforce=True)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("narrow: {mode: observe}", "narrow.mode: allowed: enforce"),
        ("narrow: {policies: a}", "narrow.policies: expected a list"),
        ("narrow: {policies: [A]}", 'narrow.policies[0]: "A" is no name'),
        ('narrow: {toolsAllow: [["x/*"], "y/*"]}', "narrow.toolsAllow[1]: expected a list"),
        ("narrow: {toolsAllow: [[get]]}", "narrow.toolsAllow[0][0]: an entry is a Backend"),
        ("narrow: {toolsDeny: [get]}", "narrow.toolsDeny[0]: an entry is a Backend"),
        ("narrow: {toolsDeny: {}}", "narrow.toolsDeny: expected a list"),
        ("narrow: {tools: []}", "narrow.tools: unknown field"),
        ("narrow: []", "narrow: expected a mapping"),
    ],
)
def test_a_fault_is_told_and_nothing_starts(tmp_path: Path, section: str, said: str) -> None:
    assert said in faults(tmp_path, section + "\n")


@pytest.mark.parametrize("value", ["a", "[a", '{"a": 1}', "[1]", "[[]", "- a\n- b: c"])
def test_a_variable_that_is_no_list_of_names_stops_the_sidecar(tmp_path: Path, value: str) -> None:
    assert "environment" in faults(tmp_path, "", POLICIES=value)
