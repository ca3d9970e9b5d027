from __future__ import annotations

import random
import string

import pytest

from sidecar.guardrails.secrets.assignments import VALUE_LENGTH, judge


def drawn(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    draw = random.Random(11)
    return "".join(draw.choice(alphabet) for _ in range(length))


KEY = drawn(32)


@pytest.mark.parametrize(
    "name", ["api_key", "client_secret", "accountKey", "TOKEN", "admin_token", "nextcloudToken"]
)
def test_random_values_beside_names_of_secrets_are_keys(name: str) -> None:
    assert judge(name, KEY, True)[0] == "API_KEY"


@pytest.mark.parametrize(
    "name",
    [
        "public_key",
        "token_type",
        "secretName",
        "PASSWORD_FILE",
        "next_page_token",
        "csrf_token",
        "tokenUrl",
        "key_path",
    ],
)
def test_names_about_secrets_have_public_values(name: str) -> None:
    assert judge(name, KEY, True) == ("", 0.0)


def test_an_id_of_a_key_is_part_of_a_credential() -> None:
    assert judge("aws_access_key_id", KEY, True)[0] == "API_KEY"


@pytest.mark.parametrize(
    "value",
    [
        "string",
        "process.env.TOKEN",
        "getToken(1)",
        "${TOKEN}",
        "https://example.com/a1b2",
        "/run/secrets/token1",
        "abc",
        "12345678901234567890",
        "bert-base-uncased-whole-word",
        "com.example.SomeClassName",
        "a1b2c3d4e5f6g7h8i9j0",
        "x" * 32,
        KEY * (VALUE_LENGTH // 32 + 1),
    ],
)
def test_code_words_and_placeholders_are_no_keys(value: str) -> None:
    assert judge("api_key", value, True) == ("", 0.0)


def test_a_uuid_counts_beside_a_word_for_keys_only() -> None:
    draw = random.Random(5)
    uuid = "-".join("".join(draw.choice("0123456789abcdef") for _ in range(n)) for n in (8, 4, 4, 4, 12))
    assert judge("SAUCE_ACCESS_KEY", uuid, False)[0] == "API_KEY"
    assert judge("jira", uuid, False) == ("", 0.0)


@pytest.mark.parametrize(
    ("value", "quoted", "found"),
    [
        ("hunter2!", False, True),
        ("adm1n", False, True),
        ("whiteduke", False, True),
        ("required", False, False),
        ("goodspec", True, True),
        ("abc", True, False),
        ("aaaaaaaa", True, False),
        ("new_password", True, False),
        ("$DB_PASS", True, False),
        ("#password-field", True, False),
    ],
)
def test_passwords_may_be_short_and_words(value: str, quoted: bool, found: bool) -> None:
    assert (judge("password", value, quoted)[0] == "PASSWORD") is found


def test_in_a_list_names_are_no_values() -> None:
    assert judge("password", "confirm_entry", True, listed=True) == ("", 0.0)
    assert judge("token", "some-longer-name_of_things", True, listed=True) == ("", 0.0)
    assert judge("password", "hunter2!", True, listed=True)[0] == "PASSWORD"


def test_secrets_that_people_choose_count_as_passwords() -> None:
    assert judge("JWT_SECRET", "zug42!zwang", True)[0] == "PASSWORD"
    assert judge("SECRET_JWT", "zug42!zwang", True)[0] == "PASSWORD"
