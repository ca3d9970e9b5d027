"""What a schema admits in one place, and that a document stays what it was to a real validator."""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy.guardrails import Action, DetectorKind, Part, PiiOptions, Processor
from sidecar.guardrails.mask_message import mask_message
from sidecar.guardrails.schemas import limits_at
from sidecar.guardrails.vault import Vault
from sidecar.guardrails.verdict import Finding, Leaf, Verdict

PII = Processor("pii", DetectorKind.PII, Action.MASK, PiiOptions())


def admits(schema, old, new):
    return limits_at(schema, {"f": old}, ["f"]).admits(new)


def at_f(field, **more):
    return {"properties": {"f": field}, **more}


@pytest.mark.parametrize(
    ("field", "old", "new", "admitted"),
    [
        ({}, "a", "<X_1>", True),
        (True, "a", "<X_1>", True),
        ({"pattern": "^[0-9]+$"}, "12", "<X_1>", False),
        ({"pattern": "^[0-9]+$"}, "12", "34", True),
        ({"pattern": "(a"}, "12", "34", False),
        ({"pattern": 5}, "12", "34", False),
        ({"format": "email"}, "a@b.c", "x@masked.invalid", True),
        ({"format": "date"}, "2020-01-01", "2020-13-01", False),
        ({"format": "date-time"}, "2020-01-01T00:00:00Z", "0001-01-02T00:00:00Z", True),
        ({"format": "ipv6"}, "::1", "100::5", True),
        ({"format": "ipv6"}, "::1", "fe80::1%eth0", False),
        ({"format": "colour"}, "a", "b", True),
        ({"format": ["email"]}, "a", "b", True),
        ({"minLength": 3}, "abc", "ab", False),
        ({"maxLength": 2}, "ab", "abc", False),
        ({"minLength": "x"}, "ab", "abc", True),
        ({"enum": ["a", "b"]}, "a", "c", False),
        ({"const": True}, 1, 1.0, False),
        ({"multipleOf": 5}, 10, 15, True),
        ({"multipleOf": 5}, 10, 16, False),
        ({"multipleOf": 0.1}, 10.5, 11.5, False),
        ({"type": "integer"}, 1.0, 1.5, False),
        ({"type": ["integer", "number"]}, 1.0, 1.5, True),
        ({"minimum": 5, "maximum": 9}, 6, 7, True),
        ({"exclusiveMinimum": 5}, 6, 5, False),
        ({"exclusiveMaximum": 9}, 6, 9, False),
        ({"anyOf": [{"enum": ["x"]}, {"minLength": 1}]}, "a", "b", True),
        ({"oneOf": [{"pattern": "^<"}, {"type": "string"}]}, "a", "<X_1>", False),
        ({"not": {"pattern": "^<"}}, "a", "<X_1>", False),
        ({"not": {"type": "string", "pattern": "^<"}}, "a", "b", True),
        ({"not": {"pattern": "(?=a)"}}, "a", "b", False),
        ({"not": {"pattern": "^<", "minLength": 1}}, "a", "b", False),
        ({"not": {"type": "number"}}, "a", "b", True),
        ({"not": {"maximum": 5}}, 10, 7, True),
        ({"anyOf": [{"pattern": "^a"}, {"pattern": "^b"}]}, "b", "b", False),
        ({"anyOf": [{"pattern": "^a"}, {"pattern": "^b"}]}, "b", "a", True),
        ({"anyOf": [{"pattern": "^a"}, {}]}, "a", "b", True),
        ({"oneOf": [{"type": "null"}, {"const": 5}, {"minLength": 3}]}, "aaa", "bbb", True),
        ({"oneOf": [{"maxLength": 5}, {"minLength": 3}]}, "a", "b", False),
        ({"if": {"type": "number"}, "then": {"const": "x"}, "else": {"minLength": 2}}, "aa", "bb", True),
        ({"pattern": "a" * 1025}, "a", "a" * 1025, False),
        ({"pattern": "(a{1,600}){1,600}"}, "a", "a", False),
        ({"pattern": "a{1,600}b{1,600}"}, "a", "ab", False),
        ({"pattern": "^<"}, "<", "<" * 5000, False),
        ({"allOf": [{"pattern": f"a|{number}"} for number in range(17)]}, "a", "a", False),
        ({"type": "integer"}, 1.0, 2.0, True),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1.0, 2.0, True),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1.0, 2.0, False),
        ({"if": {"maxLength": 3}, "then": {"maxLength": 4}}, "ab", "abcdef", False),
        ({"$ref": "#/$defs/a~1b%20c"}, "a", "b", False),
        ({"$ref": "#anchored"}, "a", "bbb", False),
        ({"$ref": "#"}, "a", "b", True),
        ({"$ref": "#/$defs/loop"}, "a", "b", True),
        ({"$ref": 5}, "a", "b", False),
        ({"$ref": "#/$defs/list/1"}, "a", "b", True),
        ({"$ref": "#/$defs/list/9"}, "a", "b", False),
        ({"$ref": "#/$defs/resource/inner"}, "a", "b", False),
    ],
)
def test_what_a_place_admits(field, old, new, admitted):
    defs = {
        "a/b c": {"const": "a"},
        "anchored": {"$anchor": "anchored", "maxLength": 2},
        "loop": {"allOf": [{"$ref": "#/$defs/loop"}]},
        "list": [{}, True],
        "resource": {"$id": "https://x.example/", "inner": {}},
    }

    assert admits(at_f(field, **{"$defs": defs}), old, new) is admitted


