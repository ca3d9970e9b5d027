from __future__ import annotations

import copy

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.admission.patch import difference, pointer, same

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, "", "a", "~/", "é"])
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "c/d", "e~f", ""]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(documents, documents)
def test_an_independent_implementation_turns_old_into_new(old, new) -> None:
    before = copy.deepcopy(old)
    patched = jsonpatch.apply_patch(old, difference(old, new))
    assert same(patched, new)
    assert same(old, before)


named = st.lists(st.fixed_dictionaries({"name": st.sampled_from("abcd"), "value": scalars}), max_size=5)


@given(named, named)
def test_lists_of_named_things_are_turned_into_one_another_too(old, new) -> None:
    assert same(jsonpatch.apply_patch({"l": old}, difference({"l": old}, {"l": new})), {"l": new})


@given(documents)
def test_equal_documents_have_no_difference(document) -> None:
    assert difference(document, copy.deepcopy(document)) == []


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ([1, 2], [0, 1, 2], [{"op": "add", "path": "/0", "value": 0}]),
        ([1, 2], [1, 2, 3], [{"op": "add", "path": "/2", "value": 3}]),
        ([1, 2, 3, 4], [1, 4], [{"op": "remove", "path": "/2"}, {"op": "remove", "path": "/1"}]),
        ({"a": None}, {"a": {}}, [{"op": "replace", "path": "/a", "value": {}}]),
        ({}, {"a/b~c": 1}, [{"op": "add", "path": "/a~1b~0c", "value": 1}]),
        ({"a": 1}, {}, [{"op": "remove", "path": "/a"}]),
        ({"a": 1}, {"a": True}, [{"op": "replace", "path": "/a", "value": True}]),
        ([{"n": 1, "m": 2}], [{"n": 1, "m": 3}], [{"op": "replace", "path": "/0/m", "value": 3}]),
        (
            [{"name": "a"}, {"name": "b", "m": 1}],
            [{"name": "new"}, {"name": "b", "m": 2}],
            [
                {"op": "remove", "path": "/0"},
                {"op": "add", "path": "/0", "value": {"name": "new"}},
                {"op": "replace", "path": "/1/m", "value": 2},
            ],
        ),
        (1, 2, [{"op": "replace", "path": "", "value": 2}]),
    ],
)
def test_the_patch_touches_only_what_differs(old, new, patch) -> None:
    assert difference(old, new) == patch


def test_a_pointer_escapes_tilde_before_slash() -> None:
    assert pointer("a~/b") == "a~0~1b"
