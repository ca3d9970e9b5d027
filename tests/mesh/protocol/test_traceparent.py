"""traceparent as W3C Trace Context has it, and nothing that merely looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.protocol.traceparent import RANDOM_BYTES, make, trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "value",
    [
        f"00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-00",
        f"00-{TRACE}-{PARENT}-ff",
        f"01-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-what-will-be",
        f"fe-{TRACE}-{PARENT}-01-",
    ],
)
def test_a_traceparent_names_its_trace_in_every_version(value: str) -> None:
    assert trace_id(value.encode()) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        "",
        TRACE,
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01.what",
        f"ff-{TRACE}-{PARENT}-01",
        f"0x-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{TRACE}-{PARENT}-0A",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00_{TRACE}_{PARENT}_01",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE[:-1]}٣-{PARENT}-01",
    ],
)
def test_what_is_no_traceparent_has_no_trace_id(value: str) -> None:
    assert trace_id(value.encode()) is None


def test_an_id_may_begin_with_zeros() -> None:
    trace = "0" * 31 + "1"
    assert trace_id(f"00-{trace}-{'0' * 15}1-01".encode()) == trace


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES), st.booleans())
def test_what_is_made_is_a_traceparent_of_these_bytes(random: bytes, sampled: bool) -> None:
    if any(random[:16]) and any(random[16:]):
        made = make(random, sampled=sampled)
        assert trace_id(made) == random[:16].hex()
        assert made.endswith(b"-01" if sampled else b"-00")
        assert len(made) == 55


@pytest.mark.parametrize("random", [b"", b"x" * 16, b"x" * 25, bytes(24), b"x" * 16 + bytes(8)])
def test_nothing_is_made_of_other_bytes(random: bytes) -> None:
    with pytest.raises(ValueError, match="24 random bytes"):
        make(random)
