"""JSON in texts: what is read stands where it is said to stand, and nothing that is no JSON raises."""

from __future__ import annotations

import itertools
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.guardrails import json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=6) | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
SEEDS = st.sampled_from(
    ['{"a":[1,{"b":"\\ud83d\\ude00\\n"}],"a":2}', "[", '{"a":', "[[[[", '["\\', "[1e999]", '["\\ud800"]']
)


@settings(max_examples=300)
@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_every_scalar_is_read_from_where_it_stands(value, indent, ascii_only):
    text = json.dumps({"v": value}, indent=indent, ensure_ascii=ascii_only)
    known = json_text.read(text)

    assert known is not None
    assert not known.repeated
    for scalar in known.scalars:
        raw = text[scalar.start : scalar.end]
        assert json.loads(raw) == scalar.value
        at = json_text.places(raw)
        if type(scalar.value) is str and at is not None:
            pieces = [raw[start:end] for start, end in itertools.pairwise(at)]
            assert len(pieces) == len(scalar.value)
            assert "".join(json.loads(f'"{piece}"') for piece in pieces) == scalar.value
        if not scalar.is_key:
            here = known.value
            for step in scalar.path:
                here = here[step]
            assert here == scalar.value


@settings(max_examples=300)
@given(st.text(max_size=40) | st.text('{}[],:"\\u0aeE1.- \n', max_size=40) | SEEDS)
def test_anything_else_is_none_and_never_raises(text):
    known = json_text.read(text, containers_only=False)

    if known is not None:
        json.loads(text)
