"""A credential that is in a Secret as it is: no server is asked, and a new value counts within a second."""

from __future__ import annotations

from mesh.policy.credentials import StaticSecret
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.mint.fields import fields_of
from sidecar.credentials.secret_files import SecretFiles


class Held:
    """The credential of one Backend, made anew when its file holds another value."""

    __slots__ = ("_credential", "_file", "_issued", "_value")

    def __init__(self, credential: StaticSecret, secrets: SecretFiles) -> None:
        self._credential = credential
        self._file = secrets.file(credential.secret)
        self._value: bytes | None = None
        self._issued: Issued | None = None

    def ready(self) -> Issued | None:
        """What was obtained last, as long as the file holds it; the file is looked at once a second."""
        if self._issued is None:
            return None
        try:
            return self._issued if self._file.read() is self._value else None
        except CredentialRefused:
            return None

    def obtain(self) -> Issued:
        """What the file holds; raises CredentialRefused (CREDENTIAL_SECRET_MISSING)."""
        value = self._file.read_field()
        if self._issued is None or value is not self._value:
            self._value = value
            self._issued = fields_of(self._credential.header, self._credential.scheme, value)
        return self._issued

    def another(self, issued: Issued) -> bool:
        """Whether the file, looked at now, holds another value than this one."""
        try:
            self._file.look()
        except CredentialRefused:
            return False
        return self._issued is not issued or self.ready() is None
