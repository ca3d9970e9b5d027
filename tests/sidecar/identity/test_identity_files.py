from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from mesh.identity.bundle_document import BundleDocument, bundle_to_object
from mesh.identity.ca import make_authority, make_intermediate
from mesh.identity.errors import BundleInvalid, IdentityInvalid, SvidInvalid
from mesh.identity.issue import new_svid
from mesh.identity.pem import CERTIFICATE, PRIVATE_KEY, write_pem
from mesh.identity.spiffe_id import SpiffeId
from sidecar.identity.identity_files import FileLayout, FileUnreadable, digest, read_drop, read_files

NOW = datetime.now(UTC)
ROOT = make_authority("a.example", NOW, timedelta(days=1))
BELOW = make_intermediate(ROOT, NOW, timedelta(days=1))
FOREIGN = make_authority("b.example", NOW, timedelta(days=1))
SVID = new_svid(BELOW, SpiffeId("a.example", "/ns/x/sa/y"), NOW, timedelta(hours=1))
OTHER = new_svid(BELOW, SpiffeId("a.example", "/ns/x/sa/z"), NOW, timedelta(hours=1))
CHAIN = write_pem(CERTIFICATE, *SVID.chain_der)
KEY = write_pem(PRIVATE_KEY, SVID.key_pkcs8_der)
BUNDLE = write_pem(CERTIFICATE, ROOT.der)
HELPER = FileLayout(Path("svid.pem"), Path("svid_key.pem"), Path("svid_bundle.pem"))
PROJECTED = FileLayout(Path("credential-bundle.pem"), None, Path("trust.pem"))


def drop(**changes: str | bytes) -> dict[Path, Any]:
    files: dict[str, str | bytes] = {"svid": CHAIN, "svid_key": KEY, "svid_bundle": BUNDLE, **changes}
    return {
        Path(f"{name}.pem"): text.encode() if isinstance(text, str) else text for name, text in files.items()
    }


def projected(credentials: str = KEY + CHAIN) -> dict[Path, Any]:
    return {Path("credential-bundle.pem"): credentials.encode(), Path("trust.pem"): BUNDLE.encode()}


def document(bundle: BundleDocument) -> bytes:
    return b" \n" + msgspec.json.encode(bundle_to_object(bundle))


def test_a_drop_of_spiffe_helper_is_read() -> None:
    identity = read_drop(HELPER, drop()).identity
    assert identity.svid == SVID
    assert identity.bundles == {"a.example": ROOT.bundle}


def test_a_credential_bundle_of_kubernetes_is_read() -> None:
    identity = read_drop(PROJECTED, projected()).identity
    assert identity.svid == SVID
    assert identity.bundles == {"a.example": ROOT.bundle}


def test_a_key_file_may_hold_the_certificate_too() -> None:
    assert read_drop(HELPER, drop(svid_key=KEY + CHAIN)).identity.svid == SVID


def test_an_older_form_of_key_is_read() -> None:
    key = load_der_private_key(SVID.key_pkcs8_der, None)
    old = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert read_drop(HELPER, drop(svid_key=old)).identity.svid.spiffe_id == SVID.spiffe_id


@pytest.mark.parametrize(
    "bundle", [write_pem(CERTIFICATE, FOREIGN.der).encode(), document(BundleDocument(FOREIGN.bundle))]
)
def test_a_federated_bundle_is_pem_or_a_document(bundle: bytes) -> None:
    layout = FileLayout(HELPER.certificate, HELPER.key, HELPER.bundle, {"b.example": Path("b.pem")})
    identity = read_drop(layout, {**drop(), Path("b.pem"): bundle}).identity
    assert identity.bundles == {"a.example": ROOT.bundle, "b.example": FOREIGN.bundle}


def test_our_own_bundle_may_be_a_document() -> None:
    own = document(BundleDocument(ROOT.bundle))
    assert read_drop(HELPER, drop(svid_bundle=own)).identity.bundles == {"a.example": ROOT.bundle}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"svid": ""}, r"svid\.pem: it is empty"),
        ({"svid": CHAIN[:-30]}, r"svid\.pem: 2 PEM blocks begin and 1"),
        ({"svid": KEY}, "the certificate chain is empty"),
        ({"svid": BUNDLE}, r"svid\.pem and svid_key\.pem: .*not a workload"),
        ({"svid_key": ""}, r"svid_key\.pem: it is empty"),
        ({"svid_key": KEY + KEY}, "2 private keys"),
        ({"svid_key": CHAIN}, "0 private keys"),
        ({"svid_key": write_pem(PRIVATE_KEY, b"x")}, "cannot be read"),
        ({"svid_key": write_pem(PRIVATE_KEY, OTHER.key_pkcs8_der)}, "not that of the certificate"),
    ],
)
def test_an_svid_that_cannot_be_used_names_its_file(changes: dict[str, str], complaint: str) -> None:
    with pytest.raises(SvidInvalid, match=complaint):
        read_drop(HELPER, drop(**changes))


