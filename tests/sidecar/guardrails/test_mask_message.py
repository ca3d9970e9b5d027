"""Whole messages: what is found is gone, types, schemas and copies of structured content stay sound."""

from __future__ import annotations

import copy
import json
import re
import time

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy.guardrails import Action, DetectorKind, Direction, Part, PiiOptions, Processor
from mesh.protocol.mcp.places import Root
from sidecar.guardrails import json_text
from sidecar.guardrails.mask_message import mask_message
from sidecar.guardrails.restoring import restore_message
from sidecar.guardrails.vault import Vault
from sidecar.guardrails.verdict import Finding, Leaf, Verdict

PII = Processor("pii", DetectorKind.PII, Action.MASK, PiiOptions())
SECRETS = Processor("secrets", DetectorKind.SECRETS, Action.MASK, PiiOptions())
PLANTED = re.compile(r"[a-z]+@corp\.com|4111111111111111|AKIA[A-Z]+")
SECRET = "AKIASECRETKEY"


def leaves(value, holder, key, path):
    if isinstance(value, dict):
        for name, member in value.items():
            yield Leaf(name, value, name, Part.RESULTS, (*path, key), "key", False)
            yield from leaves(member, value, name, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, value, place, (*path, key))
    elif isinstance(value, str):
        yield Leaf(value, holder, key, Part.RESULTS, path)
    elif type(value) in (int, float) and abs(value) >= 1_000_000:
        yield Leaf(json.dumps(value), holder, key, Part.RESULTS, path, "number")


def found(message, part="result"):
    findings = []
    for leaf in leaves(message[part], message, part, ()):
        for match in PLANTED.finditer(leaf.text):
            secret = match[0].startswith("AKIA")
            kind = "AWS_KEY" if secret else "EMAIL" if "@" in match[0] else "CARD"
            findings.append(Finding(SECRETS if secret else PII, kind, leaf, *match.span(), 1.0, "plain"))
    return Verdict(Action.MASK, None, tuple(findings))


def result(**members):
    return {"jsonrpc": "2.0", "id": 1, "result": members}


def text(value):
    return {"type": "text", "text": value}


def masked(message, schema=None, vault=None, **options):
    outcome = mask_message(message, found(message), vault or Vault(), schema, **options)
    assert outcome.unmaskable == ()
    return message["result"]


def test_a_token_stands_where_anything_may_stand():
    answer = masked(result(content=[text("Write to ann@corp.com, bob@corp.com or ann@corp.com.")]))

    assert answer["content"] == [text("Write to <EMAIL_1>, <EMAIL_2> or <EMAIL_1>.")]


@pytest.mark.parametrize("value", [4111111111111111, 4111111111111111.0, -4111111111111111])
def test_a_number_stays_a_number_of_its_type_and_sign(value):
    after = masked(result(card=value))["card"]

    assert type(after) is type(value)
    assert (after < 0) == (value < 0)
    assert after != value
    assert len(str(abs(int(after)))) == 15


def test_a_processor_that_only_observes_or_flags_masks_nothing():
    message = result(text="ann@corp.com")
    verdict = found(message)
    observing = verdict.findings[0]._replace(
        processor=Processor("p", DetectorKind.PII, Action.MASK, PiiOptions(), observe=True)
    )
    flagging = verdict.findings[0]._replace(
        processor=Processor("p", DetectorKind.PII, Action.FLAG, PiiOptions())
    )

    outcome = mask_message(message, Verdict(Action.FLAG, None, (observing, flagging)), Vault())

    assert not outcome.changed
    assert message == result(text="ann@corp.com")


def test_what_stands_in_a_key_or_names_something_is_handed_back():
    message = result(**{"ann@corp.com": "x"})
    verdict = found(message)

    assert mask_message(message, verdict, Vault()).unmaskable == verdict.findings


