from __future__ import annotations

import base64
import random
import string
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.guardrails import SecretsOptions
from sidecar.guardrails.hit import SEPARATOR
from sidecar.guardrails.secrets import SecretsDetector
from sidecar.guardrails.secrets.detector import CANDIDATES

ALNUM = string.ascii_letters + string.digits
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
HEX = "0123456789abcdef"


def drawn(length: int, alphabet: str = ALNUM, seed: int = 7) -> str:
    """A random-looking tail, so that no token stands in this file."""
    draw = random.Random(seed)
    return "".join(draw.choice(alphabet) for _ in range(length))


def kinds(detector: SecretsDetector, text: str) -> list[str]:
    return [hit.kind for hit in detector.scan(text)]


def summed(prefix: str) -> str:
    """With the checksum of GitHub's tokens."""
    body = drawn(30)
    value, digits = zlib.crc32(body.encode()), ""
    while value:
        value, digit = divmod(value, 62)
        digits = BASE62[digit] + digits
    return prefix + body + digits.rjust(6, "0")


def jwt() -> str:
    parts = (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"someone"}', drawn(32).encode())
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


PEM = (
    "-----BEGIN RSA "
    + "PRIVATE KEY-----\n"
    + drawn(64)
    + "\n"
    + drawn(64)
    + "\n-----END RSA PRIVATE KEY-----"
)

FOUND = [
    ("GITHUB_TOKEN", "gh" + "p_" + drawn(36)),
    ("GITHUB_TOKEN", summed("gh" + "s_")),
    ("ANTHROPIC_KEY", "sk-" + "ant-api03-" + drawn(93) + "AA"),
    ("OPENAI_KEY", "sk-" + "proj-" + drawn(74) + "T3Blb" + "kFJ" + drawn(74)),
    ("HUGGINGFACE_TOKEN", "hf" + "_" + drawn(34, string.ascii_letters)),
    (
        "SLACK_TOKEN",
        "xox" + "b-" + drawn(12, string.digits) + "-" + drawn(12, string.digits) + "-" + drawn(24),
    ),
    ("STRIPE_KEY", "sk" + "_live_" + drawn(24)),
    ("AWS_ACCESS_KEY", "AK" + "IA" + drawn(16, string.ascii_uppercase + "234567")),
    ("GOOGLE_API_KEY", "AI" + "za" + drawn(35)),
    ("VAULT_TOKEN", "hv" + "s." + drawn(95)),
    ("TELEGRAM_TOKEN", drawn(10, "123456789") + ":AA" + drawn(33)),
    ("JWT", jwt()),
    ("PRIVATE_KEY", PEM),
    ("ENCODED_PRIVATE_KEY", base64.b64encode(PEM.encode()).decode()),
    ("CONNECTION_STRING", "postgres" + "://app:" + drawn(12) + "@db.internal/app"),
    ("URL_CREDENTIALS", "https" + "://bob:" + drawn(12) + "@git.example.com/a.git"),
    ("DATABASE_PASSWORD", "Server=db;Uid=sa;Pwd" + "=secret;Database=x"),
    ("BASIC_AUTH", "Authorization: Basic " + base64.b64encode(f"bob:{drawn(10)}".encode()).decode()),
    ("BEARER_TOKEN", "Authorization: Bearer " + drawn(32)),
    ("COMMAND_PASSWORD", "curl -u bob:" + drawn(12) + " https://example.com"),
    ("CONFIG_LINE", "machine example.com login bob password " + drawn(12)),
    ("PASSWORD_HASH", "$2b" + "$12$" + drawn(53)),
    ("TOLD_PASSWORD", 'The password is "' + drawn(10) + '"'),
    ("PASSWORD", "password = '" + drawn(9) + "'"),
    ("PASSWORD", "<add key='SmtpPassword' value='" + drawn(9) + "' />"),
    ("PASSWORD", '"password": "' + drawn(9) + '"'),
    ("API_KEY", "export SERVICE_API_KEY=" + drawn(32)),
    ("API_KEY", "client_secret: " + drawn(40, HEX)),
    ("API_KEY", "ACCESS_KEY=" + "-".join(drawn(n, HEX) for n in (8, 4, 4, 4, 12))),
    ("API_KEY", "--token " + drawn(32)),
    ("API_KEY", "account_key: " + drawn(32)),
    ("PASSWORD", "admin_password: " + drawn(9)),
    ("API_KEY", "token = env.TOKEN || '" + drawn(24) + "'"),
    ("SENTRY_TOKEN", "sntryu" + "_" + drawn(64, HEX)),
    ("SHOPIFY_TOKEN", "shp" + "at_" + drawn(32, HEX)),
    ("DATABRICKS_TOKEN", "da" + "pi" + drawn(32, HEX)),
    ("NEW_RELIC_KEY", "NR" + "AK-" + drawn(27, string.ascii_uppercase + string.digits)),
]

