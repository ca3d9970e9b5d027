from __future__ import annotations

import base64
import random
import string

import pytest

from sidecar.guardrails.secrets import checks

ALNUM = string.ascii_letters + string.digits


def drawn(length: int, alphabet: str = ALNUM, seed: int = 3) -> str:
    draw = random.Random(seed)
    return "".join(draw.choice(alphabet) for _ in range(length))


def test_entropy_counts_bits_for_each_character() -> None:
    assert checks.entropy("") == 0.0
    assert checks.entropy("aaaa") == 0.0
    assert checks.entropy("abcd") == 2.0


@pytest.mark.parametrize(
    "text", ["xxxxxxxxxx", "my-example", "<token>", "${TOKEN}", "your_key", "changeme", "****"]
)
def test_placeholders_are_none(text: str) -> None:
    assert checks.plausible(text) == 0.0


@pytest.mark.parametrize("text", ["a1b2c3d4e5f6g7h8", "abcdefghijklmnop", "9876543210987654"])
def test_what_counts_up_or_down_is_typed(text: str) -> None:
    assert checks.stepping(text)
    assert checks.mixed(text) == 0.0


def test_random_text_does_not_step() -> None:
    assert not any(checks.stepping(drawn(32, "0123456789abcdef", seed)) for seed in range(50))


def test_words_are_not_mixed() -> None:
    assert checks.mixed("requiredcharacteristictypes") == 0.0
    assert checks.mixed(drawn(32)) == 1.0


def test_strong_text_has_digits_and_both_cases() -> None:
    assert checks.strong(drawn(40)) > 0
    assert checks.strong(drawn(40, string.ascii_lowercase)) == 0.0


def test_what_is_published_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    token = drawn(39)
    assert not checks.published(token)
    import hashlib

    monkeypatch.setattr(checks, "_PUBLISHED", frozenset({hashlib.sha256(token.encode()).hexdigest()[:16]}))
    assert checks.published(token)
    assert checks.mixed(token) == 0.0


@pytest.mark.parametrize("text", ["", "a", "=", "not base64!", "ü", "YWJj\n"])
def test_what_is_no_base64_decodes_to_nothing_or_bytes(text: str) -> None:
    assert isinstance(checks.unbase64(text), bytes)


def test_base64_of_both_alphabets_decodes() -> None:
    data = bytes(range(256))
    assert checks.unbase64(base64.b64encode(data).decode()) == data
    assert checks.unbase64(base64.urlsafe_b64encode(data).decode().rstrip("=")) == data


def test_basic_credentials_hold_a_name_and_a_password() -> None:
    assert checks.basic(base64.b64encode(b"bob:" + drawn(8).encode()).decode()) > 0
    assert checks.basic(base64.b64encode(b"no colon here").decode()) == 0.0
    assert checks.basic(base64.b64encode(b"a:\xff\xfe\x00").decode()) == 0.0


def test_a_header_of_jose_is_asked_of_a_token() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    assert checks.jwt(f"{header}.e30.x") == 1.0
    assert checks.jwt("eyJhIjoxfQ.e30.x") == 0.0


def test_discord_tokens_begin_with_the_number_of_a_user() -> None:
    user = base64.urlsafe_b64encode(b"123456789012345678").decode().rstrip("=")
    assert checks.discord(f"{user}.abc.def") == 1.0
    assert checks.discord("MTIzabc.abc.def") == 0.0


def test_a_shared_access_signature_is_an_hmac() -> None:
    assert checks.sas(base64.b64encode(bytes(32)).decode().replace("=", "%3D")) == 1.0
    assert checks.sas("abc") == 0.0


@pytest.mark.parametrize(
    ("password", "counts"),
    [
        ("hunter2", True),
        ("secret", True),
        ("password", False),
        ("${PASS}", False),
        ("xx", False),
        ("token", False),
    ],
)
def test_passwords_in_urls_are_no_variables(password: str, counts: bool) -> None:
    assert (checks.url_password(password) > 0) is counts


def test_told_passwords_have_letters_and_digits() -> None:
    assert checks.told("Sekr1t99.") > 0
    assert checks.told("protected") == 0.0
    assert checks.told("1234567") == 0.0


def test_access_key_ids_of_aws_are_varied() -> None:
    assert checks.aws_key_id("AK" + "IA" + drawn(16, "ABCDEFGHJKLMNPQRSTUVWXYZ234567")) == 1.0
    assert checks.aws_key_id("AK" + "IA" + "A" * 16) == 0.0
    assert checks.aws_key_id("ASIA" + "NPACIFICREGIONAL") == 0.0
