from collections.abc import Callable
from typing import Any

import pytest

from mesh.identity.certificate import load_certificate
from mesh.identity.errors import IdentityInvalid

VERSION_3 = b"\xa0\x03\x02\x01\x02"
VERSION_2 = b"\xa0\x03\x02\x01\x01"


def test_a_certificate_is_read(forge: Any) -> None:
    assert load_certificate(forge()).version.name == "v3"


@pytest.mark.parametrize(
    "damage",
    [
        lambda der: b"",
        lambda der: b"junk",
        lambda der: der[:-1],
        lambda der: der + b"x",
        lambda der: der.replace(VERSION_3, VERSION_2),
        lambda der: der.replace(b"spiffe://", b"\xffpiffe://"),
        lambda der: der.replace(b"workload", b"\xff\xfeload", 1),
        # The name becomes an x400Address, which the library does not know.
        lambda der: der.replace(b"\x86\x1cspiffe", b"\xa3\x1cspiffe"),
        # Basic constraints (2.5.29.19) become a second key usage (2.5.29.15).
        lambda der: der.replace(b"\x55\x1d\x13", b"\x55\x1d\x0f"),
    ],
)
def test_whatever_is_wrong_with_a_certificate_is_one_exception(
    forge: Any, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(IdentityInvalid, match="cannot be read"):
        load_certificate(damage(forge()))
