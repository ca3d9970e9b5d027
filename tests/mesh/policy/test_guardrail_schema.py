"""Guardrails in documents: every form, every fault with its place, and what they become."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy import Documents, PolicyInvalid, load_objects
from mesh.policy.detector_schema import EXTERNAL_TIMEOUT, TIMEOUT, WITHOUT_MASK
from mesh.policy.errors import PolicyError
from mesh.policy.guardrails import (
    ALL_PARTS,
    NO_OPTIONS,
    Action,
    DetectorKind,
    Direction,
    ExfiltrationOptions,
    ExternalOptions,
    FailureMode,
    Guardrails,
    InjectionOptions,
    Part,
    PiiOptions,
    Processor,
    SecretsOptions,
    ShapeOptions,
    SqlOptions,
    TermsOptions,
)

Load = Callable[..., Documents]
Faults = Callable[..., list[str]]
Make = Callable[..., str]
PLACE = "spec.outbound[0].guardrails"
LOCAL = [kind for kind in DetectorKind if kind is not DetectorKind.EXTERNAL]


def rule(guardrails: str) -> str:
    return f"{{outbound: [{{backend: '*', guardrails: {guardrails}}}]}}"


@pytest.fixture
def read(load: Load, agent_policy: Make) -> Callable[[str], Guardrails]:
    def run(guardrails: str) -> Guardrails:
        found = load(agent_policy(rule(guardrails))).policies[0].outbound[0].guardrails
        assert found is not None
        return found

    return run


@pytest.mark.parametrize("kind", [DetectorKind.PII, DetectorKind.SECRETS, DetectorKind.INJECTION])
@pytest.mark.parametrize("word", ["'off'", "off", "Off", "OFF", "false", "flag", "mask", "block"])
def test_an_action_alone_means_everything_that_the_detector_knows(
    read: Callable[[str], Guardrails], kind: DetectorKind, word: str
) -> None:
    action = {"mask": Action.MASK, "flag": Action.FLAG, "block": Action.BLOCK}.get(word, Action.OFF)
    expected = Processor(kind.value, kind, action, NO_OPTIONS[kind])
    assert read(f"{{{kind}: {word}}}") == Guardrails((expected,))


def test_the_long_form_says_everything(read: Callable[[str], Guardrails]) -> None:
    found = read(
        "{pii: {action: mask, kinds: [EMAIL], locales: [us, 'no'], direction: request, parts: [arguments], "
        "tools: ['get_*'], timeout: 100ms, failureMode: open, observe: true}, reversible: true, budget: 1s}"
    )
    expected = Processor(
        "pii",
        DetectorKind.PII,
        Action.MASK,
        PiiOptions(frozenset({"EMAIL"}), ("us", "no")),
        Direction.REQUEST,
        frozenset({Part.ARGUMENTS}),
        ("get_*",),
        0.1,
        FailureMode.OPEN,
        observe=True,
    )
    assert found == Guardrails((expected,), reversible=True, budget=1.0)


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("secrets: {action: flag, entropy: false}", SecretsOptions(entropy=False)),
        ("sql: {action: flag, statements: [select]}", SqlOptions((("*", frozenset({"select"})),))),
        (
            "sql: {action: flag, statements: {'*': [], 'q_*': [select, insert]}}",
            SqlOptions((("q_*", frozenset({"select", "insert"})), ("*", frozenset()))),
        ),
        ("injection: {action: flag, threshold: 0.75}", InjectionOptions(0.75)),
        ("injection: {action: flag, threshold: 1}", InjectionOptions(1.0)),
        (
            "exfiltration: {action: flag, hosts: [Docs.Example.com., '*.a.b']}",
            ExfiltrationOptions(("docs.example.com", "*.a.b")),
        ),
        ("terms: {action: flag, words: [a b], whole: false}", TermsOptions(("a b",), whole=False)),
        ("shape: {action: flag, bytes: 1, depth: 2}", ShapeOptions(bytes=1, depth=2)),
    ],
)
def test_each_detector_has_its_own_fields(
    read: Callable[[str], Guardrails], written: str, options: object
) -> None:
    (found,) = read(f"{{{written}}}").processors
    assert found.options == options
    (other,) = read(f"{{processors: [{{name: x, detector: {written.replace(': {', ', ', 1)}]}}").processors
    assert (other.name, other.options) == ("x", options)
    assert (found.parts, found.direction, found.tools) == (ALL_PARTS, Direction.BOTH, ("*",))
    assert (found.timeout, found.failure, found.observe) == (TIMEOUT, FailureMode.CLOSED, False)


def test_the_order_is_that_of_the_detectors_and_then_that_of_the_list(
    read: Callable[[str], Guardrails],
) -> None:
    found = read(
        "{processors: [{name: z, detector: secrets, action: flag}, {name: a, detector: pii, action: flag}], "
        "terms: {action: flag, words: [x]}, pii: flag, secrets: flag, shape: {action: flag, bytes: 1}, "
        "exfiltration: flag, injection: flag, sql: flag}"
    )
    assert [one.name for one in found.processors] == (
        ["shape", "secrets", "pii", "sql", "injection", "exfiltration", "terms", "z", "a"]
    )


def test_an_external_detector_says_whom_to_ask(read: Callable[[str], Guardrails]) -> None:
    (found,) = read(
        "{processors: [{name: g, detector: external, action: block, external: {kind: granite-guardian, "
        "url: 'http://127.0.0.1:8000/v1', model: g4, threshold: 0.25, criteria: [jailbreak], "
        "parameters: {m: [1, -2.5, 1e3, true, null, 'no'], a: {}}, concurrency: 2, cacheSeconds: 0}}]}"
    ).processors
    assert found.timeout == EXTERNAL_TIMEOUT
    parameters = '{"a":{},"m":[1,-2.5,1000.0,true,null,"no"]}'
    assert found.options == ExternalOptions(
        "granite-guardian", "http://127.0.0.1:8000/v1", "g4", 0.25, ("jailbreak",), parameters, 2, 0
    )


@pytest.mark.parametrize("kind", ["fms-contents", "webhook"])
def test_some_external_detectors_may_mask(read: Callable[[str], Guardrails], kind: str) -> None:
    external = f"{{kind: {kind}, url: 'https://g'}}"
    (found,) = read(
        f"{{processors: [{{name: g, detector: external, action: mask, external: {external}}}]}}"
    ).processors
    assert found.action is Action.MASK
    assert found.options == ExternalOptions(kind, "https://g")


def external(rest: str) -> str:
    return f"processors: [{{name: g, detector: external, action: block, external: {{{rest}}}}}]"


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("pii: maks", '.pii: "maks" is not allowed, did you mean mask?; allowed: off, flag, mask, block'),
        ("pii: yes", '.pii: "yes" is not allowed; allowed: off, flag, mask, block'),
        ("pii: null", ".pii: expected a string, found nothing"),
        ("pii: []", ".pii: expected a mapping, found a list"),
        ("pii: {kinds: [EMAIL]}", ".pii.action: missing; off, flag, mask or block"),
        (
            "pii: {action: flag, kinds: [e-mail]}",
            '.pii.kinds[0]: "e-mail" is no kind of personal data, did you mean EMAIL?; there are EMAIL, PHONE',
        ),
        (
            "pii: {action: flag, kinds: [EMAIL, US_SNS]}",
            '.pii.kinds[1]: "US_SNS" is no kind of personal data, did you mean US_SSN?; there are',
        ),
        ("pii: {action: flag, kinds: [EMAIL_ADDRESS]}", "did you mean EMAIL?"),
        ("pii: {action: flag, locales: [uk]}", '.pii.locales[0]: "uk" is no locale, did you mean gb?'),
        ("pii: {action: flag, locales: [zz]}", '.pii.locales[0]: "zz" is no locale; there are ar, at'),
        (
            "sql: {action: flag, statements: {a: [selct]}}",
            '.sql.statements.a[0]: "selct" is no kind of statement, did you mean select?',
        ),
        ("pii: {action: flag, kinds: []}", ".pii.kinds: 0 entries; allowed: 1 to 200"),
        (
            "pii: {action: flag, locales: [US]}",
            '.pii.locales[0]: "US" is no locale, did you mean us?',
        ),
        ("pii: {action: flag, locales: [no]}", ".pii.locales[0]: expected a string, but YAML reads no"),
        ("pii: {action: flag, words: [a]}", ".pii.words: unknown field; allowed: action, direction"),
        ("pii: {action: flag, parts: [all]}", '.pii.parts[0]: "all" is not allowed; allowed: arguments'),
        ("pii: {action: flag, parts: []}", ".pii.parts: 0 entries; allowed: 1 to 5"),
        ("pii: {action: flag, tools: []}", ".pii.tools: 0 entries; allowed: 1 to 1000"),
        ("pii: {action: flag, tools: ['a**']}", ".pii.tools[0]: ** is not a pattern"),
        ("pii: {action: flag, timeout: 5}", '.pii.timeout: "5" has no unit'),
        ("pii: {action: flag, timeout: 2m}", ".pii.timeout: 2m is out of range; allowed: 1ms to 60s"),
        (
            "pii: {action: flag, failureMode: ask}",
            '.pii.failureMode: "ask" is not allowed; allowed: open, closed',
        ),
        (
            "pii: {action: flag, direction: up}",
            '.pii.direction: "up" is not allowed; allowed: request, response',
        ),
        ("pii: {action: flag, observe: 1}", ".pii.observe: expected true or false, found"),
        (
            "pii: {action: off, tools: [a]}",
            ".pii.tools: action off is for the detector as a whole; remove this",
        ),
        ("sql: mask", ".sql: sql masks nothing, since a statement with a part of it replaced"),
        ("sql: {action: mask}", ".sql.action: sql masks nothing"),
        ("sql: {action: flag, statements: [SELECT]}", '.sql.statements[0]: "SELECT" is no kind of statement'),
        (
            "sql: {action: flag, statements: select}",
            ".sql.statements: expected a list of statements, like [select]",
        ),
        ("sql: {action: flag, statements: {'**': [select]}}", '.sql.statements["**"]: ** is not a pattern'),
        ("sql: {action: flag, statements: {a: 1}}", ".sql.statements.a: expected a list"),
        (
            "shape: {action: mask, bytes: 1}",
            ".shape.action: shape masks nothing, since a message is too large or it is not",
        ),
        ("shape: block", ".shape: needs at least one limit of bytes, depth, items, values, characters"),
        ("shape: {action: block}", ".shape.bytes: needs at least one limit of bytes"),
        ("shape: {action: block, depth: 0}", ".shape.depth: 0 is out of range; allowed: 1 to 2147483647"),
        ("terms: block", ".terms: needs the terms to look for: {action: block, words: [...]}"),
        ("terms: {action: block}", ".terms.words: needs the terms to look for"),
        ("terms: {action: block, words: [' ']}", ".terms.words[0]: a term is not empty"),
        (
            f"terms: {{action: block, words: [{'x' * 257}]}}",
            ".terms.words[0]: 257 characters; a term has at most",
        ),
        (
            "injection: {action: flag, threshold: 1.5}",
            ".injection.threshold: 1.5 is out of range; allowed: 0 to 1",
        ),
        (
            "injection: {action: flag, threshold: '1'}",
            ".injection.threshold: expected a number from 0 to 1, without",
        ),
        ("exfiltration: {action: flag, hosts: ['a/b']}", ".exfiltration.hosts[0]: a host alone"),
        ("budget: 1h", ".budget: 1h is out of range; allowed: 1ms to 10s"),
        ("reversible: 'true'", ".reversible: expected true or false"),
        ("pi: mask", ".pi: unknown field, did you mean pii?; allowed: shape, secrets, pii"),
        ("external: {kind: nemo}", ".external: unknown field"),
        ("processors: [{detector: pii, action: flag}]", ".processors[0].name: missing; a name of yours"),
        ("processors: [{name: X, detector: pii, action: flag}]", ".processors[0].name: "),
        ("processors: [{name: x, action: flag}]", ".processors[0].detector: missing; allowed: pii, secrets"),
        ("processors: [{name: x, detector: virus, action: flag}]", '.processors[0].detector: "virus" is not'),
        ("processors: [x]", ".processors[0]: expected a mapping"),
        (
            "processors: [{name: x, detector: pii, action: flag, words: [a]}]",
            ".processors[0].words: this is said of the detector terms, not of pii; remove it",
        ),
        (
            "processors: [{name: x, detector: pii, action: flag}, {name: x, detector: sql, action: flag}]",
            ".processors[1].name: x is the name of processors[0], by which logs tell it; choose another",
        ),
        (
            "processors: [{name: pii, detector: pii, action: flag}]",
            ".processors[0].name: pii is the name of the detector pii, as which logs tell it; choose another",
        ),
        (
            "processors: [{name: x, detector: external, action: block}]",
            ".processors[0].external: missing; write whom to ask: {kind: ..., url: https://...}",
        ),
        (
            "processors: [{name: x, detector: external, action: mask, external: {kind: nemo, url: 'https://g'}}]",
            ".processors[0].action: nemo does not say what to mask, as fms-contents and webhook do; write flag",
        ),
        (external("url: 'https://g'"), ".processors[0].external.kind: missing; allowed: fms-contents"),
        (external("kind: nemo"), ".processors[0].external.url: missing; where it is asked"),
        (external("kind: nemo, url: 'ftp://g'"), '.processors[0].external.url: "ftp://g" is no absolute URL'),
        (
            external("kind: shieldgemma, url: 'https://g'"),
            ".external.model: missing; shieldgemma is asked as a model",
        ),
        (external("kind: nemo, url: 'https://g', model: ''"), '.external.model: "" is no name'),
        (
            external("kind: nemo, url: 'https://g', criteria: [' ']"),
            ".external.criteria[0]: a criterion is not empty",
        ),
        (
            external(f"kind: nemo, url: 'https://g', criteria: [{'x' * 4097}]"),
            ".external.criteria[0]: 4097 characters; a criterion has at most 4096",
        ),
        (
            external("kind: nemo, url: 'https://g', parameters: []"),
            ".external.parameters: expected a mapping, found",
        ),
        (
            external("kind: nemo, url: 'https://g', parameters: {a: no}"),
            ".external.parameters.a: expected a string, but",
        ),
        (
            external(f"kind: nemo, url: 'https://g', parameters: {{a: [{'x' * 17000}]}}"),
            ".external.parameters: 17010 characters as JSON; at most 16384 are allowed",
        ),
        (
            external("kind: nemo, url: 'https://g', concurrency: 0"),
            ".external.concurrency: 0 is out of range",
        ),
    ],
)
def test_each_fault_is_told_with_its_place(
    faults: Faults, agent_policy: Make, written: str, fault: str
) -> None:
    (found,) = faults(agent_policy(rule(f"{{{written}}}")))
    line, _, rest = found.partition(": ")
    assert line == "4"
    assert rest.startswith(PLACE)
    assert fault in rest


def test_every_fault_is_told_at_once_with_its_line(faults: Faults, agent_policy: Make) -> None:
    spec = """
  outbound:
  - backend: "*"
    guardrails:
      secrets: hide
      sql: mask
      pii:
        action: mask
        kinds: [a]
      processors:
      - name: x
        detector: external
        action: mask
        external: {kind: nemo, url: "https://g", parameters: {b: [no]}}
      - {name: x, detector: terms, action: flag}"""
    assert [fault.split(": ")[:2] for fault in faults(agent_policy(spec))] == [
        ["8", f"{PLACE}.secrets"],
        ["9", f"{PLACE}.sql"],
        ["12", f"{PLACE}.pii.kinds[0]"],
        ["17", f"{PLACE}.processors[0].external.parameters.b[0]"],
        ["18", f"{PLACE}.processors[1].words"],
    ]


def test_guardrails_of_what_is_no_mcp_are_refused(faults: Faults, agent_policy: Make, backend: Make) -> None:
    outbound = "{outbound: [{backend: web, guardrails: {pii: mask}, rateLimit: {concurrent: 1}}]}"
    for protocol, refused in (("HTTP", ["guardrails"]), ("TCP", ["guardrails", "rateLimit"])):
        web = backend("web", f"{{protocol: {protocol}, host: a.b, port: 1, tls: {{mode: Public}}}}")
        assert [fault.partition(": ")[2] for fault in faults(web, agent_policy(outbound))] == [
            f"spec.outbound[0].{key}: Backend web does not speak MCP, so this would have no effect; remove it"
            for key in refused
        ]
    tools = "{outbound: [{backend: web, rateLimit: {concurrent: 1, tools: {a: {requests: 1, per: hour}}}}]}"
    for protocol, refused in (("HTTP", ["rateLimit.tools"]), ("TCP", ["rateLimit"])):
        web = backend("web", f"{{protocol: {protocol}, host: a.b, port: 1, tls: {{mode: Public}}}}")
        assert [fault.partition(": ")[2] for fault in faults(web, agent_policy(tools))] == [
            f"spec.outbound[0].{key}: Backend web does not speak MCP, so this would have no effect; remove it"
            for key in refused
        ]
    inbound = (
        "{inbound: [{from: ['*'], http: {allow: true}, guardrails: {pii: mask}, rateLimit: {concurrent: 1}}]}"
    )
    assert [fault.partition(": ")[2] for fault in faults(agent_policy(inbound))] == [
        f"spec.inbound[0].{key}: the rule grants no MCP, so this would have no effect; remove it"
        for key in ("guardrails", "rateLimit")
    ]


def test_inbound_rules_have_guardrails_too(load: Load, agent_policy: Make) -> None:
    text = agent_policy(
        "{inbound: [{from: ['*'], mcp: {}, guardrails: {pii: block}, rateLimit: {concurrent: 2}}]}"
    )
    (found,) = load(text).policies[0].inbound or ()
    assert found.guardrails is not None
    assert found.guardrails.processors[0].action is Action.BLOCK
    assert found.rate is not None
    assert found.rate.concurrent == 2


# Random guardrails, written and read again.
NAMES = st.text("abcdefghijklmnop", min_size=1, max_size=8)
STATEMENT = st.sampled_from(["select", "insert", "stacked"])
OPTIONS: dict[DetectorKind, st.SearchStrategy[dict[str, Any]]] = {
    DetectorKind.PII: st.fixed_dictionaries(
        {}, optional={"kinds": st.lists(st.sampled_from(["EMAIL", "IP"]), min_size=1, unique=True)}
    ),
    DetectorKind.SECRETS: st.fixed_dictionaries({}, optional={"entropy": st.booleans()}),
    DetectorKind.SQL: st.fixed_dictionaries({}, optional={"statements": st.lists(STATEMENT, max_size=3)}),
    DetectorKind.INJECTION: st.fixed_dictionaries({}, optional={"threshold": st.sampled_from([0, 0.5, 1])}),
    DetectorKind.EXFILTRATION: st.fixed_dictionaries({}, optional={"hosts": st.lists(NAMES, max_size=3)}),
    DetectorKind.TERMS: st.fixed_dictionaries(
        {"words": st.lists(st.text("ab ", min_size=1).filter(str.strip), min_size=1, max_size=3)}
    ),
    DetectorKind.SHAPE: st.fixed_dictionaries({"depth": st.integers(1, 99)}),
}


@st.composite
def detectors(draw: st.DrawFn, kind: DetectorKind) -> dict[str, Any]:
    actions = ["flag", "block", *(() if kind in WITHOUT_MASK else ("mask",))]
    common = st.fixed_dictionaries(
        {"action": st.sampled_from(actions)},
        optional={
            "direction": st.sampled_from([*Direction]).map(str),
            "parts": st.lists(st.sampled_from([*Part]).map(str), min_size=1, unique=True),
            "tools": st.lists(NAMES, min_size=1, max_size=3),
            "timeout": st.integers(1, 999).map(lambda n: f"{n}ms"),
            "failureMode": st.sampled_from([*FailureMode]).map(str),
            "observe": st.booleans(),
        },
    )
    return {**draw(common), **draw(OPTIONS[kind])}


@st.composite
def sections(draw: st.DrawFn) -> dict[str, Any]:
    short = draw(st.lists(st.sampled_from(LOCAL), unique=True))
    listed = draw(
        st.lists(st.tuples(st.sampled_from(LOCAL), NAMES), max_size=4, unique_by=lambda one: one[1])
    )
    section: dict[str, Any] = {kind.value: draw(detectors(kind)) for kind in short}
    section["processors"] = [
        {"name": f"p-{name}", "detector": kind.value, **draw(detectors(kind))} for kind, name in listed
    ]
    return section


def loaded(section: dict[str, Any]) -> Guardrails:
    spec = {"outbound": [{"backend": "*", "guardrails": section}]}
    head = {"apiVersion": "outrider.dev/v1alpha1", "kind": "AgentPolicy", "metadata": {"name": "p"}}
    found = load_objects([{**head, "spec": spec}]).policies[0].outbound[0].guardrails
    assert found is not None
    return found


@given(sections())
def test_what_is_written_is_what_is_read(section: dict[str, Any]) -> None:
    found = loaded(section)
    by_name = {one.name: one for one in found.processors}
    written = {**section, **{one["name"]: one for one in section["processors"]}}
    del written["processors"]
    assert by_name.keys() == written.keys()
    for name, one in by_name.items():
        said = written[name]
        assert one.action.name.lower() == said["action"]
        assert one.direction == said.get("direction", "both")
        assert one.parts == frozenset(said.get("parts", Part))
        assert one.tools == tuple(said.get("tools", ["*"]))
        assert one.failure == said.get("failureMode", "closed")
        assert one.observe is said.get("observe", False)
    assert hash(found) == hash(loaded(json.loads(json.dumps(section))))
    assert found == loaded(json.loads(json.dumps(section)))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda below: (
    st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["pii", "sql", "action", "processors"]), below)
), max_leaves=12))  # fmt: skip
def test_anything_is_read_or_refused_with_sentences(value: Any) -> None:
    errors: tuple[PolicyError, ...] = ()
    try:
        loaded(value)
    except PolicyInvalid as invalid:
        errors = invalid.errors
    assert all(error.path.startswith("spec") and error.message for error in errors)
