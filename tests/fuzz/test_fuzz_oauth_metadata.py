"""Metadata come from outside: they are the issuer's own and lead nowhere in plain text, or they are refused."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.protocol.oauth.metadata import MetadataInvalid, probe_urls, read_metadata
from tests.support.fuzzing import examples

ISSUER = "https://idp.example.com/realms/acme"
GOOD = {"issuer": ISSUER, "token_endpoint": ISSUER + "/t", "jwks_uri": ISSUER + "/k"}
URLS = st.text(max_size=20) | st.builds(
    str.__add__,
    st.sampled_from(["https://", "http://", "HTTPS://", "//", "file://", "https:/"]),
    st.text(max_size=20),
)
VALUES = URLS | st.none() | st.integers() | st.lists(st.text(max_size=5), max_size=3)
NAMES = ["issuer", "token_endpoint", "jwks_uri", "introspection_endpoint", "grant_types_supported"]


@settings(max_examples=examples(300))
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_whatever_a_document_says_its_endpoints_are_https(changed: dict[str, object]) -> None:
    with suppress(MetadataInvalid):
        found = read_metadata(ISSUER, json.dumps({**GOOD, **changed}).encode())
        assert found.issuer == ISSUER
        for url in (found.token_endpoint, found.jwks_uri, found.introspection_endpoint):
            assert url is None or url.lower().startswith("https://")


@settings(max_examples=examples(300))
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(body: bytes) -> None:
    with suppress(MetadataInvalid):
        read_metadata(ISSUER, body)


@settings(max_examples=examples(300))
@given(URLS)
def test_any_text_is_an_issuer_or_refused(issuer: str) -> None:
    with suppress(MetadataInvalid):
        assert all(url.startswith(("https://", "http://")) for url in probe_urls(issuer))
