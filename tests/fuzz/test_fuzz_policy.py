"""The loader takes any text: documents come out, or PolicyInvalid with placed errors, and nothing else."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy import (
    Documents,
    Policy,
    PolicyError,
    PolicyInvalid,
    Principal,
    compile_policy,
    load_texts,
    yaml_tree,
)
from tests.support.fuzzing import examples

SEEDS = [
    """\
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github, namespace: agents}
spec:
  protocol: MCP
  host: github.tools.svc
  port: 8080
  path: /mcp
  tls: {mode: Mesh, identity: spiffe://cluster.local/ns/tools/sa/github}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  selector: {matchLabels: {app: triage}}
  mode: enforce
  egress: deny
  outbound:
  - backend: github
    tools: {allow: [search_issues, "list_*"], deny: ["*delete*"]}
    prompts: {allow: []}
    resources: {allow: ["repo://acme/*"]}
    unknownMethods: deny
    serverRequests: [sampling]
  inbound:
  - from: ["spiffe://cluster.local/ns/*/sa/x", "*"]
    mcp: {tools: {allow: ["*"]}}
    http: {allow: true}
""",
    """\
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: crm}
spec:
  protocol: HTTP
  host: crm.example.com
  port: 443
  tls: {mode: Public}
  credential:
    exchange:
      issuer: https://idp.example.com/realms/acme
      client: {method: secret-basic, id: triage, secret: {name: idp, key: secret}}
      preset: keycloak
      audience: crm
      scopes: [crm.read]
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: of-users}
spec:
  users:
    issuers:
    - issuer: https://idp.example.com
      audiences: [triage]
      algorithms: [RS256]
      clockSkew: 30s
      introspection: {cache: 60s}
    bypass: ["/healthz", "/x/*"]
    correlation: [trace]
  outbound:
  - backend: crm
    users: ["https://idp.example.com#*", "*#alice"]
    scopes: [crm.use]
""",
    "a: &x [1, *x, !!str y]\n<<: *x\n? [k]\n: v\n'on': off\n1e3: 0o10\n",
    "--- \n...\n---\n- - - {a: [b, {c: 'd'}]}\n",
]
PIECES = [
    *(
        "*",
        "**",
        "?",
        "&a ",
        "*a",
        "!!x ",
        "<<: ",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "? ",
        ": ",
        "- ",
        "[",
        "]",
        "{",
        "}",
    ),
    *(
        '"',
        "'",
        "|\n",
        ">\n",
        "#",
        "\t",
        "\n",
        "  ",
        "null",
        "~",
        "no",
        "1e999",
        "0x",
        "\x00",
        "\ud800",
        "\u2028",
        "é",
    ),
    *(
        '"\\UFFFFFFFF"',
        '"\\x00"',
        "9" * 50,
        "a" * 600,
        "\ufeff",
        "spiffe://",
        "AgentPolicy",
        "metadata",
        "spec",
    ),
]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A seed with slices replaced, doubled or dropped."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        piece = draw(st.sampled_from(PIECES) | st.just(text[start:end] * 2) | st.text(max_size=4))
        text = text[:start] + piece + text[end:]
    return text


@st.composite
def assembled(draw: st.DrawFn) -> str:
    """Words of YAML and of the schema in any order."""
    words = sorted({word for seed in SEEDS for word in seed.split()})
    return "".join(draw(st.lists(st.sampled_from(PIECES + words + [" ", "\n", "\n  "]), max_size=40)))


def outcome(text: str) -> Documents | tuple[PolicyError, ...]:
    """What loading gives; any exception but PolicyInvalid fails the test."""
    try:
        return load_texts([("fuzz.yaml", text)])
    except PolicyInvalid as invalid:
        return invalid.errors


def check(text: str) -> Documents | None:
    """Load `text` twice: documents, or the same well-placed errors both times."""
    found = outcome(text)
    if isinstance(found, Documents):
        return found
    breaks = sum(map(text.count, ("\n", "\r", "\x85", "\u2028", "\u2029")))
    assert found
    assert outcome(text) == found
    for error in found:
        assert error.file == "fuzz.yaml"
        assert 1 <= error.line <= breaks + 2
        assert error.message
        assert "\n" not in str(error)
    return None


@settings(max_examples=examples(250), deadline=None)
@given(mutated() | assembled() | st.text(max_size=200))
def test_any_text_loads_or_is_invalid(text: str) -> None:
    documents = check(text)
    if documents is not None:
        policy = compile_policy(documents, labels={"app": "triage"}, namespace="agents")
        assert isinstance(policy, Policy)
        for backend in policy.backends:
            assert policy.route(backend.host.replace("*", "w"), backend.port, backend.path).backend is backend
            policy.decide(Principal("spiffe://a/b"), backend, "tools/call", text)


@settings(max_examples=examples(150), deadline=None)
@given(mutated() | assembled())
def test_any_text_loads_or_is_invalid_with_the_pure_parser(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_tree, "_LOADER", yaml.SafeLoader)
        check(text)


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_text_load_or_are_invalid(data: bytes) -> None:
    check(data.decode("latin-1"))
    check(data.decode("utf-8", "surrogateescape"))