QUIET = [
    "password: string",
    "Enter your password:",
    "password = input()",
    "password=$PASSWORD",
    "password: ${DB_PASS}",
    "password: <your password>",
    "api_key: YOUR_API_KEY",
    "token: null",
    "password = ********",
    "max_tokens=1024",
    '"tokenizer_class": "LlamaTokenizerFast"',
    "PASSWORD_RESET_URL=https://example.com/reset-it",
    "secretName: my-app-secrets",
    "the password must be at least 8 characters",
    "pages/passwords.md: 12 changes",
    "commit " + drawn(40, HEX),
    '"node_id": "' + base64.b64encode(b"017:PullRequest1000158").decode() + '"',
    '"sha256": "' + drawn(64, HEX) + '"',
    "integrity sha512-" + drawn(86) + "==",
    "AK" + "IAIOSFODNN7EXAMPLE",
    "AK" + "IAXXXXXXXXXXXXXXXX",
    "gh" + "p_" + "x" * 36,
    "idempotency-key: " + "-".join(drawn(n, HEX) for n in (8, 4, 4, 4, 12)),
    "hf_requiredCharacteristicTypesForDisplayMeta",
    "postgres" + "://user:password@localhost/db",
    "https" + "://${USER}:${PASS}@example.com/",
    "password == user.password",
    "?X-Amz-Credential=" + "AK" + "IA" + drawn(16, string.ascii_uppercase) + "%2F20190509",
    "-----BEGIN OPENSSH " + "PRIVATE KEY----------END OPENSSH PRIVATE KEY-----",
    SEPARATOR.join(("required", "password", "new_password", "confirm_password")),
]


@pytest.mark.parametrize(("kind", "text"), FOUND, ids=[f"{kind}-{i}" for i, (kind, _) in enumerate(FOUND)])
def test_credentials_are_found(secrets: SecretsDetector, kind: str, text: str) -> None:
    assert kind in kinds(secrets, f"before\n{text}\nafter")
    assert kind in kinds(secrets, f"über {text} — straße")


@pytest.mark.parametrize("text", QUIET, ids=range(len(QUIET)))
def test_what_is_no_credential_is_left_alone(secrets: SecretsDetector, text: str) -> None:
    assert secrets.scan(text) == []


def test_a_key_before_its_value_counts_as_its_name(secrets: SecretsDetector) -> None:
    text = SEPARATOR.join(("user", "bob", "password", "hunter2aa", "note", "hello"))
    (hit,) = secrets.scan(text)
    assert (hit.kind, text[hit.start : hit.end]) == ("PASSWORD", "hunter2aa")


def test_positions_are_code_points(secrets: SecretsDetector) -> None:
    token = "gh" + "p_" + drawn(36)
    text = f"ключ 🔑 {token} конец"
    (hit,) = secrets.scan(text)
    assert text[hit.start : hit.end] == token


def test_a_private_key_is_a_hit_to_its_last_line(secrets: SecretsDetector) -> None:
    (hit,) = secrets.scan(f"a {PEM} b")
    assert f"a {PEM} b"[hit.start : hit.end] == PEM


def test_a_private_key_does_not_reach_into_the_next_text(secrets: SecretsDetector) -> None:
    text = PEM[:100] + SEPARATOR + PEM
    assert all(SEPARATOR not in text[hit.start : hit.end] for hit in secrets.scan(text))


def test_a_right_checksum_makes_sure(secrets: SecretsDetector) -> None:
    (right,) = secrets.scan(summed("gh" + "p_"))
    (wrong,) = secrets.scan("gh" + "p_" + drawn(36))
    assert right.score == 1.0
    assert wrong.score < 1.0


def test_without_entropy_names_say_nothing() -> None:
    plain = SecretsDetector(SecretsOptions(entropy=False))
    assert plain.scan("password = '" + drawn(9) + "'") == []
    assert kinds(plain, "gh" + "p_" + drawn(36)) == ["GITHUB_TOKEN"]


def test_beyond_the_cap_the_rest_counts_as_found(secrets: SecretsDetector) -> None:
    flood = 'password: "' + drawn(9) + '"\n'
    text = flood * (CANDIDATES + 10) + SEPARATOR + "something else"
    hits = secrets.scan(text)
    assert [hit.kind for hit in hits[-2:]] == ["UNEXAMINED", "UNEXAMINED"]
    assert hits[-1].end == len(text)
    assert all(SEPARATOR not in text[hit.start : hit.end] for hit in hits)


@pytest.mark.parametrize(
    "unit",
    [
        "pwd=ab1 ",
        "token_",
        "http://a:b@c ",
        "eyJhbGciOiJIUzI1NiJ9.",
        "bearer aaaaaaaaaaaaaaaa ",
        "A1b2",
        "curl -u ",
    ],
)
def test_time_grows_with_the_text_and_no_faster(secrets: SecretsDetector, unit: str) -> None:
    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        secrets.scan(text)
        started = time.process_time()
        secrets.scan(text)
        return time.process_time() - started

    assert cost(200_000) < 40 * max(cost(20_000), 0.005)


PARTS = st.sampled_from(
    [
        SEPARATOR,
        "password",
        "token",
        "=",
        ": ",
        '"',
        "'",
        "\n",
        "<",
        ">",
        "gh" + "p_",
        "sk-",
        "eyJ",
        "Bearer ",
        "://",
        "@",
    ]
    + [drawn(n, ALNUM, n) for n in (5, 20, 36, 64)]
)


@given(st.lists(st.one_of(PARTS, st.text(max_size=6)), max_size=24).map("".join))
def test_hits_lie_within_one_text_and_do_not_overlap(text: str) -> None:
    last = 0
    for hit in SHARED.scan(text):
        assert last <= hit.start < hit.end <= len(text)
        assert SEPARATOR not in text[hit.start : hit.end]
        assert 0 < hit.score <= 1
        last = hit.end


SHARED = SecretsDetector(SecretsOptions())
