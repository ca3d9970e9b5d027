"""The configuration stream as a sidecar hears it: whatever comes, in whatever pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh.distribution.messages import Configuration, FromControl, Leave, write_line
from mesh.identity.errors import DocumentInvalid
from sidecar.control.conversation import Conversation

LINES = (
    write_line(FromControl(configuration=Configuration("v1", [{"kind": "Backend"}], {"a": "b"}))),
    write_line(FromControl(leave=Leave(3.0))),
    write_line(FromControl(alive=True)),
    b"\n",
    b'{"later":1}\n',
)


def heard(pieces: list[bytes]) -> tuple[list[Configuration], bool]:
    """The configurations, and whether it came to an end by a fault."""
    conversation = Conversation(0.0)
    found: list[Configuration] = []
    for piece in pieces:
        try:
            found += conversation.hear(piece, 1.0)
        except DocumentInvalid:
            return found, True
    return found, False


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in at} | {len(data)})
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@given(st.lists(st.sampled_from(LINES), max_size=8), st.lists(st.integers(0, 800), max_size=8))
def test_pieces_do_not_change_what_is_heard(lines: list[bytes], at: list[int]) -> None:
    data = b"".join(lines)
    assert heard(cut(data, at)) == heard([data])
    assert len(heard([data])[0]) == lines.count(LINES[0])


@given(
    st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=60)), max_size=6),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_nothing_that_comes_does_more_than_end_it(parts: list[bytes], at: list[int]) -> None:
    data = b"".join(parts)
    assert heard(cut(data, at))[1] == heard([data])[1]
