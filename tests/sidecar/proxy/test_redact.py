"""No spelling of a secret comes back to the agent, and nothing is held up for it."""

from __future__ import annotations

import base64
import html
import itertools
import json
import random
import re
import sys
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sidecar.hidden.secrets import Grants
from sidecar.proxy.redact import CREDENTIAL, LEAST_BYTES, Redactor, Redactors
from sidecar.proxy.spellings import SpelledBefore, spelled

FAKE = b"outrider-hidden-0123456789abcdef0123456789abcdef"
SECRET = b"s3cr\"t/+&<'>= \xc3\xa9\\%x"
TOKEN = b"ghp_16C7e42F292c6912E7710c838347Ae178B4a"


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        json.dumps(SECRET.decode()).encode(),
        json.dumps(SECRET.decode(), ensure_ascii=False).encode(),
        json.dumps(SECRET.decode()).replace("/", "\\/").encode(),
        json.dumps(SECRET.decode(), ensure_ascii=False)
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
        .encode(),
        quote(SECRET).encode(),
        quote(SECRET, safe="").encode(),
        quote_plus(SECRET).encode(),
        re.sub("%..", lambda code: code[0].lower(), quote(SECRET, safe="")).encode(),
        quote(SECRET, safe="!'()*").encode(),
        html.escape(SECRET.decode()).encode(),
        html.escape(SECRET.decode(), quote=False).encode(),
        base64.b64encode(SECRET),
        base64.urlsafe_b64encode(SECRET),
        base64.b64encode(b"user:" + SECRET),
        base64.b64encode(b"me:" + SECRET + b"\n"),
        base64.b64encode(b"x:" + SECRET),
    ],
)
def test_every_spelling_is_replaced(spelled) -> None:
    redactor = Redactor({SECRET: FAKE})
    became = redactor.apply(b'{"echo": "' + spelled + b'"}')
    assert FAKE in became
    assert spelled not in became
    stream = redactor.stream()
    assert b"".join(map(stream.feed, (spelled[:3], spelled[3:]))) + stream.end() == redactor.apply(spelled)


def test_a_body_without_a_secret_is_the_very_same() -> None:
    redactor = Redactor({TOKEN: CREDENTIAL})
    body = b'{"nothing": "here"}'
    assert redactor.apply(body) is body
    assert redactor.stream().feed(body) is body


def test_what_replaces_it_may_stand_in_json() -> None:
    body = json.dumps({"headers": {"authorization": f"Bearer {TOKEN.decode()}"}}).encode()
    became = Redactor({TOKEN: CREDENTIAL}).apply(body)
    assert json.loads(became) == {"headers": {"authorization": "Bearer [outrider:credential]"}}


def test_a_secret_that_is_no_text_is_found_too() -> None:
    secret = b"\xff\xfe binary"
    redactor = Redactor({secret: CREDENTIAL})
    assert redactor.apply(b"a" + secret) == b"a" + CREDENTIAL
    assert redactor.apply(base64.b64encode(secret)) == CREDENTIAL


@pytest.mark.parametrize("length", [0, 1, LEAST_BYTES - 1])
def test_secrets_of_a_few_characters_stay(length) -> None:
    redactor = Redactor({b"a" * length: FAKE})
    assert not redactor
    assert redactor.apply(b"banana " * 9) == b"banana " * 9
    assert redactor.headers([(b"a", b"aaaaaaaaaa")]) == [(b"a", b"aaaaaaaaaa")]


def test_a_secret_that_begins_another_leaves_nothing_of_the_longer_one() -> None:
    redactor = Redactor({b"abcdefgh": b"[short]", b"abcdefghijkl": b"[long]"})
    assert redactor.apply(b"abcdefghijkl abcdefgh") == b"[long] [short]"
    stream = redactor.stream()
    pieces = [stream.feed(b"abcdefgh"), stream.feed(b"ij"), stream.feed(b"kl abcdefgh"), stream.end()]
    assert b"".join(pieces) == b"[long] [short]"


def test_values_of_fields_are_cleaned_and_fields_named_by_a_secret_dropped() -> None:
    redactor = Redactor({TOKEN: FAKE})
    location = b"https://x.example/?t=" + TOKEN
    headers = [(b"location", location), (b"x-" + TOKEN, b"1"), (b"etag", b"abc")]
    assert redactor.headers(headers) == [(b"location", b"https://x.example/?t=" + FAKE), (b"etag", b"abc")]
    clean = [(b"etag", b"abc")]
    assert redactor.headers(clean) is clean


def test_an_event_leaves_at_once() -> None:
    stream = Redactor({TOKEN: FAKE, SECRET: FAKE}).stream()
    event = b'event: message\ndata: {"token": "ghp_"}\n\n'
    assert stream.feed(event) == event
    assert stream.end() == b""


