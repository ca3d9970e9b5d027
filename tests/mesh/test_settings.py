from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mesh.settings.kinds import Kind, Owner
from mesh.settings.markdown import BEGIN, END, markdown
from mesh.settings.table import PREFIX, SIDECAR_PORTS, TABLE, VERSION, of_kind
from mesh.settings.values import Choice, Port, Quantity, Text

ROOT = Path(__file__).parents[2]


def test_every_name_stands_in_the_table_once() -> None:
    names = [(row.kind, row.name) for row in TABLE]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_default_is_a_value_that_its_own_setting_allows(row) -> None:
    assert row.doc.endswith(".")
    if row.default:
        assert row.values.problem(row.default) is None
    assert row.values.allowed


def test_every_kind_has_rows_and_annotations_carry_the_prefix() -> None:
    assert all(of_kind(kind) for kind in Kind)
    assert all(row.name.startswith(PREFIX) for row in of_kind(Kind.ANNOTATION))
    assert {row.owner for row in of_kind(Kind.ANNOTATION)} == {Owner.POD, Owner.SIDECAR}


def test_each_configuration_key_has_one_variable() -> None:
    keys = [row.key for row in of_kind(Kind.SIDECAR_ENV) if row.key]
    assert len(set(keys)) == len(keys)
    assert all(row.name.startswith("OUTRIDER_") for row in of_kind(Kind.SIDECAR_ENV))


def test_the_sidecar_keeps_the_five_ports_of_the_design() -> None:
    assert sorted(SIDECAR_PORTS) == [15001, 15002, 15006, 15020, 15443]


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


def test_the_documentation_holds_the_table_as_generated() -> None:
    page = (ROOT / "docs" / "injection.md").read_text(encoding="utf-8")
    begin, end = page.index(BEGIN), page.index(END) + len(END)
    assert page[begin:end] == markdown(), (
        "paste the output of `python -m mesh.settings` into docs/injection.md"
    )


@pytest.mark.parametrize(
    ("resource", "text", "amount"),
    [
        ("cpu", "100m", "0.1"),
        ("cpu", "2", "2"),
        ("cpu", "0.5", "0.5"),
        ("cpu", "1k", None),
        ("cpu", "1Mi", None),
        ("memory", "64Mi", str(64 * 2**20)),
        ("memory", "1.5Gi", "1610612736"),
        ("memory", "128M", "128000000"),
        ("memory", "64m", None),
        ("memory", "64mi", None),
        ("memory", "1e3", None),
        ("memory", "0", None),
        ("memory", "-1", None),
        ("memory", "", None),
        ("memory", "64 Mi", None),
        ("memory", "٣", None),
    ],
)
def test_a_quantity_is_positive_and_in_units_that_people_mean(resource, text, amount) -> None:
    read = Quantity(resource).amount(text)
    assert (None if amount is None else str(read.normalize().__format__("f"))) == amount or str(
        read
    ) == amount
    assert (Quantity(resource).problem(text) is None) == (amount is not None)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("1", True), ("65535", True), ("0", False), ("65536", False), ("٣", False), ("", False)],
)
def test_a_port_is_a_decimal_number_in_range(text, allowed) -> None:
    assert (Port().problem(text) is None) == allowed


def test_a_choice_tells_later_values_from_unknown_ones() -> None:
    choice = Choice(("a", "b"), later=("c",))
    assert choice.problem("a") is None
    assert choice.problem("c") == "is not supported by this version"
    assert choice.problem("d") == "is not a known value"
    assert choice.allowed == "a or b"


def test_text_may_be_anything() -> None:
    assert Text("words").problem("\x00") is None