@pytest.mark.parametrize(
    ("schema", "document", "path"),
    [
        ({"patternProperties": {"^a": {"const": "v"}}}, {"ab": "v"}, ["ab"]),
        ({"patternProperties": {"(?=a)": {}}}, {"ab": "v"}, ["ab"]),
        ({"additionalProperties": {"const": "v"}, "properties": {"x": {}}}, {"ab": "v"}, ["ab"]),
        ({"unevaluatedProperties": {"const": "v"}}, {"ab": "v"}, ["ab"]),
        ({"prefixItems": [{}, {"const": "v"}]}, [1, "v"], [1]),
        ({"prefixItems": [{}], "items": {"const": "v"}}, [1, "v"], [1]),
        ({"items": [{}], "additionalItems": {"const": "v"}}, [1, "v"], [1]),
        ({"contains": {"const": "v"}}, [1, "v"], [1]),
        ({"unevaluatedItems": {"const": "v"}}, ["v"], [0]),
        ({"const": {"a": "v"}}, {"a": "v"}, ["a"]),
        ({"properties": {"a": {"enum": [["v"]]}}}, {"a": ["v"]}, ["a", 0]),
        ({"dependentSchemas": {"a": at_f({"const": "v"})}}, {"a": 1, "f": "v"}, ["f"]),
    ],
)
def test_schemas_reach_a_place_in_every_way(schema, document, path):
    assert not limits_at(schema, document, path).admits("w")
    assert not limits_at(schema, document, path).values("minLength")


BRANCHES = {
    "anyOf": [
        {"properties": {"kind": {"const": "mail"}, "f": {"format": "email"}}},
        {"properties": {"kind": {"enum": ["post"]}, "f": {"pattern": "^p"}}},
    ]
}


def test_a_branch_that_another_member_makes_false_does_not_count():
    mail = limits_at(BRANCHES, {"kind": "mail", "f": "v"}, ["f"])

    assert mail.admits("email-1@masked.invalid")
    assert mail.values("format") == ["email"]


def test_what_another_member_is_does_not_count_where_it_is_masked_itself():
    document = {"kind": "mail", "f": "v"}
    limits = limits_at(BRANCHES, document, ["f"], hidden={(id(document), "kind")})

    assert not limits.admits("email-1@masked.invalid")
    assert not limits.values("format")


def test_it_is_unknown_what_a_schema_says_when_there_is_no_time_left():
    limits = limits_at({"properties": {"f": {"minLength": 1}}}, {"f": "v"}, ["f"])
    limits.late = lambda: True

    assert not limits.admits("w")
    assert limits_at({}, "v", [], late=lambda: True).impossible


