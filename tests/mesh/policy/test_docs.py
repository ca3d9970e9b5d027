"""The reference in docs/policy.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mesh.policy import HttpRequest, Narrowing, Principal, compile_policy, load_texts
from mesh.policy.arguments_schema import ARGUMENT_FIELDS
from mesh.policy.backend_schema import BACKEND_FIELDS, TLS_FIELDS
from mesh.policy.credential_schema import CREDENTIAL_FIELDS
from mesh.policy.policy_schema import INBOUND_FIELDS, OUTBOUND_FIELDS, POLICY_FIELDS
from mesh.policy.principal import User
from mesh.policy.user_schema import ISSUER_FIELDS, USERS_FIELDS
from mesh.settings.lists import items
from mesh.settings.table import ANNOTATIONS, PREFIX

TEXT = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ME = Principal("spiffe://cluster.local/ns/agents/sa/triage")


@pytest.mark.parametrize("block", BLOCKS)
def test_every_yaml_block_loads(block: str) -> None:
    documents = load_texts([("docs/policy.md", block)])
    assert documents.policies


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize(
    "field",
    sorted(
        {
            *(*BACKEND_FIELDS, *TLS_FIELDS, *POLICY_FIELDS, *OUTBOUND_FIELDS, *INBOUND_FIELDS),
            *(*ARGUMENT_FIELDS, "allow", "deny"),
            *(*CREDENTIAL_FIELDS, *USERS_FIELDS, *ISSUER_FIELDS),
        }
    ),
)
def test_every_field_has_a_row(field: str) -> None:
    assert re.search(rf"^\| `(?:[a-z]+\.)?{field}(?:\.[A-Za-z]+)?` \|", TEXT, re.MULTILINE)


@pytest.mark.parametrize(
    ("method", "name", "allowed"),
    [
        ("tools/call", "search_issues", True),
        ("tools/call", "list_secrets", False),
        ("tools/call", "create_issue", False),
        ("prompts/get", "review", False),
        ("resources/read", "repo://acme/readme", True),
        ("resources/read", "repo://acme/../other/x", False),
    ],
)
def test_the_read_only_agent_behaves_as_its_table_says(method: str, name: str, allowed: bool) -> None:
    policy = compile_policy(load_texts([("a", BLOCKS[0])]), labels={"app": "triage"}, namespace="agents")
    target = policy.route("mcp-github.tools.svc.cluster.local", 8080, "/mcp").backend
    assert target is not None
    assert policy.decide(ME, target, method, name).allowed is allowed
    assert not policy.egress("example.com", 443).allowed
    assert not policy.server_request(ME, target, "sampling").allowed


def test_the_server_lets_in_whom_its_text_names() -> None:
    policy = compile_policy(load_texts([("a", BLOCKS[1])]), labels={"app": "payments"}, namespace="tools")
    orchestrator = Principal("spiffe://cluster.local/ns/agents/sa/orchestrator")
    monitoring = Principal("spiffe://cluster.local/ns/x/sa/monitoring")
    entrance = policy.inbound("/mcp/messages")
    page = HttpRequest("GET", "/metrics")
    assert policy.decide(orchestrator, entrance, "tools/call", "pay").allowed
    assert not policy.decide(orchestrator, entrance, "tools/call", "refund_all").allowed
    assert not policy.decide(orchestrator, entrance, "http", http=page).allowed
    assert policy.decide(monitoring, entrance, "http", http=page).allowed
    assert not policy.decide(monitoring, entrance, "tools/call", "pay").allowed
    assert not policy.decide(ME, entrance, "ping").allowed
    assert not policy.decide(orchestrator, policy.inbound("/admin"), "ping").allowed


@pytest.mark.parametrize(
    ("user", "tools"),
    [
        (None, {"get_order"}),
        (User("https://idp.example.com/realms/acme", "bob", frozenset({"orders.write"})), {"get_order"}),
        (User("https://idp.example.com/realms/acme", "alice"), {"get_order"}),
        (
            User("https://idp.example.com/realms/acme", "alice", frozenset({"orders.use", "orders.write"})),
            {"get_order", "create_order", "cancel_order"},
        ),
    ],
)
def test_orders_are_written_for_alice_alone(user: User | None, tools: set[str]) -> None:
    block = next(block for block in BLOCKS if "orders-of-users" in block)
    policy = compile_policy(load_texts([("a", block)]), labels={}, namespace="agents")
    assert policy.users is not None
    assert (policy.users.scopes, policy.users.bypass) == ({"orders.use"}, ("/healthz",))
    asking = Principal("spiffe://cluster.local/ns/agents/sa/shop", user)
    named = {"get_order", "get_secrets", "create_order", "cancel_order", "cancel_all"}
    entrance = policy.inbound("/mcp")
    assert {tool for tool in named if policy.decide(asking, entrance, "tools/call", tool).allowed} == tools


NARROWED = re.search(r"^\| annotations \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
ANNOTATION = re.compile(r"`([a-z-]+): \"?([^`\"]*)\"?`")


def narrowing(cell: str) -> Narrowing:
    """What a cell of the table says, each annotation of which admission takes."""
    written = dict(ANNOTATION.findall(cell))
    assert all(ANNOTATIONS[PREFIX + name].values.problem(text) is None for name, text in written.items())
    lists = {name: tuple(items(text)) for name, text in written.items()}
    return Narrowing(
        frozenset(lists["policy"]) if "policy" in lists else None,
        (lists["tools-allow"],) if "tools-allow" in lists else (),
        lists.get("tools-deny", ()),
    )


@pytest.mark.parametrize("row", NARROWED[1].splitlines() if NARROWED else [])
def test_what_annotations_leave_is_as_the_table_says(row: str) -> None:
    assert NARROWED is not None
    tools = re.findall(r"`([a-z]+)/([a-z_]+)`", NARROWED[0].splitlines()[0])
    said, *answers = [cell.strip() for cell in row.strip("|").split(" | ")]
    block = next(block for block in BLOCKS if "name: deployers" in block)
    documents = load_texts([("a", BLOCKS[0]), ("b", block)])
    policy = compile_policy(
        documents, labels={"app": "triage"}, namespace="agents", narrowing=narrowing(said)
    )
    backends = {backend.name: backend for backend in policy.backends}
    decided = [policy.decide(ME, backends[backend], "tools/call", tool).allowed for backend, tool in tools]
    assert decided == [answer == "yes" for answer in answers]
    assert len(answers) == len(tools) == 7
