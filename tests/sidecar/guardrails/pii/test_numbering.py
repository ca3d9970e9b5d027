from __future__ import annotations

import pytest

from sidecar.guardrails.pii.numbering import REGIONS, possible, valid


@pytest.mark.parametrize("number", ["+44 20 7183 8750", "+49(0)9214 95241", "+1-201-555-0123"])
def test_international_numbers_have_a_length_that_their_country_uses(number: str) -> None:
    assert possible(number)


@pytest.mark.parametrize("number", ["+999 1234567", "+1 23456", "+", ""])
def test_others_are_impossible(number: str) -> None:
    assert not possible(number)


def test_national_numbers_are_valid_in_the_countries_that_give_them_out() -> None:
    assert valid("02071838750", ("GB",))
    assert not valid("02071838750", ("FR",))
    assert valid("02071838750", REGIONS)


@pytest.mark.parametrize("digits", ["0", "00000000000", ""])
def test_what_cannot_be_read_is_not_valid(digits: str) -> None:
    assert not valid(digits, REGIONS)