def test_a_leaf_that_changed_meanwhile_is_handed_back():
    message = result(note="ann@corp.com")
    verdict = found(message)
    message["result"]["note"] = "something longer than that, ann@corp.com"

    assert mask_message(message, verdict, Vault()).unmaskable == verdict.findings


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_text_copy_of_structured_content_stays_equal_and_keeps_its_spelling(indent, ascii_only):
    structured = {
        "who": "Zo\u00eb ann@corp.com",
        "card": 4111111111111111,
        "n": 3,
        "deep": [{"m": "bob@corp.com"}],
    }
    spelled = json.dumps(structured, indent=indent, ensure_ascii=ascii_only)

    answer = masked(result(content=[text(spelled)], structuredContent=structured))

    assert not PLANTED.search(json.dumps(answer))
    assert json.loads(answer["content"][0]["text"]) == answer["structuredContent"]
    assert answer["content"][0]["text"] == json.dumps(
        answer["structuredContent"], indent=indent, ensure_ascii=ascii_only
    )


@pytest.mark.parametrize(
    ("inner", "blocks"),
    [
        ("ann@corp.com", ["ann@corp.com"]),
        (["ann@corp.com", "x"], ["ann@corp.com", "x"]),
        ([{"m": "ann@corp.com"}, {"m": "x"}], ['{"m": "ann@corp.com"}', '{"m": "x"}']),
        (4111111111111111, ["4111111111111111"]),
    ],
)
def test_copies_of_wrapped_values_follow_too(inner, blocks):
    schema = {"type": "object", "properties": {"result": {"items": {"format": "email"}}}}

    answer = masked(
        result(content=[text(one) for one in blocks], structuredContent={"result": inner}), schema
    )

    after = answer["structuredContent"]["result"]
    items = after if isinstance(after, list) else [after]
    assert [block["text"] for block in answer["content"]] == [
        one if isinstance(one, str) else json.dumps(one) for one in items
    ]
    assert not PLANTED.search(json.dumps(answer))


def test_what_only_the_text_gave_away_is_masked_in_both():
    structured = {"who": "ann@corp.com"}
    message = result(content=[text(json.dumps(structured))], structuredContent=structured)
    verdict = found(message)
    only_text = tuple(one for one in verdict.findings if one.leaf.key == "text")

    mask_message(message, Verdict(Action.MASK, None, only_text), Vault())

    assert message["result"]["structuredContent"] == {"who": "<EMAIL_1>"}
    assert json.loads(message["result"]["content"][0]["text"]) == {"who": "<EMAIL_1>"}


def test_a_text_that_says_something_else_is_masked_as_text():
    answer = masked(result(content=[text("Mail: ann@corp.com")], structuredContent={"mail": "ann@corp.com"}))

    assert answer == {"content": [text("Mail: <EMAIL_1>")], "structuredContent": {"mail": "<EMAIL_1>"}}


def test_json_in_a_text_stays_json():
    nested = '"{\\"card\\":4111111111111111}"'
    spelled = '{ "a":"x \\"ann@corp.com\\" \\u00e9", "card": 4111111111111111, "in": ' + nested + " }"
    answer = masked(result(content=[text(spelled)]))["content"][0]["text"]

    value = json.loads(answer)
    assert value["a"] == 'x "<EMAIL_1>" \u00e9'
    assert type(value["card"]) is int
    assert json.loads(value["in"])["card"] == value["card"]
    assert answer.startswith('{ "a":"x \\"<EMAIL_1>\\" \\u00e9", "card": 9990')


def test_a_secret_is_not_turned_back():
    message = result(content=[text(f"{SECRET} ann@corp.com")])
    vault = Vault()
    masked(message, vault=vault, reversible=True)
    restore_message(message, vault, [Root(message, "result", Part.RESULTS, ())], Direction.REQUEST)

    assert message["result"]["content"][0]["text"] == "<AWS_KEY_1> ann@corp.com"


def test_our_own_surrogates_are_not_masked_again():
    vault = Vault()
    schema = {"properties": {"m": {"format": "email"}}}
    first = masked(result(structuredContent={"m": "ann@corp.com"}), schema, vault)
    again = result(note=first["structuredContent"]["m"])
    leaf = Leaf(again["result"]["note"], again["result"], "note", Part.RESULTS, ("result",))
    mask_message(
        again,
        Verdict(Action.MASK, None, (Finding(PII, "EMAIL", leaf, 0, len(leaf.text), 1, "plain"),)),
        vault,
    )

    assert again["result"]["note"] == first["structuredContent"]["m"]


