"""What survives the process: the last good configuration, the roots that came with it, our identity, and pins.

A container may start anew while the control plane is away, and its policy must not go with it. Each has a file,
which is replaced whole, or not at all, and carries a digest and its owner: what is damaged, cut short or another
pod's is not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from mesh.distribution.messages import Configuration
from mesh.identity.bundle import TrustBundle
from mesh.identity.errors import IdentityInvalid
from mesh.identity.svid import X509Svid
from mesh.pins.book import KeptBook
from sidecar.identity.provider import Identity

CONFIGURATION_FILE = "configuration"
ROOTS_FILE = "roots"
IDENTITY_FILE = "identity"
PINS_FILE = "pins"
MAX_FILE_BYTES = 20 * 1024 * 1024
MODE = 0o600

_MAGIC = b"outrider 1 "


class SavedUnusable(Exception):
    """A file is damaged, of another pod, or cannot be read; whoever wrote there is at fault. It is not used."""


class _Kept(msgspec.Struct, frozen=True):
    """`owner` is namespace/name/uid of the pod."""

    owner: str
    at: datetime


class KeptConfiguration(_Kept, frozen=True):
    """A configuration, and when it was put in force."""

    configuration: Configuration


class KeptRoots(_Kept, frozen=True):
    """Certificates (DER), and when they were learned."""

    roots: tuple[bytes, ...]


class KeptIdentity(_Kept, frozen=True):
    """An SVID (DER) with its key (PKCS #8), the authorities (DER) of each trust domain, and since when."""

    chain: tuple[bytes, ...]
    key: bytes
    bundles: dict[str, tuple[bytes, ...]]


class KeptPins(_Kept, frozen=True):
    """The tools that servers are held to, by server."""

    books: dict[str, KeptBook]


K = TypeVar("K", KeptConfiguration, KeptRoots, KeptIdentity, KeptPins)


@dataclass(frozen=True, slots=True)
class SavedState:
    """The files in `folder`, which belong to the pod `owner` (namespace/name/uid). Every method blocks."""

    folder: Path
    owner: str

    def save_configuration(self, configuration: Configuration, at: datetime) -> None:
        """Replace the configuration; raises OSError."""
        self._write(CONFIGURATION_FILE, KeptConfiguration(self.owner, at, configuration))

    def save_roots(self, roots: tuple[bytes, ...], at: datetime) -> None:
        """Replace the roots; raises OSError."""
        self._write(ROOTS_FILE, KeptRoots(self.owner, at, roots))

    def save_identity(self, identity: Identity, at: datetime) -> None:
        """Replace the identity, its key as it is: only where `folder` is in memory. Raises OSError."""
        svid = identity.svid
        bundles = {name: tuple(bundle.authorities_der) for name, bundle in identity.bundles.items()}
        self._write(IDENTITY_FILE, KeptIdentity(self.owner, at, svid.chain_der, svid.key_pkcs8_der, bundles))

    def save_pins(self, books: dict[str, KeptBook], at: datetime) -> None:
        """Replace the pins; raises OSError."""
        self._write(PINS_FILE, KeptPins(self.owner, at, books))

    def remove_identity(self) -> None:
        """Have none; raises OSError."""
        (self.folder / IDENTITY_FILE).unlink(missing_ok=True)

    def configuration(self) -> KeptConfiguration | None:
        """The last one; None where there is none. Raises SavedUnusable."""
        payload = self._read(CONFIGURATION_FILE)
        return None if payload is None else self._decoded(CONFIGURATION_FILE, payload, KeptConfiguration)

    def roots(self) -> tuple[bytes, ...]:
        """The last ones (DER); empty where there are none. Raises SavedUnusable."""
        payload = self._read(ROOTS_FILE)
        if payload is None:
            return ()
        roots = self._decoded(ROOTS_FILE, payload, KeptRoots).roots
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=b"".join(roots))
        except (ssl.SSLError, ValueError) as malformed:
            raise SavedUnusable(
                f"{self.folder / ROOTS_FILE} holds no certificates: {malformed}"
            ) from malformed
        return roots

    def identity(self) -> Identity | None:
        """The last one, whatever its dates; None where there is none. Raises SavedUnusable."""
        payload = self._read(IDENTITY_FILE)
        if payload is None:
            return None
        kept = self._decoded(IDENTITY_FILE, payload, KeptIdentity)
        try:
            svid = X509Svid.parse(kept.chain, kept.key)
            return Identity(svid, {name: TrustBundle(name, der) for name, der in kept.bundles.items()})
        except IdentityInvalid as malformed:
            raise SavedUnusable(
                f"{self.folder / IDENTITY_FILE} holds no identity: {malformed}"
            ) from malformed

    def pins(self) -> dict[str, KeptBook]:
        """The last ones; empty where there are none. Raises SavedUnusable."""
        payload = self._read(PINS_FILE)
        return {} if payload is None else self._decoded(PINS_FILE, payload, KeptPins).books

    def _decoded(self, name: str, payload: bytes, kind: type[K]) -> K:
        path = self.folder / name
        try:
            kept = msgspec.json.decode(payload, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as malformed:
            raise SavedUnusable(f"{path} is of another version: {malformed}") from malformed
        if kept.owner != self.owner:
            raise SavedUnusable(f"{path} is that of {kept.owner}, not of {self.owner}")
        return kept

    def _write(self, name: str, kept: _Kept) -> None:
        payload = msgspec.json.encode(kept)
        if len(payload) > MAX_FILE_BYTES - 128:
            raise OSError(None, f"{name} would have more than {MAX_FILE_BYTES} bytes")
        content = _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload
        replace_file(self.folder / name, content)

    def _read(self, name: str) -> bytes | None:
        path = self.folder / name
        try:
            content = _contents(path)
        except FileNotFoundError:
            return None
        except OSError as failed:
            raise SavedUnusable(f"{path} cannot be read: {failed.strerror or failed}") from failed
        head, _, payload = content.partition(b"\n")
        if head != _MAGIC + hashlib.sha256(payload).hexdigest().encode():
            raise SavedUnusable(f"{path} is damaged, or not ours")
        return payload


def replace_file(path: Path, content: bytes) -> None:
    """Have `path` hold `content`: all of it, or what it held before, whatever happens. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _contents(path: Path) -> bytes:
    """Of a plain file, without waiting: a pipe would hold the thread for ever."""
    # A buffered file would refuse a directory without closing what it was given.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(None, "it is no plain file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(None, f"it has more than {MAX_FILE_BYTES} bytes")
    return content