def test_only_an_end_that_could_begin_a_secret_waits() -> None:
    stream = Redactor({TOKEN: FAKE}).stream()
    assert stream.feed(b"data: ghp_16C7") == b"data: "
    assert stream.feed(b"x\n\n") == b"ghp_16C7x\n\n"
    assert stream.feed(b"data: " + TOKEN[:-1]) == b"data: "
    assert stream.feed(TOKEN[-1:]) == FAKE
    assert stream.feed(TOKEN[:5]) == b""
    assert stream.end() == TOKEN[:5]


def test_no_more_is_held_than_a_secret_has() -> None:
    redactor = Redactor({TOKEN: FAKE})
    stream = redactor.stream()
    fed = passed = 0
    for _ in range(50):
        fed += 39
        passed += len(stream.feed(TOKEN[:39]))
        assert fed - passed < 60


LETTERS = "ab/+\"\\<&'%é ="
secrets = st.text(LETTERS, min_size=6, max_size=12).map(str.encode)


@st.composite
def texts(draw, found):
    parts = st.sampled_from(found).flatmap(_spelled) | st.text(LETTERS, max_size=4).map(str.encode)
    return b"".join(draw(st.lists(parts, max_size=8)))


def _spelled(secret):
    text = secret.decode()
    whole = [
        secret,
        json.dumps(text)[1:-1].encode(),
        quote(secret).encode(),
        base64.b64encode(secret),
        base64.b64encode(b"a:" + secret),
        html.escape(text).encode(),
    ]
    parts = st.sampled_from(whole)
    return parts | st.tuples(parts, st.integers(1, 9)).map(lambda pair: pair[0][: -pair[1]])


@given(st.data(), st.lists(secrets, min_size=1, max_size=3))
def test_a_stream_equals_the_whole_however_it_is_divided(data, found) -> None:
    redactor = Redactor({secret: b"[%d]" % place for place, secret in enumerate(found)})
    text = data.draw(texts(found))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    stream = redactor.stream()
    edges = [0, *cuts, len(text)]
    pieces = [stream.feed(text[begin:end]) for begin, end in itertools.pairwise(edges)]
    assert b"".join(pieces) + stream.end() == redactor.apply(text)


@given(st.data(), st.lists(secrets, min_size=1, max_size=3))
def test_no_spelling_of_a_secret_is_ever_left(data, found) -> None:
    found = [secret for secret in found if len(secret) >= LEAST_BYTES]
    assume(found)
    text = data.draw(texts(found))
    became = Redactor(dict.fromkeys(found, b"[x]")).apply(text)
    for secret in found:
        assert secret not in became
        assert quote(secret, safe="").encode() not in became
        assert json.dumps(secret.decode())[1:-1].encode() not in became
        assert base64.b64encode(secret) not in became


def test_a_body_full_of_secrets_is_cleaned_in_one_pass() -> None:
    redactor = Redactor({TOKEN: FAKE, SECRET: CREDENTIAL, b"never-there": b"[n]"})
    body = (TOKEN + b" ") * 20_000
    assert redactor.apply(body) == (FAKE + b" ") * 20_000
    stream = redactor.stream()
    assert stream.feed(body) + stream.end() == redactor.apply(body)


def test_hidden_secrets_become_placeholders_and_minted_credentials_a_word() -> None:
    grants = Grants(frozenset({FAKE}), {FAKE: TOKEN, b"outrider-hidden-absent": None})
    redactor = Redactors().of(grants, (b"minted-token", TOKEN))
    assert redactor.apply(TOKEN + b" minted-token") == FAKE + b" " + CREDENTIAL


def test_a_redactor_is_made_once_for_the_same_secrets_and_a_few_are_kept() -> None:
    redactors = Redactors(limit=2)
    one, other = Grants(secrets={FAKE: TOKEN}), Grants(secrets={FAKE: SECRET})
    first = redactors.of(one)
    assert redactors.of(one) is first
    assert redactors.of(other) is not first
    assert redactors.of(one) is first
    assert not redactors.of(Grants(), ())
    assert redactors.of(one) is first
    redactors.of(one, (b"minted-token",))
    redactors.of(one, (b"minted-other",))
    assert redactors.of(one) is not first


def calls_of(work) -> int:
    """How many functions of C were called; what is counted takes no longer on a busy machine."""
    counted = 0

    def count(frame, event, argument) -> None:
        nonlocal counted
        counted += event == "c_call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.parametrize("size", [1_000, 16_000, 60_000])
