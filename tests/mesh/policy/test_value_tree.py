"""Documents from values are those from the same values as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy import PolicyInvalid, load_objects, load_texts, read_object_alone
from mesh.policy.errors import ErrorLog
from mesh.policy.value_tree import from_value
from mesh.policy.yaml_tree import MAX_DEPTH, Mapping, Node, Scalar, Sequence, read_documents
from tests.support.access_policies import agent_policy, allow, ask, backend, cel, inline
from tests.support.fuzzing import examples

DOCUMENTS = [
    backend(),
    agent_policy({"outbound": [{"backend": "tools/github", "tools": {"allow": ["*"]}}]}, "tools"),
    allow("a", inline(("tools/call", ["x"]), base=True), cel("true")),
    ask("b", inline("tools")),
]
WORDS = st.sampled_from(
    ["", "x", "null", "true", "1", "on", "2026-01-01", "<<", "é", "\u2028", "a: b", "*", '"']
)
SCALARS = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=20,
)


def plain(node: Node) -> Any:
    """A tree without its lines, and without the difference between JSON's true and a quoted one."""
    if isinstance(node, Scalar):
        return node.text, node.plain
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    assert isinstance(node, Mapping)
    return {entry.key: plain(entry.value) for entry in node.entries}


@given(value=VALUES)
@settings(max_examples=examples(300), deadline=None)
def test_a_value_is_the_tree_of_its_json(value: Any) -> None:
    log = ErrorLog("x")
    nodes = read_documents(json.dumps(value), log)
    made = from_value(value, log)
    assert log.errors == []
    assert plain(made) == plain(nodes[0]) if nodes else made == Scalar(0, "null", plain=True)


def mutated(draw: Any, value: Any) -> Any:
    """A document with some values replaced, taken away or added."""
    if isinstance(value, dict):
        made = {key: mutated(draw, item) for key, item in value.items() if draw(st.integers(0, 40)) != 0}
        return made | ({draw(WORDS): draw(SCALARS)} if draw(st.integers(0, 40)) == 0 else {})
    if isinstance(value, list):
        return [mutated(draw, item) for item in value]
    return draw(SCALARS) if draw(st.integers(0, 15)) == 0 else value


@st.composite
def documents(draw: Any) -> Any:
    return mutated(draw, draw(st.sampled_from(DOCUMENTS)))


def said(load: Any) -> Any:
    try:
        return load()
    except PolicyInvalid as invalid:
        return sorted((error.path, error.message) for error in invalid.errors)


def fields(found: Any) -> Any:
    """Documents, comparable: Backends are equal to themselves alone."""
    return found if isinstance(found, list) else repr(found)


@given(value=documents())
@settings(max_examples=examples(400), deadline=None)
def test_objects_and_their_texts_are_the_same_documents_and_have_the_same_faults(value: Any) -> None:
    from_objects = fields(said(lambda: load_objects([value, backend()])))
    beside = backend()
    for text in (json.dumps, lambda v: yaml.safe_dump(v, allow_unicode=True)):
        texts = [("a", text(value)), ("b", text(beside))]
        from_text = fields(said(lambda texts=texts: load_texts(texts)))
        if isinstance(from_text, list):
            crossing = (
                "there is no Backend",
                "does not speak MCP",
                "has the same host",
                "takes its whole host",
            )
            from_text = [one for one in from_text if not any(word in one[1] for word in crossing)]
            from_text = from_text or from_objects
            if isinstance(from_objects, list):
                drop = " exists already, at "
                from_objects = [(p, m.partition(drop)[0]) for p, m in from_objects]
                from_text = [(p, m.partition(drop)[0]) for p, m in from_text]
        assert from_text == from_objects


def test_what_rules_name_may_be_missing_from_objects() -> None:
    found = load_objects([agent_policy({"outbound": [{"backend": "nowhere"}]})])
    assert found.policies[0].outbound[0].backend == "nowhere"


def test_faults_of_objects_tell_which_object() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load_objects([backend(), backend("jira", port=0), agent_policy({"mode": "x"})])
    first, second = map(str, caught.value.errors)
    assert first.startswith("Backend tools/jira: spec.port: ")
    assert second.startswith("AgentPolicy agents/triage: spec.mode: ")


@pytest.mark.parametrize(
    "value", [{}, {"kind": 1}, {"kind": "Secret", "metadata": 1}, {"metadata": {"name": []}}]
)
def test_an_object_that_is_no_document_is_a_fault(value: Any) -> None:
    with pytest.raises(PolicyInvalid):
        read_object_alone(value)
    with pytest.raises(PolicyInvalid):
        load_objects([value])


def test_what_nests_too_deep_or_is_no_json_is_a_fault() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH + 2):
        deep = [deep]
    for value in (deep, {1: 2}, b"x", {"a": {2.5}}):
        log = ErrorLog("x")
        from_value(value, log)
        assert len(log.errors) == 1


def test_a_thousand_documents_are_read_in_a_second() -> None:
    import time

    many = [backend(f"b{i}", host=f"h{i}.tools.svc") for i in range(300)]
    many += [
        agent_policy({"outbound": [{"backend": "b1", "tools": {"allow": ["x"]}}]}, name=f"p{i}")
        for i in range(300)
    ]
    many += [allow(f"a{i}", inline(("tools/call", ["x"]))) for i in range(400)]
    begin = time.process_time()
    load_objects(many)
    assert time.process_time() - begin < 1
