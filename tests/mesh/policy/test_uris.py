from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.uris import MAX_URI, readings, well_formed_uri


@pytest.mark.parametrize(
    "uri",
    [
        "repo://acme/x",
        "repo://acme/x.y/..z/z..",
        "file:///etc/hosts",
        "https://a.example/p?q=1#f",
        "repo://acme/caf%C3%A9",
        "file:///日本",
        "urn:isbn:1",
        "x://{owner}/{repo}",
        "repo://acme/100%",
    ],
)
def test_ordinary_uris_are_well_formed(uri: str) -> None:
    assert well_formed_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "repo://acme/../other",
        "repo://acme/..",
        "repo://acme/./x",
        "repo://acme/%2e%2e/other",
        "repo://acme/%2E./other",
        "repo://acme%2f..%2fother",
        "repo://acme/%252e%252e/other",
        "repo://acme/..;a/other",
        "repo://acme/..?x",
        "repo://acme/..#x",
        "repo://acme\\..\\other",
        "repo://acme%5c..%5cother",
        "repo://acme/\x00",
        "repo://acme/%00",
        "repo://acme/a\nb",
        "repo://acme/%0a",
        "repo://acme/\x7f",
        "repo://acme/\u2028",
        "repo:..",
        "..",
        "repo://acme/%25252525252525252e%2e",
        "r" * (MAX_URI + 1),
    ],
)
def test_uris_that_could_lead_elsewhere_are_not_well_formed(uri: str) -> None:
    assert not well_formed_uri(uri)


@pytest.mark.parametrize(
    ("uri", "reading"),
    [
        ("repo://acme/%73ecret", "repo://acme/secret"),
        ("repo://acme/%2573ecret", "repo://acme/secret"),
        ("REPO://ACME/secret", "repo://acme/secret"),
        ("repo://acme//secret", "repo://acme/secret"),
        ("repo://acme/secret/", "repo://acme/secret"),
        ("repo://acme/secret?x=1", "repo://acme/secret"),
        ("repo://acme/secret#x", "repo://acme/secret"),
        ("urn:F%6Fo", "urn:Foo"),
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("no scheme", "no scheme"),
        ("%25252525252525252e", "%25252525252525252e"),
    ],
)
def test_lenient_readings_are_found(uri: str, reading: str) -> None:
    assert reading in readings(uri)


@given(st.text(max_size=40))
def test_any_text_has_itself_as_its_first_reading(uri: str) -> None:
    assert readings(uri)[0] == uri
    assert well_formed_uri(uri) in (True, False)
