"""What files say who we are: their layout, reading them, and the identity in what was read.

Two layouts, one for each writer. spiffe-helper drops a chain, a key and a bundle as three files. Kubernetes
projects a PodCertificate as one file, the key first and then its chain, so that no reader ever sees half of a
rotation, and a ClusterTrustBundle as another. Federated domains have a file each: one file for several domains
could not say which authority may vouch for which domain.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from mesh.identity.bundle import TrustBundle
from mesh.identity.bundle_document import read_bundle_document
from mesh.identity.certificate import load_certificate
from mesh.identity.errors import BundleInvalid, IdentityInvalid, SvidInvalid
from mesh.identity.pem import PRIVATE_KEY, Block, certificates_of, private_key_of, read_certificates, read_pem
from mesh.identity.spiffe_id import SCHEME
from mesh.identity.svid import X509Svid
from sidecar.identity.provider import Identity

MAX_FILE_BYTES = 1024 * 1024


class FileUnreadable(IdentityInvalid):
    """A file is missing, too large or not readable; who mounts or writes it is at fault."""


@dataclass(frozen=True, slots=True)
class FileLayout:
    """Which files hold the identity.

    certificate  the chain, leaf first (PEM); with the key in front of it where `key` is None
    key          the private key (PEM); None: it is in `certificate`, as Kubernetes writes credential bundles
    bundle       authorities of our own trust domain: PEM, or a SPIFFE bundle document
    federated    the same for other trust domains, by name
    """

    certificate: Path
    key: Path | None
    bundle: Path
    federated: Mapping[str, Path] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file once."""
        files = (self.certificate, self.key, self.bundle, *self.federated.values())
        return tuple(dict.fromkeys(path for path in files if path is not None))


Contents = Mapping[Path, bytes | FileUnreadable]


def read_files(paths: Iterable[Path]) -> Contents:
    """The contents of each file, or why there are none. Blocks."""
    return {path: _read(path) for path in paths}


def digest(contents: Contents) -> bytes:
    """The same for the same contents (or faults), so that a key need not be kept to notice a change."""
    whole = hashlib.sha256()
    for path, content in contents.items():
        data = content if isinstance(content, bytes) else f"fault: {content}".encode()
        whole.update(hashlib.sha256(bytes(path) + b"\0" + data).digest())
    return whole.digest()


@dataclass(frozen=True, slots=True)
class Drop:
    """What the files hold: an identity, and for each federated domain that it lacks why its file is of no use."""

    identity: Identity
    faults: Mapping[str, str]


def read_drop(layout: FileLayout, contents: Contents) -> Drop:
    """Read `contents`; raises IdentityInvalid, which names the file, when our own part cannot be used.

    The file of a federated domain is not worth our own identity: it is left out.
    """
    svid = _svid(layout, contents)
    own = svid.spiffe_id.trust_domain
    if own in layout.federated:
        raise BundleInvalid(f"{own} is our own trust domain, so it cannot be federated")
    bundles = {own: _bundle(own, layout.bundle, contents)}
    faults: dict[str, str] = {}
    for name, path in layout.federated.items():
        try:
            bundles[name] = _bundle(name, path, contents)
        except IdentityInvalid as invalid:
            faults[name] = str(invalid)
    return Drop(Identity(svid, bundles), faults)


def _svid(layout: FileLayout, contents: Contents) -> X509Svid:
    blocks = _blocks(layout.certificate, contents)
    if layout.key is not None:
        key_blocks = _blocks(layout.key, contents)
    elif blocks[0].label == PRIVATE_KEY:
        key_blocks = blocks
    else:
        raise SvidInvalid(f"{layout.certificate}: the first block must be the key, it is {blocks[0].label}")
    try:
        return X509Svid.parse(certificates_of(blocks), private_key_of(key_blocks))
    except IdentityInvalid as invalid:
        raise SvidInvalid(f"{_names(layout.certificate, layout.key)}: {invalid}") from invalid


def _blocks(path: Path, contents: Contents) -> tuple[Block, ...]:
    data = _content(path, contents)
    try:
        return read_pem(data)
    except IdentityInvalid as invalid:
        raise SvidInvalid(f"{path}: {invalid}") from invalid


def _bundle(trust_domain: str, path: Path, contents: Contents) -> TrustBundle:
    data = _content(path, contents)
    try:
        if data.lstrip().startswith(b"{"):
            return read_bundle_document(trust_domain, data).x509
        bundle = TrustBundle(trust_domain, read_certificates(data))
        _check_not_mixed(bundle)
    except IdentityInvalid as invalid:
        raise BundleInvalid(f"{path}: {invalid}") from invalid
    return bundle


def _check_not_mixed(bundle: TrustBundle) -> None:
    """A PEM file says of no authority which domain it is for; those that say so themselves must be of this one.

    spiffe-helper can write the authorities of federated domains into the same file. Taken as ours, each of them
    could issue our identities.
    """
    for der in bundle.authorities_der:
        for name in _uris(der):
            domain = name[len(SCHEME) :].partition("/")[0]
            if name.startswith(SCHEME) and domain != bundle.trust_domain:
                raise BundleInvalid(
                    f"an authority in it is of {domain}, not of {bundle.trust_domain}; switch off "
                    "include_federated_domains in spiffe-helper and give each domain a file of its own"
                )


def _uris(der: bytes) -> list[str]:
    try:
        names = load_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


def _content(path: Path, contents: Contents) -> bytes:
    content = contents[path]
    if isinstance(content, FileUnreadable):
        raise content
    return content


def _read(path: Path) -> bytes | FileUnreadable:
    """Only a plain file is read, without waiting: a pipe or a device would hold the thread for ever."""
    try:
        # A buffered file would refuse a directory without closing what it was given.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return FileUnreadable(f"{path} is no plain file")
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as failed:
        return FileUnreadable(f"{path} cannot be read: {failed.strerror or failed}")
    if len(data) > MAX_FILE_BYTES:
        return FileUnreadable(f"{path} has more than {MAX_FILE_BYTES} bytes")
    return data


def _names(*paths: Path | None) -> str:
    return " and ".join(str(path) for path in paths if path is not None)
