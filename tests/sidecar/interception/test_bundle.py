from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from mesh.identity.ca import make_authority
from mesh.settings.trust import BUNDLE_FILE, CA_FILE, JAVA_FILE, JAVA_PASSWORD
from sidecar.interception import bundle
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.bundle import RootsInvalid, certificates, system_roots, write_trust
from sidecar.interception.declared import DeclaredHosts

OURS = InterceptionAuthority(DeclaredHosts(frozenset({"a.example"}))).certificate_pem


def root(name: str) -> str:
    return ssl.DER_cert_to_PEM_cert(make_authority(name, datetime.now(UTC), timedelta(days=1)).der)


PUBLIC, CORPORATE = root("public.example"), root("corporate.example")


@pytest.fixture
def public(tmp_path: Path) -> dict[str, str]:
    """The environment of a sidecar whose system has one public root."""
    file = tmp_path / "system.pem"
    file.write_text(f"# A root of the public web\n{PUBLIC}")
    return {"SSL_CERT_FILE": str(file)}


def test_the_ca_file_holds_our_authority_alone_and_the_bundle_everybody(
    tmp_path: Path, public: dict[str, str]
) -> None:
    more = tmp_path / "corporate.pem"
    more.write_text(CORPORATE + PUBLIC)
    written = write_trust(tmp_path, OURS, additional=more, environment=public)
    assert (tmp_path / CA_FILE).read_text() == OURS
    assert (tmp_path / BUNDLE_FILE).read_text() == PUBLIC + CORPORATE + OURS
    assert written == bundle.TrustFiles(tmp_path, Path(public["SSL_CERT_FILE"]), 1, 2)


def test_roots_that_are_given_as_text_are_trusted_too_and_each_once(
    tmp_path: Path, public: dict[str, str]
) -> None:
    file = tmp_path / "corporate.pem"
    file.write_text(CORPORATE)
    written = write_trust(tmp_path, OURS, more=CORPORATE, environment=public)
    assert (tmp_path / BUNDLE_FILE).read_text() == PUBLIC + CORPORATE + OURS
    assert written.additional_roots == 1
    both = write_trust(tmp_path, OURS, additional=file, more=CORPORATE, environment=public)
    assert both.additional_roots == 1
    assert (tmp_path / CA_FILE).read_text() == OURS


def test_java_gets_the_same_roots(tmp_path: Path, public: dict[str, str]) -> None:
    write_trust(tmp_path, OURS, environment=public)
    store = pkcs12.load_pkcs12((tmp_path / JAVA_FILE).read_bytes(), JAVA_PASSWORD.encode())
    assert store.key is None
    assert len(store.additional_certs) == 2


def test_everybody_may_read_the_files_and_nothing_else_is_left(
    tmp_path: Path, public: dict[str, str]
) -> None:
    folder = tmp_path / "trust"
    folder.mkdir()
    for _ in range(2):
        write_trust(folder, OURS, environment=public)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert modes == {CA_FILE: 0o644, BUNDLE_FILE: 0o644, JAVA_FILE: 0o644}


def test_a_system_without_roots_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "system_roots", lambda environment: system_roots(environment, ()))
    written = write_trust(tmp_path, OURS, environment={})
    assert (written.source, written.public_roots) == (None, 0)
    assert (tmp_path / BUNDLE_FILE).read_text() == OURS


def test_the_first_place_that_holds_a_certificate_gives_the_public_roots(tmp_path: Path) -> None:
    empty, full, other = tmp_path / "empty.pem", tmp_path / "full.pem", tmp_path / "other.pem"
    empty.write_text("nothing\n")
    full.write_text(PUBLIC)
    other.write_text(CORPORATE)
    places = [str(tmp_path / "missing.pem"), str(tmp_path), str(empty), str(full), str(other)]
    assert system_roots({}, places) == (full, [ssl.PEM_cert_to_DER_cert(PUBLIC)])
    assert system_roots({"SSL_CERT_FILE": str(other)}, places)[0] == other
    assert system_roots({"SSL_CERT_FILE": str(empty)}, places)[0] == full


def test_only_certificates_that_can_be_read_are_taken_and_each_once() -> None:
    junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    half = "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n"
    key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    found = certificates(PUBLIC + junk + key + half + CORPORATE + PUBLIC)
    assert found == [ssl.PEM_cert_to_DER_cert(PUBLIC), ssl.PEM_cert_to_DER_cert(CORPORATE)]


def test_every_root_of_this_system_is_kept(tmp_path: Path) -> None:
    place, found = system_roots({})
    if place is None:
        pytest.skip("this system has no public roots")
    assert len(found) == len(set(place.read_text().split("-----END CERTIFICATE-----"))) - 1
    write_trust(tmp_path, OURS, environment={})
    assert len(certificates((tmp_path / BUNDLE_FILE).read_text())) == len(found) + 1


def test_a_file_of_roots_without_any_is_refused_before_anything_is_written(
    tmp_path: Path, public: dict[str, str]
) -> None:
    empty, folder = tmp_path / "empty.pem", tmp_path / "trust"
    empty.write_text("nothing\n")
    folder.mkdir()
    with pytest.raises(RootsInvalid, match=r"empty\.pem holds no PEM certificate"):
        write_trust(folder, OURS, additional=empty, environment=public)
    with pytest.raises(FileNotFoundError):
        write_trust(folder, OURS, additional=tmp_path / "missing.pem", environment=public)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error_and_nothing_is_left_behind(
    tmp_path: Path, public: dict[str, str]
) -> None:
    with pytest.raises(FileNotFoundError):
        write_trust(tmp_path / "missing", OURS, environment=public)
    folder = tmp_path / "trust"
    (folder / CA_FILE / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match=CA_FILE):
        write_trust(folder, OURS, environment=public)
    assert [file.name for file in folder.iterdir()] == [CA_FILE]
