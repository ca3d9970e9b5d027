from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.guardrails.pii import asia_pacific, europe_checks, north_america, south_america
from sidecar.guardrails.pii.checksums import ean_13, luhn, mod_11_2, mod_11_10, mod_97, verhoeff
from sidecar.guardrails.pii.crypto import base58check, bech32
from sidecar.guardrails.pii.dates import ddmmyy, month_day, shifted, yymmdd

PUBLISHED = [
    (luhn, "4111111111111111"),
    (luhn, "490154203237518"),
    (mod_97, "GB82WEST12345698765432"),
    (mod_97, "DE89370400440532013000"),
    (mod_11_10, "33392005961"),
    (mod_11_2, "11010519491231002X"),
    (verhoeff, "234123412346"),
    (ean_13, "7569217076985"),
    (north_america.npi, "1234567893"),
    (north_america.sin, "130692544"),
    (north_america.curp, "HEGG560427MVZRRL04"),
    (south_america.cpf, "11144477735"),
    (south_america.cnpj, "11222333000181"),
    (south_america.rut, "125319092"),
    (south_america.cuit, "20055361682"),
    (europe_checks.nhs, "9434765919"),
    (europe_checks.steuer_id, "36574261809"),
    (europe_checks.insee, "295109912611193"),
    (europe_checks.dni, "54362315K"),
    (europe_checks.nie, "X2482300W"),
    (europe_checks.codice_fiscale, "RCCMNL83S18D969H"),
    (europe_checks.bsn, "111222333"),
    (europe_checks.pesel, "44051401359"),
    (europe_checks.rijksregister, "85073003328"),
    (europe_checks.nif_pt, "501964843"),
    (europe_checks.personnummer, "8803200016"),
    (europe_checks.hetu, "131052308T"),
    (europe_checks.fodselsnummer, "15108695088"),
    (europe_checks.pps, "6433435F"),
    (europe_checks.pps, "6433435OA"),
    (europe_checks.cnp, "1630615123457"),
    (europe_checks.rodne_cislo, "7103192745"),
    (europe_checks.isikukood, "36805280109"),
    (europe_checks.tckn, "17291716060"),
    (asia_pacific.aadhaar, "234123412346"),
    (asia_pacific.tfn, "123456782"),
    (asia_pacific.medicare, "2123456701"),
    (asia_pacific.ird, "49091850"),
    (asia_pacific.nric, "S1234567D"),
    (asia_pacific.resident_cn, "11010519491231002X"),
    (asia_pacific.my_number, "123456789018"),
    (asia_pacific.resident_tw, "A123456789"),
    (asia_pacific.citizen_th, "1234545678781"),
    (asia_pacific.citizen_za, "8001015009087"),
    (base58check, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    (bech32, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    (bech32, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
]


@pytest.mark.parametrize(("check", "number"), PUBLISHED)
def test_published_numbers_pass_their_check(check, number) -> None:
    assert check(number)


@pytest.mark.parametrize(
    ("check", "number"), [row for row in PUBLISHED if row[0] is not asia_pacific.medicare]
)
def test_nearly_every_other_check_digit_is_wrong(check, number) -> None:
    alphabet = "0123456789" if number[-1].isdigit() or number.endswith("X") else "ABCDEFGH"
    if check is bech32:
        alphabet = "qpzry9x8"
    others = [number[:-1] + digit for digit in alphabet if digit != number[-1]]
    assert sum(bool(check(other)) for other in others) <= 1


@given(st.text("0123456789", min_size=11, max_size=18), st.integers(0, 10), st.integers(1, 9))
def test_luhn_and_verhoeff_notice_each_single_wrong_digit(body: str, place: int, shift: int) -> None:
    for check in (luhn, verhoeff):
        number = next(body + digit for digit in "0123456789" if check(body + digit))
        wrong = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]
        assert not check(wrong)


@given(st.text("0123456789", min_size=12, max_size=30))
def test_mod_97_takes_one_number_of_97(body: str) -> None:
    assert sum(mod_97(f"DE{check:02}{body}") for check in range(2, 99)) == 1


@pytest.mark.parametrize(
    "number", ["000123456", "666123456", "900123456", "123003456", "123450000", "078051120"]
)
def test_numbers_that_are_never_given_are_no_social_security_numbers(number: str) -> None:
    assert not north_america.ssn(number)


def test_tax_ids_of_germany_repeat_exactly_one_digit() -> None:
    assert not europe_checks.steuer_id("11111111111")
    assert not europe_checks.steuer_id("12345678903")


def test_insee_numbers_of_corsica_have_a_letter() -> None:
    key = 97 - int("2840519123123") % 97
    assert europe_checks.insee(f"284052A123123{key:02}")


def test_isikukood_has_second_weights() -> None:
    bodies = [f"3600101{serial:03}" for serial in range(1000)]
    assert all(sum(europe_checks.isikukood(f"{body}{digit}") for digit in range(10)) == 1 for body in bodies)


def test_inland_revenue_numbers_have_second_weights() -> None:
    assert asia_pacific.ird("49098097")
    assert not any(asia_pacific.ird(f"4909874{digit}") for digit in range(10))
    assert not asia_pacific.ird("49091851")


def test_dates_are_checked_by_calendar() -> None:
    assert month_day("02", "29")
    assert not month_day("02", "30")
    assert not month_day("13", "01")
    assert not month_day("00", "01")
    assert yymmdd("991231")
    assert ddmmyy("311299")
    assert shifted("995231", 40)
    assert not shifted("999931", 20)
