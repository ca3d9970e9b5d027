"""Secrets that only the sidecar mounts: one file for each key, `FOLDER/NAME/KEY`.

The kubelet changes them by putting another folder in the place of a symbolic link, so what counts is which file is
found there now. It is looked at most once a second, and read where it is another one.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mesh.policy.credentials import SecretKey
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused

MAX_BYTES = 64 * 1024
LOOK_SECONDS = 1.0

_PART = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._-]{1,253}\Z")
"""Of a path: no folder, and neither this one nor the one above."""
_NO_FIELD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]$")
"""What no header field may hold (RFC 9110, section 5.5)."""


class _Seen(NamedTuple):
    """Which file it was: another one, or this one written anew, differs."""

    device: int
    inode: int
    changed: int
    size: int


class SecretFile:
    """One key of one Secret. Not looked at before it is asked for."""

    __slots__ = ("_clock", "_looked", "_path", "_secret", "_seen", "_value")

    def __init__(self, path: Path | None, secret: SecretKey, clock: Callable[[], float]) -> None:
        self._path = path
        self._secret = secret
        self._clock = clock
        self._looked = float("-inf")
        self._seen: _Seen | None = None
        self._value = b""

    def read(self) -> bytes:
        """The value, without the newline that ends it; the same object as long as it does not change.

        Raises CredentialRefused (CREDENTIAL_SECRET_MISSING) where there is none that can be read.
        """
        now = self._clock()
        if self._seen is None or now - self._looked >= LOOK_SECONDS:
            self.look()
            self._looked = now
        return self._value

    def look(self) -> None:
        """Look at the file now; raises as `read`."""
        if self._path is None:
            raise self.refused("the sidecar has no folder of credentials (credentials.directory)")
        try:
            # A pipe must not hold the loop up.
            file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as failed:
            self._seen = None
            raise self.refused(_why(failed)) from None
        try:
            self._take(file)
        except OSError as failed:
            self._seen = None
            raise self.refused(_why(failed)) from None
        finally:
            os.close(file)

    def _take(self, file: int) -> None:
        found = os.fstat(file)
        seen = _Seen(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return
        self._seen = None
        if not stat.S_ISREG(found.st_mode):
            raise self.refused("it is no file")
        value = os.read(file, MAX_BYTES + 2)
        value = value.removesuffix(b"\n")
        value = value.removesuffix(b"\r")
        if len(value) > MAX_BYTES:
            raise self.refused(f"it is longer than {MAX_BYTES} bytes")
        if not value:
            raise self.refused("it is empty")
        self._seen = seen
        if value != self._value:
            self._value = value

    def read_field(self) -> bytes:
        """The value, for a header field; raises too where it holds what none may hold."""
        value = self.read()
        if _NO_FIELD_VALUE.search(value):
            raise self.refused("it holds line breaks or control characters, which no header may")
        return value

    def refused(self, why: str) -> CredentialRefused:
        """There is no value: which one, why, and where to put it right."""
        name, key = self._secret.name, self._secret.key
        return CredentialRefused(
            Reason.CREDENTIAL_SECRET_MISSING,
            f"Secret {name}, key {key}: {why}; name the Secret in the pod's annotation "
            "outrider.dev/credential-secrets, and look whether it has this key",
        )


class SecretFiles:
    """The Secrets in `folder`; None where nothing is mounted. `clock`: seconds that never go back."""

    def __init__(self, folder: Path | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._files: dict[SecretKey, SecretFile] = {}

    def file(self, secret: SecretKey) -> SecretFile:
        """The file of this key, whether it is there or not. Keys come from policies, so they are few."""
        found = self._files.get(secret)
        if found is None:
            found = self._files[secret] = SecretFile(self._path(secret), secret, self._clock)
        return found

    def _path(self, secret: SecretKey) -> Path | None:
        if self._folder is None:
            return None
        if not (_PART.match(secret.name) and _PART.match(secret.key)):
            # Policies are checked for this; a secret is not read on that word alone.
            return self._folder / "\0"
        return self._folder / secret.name / secret.key

    def read(self, secret: SecretKey) -> bytes:
        """The value of this key; raises CredentialRefused (CREDENTIAL_SECRET_MISSING)."""
        return self.file(secret).read()

    def read_field(self, secret: SecretKey) -> bytes:
        """The same for a header field; raises too where it holds what none may hold."""
        return self.file(secret).read_field()


def _why(failed: OSError | ValueError) -> str:
    if isinstance(failed, FileNotFoundError):
        return "it is not mounted"
    if isinstance(failed, OSError):
        return f"it cannot be read ({os.strerror(failed.errno)})" if failed.errno else "it cannot be read"
    return "its name is none of a Secret"
