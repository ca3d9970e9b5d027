import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.spiffe_id import SpiffeId, parse_trust_domain


@pytest.mark.parametrize(
    ("text", "trust_domain", "path"),
    [
        ("spiffe://a", "a", ""),
        ("spiffe://cluster.local/ns/agents/sa/triage", "cluster.local", "/ns/agents/sa/triage"),
        ("spiffe://a_b-c.1/X", "a_b-c.1", "/X"),
        ("spiffe://a/...", "a", "/..."),
        ("spiffe://a/.hidden/a..b", "a", "/.hidden/a..b"),
        ("spiffe://" + "a" * 255 + "/x", "a" * 255, "/x"),
        ("spiffe://a/" + "x" * 2037, "a", "/" + "x" * 2037),
    ],
)
def test_valid_ids_are_read_into_trust_domain_and_path(text: str, trust_domain: str, path: str) -> None:
    assert SpiffeId.parse(text) == SpiffeId(trust_domain, path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not begin with spiffe://"),
        ("a/b", "does not begin with spiffe://"),
        ("https://a/b", "does not begin with spiffe://"),
        ("SPIFFE://a/b", "does not begin with spiffe://"),
        ("spiffe:/a/b", "does not begin with spiffe://"),
        (" spiffe://a/b", "does not begin with spiffe://"),
        ("spiffe://", "the trust domain is empty"),
        ("spiffe:///b", "the trust domain is empty"),
        ("spiffe://A/b", "trust domain 'A'"),
        ("spiffe://a:80/b", "trust domain 'a:80'"),
        ("spiffe://user@a/b", "trust domain 'user@a'"),
        ("spiffe://a%20/b", "trust domain 'a%20'"),
        ("spiffe://é/b", "trust domain 'é'"),
        ("spiffe://a?x", "trust domain 'a?x'"),
        ("spiffe://a#x", "trust domain 'a#x'"),
        ("spiffe://a\n", "trust domain 'a\\n'"),
        ("spiffe://" + "a" * 256, "at most 255 bytes"),
        ("spiffe://a/", "ends with a slash"),
        ("spiffe://a/b/", "has an empty path segment"),
        ("spiffe://a//b", "has an empty path segment"),
        ("spiffe://a/./b", "has the path segment '.'"),
        ("spiffe://a/b/..", "has the path segment '..'"),
        ("spiffe://a/b%2fc", "path segment 'b%2fc'"),
        ("spiffe://a/b c", "path segment 'b c'"),
        ("spiffe://a/b?q", "path segment 'b?q'"),
        ("spiffe://a/b#f", "path segment 'b#f'"),
        ("spiffe://a/b:c", "path segment 'b:c'"),
        ("spiffe://a/ünder", "path segment 'ünder'"),
        ("spiffe://a/b\n", "path segment 'b\\n'"),
        ("spiffe://a/" + "x" * 2038, "at most 2048 bytes"),
    ],
)
def test_invalid_ids_are_refused_and_told_why(text: str, complaint: str) -> None:
    with pytest.raises(SpiffeIdInvalid) as refused:
        SpiffeId.parse(text)
    assert complaint in str(refused.value)


def test_the_name_of_a_trust_domain_is_checked_alone() -> None:
    assert parse_trust_domain("a.example") == "a.example"
    with pytest.raises(SpiffeIdInvalid):
        parse_trust_domain("spiffe://a.example")


@given(st.from_regex(r"\Aspiffe://[a-z0-9._-]{1,20}(/[A-Za-z0-9_-]{1,9}){0,4}\Z"))
def test_the_text_of_an_id_reads_back_as_the_same_id(text: str) -> None:
    assert str(SpiffeId.parse(text)) == text
