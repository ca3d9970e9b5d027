"""The protocol by which a sidecar gets its configuration: what travels, as typed documents.

One POST to `CONFIGURATION_PATH` over TLS, whose body and answer are both open-ended: a JSON document a line each
way (NDJSON, chunked). The sidecar begins with `hello`; from then on the control plane sends a `configuration`
whenever it changes, and the sidecar says what became of it. Both ends say `alive` when they have said nothing for
`ALIVE_SECONDS`; who has heard nothing for `SILENCE_SECONDS` gives the connection up. Described in
docs/control-plane.md. A line has exactly one member. Unknown members of a line's document are left alone, so that
an older sidecar understands a newer control plane; a line whose one member is unknown says nothing.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from mesh.identity.errors import DocumentInvalid

CONFIGURATION_PATH: Final = "/v1/configuration"
ALIVE_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 30.0
MAX_CLIENT_LINE_BYTES: Final = 64 * 1024
MAX_SERVER_LINE_BYTES: Final = 16 * 1024 * 1024
MAX_DETAIL: Final = 4000


class Hello(msgspec.Struct, frozen=True):
    """Who asks: the pod by namespace, name and uid, which the control plane checks against what proves the caller;
    the sidecar's release; and `version`, that of the configuration in force, "" where there is none."""

    namespace: str
    pod: str
    uid: str
    sidecar: str
    version: str = ""


class Refused(msgspec.Struct, frozen=True):
    """The configuration `version` is not in force, because of `reason` (a code) and `detail` (sentences)."""

    version: str
    reason: str
    detail: str


class Configuration(msgspec.Struct, frozen=True):
    """Everything that one sidecar enforces.

    `version` is a digest of the rest: equal content has equal versions, whichever replica sends it. `documents`
    are Kubernetes objects (apiVersion, kind, metadata.name, .namespace, .generation, spec), those that concern
    this sidecar and no others; `labels` are the pod's, which selectors match.
    """

    version: str
    documents: list[dict[str, Any]]
    labels: dict[str, str] = {}


class Leave(msgspec.Struct, frozen=True):
    """The control plane is about to go, or has too many sidecars: connect anew after about `seconds`."""

    seconds: float


class FromSidecar(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the request's body. `applied` is the version that is in force now."""

    hello: Hello | None = None
    applied: str | None = None
    refused: Refused | None = None
    alive: bool | None = None


class FromControl(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the answer's body."""

    configuration: Configuration | None = None
    leave: Leave | None = None
    alive: bool | None = None


M = TypeVar("M", FromSidecar, FromControl)

_ENCODER = msgspec.json.Encoder()
_FROM_SIDECAR = msgspec.json.Decoder(FromSidecar)
_FROM_CONTROL = msgspec.json.Decoder(FromControl)


def write_line(message: FromSidecar | FromControl) -> bytes:
    """A message as it travels, with the line's end."""
    return _ENCODER.encode(message) + b"\n"


def read_from_sidecar(line: bytes) -> FromSidecar:
    """One line; raises DocumentInvalid, the sidecar is at fault."""
    return _read(_FROM_SIDECAR, line)


def read_from_control(line: bytes) -> FromControl:
    """One line; raises DocumentInvalid, the control plane is at fault."""
    return _read(_FROM_CONTROL, line)


def _read(decoder: msgspec.json.Decoder[M], line: bytes) -> M:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as malformed:
        raise DocumentInvalid(f"no line of the configuration stream: {malformed}") from malformed