FIELD_SCHEMAS = [
    {"anyOf": [{}, *({"pattern": f"^{number:03}"} for number in range(1000))]},
    {"anyOf": [{"pattern": f"^{number:03}"} for number in range(10)]},
    {"anyOf": [{"minLength": 60}, {"maxLength": 11}]},
    {"anyOf": [{"format": "email"}, {"format": "date"}]},
    {"oneOf": [{"format": "email"}, {"not": {"format": "email"}}]},
    {"oneOf": [{"pattern": "^5"}, {"pattern": "^[^5]"}]},
    {"if": {"pattern": "^536"}, "then": {"minLength": 40}},
    {"if": {"pattern": "^536"}, "then": {"pattern": "^[5x<]"}, "else": {"pattern": "^[^5]"}},
    {"not": {"const": "536-22-8714"}},
    {"not": {"not": {"pattern": "^536"}}},
    {"enum": ["536-22-8714", "<SSN_1>"]},
    {"pattern": "^(?:536-22-8714|[0-9-]+)$"},
    {"pattern": "^[0-9]{3}-[0-9]{2}-[0-9]{4}$"},
    {"pattern": "^536-[0-9]+-[0-9]+$"},
    {"minLength": 11, "maxLength": 11},
    {"pattern": "7"},
]


@pytest.mark.parametrize("field", FIELD_SCHEMAS)
def test_the_surrogate_says_nothing_of_the_value_whatever_the_schema_says(field):
    masked = []
    for value in "536-22-8714", "401-55-1299", "a", "x@corp.com " * 9, "2020-01-02":
        arguments = {"f": value}
        message = {"method": "tools/call", "params": {"arguments": arguments}}
        leaf = Leaf(value, arguments, "f", Part.ARGUMENTS, ("params", "arguments"))
        finding = Finding(PII, "SSN", leaf, 0, len(value), 1.0, "plain")
        outcome = mask_message(
            message, Verdict(Action.MASK, None, (finding,)), Vault(), {"properties": {"f": field}}
        )
        masked.append(None if outcome.unmaskable else arguments["f"])

    assert len(set(masked[:2] + masked[4:])) == 1 or "536-22-8714" in field.get("enum", ())
    assert {one for one in masked if one is not None} <= set(masked[:1])


@pytest.mark.parametrize(
    "field",
    [
        {"anyOf": [{}, *({"minimum": number * 10**14} for number in range(50))]},
        {"anyOf": [{"minimum": 2 * 10**15}, {"maximum": 2 * 10**15}]},
        {"oneOf": [{"multipleOf": 3}, {"not": {"multipleOf": 3}}]},
        {"minimum": 10**3, "maximum": 10**16},
        {"multipleOf": 7},
    ],
)
def test_a_number_that_stands_for_another_says_nothing_of_it(field):
    masked = set()
    for value in 4111111111111111, 1234567, 536228714, 9 * 10**15 + 3:
        arguments = {"f": value}
        message = {"method": "tools/call", "params": {"arguments": arguments}}
        leaf = Leaf(str(value), arguments, "f", Part.ARGUMENTS, ("params", "arguments"), "number")
        finding = Finding(PII, "CARD", leaf, 0, len(str(value)), 1.0, "plain")
        outcome = mask_message(
            message, Verdict(Action.MASK, None, (finding,)), Vault(), {"properties": {"f": field}}
        )
        masked.add(None if outcome.unmaskable else arguments["f"])

    assert len(masked) == 1


def test_what_is_too_deep_or_too_wide_counts_as_unsatisfiable():
    deep = {}
    for _ in range(100):
        deep = {"allOf": [deep]}
    wide = {"allOf": [{"allOf": [{"title": "x"}] * 1} for _ in range(5000)]}

    assert limits_at(deep, "a", []).impossible
    assert limits_at(wide, "a", []).impossible


