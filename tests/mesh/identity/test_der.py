import pytest

from mesh.identity.der import split_der
from mesh.identity.errors import IdentityInvalid

SHORT = b"\x30\x03abc"
LONG = b"\x30\x82\x01\x00" + b"x" * 256


def test_elements_laid_end_to_end_are_split() -> None:
    assert split_der(SHORT + LONG + SHORT) == (SHORT, LONG, SHORT)


def test_nothing_splits_into_nothing() -> None:
    assert split_der(b"") == ()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x31\x00", "should begin a DER SEQUENCE"),
        (SHORT + b"\x00", "byte 5 should begin"),
        (b"\x30", "ends in the middle"),
        (b"\x30\x05abc", "ends in the middle"),
        (b"\x30\x82\x01", "ends in the middle"),
        (b"\x30\x80\x00\x00", "not a definite DER length"),
        (b"\x30\x85\x00\x00\x00\x00\x01x", "not a definite DER length"),
        (b"\x30\xff", "not a definite DER length"),
    ],
)
def test_what_cannot_be_split_without_a_rest_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(IdentityInvalid, match=complaint):
        split_der(data)
