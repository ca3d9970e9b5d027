"""DER certificates laid end to end, which is how the Workload API sends chains and bundles.

Only the outermost length is read here (X.690, 8.1.3); what is inside is for the X.509 parser to judge.
"""

from __future__ import annotations

from mesh.identity.errors import IdentityInvalid

_SEQUENCE = 0x30
_MAX_LENGTH_BYTES = 4


def split_der(data: bytes) -> tuple[bytes, ...]:
    """Split concatenated DER SEQUENCEs; raises IdentityInvalid where that cannot be done without a rest."""
    found = []
    start = 0
    while start < len(data):
        end = _end_of_element(data, start)
        found.append(data[start:end])
        start = end
    return tuple(found)


def _end_of_element(data: bytes, start: int) -> int:
    if data[start] != _SEQUENCE:
        raise IdentityInvalid(f"byte {start} should begin a DER SEQUENCE (0x30) but is {data[start]:#04x}")
    header = data[start + 1 : start + 2]
    if not header:
        raise IdentityInvalid("the DER data ends in the middle of an element")
    length, body = header[0], start + 2
    if length >= 0x80:
        size = length - 0x80
        if not 1 <= size <= _MAX_LENGTH_BYTES:
            raise IdentityInvalid(f"byte {start + 1}: not a definite DER length of at most 4 bytes")
        length, body = int.from_bytes(data[body : body + size]), body + size
    if body + length > len(data):
        raise IdentityInvalid("the DER data ends in the middle of an element")
    return body + length
