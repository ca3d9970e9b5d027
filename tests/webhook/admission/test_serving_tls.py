from __future__ import annotations

import ssl

import pytest
from cryptography import x509

from webhook.admission.serving_tls import CertificateUnusable, ServingCertificate


def handshake(server: ssl.SSLContext, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> str:
    """The common name that a client sees."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.maximum_version = version
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    der = ours.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


def test_a_new_pair_of_files_is_served_without_a_new_context(tmp_path, certificate) -> None:
    serving = ServingCertificate(*certificate(tmp_path, "first"))
    assert handshake(serving.context) == "CN=first"
    assert serving.reload() is False
    certificate(tmp_path, "second")
    assert serving.reload() is True
    assert handshake(serving.context) == "CN=second"
    assert serving.not_after > 0


def test_a_pair_caught_halfway_leaves_the_old_one_in_use(tmp_path, certificate) -> None:
    cert, key = certificate(tmp_path, "first")
    serving = ServingCertificate(cert, key)
    old_key = key.read_bytes()
    certificate(tmp_path, "second")
    new_key = key.read_bytes()
    key.write_bytes(old_key)
    with pytest.raises(CertificateUnusable):
        serving.reload()
    assert handshake(serving.context) == "CN=first"
    key.write_bytes(new_key)
    assert serving.reload() is True
    assert handshake(serving.context) == "CN=second"


def test_files_that_vanish_leave_the_old_pair_in_use(tmp_path, certificate) -> None:
    cert, key = certificate(tmp_path, "first")
    serving = ServingCertificate(cert, key)
    cert.unlink()
    with pytest.raises(CertificateUnusable, match="cannot be read"):
        serving.reload()
    assert handshake(serving.context) == "CN=first"


@pytest.mark.parametrize("content", [b"", b"no pem"])
def test_files_that_are_no_certificate_are_told(tmp_path, certificate, content) -> None:
    cert, key = certificate(tmp_path, "first")
    cert.write_bytes(content)
    with pytest.raises(CertificateUnusable, match=r"tls\.crt"):
        ServingCertificate(cert, key)


def test_nothing_older_than_tls_1_3_is_spoken(tmp_path, certificate) -> None:
    serving = ServingCertificate(*certificate(tmp_path, "first"))
    with pytest.raises(ssl.SSLError):
        handshake(serving.context, version=ssl.TLSVersion.TLSv1_2)
