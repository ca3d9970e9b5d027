from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.identity.ca import Authority, make_intermediate
from mesh.identity.errors import SvidInvalid
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid

WORKLOAD = SpiffeId("a.example", "/ns/x/sa/y")


def pkcs8(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def test_a_chain_and_its_key_become_an_svid(forge: Any, leaf_key: ec.EllipticCurvePrivateKey) -> None:
    svid = X509Svid.parse(forge(), pkcs8(leaf_key))
    assert svid.spiffe_id == WORKLOAD
    assert len(svid.chain_der) == 1


def test_the_end_of_an_svid_is_the_first_end_in_its_chain(authority: Authority, now: datetime) -> None:
    short = make_intermediate(authority, now, timedelta(minutes=5))
    svid = new_svid(short, WORKLOAD, now, timedelta(hours=1))
    assert svid.not_after == now + timedelta(minutes=5)
    assert X509Svid.parse(b"".join(svid.chain_der), svid.key_pkcs8_der) == svid


def test_an_svid_never_shows_its_key(authority: Authority, now: datetime) -> None:
    svid = new_svid(authority, WORKLOAD, now, timedelta(hours=1))
    assert "key" not in repr(svid)


def test_a_key_of_another_certificate_is_refused(forge: Any) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SvidInvalid, match="not that of the certificate"):
        X509Svid.parse(forge(), pkcs8(other))


@pytest.mark.parametrize("key", [b"", b"garbage"])
def test_a_malformed_key_is_refused(forge: Any, key: bytes) -> None:
    with pytest.raises(SvidInvalid, match="private key cannot be read"):
        X509Svid.parse(forge(), key)


@pytest.mark.parametrize(
    ("chain", "complaint"),
    [(b"", "empty"), (b"garbage", "cannot be read"), (b"\x30\x03abc", "cannot be read")],
)
def test_a_malformed_chain_is_refused(chain: bytes, complaint: str) -> None:
    with pytest.raises(SvidInvalid, match=complaint):
        X509Svid.parse(chain, b"")


def test_a_chain_whose_leaf_is_no_svid_is_refused(forge: Any, leaf_key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(SvidInvalid, match="certificate authority"):
        X509Svid.parse(forge(ca=True), pkcs8(leaf_key))