KEYWORDS = [
    *[
        "$ref",
        "$dynamicRef",
        "$id",
        "$anchor",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "properties",
        "items",
    ],
    *[
        "prefixItems",
        "additionalProperties",
        "patternProperties",
        "enum",
        "const",
        "pattern",
        "format",
        "minLength",
    ],
    *["multipleOf", "minimum", "type", "contains", "dependentSchemas", "a"],
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 10)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(KEYWORDS), JSON, max_size=5))
def test_no_schema_however_malformed_raises(schema):
    for document, path in [({"a": "v"}, ["a"]), (["v"], [0]), ("v", []), (7_000_000, [])]:
        value = document[path[0]] if path else document
        limits = limits_at(schema, document, path)
        limits.admits(type(value)(5))
        limits.values("format")


STRINGS = st.fixed_dictionaries(
    {},
    optional={
        "format": st.sampled_from(["email", "uri", "date", "uuid", "hostname", "unknown"]),
        "pattern": st.sampled_from(["@", "^[a-z@.]+$", "^.{3,}$", "corp", "(?=x)", "^[^<]*$", "[0-9]$"]),
        "minLength": st.integers(0, 30),
        "maxLength": st.integers(5, 40),
        "enum": st.just(["ann@corp.com", "x"]),
        "type": st.just("string"),
    },
)
NUMBERS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["integer", "number"]),
        "minimum": st.sampled_from([0, 10**9, 4 * 10**15]),
        "maximum": st.sampled_from([5 * 10**15, 10**16, 4111111111111115]),
        "multipleOf": st.sampled_from([1, 3, 37, 0.5]),
        "exclusiveMinimum": st.sampled_from([-1, 4111111111111110]),
    },
)
FIELDS = st.recursive(
    STRINGS | NUMBERS | st.booleans() | st.just({"$ref": "#/$defs/mail"}),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=2).map(lambda some: {"allOf": some}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"anyOf": some}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"oneOf": some}),
        inner.map(lambda one: {"not": one}),
        st.tuples(inner, inner, inner).map(
            lambda three: {"if": three[0], "then": three[1], "else": three[2]}
        ),
    ),
    max_leaves=5,
)
VALUES = st.sampled_from(
    ["ann@corp.com", "mailto:ann@corp.com", "4111111111111111", 4111111111111113, 4111111111111113.0]
)


@settings(max_examples=500)
@given(FIELDS, st.lists(VALUES, min_size=1, max_size=3), st.booleans())
def test_a_valid_document_is_valid_when_it_is_masked_and_equal_to_its_copy(field, values, as_list):
    schema = {"$defs": {"mail": {"format": "email", "minLength": 5}}, "properties": {"f": field}}
    if as_list:
        schema["properties"] = {"f": {"items": field}}
    structured = {"f": values if as_list else values[0], "g": "ann@corp.com"}
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    was_valid = validator.is_valid(structured)
    was_plainly_valid = jsonschema.Draft202012Validator(schema).is_valid(structured)
    message = {
        "result": {
            "content": [{"type": "text", "text": json.dumps(structured)}],
            "structuredContent": structured,
        }
    }
    before = copy.deepcopy(message)
    places = (
        [(structured, "f", ())]
        if not as_list
        else [(structured["f"], place, ("f",)) for place in range(len(values))]
    )
    findings = []
    for holder, key, path in places:
        text = holder[key] if isinstance(holder[key], str) else json.dumps(holder[key])
        form = "value" if isinstance(holder[key], str) else "number"
        leaf = Leaf(text, holder, key, Part.RESULTS, ("result", "structuredContent", *path), form)
        findings.append(Finding(PII, "EMAIL", leaf, max(0, text.find("ann")), len(text), 1.0, "plain"))

    masked = mask_message(message, Verdict(Action.MASK, None, tuple(findings)), Vault(), schema)

    if masked.unmaskable:
        return
    after = message["result"]["structuredContent"]
    assert json.loads(message["result"]["content"][0]["text"]) == after
    assert after["g"] == "ann@corp.com"
    for (holder, key, _), finding in zip(places, findings, strict=True):
        old = finding.leaf.text
        assert type(holder[key]) is type(json.loads(old) if finding.leaf.form == "number" else old)
        assert str(holder[key]) != old
    if was_valid:
        validator.validate(after)
    if was_plainly_valid:
        jsonschema.Draft202012Validator(schema).validate(after)
    assert before != message
