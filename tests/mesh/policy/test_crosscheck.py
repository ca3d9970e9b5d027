from __future__ import annotations

from collections.abc import Callable

import pytest

Faults = Callable[..., list[str]]
Make = Callable[..., str]


def http(host: str = "a.b", path: str = "/", protocol: str = "HTTP") -> str:
    return f"{{protocol: {protocol}, host: {host}, port: 80, path: {path}, tls: {{mode: None}}}}"


def test_a_name_is_taken_once_per_kind(faults: Faults, backend: Make, agent_policy: Make) -> None:
    documents = [backend("a"), backend("a", http()), agent_policy("{}", "a"), agent_policy("{}", "a")]
    assert faults(*documents) == [
        "8: metadata.name: Backend a exists already, at policies.yaml:1; rename one",
        "18: metadata.name: AgentPolicy a exists already, at policies.yaml:11; rename one",
    ]


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [("x", "z", False), ("x", "x", True), (None, "x", True), ("x", None, True), (None, None, True)],
)
def test_names_and_destinations_clash_where_an_agent_sees_both(
    faults: Faults, backend: Make, one: str | None, other: str | None, clash: bool
) -> None:
    same_name = faults(backend("a", http("a.b"), one), backend("a", http("c.d"), other))
    same_place = faults(backend("a", http(), one), backend("b", http(), other))
    assert bool(same_name) is clash
    assert bool(same_place) is clash


def test_a_document_that_every_namespace_sees_clashes_with_later_ones(faults: Faults, backend: Make) -> None:
    documents = [
        backend("a", http("a.b"), "x"),
        backend("a", http("c.d"), "z"),
        backend("a", http("e.f"), None),
    ]
    assert len(faults(*documents)) == 1


def test_two_backends_cannot_have_the_same_destination(faults: Faults, backend: Make) -> None:
    (fault,) = faults(backend("one", http("A.B", "/mcp/")), backend("two", http("a.b.", "/mcp")))
    assert "spec.host: Backend one at policies.yaml:1 has the same host, port and path; keep one" in fault
    assert faults(backend("one", http(path="/x")), backend("two", http(path="/y"))) == []


def test_destinations_clash_even_where_other_fields_are_wrong(faults: Faults, backend: Make) -> None:
    broken = http().replace("mode: None", "mode: Noone")
    assert len(faults(backend("one", broken), backend("two", http()))) == 2


@pytest.mark.parametrize("order", [1, -1])
def test_tcp_takes_its_whole_port(faults: Faults, backend: Make, order: int) -> None:
    documents = [backend("tcp", http(protocol="TCP")), backend("mcp", http(path="/mcp", protocol="MCP"))]
    (fault,) = faults(*documents[::order])
    assert (
        "spec.protocol: protocol TCP takes its whole host and port, but Backend mcp has a path there" in fault
    )


def test_tcp_in_another_namespace_is_no_clash(faults: Faults, backend: Make) -> None:
    tcp = backend("tcp", http(protocol="TCP"), "x")
    assert faults(tcp, backend("mcp", http(path="/mcp", protocol="MCP"), "z")) == []


def test_a_policy_names_backends_that_exist(faults: Faults, backend: Make, agent_policy: Make) -> None:
    (fault,) = faults(backend("github"), agent_policy("{outbound: [{backend: '*'}, {backend: githb}]}"))
    assert fault.endswith("spec.outbound[1].backend: there is no Backend githb; known: github")


def test_backends_of_other_namespaces_do_not_exist_for_a_policy(
    faults: Faults, backend: Make, agent_policy: Make
) -> None:
    policy = agent_policy("{outbound: [{backend: github}]}", namespace="agents")
    assert faults(backend(namespace="agents"), policy) == []
    assert faults(backend(), policy) == []
    (fault,) = faults(backend(namespace="tools"), policy)
    assert fault.endswith("there is no Backend github in namespace agents; known: none")


def test_a_backend_with_faults_still_exists(faults: Faults, backend: Make, agent_policy: Make) -> None:
    broken = backend(spec="{protocol: MCP, host: a.b, port: 0, tls: {mode: None}}")
    (fault,) = faults(broken, agent_policy("{outbound: [{backend: github}]}"))
    assert "spec.port" in fault


