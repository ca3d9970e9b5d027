from __future__ import annotations

import pytest

from mesh.settings.kinds import ANY, Kind
from mesh.settings.lists import CidrList, PortList, VariableList, beyond
from mesh.settings.table import CAPTURE, EXCLUDE_INBOUND_PORTS, of_kind


@pytest.mark.parametrize("text", ["", "80", " 80 , 443,", "65535"])
def test_a_list_of_ports_may_be_spaced_as_one_likes(text) -> None:
    assert PortList().problem(text) is None
    assert PortList().read(text) == {int(item) for item in text.split(",") if item.strip()}


@pytest.mark.parametrize("text", ["http", "0", "65536", "80-90", "+80", "٣", "80;81", "1e3"])
def test_what_is_no_port_is_told(text) -> None:
    assert text in (PortList().problem(text) or "")


@pytest.mark.parametrize("text", ["", "10.0.0.0/8", "fd00::/8, 10.0.0.1", "2001:db8::/32"])
def test_blocks_of_both_families_are_taken(text) -> None:
    assert CidrList().problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "example.org",
        "::ffff:10.0.0.0/104",
        "10.0.0.0/8 11.0.0.0/8",
        "fe80::%eth0/64",
        "fe80::1%$(HOME)/128",
    ],
)
def test_what_is_no_block_is_told(text) -> None:
    assert text in (CidrList().problem(text) or "")


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "0.0.0.0/1, 128.0.0.0/1", "8000::/1,::/1"])
def test_everything_cannot_be_excluded_not_even_in_parts(text) -> None:
    assert CidrList().problem(text) == "excludes every destination, which switches capture off"


@pytest.mark.parametrize(
    ("text", "granted", "more"),
    [
        ("10.1.0.0/16", "10.0.0.0/8", []),
        ("10.0.0.0/8", "10.1.0.0/16", ["10.0.0.0/8"]),
        ("fd00::/16,10.0.0.0/9", "10.0.0.0/8", ["fd00::/16"]),
        ("fd00:1::/32", "fd00::/16, 10.0.0.0/8", []),
        ("", "", []),
    ],
)
def test_a_part_of_what_is_granted_is_no_more_of_it(text, granted, more) -> None:
    assert beyond(CidrList(), text, granted) == more


@pytest.mark.parametrize("text", ["", "TOKEN", " a.b-c , _X,", "-x", ".x1"])
def test_variables_have_the_names_that_every_kubernetes_takes(text) -> None:
    assert VariableList().problem(text) is None


@pytest.mark.parametrize("text", ["1A", "A B", "A=B", "TÖKEN", "A/B", "OK, $(X)"])
def test_what_is_no_name_of_a_variable_is_told(text) -> None:
    wrong = text.rpartition(", ")[2]
    assert VariableList().problem(text) == f"has what is no name of an environment variable: {wrong}"


def test_ports_beyond_those_granted_are_told_in_order() -> None:
    assert beyond(PortList(), "443,22,80", "80") == ["22", "443"]


def test_what_weakens_protection_is_among_the_values_that_are_allowed() -> None:
    for row in of_kind(Kind.ANNOTATION):
        assert all(value == ANY or row.values.problem(value) is None for value in row.lowers)
    assert CAPTURE.permissions == ("capture=explicit",)
    assert EXCLUDE_INBOUND_PORTS.permissions == ("exclude-inbound-ports",)