FIELDS = [
    ({"type": "string", "format": "email"}, "ann@corp.com"),
    ({"type": "string", "format": "uri"}, "mailto:ann@corp.com"),
    ({"type": "string", "pattern": "^[^@ ]+@[^@ ]+\\.[a-z]+$"}, "ann@corp.com"),
    ({"type": "string", "minLength": 10, "maxLength": 14}, "ann@corp.com"),
    ({"type": "string", "minLength": 40}, "ann@corp.com " * 4),
    ({"type": "string", "maxLength": 1000}, "to ann@corp.com and bob@corp.com"),
    ({"type": "string", "pattern": "^[0-9]{16}$"}, "4111111111111111"),
    ({"type": "string", "pattern": "^AKIA[A-Z]{9}$"}, SECRET),
    ({"$ref": "#/$defs/mail"}, "ann@corp.com"),
    ({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/mail"}]}, "ann@corp.com"),
    ({"oneOf": [{"type": "null"}, {"type": "string", "minLength": 8}]}, "ann@corp.com"),
    ({"allOf": [{"type": "string"}, {"maxLength": 12}]}, "ann@corp.com"),
    ({"type": "string", "not": {"pattern": "^<"}}, "ann@corp.com"),
    ({"type": "integer"}, 4111111111111111),
    ({"type": "integer", "minimum": 10**15, "maximum": 10**16}, 4111111111111111),
    ({"type": "integer", "multipleOf": 11}, 4111111111111111 * 11 // 11 - 4111111111111111 % 11),
    ({"type": "number", "exclusiveMaximum": 5e15}, 4111111111111111),
    ({"type": "number"}, 4111111111111111.0),
    ({"type": ["integer", "null"]}, 4111111111111111.0),
]
DEFS = {"$defs": {"mail": {"type": "string", "format": "email"}}}


@pytest.mark.parametrize("is_list", [False, True])
@pytest.mark.parametrize(("field", "value"), FIELDS)
def test_structured_content_stays_valid_and_equal_to_its_copy_and_turns_back(field, value, is_list):
    schema = {
        **DEFS,
        "type": "object",
        "properties": {"f": {"items": field} if is_list else field},
        "required": ["f"],
    }
    structured = {"f": [value] if is_list else value}
    before = result(content=[text(json.dumps(structured))], structuredContent=structured)
    message = copy.deepcopy(before)
    vault = Vault()
    planted = bool(found(message).findings)

    answer = masked(message, schema, vault, reversible=True)

    after = answer["structuredContent"]
    assert (after != structured) == planted
    assert not planted or str(value) not in json.dumps(after)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(after)
    assert json.loads(answer["content"][0]["text"]) == after
    if value != SECRET:
        restore_message(message, vault, [Root(message, "result", Part.RESULTS, ())], Direction.REQUEST)
        assert message == before


@pytest.mark.parametrize(
    "field",
    [
        {"enum": ["ann@corp.com"]},
        {"const": "ann@corp.com"},
        {"maxLength": 12, "pattern": "@corp"},
        {"pattern": "^(?=a)"},
        {"$ref": "https://elsewhere.example/schema"},
        {"$ref": "#/$defs/none"},
        {"format": "json-pointer"},
        {"not": {"not": {"const": "ann@corp.com"}}},
    ],
)
def test_where_nothing_else_may_stand_the_finding_is_handed_back(field):
    message = result(structuredContent={"f": "ann@corp.com"})
    verdict = found(message)

    outcome = mask_message(message, verdict, Vault(), {"properties": {"f": field}})

    assert outcome.unmaskable == verdict.findings


def test_arguments_satisfy_the_tools_input_schema():
    message = {"method": "tools/call", "id": 1, "params": {"name": "t", "arguments": {"to": "ann@corp.com"}}}
    mask_message(
        message,
        found(message, "params"),
        Vault(),
        {"properties": {"to": {"format": "email"}}},
        direction=Direction.REQUEST,
    )

    assert message["params"]["arguments"] == {"to": "email-1@masked.invalid"}


def test_results_of_tasks_are_results():
    message = result(status="completed", result={"structuredContent": {"m": "ann@corp.com"}})

    answer = masked(message, {"properties": {"m": {"format": "email"}}})

    assert answer["result"]["structuredContent"] == {"m": "email-1@masked.invalid"}


WORDS = st.lists(
    st.sampled_from(
        ["ann@corp.com", "bob@corp.com", "4111111111111111", "and", '"', "\\", "\n", "\u00e9", "<", "<b>"]
    ),
    max_size=5,
).map(" ".join)
PLAIN = WORDS | st.none() | st.booleans() | st.sampled_from([4111111111111111, 1234567.5, 12, -9876543210])
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=3),
    max_leaves=8,
)


def kinds(value):
    if isinstance(value, dict):
        return {name: kinds(member) for name, member in value.items()}
    return [kinds(item) for item in value] if isinstance(value, list) else type(value)


@settings(max_examples=400)
@given(VALUES, VALUES, st.sampled_from([None, 2]), st.booleans())
def test_what_is_masked_turns_back_into_what_it_was_and_types_stay(structured, other, indent, ascii_only):
    spelled = json.dumps(structured, indent=indent, ensure_ascii=ascii_only)
    nested = json.dumps({"in": json.dumps([other])}, ensure_ascii=ascii_only)
    before = result(content=[text(spelled), text(nested)], structuredContent=structured, extra=other)
    message = copy.deepcopy(before)
    vault = Vault()

    answer = masked(message, vault=vault, reversible=True)

    assert kinds(answer) == kinds(before["result"])
    assert not re.search(r"@corp|4111111111111111", json.dumps(answer))
    assert json.loads(answer["content"][0]["text"]) == answer["structuredContent"]
    assert kinds(json.loads(json.loads(answer["content"][1]["text"])["in"])) == [kinds(other)]
    restore_message(message, vault, [Root(message, "result", Part.RESULTS, ())], Direction.REQUEST)
    assert message == before


@pytest.mark.parametrize("spelled", ["{}", '{{"a": "{}"}}', '["[\\"{}\\"]"]'])
def test_a_message_grows_by_so_much_at_most_when_values_come_back(spelled):
    vault = Vault()
    token = vault.token("EMAIL", "\u00e9" * 4000, Direction.REQUEST)
    sent = spelled.format(f"{token} " * 1000)
    message = result(text=sent, more=[token] * 1000)
    size = len(sent) + 1000 * len(token)
    restore_message(
        message, vault, [Root(message, "result", Part.RESULTS, ())], Direction.REQUEST, most=50_000
    )

    after = len(message["result"]["text"]) + sum(map(len, message["result"]["more"]))
    assert size + 20_000 < after <= size + 50_000
    assert message["result"]["text"].count(token) >= 900


def test_encoders_that_escape_angle_brackets_do_not_keep_a_value_from_coming_back():
    vault = Vault()
    vault.token("EMAIL", 'a"b@corp.com', Direction.REQUEST)
    message = result(text='{"m":"\\u003cEMAIL_1\\u003e"}')
    restore_message(message, vault, [Root(message, "result", Part.RESULTS, ())], Direction.REQUEST)

    assert json.loads(message["result"]["text"]) == {"m": 'a"b@corp.com'}


def test_a_finding_on_what_is_neither_string_nor_number_is_handed_back():
    message = result(content=[text('{"a": null, "card": 4111111111111111}')])
    leaf = Leaf(
        message["result"]["content"][0]["text"], message["result"]["content"][0], "text", Part.RESULTS, ()
    )
    finding = Finding(PII, "TERM", leaf, 6, 10, 1.0, "plain")

    assert mask_message(message, Verdict(Action.MASK, None, (finding,)), Vault()).unmaskable == (finding,)


@pytest.mark.parametrize("secret_first", [True, False])
def test_of_overlapping_findings_the_most_severe_names_what_they_are_and_nothing_comes_back(secret_first):
    message = result(text="postgres://ann@corp.com/db rest")
    leaf = Leaf(message["result"]["text"], message["result"], "text", Part.RESULTS, ("result",))
    both = [
        Finding(SECRETS, "CONNECTION", leaf, 0, 20, 1.0, "plain"),
        Finding(PII, "EMAIL", leaf, 11, 23, 1.0, "plain"),
    ]
    vault = Vault()
    findings = tuple(both if secret_first else reversed(both))

    mask_message(message, Verdict(Action.MASK, None, findings), vault, reversible=True)

    assert message["result"]["text"] == "<CONNECTION_1>/db rest"
    assert vault.restore("<CONNECTION_1>") == "<CONNECTION_1>"


async def test_the_sdks_own_client_accepts_what_was_masked():
    mcp_types = pytest.importorskip("mcp_types")
    from mcp.client.session import ClientSession

    schema = {
        "type": "object",
        "properties": {
            "to": {"type": "string", "format": "email"},
            "card": {"type": "integer", "minimum": 10**15},
        },
        "required": ["to", "card"],
        "additionalProperties": False,
    }
    structured = {"to": "ann@corp.com", "card": 4111111111111111}
    answer = masked(result(content=[text(json.dumps(structured))], structuredContent=structured), schema)
    session = ClientSession.__new__(ClientSession)
    session._tool_output_schemas = {"t": schema}
    session._tool_output_validators = {}

    await session.validate_tool_result("t", mcp_types.CallToolResult.model_validate(answer))
    wrong = {**answer, "structuredContent": {"to": "<EMAIL_1>", "card": "<CARD_1>"}}
    with pytest.raises(RuntimeError):
        await session.validate_tool_result("t", mcp_types.CallToolResult.model_validate(wrong))


@pytest.mark.parametrize(
    "spelled", ["[" * 100 + "4111111111111111" + "]" * 100, "[" + "1," * 70_000 + "4111111111111111]"]
)
def test_json_in_a_text_that_is_too_much_to_walk_is_handed_back(spelled):
    message = result(content=[text(spelled)])
    verdict = found(message)

    assert mask_message(message, verdict, Vault()).unmaskable == verdict.findings


def test_a_schema_is_asked_about_a_bounded_number_of_places():
    message = result(structuredContent={"f": ["ann@corp.com"] * 1100})
    schema = {"properties": {"f": {"items": {"format": "email"}}}}

    outcome = mask_message(message, found(message), Vault(), schema, budget=60)

    assert len(outcome.unmaskable) == 1100 - 1024


def test_more_findings_than_a_message_may_have_are_handed_back():
    message = result(content=[text("ann@corp.com " * 4097)])
    verdict = found(message)

    assert mask_message(message, verdict, Vault()).unmaskable == verdict.findings


@pytest.mark.parametrize("schema", [None, {"properties": {"f": {"items": {"format": "email"}}}}])
def test_what_is_not_masked_in_time_is_handed_back(schema):
    message = result(structuredContent={"f": ["ann@corp.com"] * 50})
    verdict = found(message)
    ticks = iter(range(1000))

    outcome = mask_message(message, verdict, Vault(), schema, clock=lambda: next(ticks), budget=20.5)

    assert 0 < len(outcome.unmaskable) < 50


@pytest.mark.parametrize("copied", [False, True])
def test_time_grows_with_the_text_and_not_with_its_square(copied):
    calls = 0
    inner = {"a": "ann@corp.com\n" * 4000}
    block = text(json.dumps(inner))
    message = result(content=[block], **({"structuredContent": inner} if copied else {}))
    findings = []
    for match in re.finditer("ann@corp.com", block["text"]):
        leaf = Leaf(block["text"], block, "text", Part.RESULTS, ("result", "content", 0))
        findings.append(Finding(PII, "EMAIL", leaf, *match.span(), 1.0, "plain"))
    before = json_text.places

    def counted(raw):
        nonlocal calls
        calls += 1
        return before(raw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "places", counted)
        outcome = mask_message(message, Verdict(Action.MASK, None, tuple(findings)), Vault(), budget=60)

    assert outcome.unmaskable == ()
    assert calls <= 2
    assert json.loads(block["text"]) == {"a": "<EMAIL_1>\n" * 4000}


def test_a_schema_of_costly_patterns_does_not_take_longer_than_the_budget():
    costly = [f"(?:.?){{300}}.*(?:a|b|c{place}){{300}}$" for place in range(16)]
    schema = {
        "properties": {"f": {"items": {"minLength": 4000, "allOf": [{"pattern": one} for one in costly]}}}
    }
    message = result(structuredContent={"f": [f"{'a' * place}ann@corp.com" for place in range(500)]})
    verdict = found(message)
    begin = time.perf_counter()

    outcome = mask_message(message, verdict, Vault(), schema)

    assert time.perf_counter() - begin < 5
    assert len(outcome.unmaskable) == 500