def test_many_known_backends_are_not_all_listed(faults: Faults, backend: Make, agent_policy: Make) -> None:
    many = [backend(f"b{i:02}", http(f"h{i}.x")) for i in range(25)]
    (fault,) = faults(*many, agent_policy("{outbound: [{backend: nope}]}"))
    assert fault.endswith("b19, ...")


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_mcp_fields_for_a_backend_without_mcp_are_faults(
    faults: Faults, backend: Make, agent_policy: Make, protocol: str
) -> None:
    sections = ", ".join(f"{section}: {{allow: []}}" for section in ("tools", "prompts", "resources"))
    fields = f"{sections}, unknownMethods: deny, serverRequests: []"
    documents = (
        backend("web", http(protocol=protocol)),
        agent_policy(f"{{outbound: [{{backend: web, {fields}}}]}}"),
    )
    found = faults(*documents)
    assert len(found) == 5
    assert all("Backend web does not speak MCP, so this would have no effect; remove it" in f for f in found)
    assert faults(documents[0], agent_policy("{outbound: [{backend: web}]}")) == []


@pytest.mark.parametrize("condition", ["users: ['*#*']", "scopes: [r]"])
def test_no_user_is_known_of_tcp(faults: Faults, backend: Make, agent_policy: Make, condition: str) -> None:
    for protocol, found in (("TCP", 1), ("HTTP", 0)):
        spec = f"{{protocol: {protocol}, host: a.b, port: 1, tls: {{mode: None}}}}"
        rule = f"{{outbound: [{{backend: db, {condition}}}]}}"
        told = faults(backend("db", spec), agent_policy(rule))
        assert len(told) == found
        assert all(f"outbound[0].{condition.partition(':')[0]}: Backend db is TCP" in fault for fault in told)


def users(keys: str | None, issuer: str = "https://i", selector: str = "") -> str:
    uri = "" if keys is None else f", jwksUri: {keys}"
    labels = f"selector: {{matchLabels: {{{selector}}}}}, " if selector else ""
    return f"{{{labels}users: {{issuers: [{{issuer: {issuer}, audiences: [a]{uri}}}]}}}}"


def test_an_issuer_whose_keys_two_policies_look_for_elsewhere_is_nobodys(
    faults: Faults, agent_policy: Make
) -> None:
    assert faults(agent_policy(users("https://i/1"), "a"), agent_policy(users("https://i/2"), "b")) == [
        "9: spec.users.issuers[0].jwksUri: AgentPolicy a at policies.yaml:1 has another jwksUri for https://i, "
        "at spec.users.issuers[0].jwksUri; an agent that both select would accept no token of it"
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (users("https://i/1"), users("https://i/1")),
        (users("https://i/1"), users(None)),
        (users("https://i/1"), users("https://i/2", issuer="https://j")),
        (users("https://i/1", selector="app: a"), users("https://i/2", selector="app: b")),
        (users("https://i/1"), "{}"),
    ],
)
def test_issuers_of_two_policies_that_agree(faults: Faults, agent_policy: Make, one: str, other: str) -> None:
    assert faults(agent_policy(one, "a"), agent_policy(other, "b")) == []


def test_keys_clash_where_one_agent_could_be_selected_by_both(faults: Faults, agent_policy: Make) -> None:
    one, other = users("https://i/1", selector="app: a, x: z"), users("https://i/2", selector="app: a")
    assert len(faults(agent_policy(one, "a", "agents"), agent_policy(other, "b"))) == 1
    assert faults(agent_policy(one, "a", "agents"), agent_policy(other, "b", "tools")) == []
    broken = agent_policy(users("https://i/2").replace("audiences", "audience"), "b")
    assert len(faults(agent_policy(users("https://i/1"), "a"), broken)) == 2


def test_a_policy_whose_keys_are_elsewhere_is_named_once(faults: Faults, agent_policy: Make) -> None:
    documents = [agent_policy(users(f"https://i/{number}"), f"p{number}") for number in range(3)]
    assert len(faults(*documents)) == 2
