"""Reading certificates that others made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mesh.identity.ca import make_authority
from mesh.identity.certificate import load_certificate
from mesh.identity.errors import IdentityInvalid

VERSION_AND_SERIAL_TAG = b"\xa0\x03\x02\x01\x02\x02"


def a_certificate() -> bytes:
    return make_authority("a.example", datetime(2026, 6, 1, tzinfo=UTC), timedelta(days=1)).der


def test_a_certificate_is_read() -> None:
    assert load_certificate(a_certificate()).subject is not None


def test_a_serial_number_that_is_not_positive_is_refused() -> None:
    der = a_certificate()
    first_byte = der.index(VERSION_AND_SERIAL_TAG) + len(VERSION_AND_SERIAL_TAG) + 1
    negative = der[:first_byte] + b"\x80" + der[first_byte + 1 :]
    with pytest.raises(IdentityInvalid, match="cannot be read"):
        load_certificate(negative)


@pytest.mark.parametrize("der", [b"", b"\x30", b"not a certificate", b"\x30\x82\xff\xff"])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(IdentityInvalid):
        load_certificate(der)
