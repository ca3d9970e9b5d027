"""The section `identity` of the sidecar's file, and its variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.policy.errors import PolicyInvalid
from sidecar.config import SidecarConfig, load_config

MINIMAL = "policies: [p.yaml]\n"
FILES = (
    "identity: {provider: files, files: {certificate: svid.pem, key: svid_key.pem, bundle: /b/bundle.pem}}\n"
)
BUILTIN = "identity: {provider: builtin}\n"


def config_of(text: str, folder: Path, **environment: str) -> SidecarConfig:
    path = folder / "sidecar.yaml"
    path.write_text(MINIMAL + text, encoding="utf-8")
    return load_config(path, {f"OUTRIDER_IDENTITY_{name}": value for name, value in environment.items()})


def fault(text: str, folder: Path) -> str:
    with pytest.raises(PolicyInvalid) as caught:
        config_of(text, folder)
    return "\n".join(f"{error.path}: {error.message}" for error in caught.value.errors)


def test_paths_of_identity_files_are_relative_to_the_configuration(tmp_path: Path) -> None:
    files = config_of(FILES, tmp_path).identity.files
    assert files is not None
    assert (files.certificate, files.key) == (tmp_path / "svid.pem", tmp_path / "svid_key.pem")
    assert files.bundle == Path("/b/bundle.pem")
    assert files.federated == files.jwt_svids == {}


def test_without_a_key_file_the_key_is_with_the_chain(tmp_path: Path) -> None:
    files = config_of(FILES.replace("key: svid_key.pem, ", ""), tmp_path).identity.files
    assert files is not None
    assert files.key is None


def test_federated_bundles_and_tokens_have_a_file_each(tmp_path: Path) -> None:
    text = FILES.replace("}}", ", federated: {b.example: b.pem}, jwtSvids: {'https://idp': jwt.token}}}")
    files = config_of(text, tmp_path).identity.files
    assert files is not None
    assert files.federated == {"b.example": tmp_path / "b.pem"}
    assert files.jwt_svids == {"https://idp": tmp_path / "jwt.token"}


def test_variables_say_the_same(tmp_path: Path) -> None:
    files = config_of(
        "",
        tmp_path,
        PROVIDER="files",
        FILES_CERTIFICATE="/c.pem",
        FILES_KEY="/k.pem",
        FILES_BUNDLE="/b.pem",
        FILES_FEDERATED='{"b.example": "/f.pem"}',
        FILES_JWT_SVIDS='{"db": "/db.token"}',
    ).identity.files
    assert files is not None
    assert (files.certificate, files.key, files.bundle) == (Path("/c.pem"), Path("/k.pem"), Path("/b.pem"))
    assert (files.federated, files.jwt_svids) == ({"b.example": Path("/f.pem")}, {"db": Path("/db.token")})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("identity: {provider: files}\n", "identity.files: missing"),
        (BUILTIN, "identity.provider: builtin has its SVID from the control plane"),
        ("identity: {provider: builtin, builtin: {url: 'https://ca'}}\n", "builtin"),
        ("identity: {provider: other}\n", "identity.provider"),
        ("identity: {provider: files, files: {key: k}}\n", "identity.files.certificate"),
        ("identity: {provider: files, files: {certificate: c, bundle: ''}}\n", "is no path"),
        (FILES.replace("}}", ", federated: {B.example: b.pem}}}"), 'identity.files.federated["B.example"]'),
        (FILES.replace("}}", ", federated: {b.example: ''}}}"), "is no path"),
        (FILES.replace("}}", ", federated: 1}}"), "expected a mapping"),
        (FILES.replace("provider: files", "provider: builtin"), "no effect with provider builtin"),
        (
            FILES.replace("{provider", "{socket: 'unix:///s', provider"),
            "write provider workload-api, or remove",
        ),
        (FILES.replace("{provider", "{spiffeId: x, provider"), "identity.spiffeId"),
        (FILES.replace("provider: files", "provider: none"), "no identity and no mutual TLS"),
    ],
)
def test_what_cannot_work_is_told(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in fault(text, tmp_path)


def test_a_provider_may_be_bound_to_one_identity(tmp_path: Path) -> None:
    identity = config_of(FILES.replace("{provider", "{spiffeId: 'spiffe://a/b', provider"), tmp_path).identity
    assert identity.spiffe_id == "spiffe://a/b"