@pytest.mark.parametrize("filled", ["first characters", "beginnings", "halves", "one character"])
def test_a_stream_full_of_beginnings_of_a_secret_takes_few_looks(size, filled) -> None:
    secret = b"a" * size
    if filled != "one character":
        secret = b"e" + base64.b64encode(random.Random(7).randbytes(size))[: size - 1]
    redactor = Redactor({secret: FAKE})
    data = {
        "first characters": b"e" * 65_536,
        "beginnings": secret[:40] * (65_536 // 40),
        "halves": secret[: size // 2] * (131_072 // size),
        "one character": b"a" * (size // 3) + b"b" + b"a" * (size - 1),
    }[filled]
    stream = redactor.stream()
    assert calls_of(lambda: stream.feed(data)) < 2_000
    passed = stream.feed(b"\n")
    assert passed.endswith(b"\n")


@given(st.data(), st.integers(1, 3))
def test_a_stream_of_beginnings_equals_the_whole_however_it_is_divided(data, alphabet) -> None:
    letters = st.sampled_from("abc"[:alphabet])
    secret = data.draw(st.text(letters, min_size=33, max_size=90)).encode()
    other = secret[: data.draw(st.integers(8, 33))] + b"x" * data.draw(st.integers(0, 40))
    redactor = Redactor({secret: b"[1]", other: b"[2]"})
    parts = st.sampled_from([secret, other, b"x", b"\n"]) | st.integers(1, 90).map(lambda size: secret[:size])
    text = b"".join(data.draw(st.lists(parts, max_size=40)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    stream = redactor.stream()
    pieces = [stream.feed(text[begin:end]) for begin, end in itertools.pairwise([0, *cuts, len(text)])]
    assert b"".join(pieces) + stream.end() == redactor.apply(text)


def test_tokens_that_begin_alike_are_all_found() -> None:
    tokens = [base64.urlsafe_b64encode(b'{"alg":"ES256","kid":"two","typ":"JWT"}%d' % n) for n in range(64)]
    redactor = Redactor(dict.fromkeys(tokens, CREDENTIAL))
    for token in tokens:
        assert redactor.apply(b"x" + token + b"y") == b"x" + CREDENTIAL + b"y"
        stream = redactor.stream()
        assert stream.feed(token[:40]) == b""
        assert stream.feed(token[40:]) + stream.end() == CREDENTIAL
    beginning = tokens[0][:36]
    assert redactor.apply(beginning) is beginning
    assert calls_of(lambda: redactor.apply(b"nothing" * 100)) < 10


def test_a_stream_may_be_given_other_secrets_meanwhile() -> None:
    stream = Redactor({TOKEN: FAKE}).stream()
    assert stream.feed(TOKEN[:9]) == b""
    stream.use(Redactor({TOKEN: FAKE, b"minted-token": CREDENTIAL}))
    assert stream.feed(TOKEN[9:] + b" minted-token ") == FAKE + b" " + CREDENTIAL + b" "


def test_spellings_are_made_once_for_secrets_that_stay() -> None:
    spell = SpelledBefore(limit=2)
    first = spell(TOKEN)
    spell(SECRET)
    assert spell(TOKEN) is first
    spell(b"another secret")
    assert spell(TOKEN) is first
    assert spell(SECRET) == spelled(SECRET)


def test_those_of_a_backend_are_shared_by_its_users() -> None:
    redactors, none = Redactors(), Grants()
    live = (b"token-of-alice", b"token-of-bob")
    shared = redactors.of(none, live[:1], live)
    assert redactors.of(none, live[1:], live) is shared
    assert redactors.of(none, (), live) is shared
    older = redactors.of(none, (b"token-of-alice-and-older",), live)
    assert older is not shared
    assert older.apply(b"token-of-alice-and-older token-of-bob") == CREDENTIAL + b" " + CREDENTIAL
    stream = older.stream()
    pieces = [stream.feed(b"x token-of-b"), stream.feed(b"ob token-of-alice-and"), stream.feed(b"-older.")]
    assert b"".join(pieces) == b"x " + CREDENTIAL + b" " + CREDENTIAL + b"."
    assert older.apply(b"nothing") == b"nothing"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("the key 'ghp_16C7e42F292c69' appears twice", "the key '[outrider:credential]' appears twice"),
        ("the key 'ghp_16' appears twice", "the key 'ghp_16' appears twice"),
        (f"Content-Encoding '{TOKEN.decode()}'", "Content-Encoding '[outrider:credential]'"),
        ("it's \"a" + TOKEN.decode()[:9] + '"', 'it\'s "a[outrider:credential]"'),
        ("nothing é", "nothing é"),
    ],
)
def test_what_is_said_of_an_answer_quotes_no_part_of_a_secret(said: str, shown: str) -> None:
    assert Redactor({TOKEN: CREDENTIAL}).detail(said) == shown


@given(st.data(), st.lists(secrets, min_size=2, max_size=4))
def test_looking_for_others_as_well_is_looking_for_all(data, found) -> None:
    by_place = {secret: b"[%d]" % place for place, secret in enumerate(dict.fromkeys(found))}
    first, *others = by_place.items()
    whole = Redactor(by_place)
    both = Redactor(dict([first]), also=Redactor(dict(others)))
    text = data.draw(texts(found))
    assert both.apply(text) == whole.apply(text)
    cut = data.draw(st.integers(0, len(text)))
    stream = both.stream()
    assert stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.end() == whole.apply(text)
