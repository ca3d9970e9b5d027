"""What authorization services answer: any bytes end in a yes, a no or a documented failure."""

from __future__ import annotations

from contextlib import suppress

from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.protocol.ext_authz import CheckDenied, CheckUnusable, approval, may_change, well_formed
from mesh.protocol.ext_authz_grpc import check_response
from mesh.protocol.protobuf import ProtobufMalformed, fields
from tests.support.authorizing import messages
from tests.support.fuzzing import examples

MADE = messages()
NAMES = st.sampled_from(["x-user", "host", "mcp-name", "", "a b", ":path", "authorization", "x\r\ny"])
OPTIONS = st.builds(
    lambda key, value, action: MADE["HeaderValueOption"](
        header=MADE["HeaderValue"](key=key, value=value), append_action=action
    ),
    NAMES,
    st.text(max_size=20),
    st.integers(0, 5),
)
SEEDS = st.builds(
    lambda code, options, removed: MADE["CheckResponse"](
        status=MADE["Status"](code=code),
        ok_response=MADE["OkHttpResponse"](headers=options, headers_to_remove=removed),
    ).SerializeToString(),
    st.sampled_from([0, 0, 0, 7, -1]),
    st.lists(OPTIONS, max_size=4),
    st.lists(NAMES, max_size=3),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A CheckResponse with a few bytes changed, cut or doubled."""
    data = bytearray(draw(SEEDS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(data)


def _holds(encoded: bytes) -> None:
    with suppress(CheckDenied, CheckUnusable):
        said = check_response(encoded)
        assert all(may_change(name) and well_formed(name, value) for _, name, value in said.puts)
        assert all(map(may_change, said.removed))
        # A yes is never what the library reads as a no.
        try:
            read = MADE["CheckResponse"].FromString(encoded)
        except DecodeError:
            return
        assert read.status.code == 0
        assert not read.HasField("denied_response")


@settings(max_examples=examples(400), deadline=None)
@given(st.one_of(mutated(), st.binary(max_size=200)))
def test_any_bytes_are_a_yes_a_no_or_unusable(encoded: bytes) -> None:
    _holds(encoded)


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_fields_or_malformed(encoded: bytes) -> None:
    with suppress(ProtobufMalformed):
        assert sum(1 for _ in fields(encoded)) <= len(encoded)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.integers(100, 599),
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=12).map(bytes.lower), st.binary(max_size=20)), max_size=6
    ),
)
def test_any_answer_over_http_is_a_no_or_changes_only_what_may_change(
    status: int, headers: list[tuple[bytes, bytes]]
) -> None:
    with suppress(CheckDenied):
        said = approval(status, headers, None)
        assert status == 200
        assert all(may_change(name) for _, name, _ in said.puts)
