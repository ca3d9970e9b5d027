"""The lines of the configuration stream."""

from __future__ import annotations

import json

import pytest

from mesh.distribution.messages import (
    Configuration,
    FromControl,
    FromSidecar,
    Hello,
    Leave,
    Refused,
    read_from_control,
    read_from_sidecar,
    write_line,
)
from mesh.identity.errors import DocumentInvalid

DOCUMENT = {"apiVersion": "outrider.dev/v1alpha1", "kind": "Backend", "metadata": {"name": "b"}, "spec": {}}


@pytest.mark.parametrize(
    "message",
    [
        FromSidecar(hello=Hello("agents", "triage-1", "uid", "0.1.0", "v")),
        FromSidecar(applied="v"),
        FromSidecar(refused=Refused("v", "configuration_invalid", "line\nline")),
        FromSidecar(alive=True),
    ],
)
def test_what_a_sidecar_says_is_one_line_with_one_member(message: FromSidecar) -> None:
    line = write_line(message)
    assert line.count(b"\n") == 1
    assert len(json.loads(line)) == 1
    assert read_from_sidecar(line) == message


@pytest.mark.parametrize(
    "message",
    [
        FromControl(configuration=Configuration("v", [DOCUMENT], {"app": "triage"})),
        FromControl(leave=Leave(2.5)),
        FromControl(alive=True),
    ],
)
def test_what_the_control_plane_says_is_one_line_with_one_member(message: FromControl) -> None:
    line = write_line(message)
    assert line.count(b"\n") == 1
    assert read_from_control(line) == message


def test_what_a_later_version_adds_is_let_be() -> None:
    assert read_from_control(b'{"news":{"a":1}}') == FromControl()
    assert read_from_control(b'{"leave":{"seconds":1,"because":"x"}}') == FromControl(leave=Leave(1))


@pytest.mark.parametrize("line", [b"", b"[]", b"{", b'{"leave":{}}', b'{"alive":"\xff"}', b"[" * 100_000])
def test_what_is_no_line_of_it_is_told(line: bytes) -> None:
    with pytest.raises(DocumentInvalid, match="no line of the configuration stream"):
        read_from_control(line)
