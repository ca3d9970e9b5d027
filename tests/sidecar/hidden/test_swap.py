"""Secrets go in where their Backend gets them, spelled as the place needs; other placeholders stop the request."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, quote, unquote
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.protocol.http1.heads import RequestHead
from mesh.reasons import Reason
from sidecar.hidden.secrets import Grants
from sidecar.hidden.swap import (
    Stopped,
    Unusable,
    may_hold,
    readable,
    swap_body,
    swap_head,
    swap_headers,
    swap_target,
)

FAKE = b"outrider-hidden-0123456789abcdef0123456789abcdef"
OTHER = b"outrider-hidden-ffffffffffffffffffffffffffffffff"
STRANGE = b"outrider-hidden-11111111111111111111111111111111"
SECRET = b"p&s=/?#%+\"\\'<\xc3\xa9>"
KNOWN = frozenset({FAKE, OTHER})
GRANTED = Grants(KNOWN, {FAKE: SECRET})
NOTHING = Grants(KNOWN, {})
JSON = b"application/json; charset=utf-8"
FORM = b"application/x-www-form-urlencoded"


def head(*headers, target=b"/"):
    return RequestHead("GET", target, list(headers), 0, True, False, False, fields=dict(headers), memo={})


def basic(user, password):
    return b"Basic " + base64.b64encode(user + b":" + password)


def test_a_head_without_placeholders_is_the_very_same() -> None:
    plain = head((b"authorization", b"Bearer x"), (b"a", basic(b"u", b"p")), target=b"/a?b=%20c")
    assert swap_head(plain, GRANTED) is plain
    assert swap_head(plain, NOTHING) is plain
    assert not may_hold(plain)


def test_the_secret_goes_into_values_of_fields_as_it_is() -> None:
    became = swap_head(head((b"authorization", b"Bearer " + FAKE), (b"cookie", b"a=1; t=" + FAKE)), GRANTED)
    assert became.headers == [(b"authorization", b"Bearer " + SECRET), (b"cookie", b"a=1; t=" + SECRET)]
    assert became.fields == dict(became.headers)
    assert became.memo == {}


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        (basic(FAKE, b""), SECRET + b":"),
        (basic(b"me", FAKE), b"me:" + SECRET),
        (b"bAsIc   " + base64.b64encode(FAKE + b":" + FAKE), SECRET + b":" + SECRET),
        (b"Basic " + base64.b64encode(b"me2:" + FAKE).rstrip(b"="), b"me2:" + SECRET),
    ],
)
def test_the_secret_goes_into_user_and_password(value, decoded) -> None:
    ((_, became),) = swap_headers([(b"authorization", value)], GRANTED)
    scheme, _, encoded = became.rpartition(b" ")
    assert scheme.strip().lower() == b"basic"
    assert base64.b64decode(encoded) == decoded


def test_the_secret_is_percent_encoded_in_path_and_query() -> None:
    became = swap_target(b"/bot" + FAKE + b"/send?x=1&key=" + FAKE + b"&y=%20", GRANTED)
    path, _, query = became.partition(b"?")
    assert unquote(path.decode()) == "/bot" + SECRET.decode() + "/send"
    assert parse_qs(query.decode()) == {"x": ["1"], "key": [SECRET.decode()], "y": [" "]}
    assert became.endswith(b"&y=%20")


def test_a_placeholder_that_is_percent_encoded_is_one_all_the_same() -> None:
    odd = FAKE.replace(b"-", b"%2D")
    assert swap_target(b"/?k=" + odd, GRANTED) == b"/?k=" + quote(SECRET, safe="").encode()
    with pytest.raises(Stopped):
        swap_target(b"/?k=" + odd, NOTHING)


@pytest.mark.parametrize(
    "one",
    [
        head((b"authorization", b"Bearer " + OTHER)),
        head((b"authorization", basic(b"u", OTHER))),
        head((b"x-" + OTHER, b"1")),
        head((b"cookie", b"a=" + OTHER), (b"authorization", b"Bearer " + FAKE)),
        head((b"x-registry-auth", base64.b64encode(b'{"password": "' + OTHER + b'"}'))),
        head(target=b"/?a=" + OTHER),
        head(target=b"/a/" + OTHER + b"/b"),
        head(target=b"http://" + OTHER + b".evil.example/"),
        head((b"referer", b"https://a.example/?k=" + OTHER.replace(b"o", b"%6F"))),
    ],
)
def test_a_placeholder_for_somebody_else_stops_the_request(one) -> None:
    with pytest.raises(Stopped) as stopped:
        swap_head(one, GRANTED)
    assert stopped.value.placeholders == (OTHER,)
    assert OTHER.decode() not in str(stopped.value)


@pytest.mark.parametrize("value", [b"Basic AAAAA", b"Basic ====", b"basic", b"Basic \xff", b"bytes=0-1"])
def test_what_is_no_user_and_password_is_left_alone(value) -> None:
    headers = [(b"authorization", value), (b"a", FAKE)]
    assert swap_headers(headers, GRANTED) == [(b"authorization", value), (b"a", SECRET)]
    alone = headers[:1]
    assert swap_headers(alone, NOTHING) is alone


def test_placeholders_of_others_are_text() -> None:
    one = head((b"a", STRANGE))
    assert swap_head(one, GRANTED) is one
    body = b'{"a": "' + STRANGE + b'"}'
    assert swap_body(body, JSON, NOTHING) == body


def test_the_secret_is_escaped_in_json_and_nothing_else_changes() -> None:
    body = b'{"b": 1.50, "a":  "Bearer %b!", "c": ["%b", 1e5, null], "a": 2}\n' % (FAKE, FAKE)
    became = swap_body(body, JSON, GRANTED)
    pairs = json.loads(became, object_pairs_hook=list)
    assert pairs == [
        ("b", 1.5),
        ("a", f"Bearer {SECRET.decode()}!"),
        ("c", [SECRET.decode(), 1e5, None]),
        ("a", 2),
    ]
    escaped = json.dumps(SECRET.decode())[1:-1].encode()
    assert became == body.replace(FAKE, escaped)


def test_keys_of_json_keep_their_placeholder() -> None:
    body = b'{"%b": "%b", "x%b\\"y" : {"%b"\n:1}}' % (FAKE, FAKE, FAKE, FAKE)
    became = swap_body(body, JSON, GRANTED)
    name = FAKE.decode()
    assert json.loads(became) == {name: SECRET.decode(), f'x{name}"y': {name: 1}}


strings = st.lists(
    st.just(FAKE.decode()) | st.text(max_size=5) | st.sampled_from(["\\", '"', ":", '":', "é"]), max_size=4
).map("".join)
values = st.recursive(
    strings | st.none() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3),
    max_leaves=8,
)


def swapped(value, secret):
    if isinstance(value, str):
        return value.replace(FAKE.decode(), secret)
    if isinstance(value, list):
        return [swapped(one, secret) for one in value]
    if isinstance(value, dict):
        return {key: swapped(one, secret) for key, one in value.items()}
    return value


@given(values, st.text(max_size=12), st.booleans(), st.sampled_from([None, 1]))
def test_replacing_among_the_bytes_is_replacing_in_the_strings(value, secret, ascii_only, indent) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    grants = Grants(KNOWN, {FAKE: secret.encode()})
    became = swap_body(body, b"application/vnd.api+json", grants)
    assert json.loads(became) == swapped(json.loads(body), secret)


def test_escapes_in_json_hide_no_placeholder() -> None:
    odd = b'"' + FAKE.replace(b"-", b"\\u002d").replace(b"o", b"\\u006F") + b'"'
    assert json.loads(swap_body(odd, JSON, GRANTED)) == SECRET.decode()
    with pytest.raises(Stopped):
        swap_body(odd, JSON, NOTHING)


def test_the_secret_is_percent_encoded_in_forms() -> None:
    became = swap_body(b"a=1+2&token=" + FAKE + b"&b=%2B", FORM, GRANTED)
    assert parse_qs(became.decode()) == {"a": ["1 2"], "token": [SECRET.decode()], "b": ["+"]}


def test_the_secret_is_escaped_in_xml() -> None:
    became = swap_body(b'<a b="%b">%b</a>' % (FAKE, FAKE), b"application/soap+xml", GRANTED)
    found = Xml.fromstring(became)  # noqa: S314 - our own
    assert (found.attrib["b"], found.text) == (SECRET.decode(), SECRET.decode())


@pytest.mark.parametrize(
    "media_type", [b"text/plain", b"multipart/form-data; boundary=x", None, b"application/graphql"]
)
def test_text_has_the_secret_as_it_is(media_type) -> None:
    assert swap_body(b"a " + FAKE + b" b", media_type, GRANTED) == b"a " + SECRET + b" b"


@pytest.mark.parametrize("media_type", [b"application/octet-stream", b"application/grpc", b"image/png"])
def test_other_bodies_keep_their_placeholder_and_are_stopped_all_the_same(media_type) -> None:
    assert swap_body(b"a " + FAKE, media_type, GRANTED) == b"a " + FAKE
    with pytest.raises(Stopped):
        swap_body(b"a " + FAKE, media_type, NOTHING)


@pytest.mark.parametrize("media_type", [JSON, FORM, b"text/xml", b"text/plain", None])
def test_a_body_without_placeholders_is_the_very_same(media_type) -> None:
    body = b'{"a": "\\u00e9 %20"}'
    assert swap_body(body, media_type, GRANTED) is body


def test_a_secret_that_is_not_there_refuses_the_request() -> None:
    with pytest.raises(Unusable) as refused:
        swap_body(FAKE, None, Grants(KNOWN, {FAKE: None}))
    assert refused.value.reason is Reason.CREDENTIAL_SECRET_MISSING
    assert refused.value.placeholder == FAKE
    assert FAKE.decode() not in str(refused.value)


@pytest.mark.parametrize("secret", [b"a\r\nX-Evil: 1", b"a\nb", b"a\x7f"])
def test_a_secret_with_line_breaks_cannot_go_into_a_field(secret) -> None:
    with pytest.raises(Unusable) as refused:
        swap_headers([(b"a", FAKE)], Grants(KNOWN, {FAKE: secret}))
    assert refused.value.placeholder == FAKE
    assert secret.decode() not in str(refused.value)


@pytest.mark.parametrize(
    ("coding", "can"), [(None, True), (b"identity", True), (b"", True), (b"gzip", False), (b"br", False)]
)
def test_a_compressed_body_cannot_be_searched(coding, can) -> None:
    assert readable(head(*([] if coding is None else [(b"content-encoding", coding)]))) is can


def test_no_text_of_what_is_granted_holds_a_secret() -> None:
    assert "p&s" not in repr(GRANTED)