@pytest.mark.parametrize(
    ("bundle", "complaint"),
    [
        (b"", "it is empty"),
        (BUNDLE[:-30].encode(), "1 PEM blocks begin and 0"),
        (KEY.encode(), "a block is PRIVATE KEY"),
        (write_pem(CERTIFICATE, b"x").encode(), "cannot be read"),
        (b'{"keys": 1}', "not a JWKS document"),
        (
            (BUNDLE + write_pem(CERTIFICATE, FOREIGN.der)).encode(),
            "is of b.example.*include_federated_domains",
        ),
    ],
)
def test_a_bundle_that_cannot_be_used_names_its_file(bundle: bytes, complaint: str) -> None:
    with pytest.raises(BundleInvalid, match=rf"svid_bundle\.pem: .*{complaint}"):
        read_drop(HELPER, drop(svid_bundle=bundle))


def test_a_federated_file_that_is_of_no_use_is_left_out_by_name() -> None:
    layout = FileLayout(
        HELPER.certificate,
        HELPER.key,
        HELPER.bundle,
        {"b.example": Path("b.pem"), "c.example": Path("c.pem")},
    )
    contents = {**drop(), Path("b.pem"): b"", Path("c.pem"): FileUnreadable("c.pem cannot be read")}
    found = read_drop(layout, contents)
    assert found.identity.bundles == {"a.example": ROOT.bundle}
    assert found.faults == {"b.example": "b.pem: it is empty", "c.example": "c.pem cannot be read"}


def test_our_own_domain_cannot_be_federated() -> None:
    layout = FileLayout(HELPER.certificate, HELPER.key, HELPER.bundle, {"a.example": Path("b.pem")})
    with pytest.raises(BundleInvalid, match="own trust domain"):
        read_drop(layout, {**drop(), Path("b.pem"): BUNDLE.encode()})


def test_an_authority_need_not_name_its_domain() -> None:
    plain = SVID.chain_der[1]
    assert read_drop(HELPER, drop(svid_bundle=write_pem(CERTIFICATE, plain))).identity.bundles
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    nameless = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    bundles = read_drop(HELPER, drop(svid_bundle=write_pem(CERTIFICATE, nameless))).identity.bundles
    assert bundles["a.example"].authorities_der == (nameless,)


def test_without_a_key_file_the_key_comes_first() -> None:
    with pytest.raises(SvidInvalid, match="must be the key, it is CERTIFICATE"):
        read_drop(PROJECTED, projected(CHAIN + KEY))


def test_a_file_that_cannot_be_read_is_the_fault(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    (tmp_path / "folder").mkdir()
    names = ["gone", "pipe", "large", "folder"]
    contents = read_files(tmp_path / name for name in names)
    assert all(isinstance(content, FileUnreadable) for content in contents.values())
    said = [str(contents[tmp_path / name]) for name in names]
    assert "No such file" in said[0]
    assert "no plain file" in said[1]
    assert "more than" in said[2]
    assert "directory" in said[3] or "no plain file" in said[3]
    layout = FileLayout(tmp_path / "gone", None, tmp_path / "pipe")
    with pytest.raises(IdentityInvalid, match="No such file"):
        read_drop(layout, contents)


def test_each_file_is_read_once() -> None:
    layout = FileLayout(Path("a"), None, Path("b"), {"x": Path("b"), "y": Path("c")})
    assert layout.paths == (Path("a"), Path("b"), Path("c"))


def test_the_digest_tells_contents_faults_and_files_apart() -> None:
    unreadable = FileUnreadable("gone")
    seen = [
        digest({Path("a"): b"x"}),
        digest({Path("b"): b"x"}),
        digest({Path("a"): b"y"}),
        digest({Path("a"): unreadable}),
        digest({Path("a"): b"x", Path("b"): b"x"}),
    ]
    assert len(set(seen)) == len(seen)
    assert digest({Path("a"): b"x"}) == seen[0]


def test_what_cannot_be_read_keeps_no_descriptor(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    paths = (tmp_path, tmp_path / "pipe", tmp_path / "missing", Path("/dev/zero"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert all(isinstance(fault, FileUnreadable) for fault in read_files(paths).values())
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_directory_in_place_of_a_file_is_told_as_such(tmp_path: Path) -> None:
    assert str(read_files((tmp_path,))[tmp_path]) == f"{tmp_path} is no plain file"
