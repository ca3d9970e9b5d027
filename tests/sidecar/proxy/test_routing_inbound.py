"""Routing of peers: MCP is at declared paths and announced endpoints, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy import compile_policy, load_objects
from mesh.policy.decide import Policy
from mesh.policy.decision import Inbound
from mesh.policy.principal import UNAUTHENTICATED, Principal
from mesh.protocol.http1.errors import HttpRefused
from mesh.reasons import Reason
from sidecar.proxy.plan import Routed, Treatment
from sidecar.proxy.pool import Destination
from sidecar.proxy.routing_inbound import InboundEndpoints, endpoint_key, route_inbound
from tests.support.access_policies import allow, backend, inline, standing
from tests.support.fakes import policy_of

MCP_ONLY = Principal("spiffe://test.mesh/mcp")
BOTH = Principal("spiffe://test.mesh/both")
HTTP_ONLY = Principal("spiffe://test.mesh/http")
STRANGER = Principal("spiffe://test.mesh/stranger")
APPLICATION = Destination("127.0.0.1", 9000)
METADATA = b"/.well-known/oauth-protected-resource/mcp"


def document(*rules: str, mode: str = "enforce") -> Policy:
    inbound = "".join(f"  - {rule}\n" for rule in rules)
    return policy_of(
        "apiVersion: outrider.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: x}\n"
        f"spec:\n  mode: {mode}\n  inbound:\n{inbound}"
    )


def rule(who: Principal, grants: str) -> str:
    return f'{{from: ["{who.id}"], {grants}}}'


ONE = document(
    rule(MCP_ONLY, "mcp: {}"),
    rule(BOTH, "mcp: {}, http: {allow: true}"),
    rule(HTTP_ONLY, "http: {allow: true}"),
)
TWO = document(rule(BOTH, "mcp: {path: /a}, http: {allow: true}"), rule(MCP_ONLY, "mcp: {path: /b}"))
NONE = document(rule(BOTH, "http: {allow: true}"))
WATCHED = document(rule(MCP_ONLY, "mcp: {}"), mode="observe")


def route(
    path: bytes, who: Principal = MCP_ONLY, policy: Policy = ONE, learned: InboundEndpoints | None = None
) -> Routed:
    return route_inbound(policy, who, APPLICATION, path, b"github.tools.svc", learned or {})


def declared(target: object) -> str | None:
    assert isinstance(target, Inbound)
    return target.path


@pytest.mark.parametrize("path", [b"/mcp", b"/mcp/", b"/mcp?x=1", b"/mcp/deeper"])
@pytest.mark.parametrize(
    ("who", "treatment", "transport"),
    [
        (MCP_ONLY, Treatment.MCP, True),
        (BOTH, Treatment.SNIFF, False),
        (HTTP_ONLY, Treatment.SNIFF, False),
        (STRANGER, Treatment.MCP, True),
    ],
)
def test_at_a_declared_path_a_peers_request_is_mcp(
    path: bytes, who: Principal, treatment: Treatment, transport: bool
) -> None:
    routed = route(path, who)
    assert (routed.direction, routed.destination) == ("inbound", APPLICATION)
    assert (routed.path, routed.authority) == (path, b"github.tools.svc")
    assert (routed.treatment, routed.transport, routed.refusal) == (treatment, transport, None)
    assert declared(routed.target) == declared(routed.neighbour) == "/mcp"


@pytest.mark.parametrize("path", [b"/", b"/mcpx", b"/MCP", b"/admin", b"*", b"/x?y=/mcp"])
@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (MCP_ONLY, Reason.INBOUND_PATH_NOT_DECLARED),
        (STRANGER, Reason.PEER_NOT_ALLOWED),
        (UNAUTHENTICATED, Reason.PEER_NOT_ALLOWED),
    ],
)
def test_off_every_declared_path_nothing_passes_without_a_grant_of_http(
    path: bytes, who: Principal, reason: Reason
) -> None:
    assert route(path, who).refusal == (reason, path.partition(b"?")[0].decode())


@pytest.mark.parametrize(
    ("policy", "who", "neighbour"),
    [(ONE, BOTH, "/mcp"), (ONE, HTTP_ONLY, "/mcp"), (TWO, BOTH, None), (NONE, BOTH, None)],
)
@pytest.mark.parametrize("path", [b"/x", b"*", METADATA])
def test_where_http_is_granted_json_rpc_is_decided_as_the_only_declared_path(
    policy: Policy, who: Principal, neighbour: str | None, path: bytes
) -> None:
    routed = route(path, who, policy)
    assert (routed.treatment, routed.refusal, routed.transport) == (Treatment.SNIFF, None, False)
    assert declared(routed.neighbour) == neighbour


def test_what_is_only_observed_is_no_grant() -> None:
    routed = route(b"/x", MCP_ONLY, WATCHED)
    assert (routed.treatment, routed.refusal) == (Treatment.SNIFF, None)
    assert declared(routed.neighbour) is None
    assert route(b"/mcp", MCP_ONLY, WATCHED).transport


@pytest.mark.parametrize(
    ("policy", "who", "target"),
    [
        (ONE, MCP_ONLY, "/mcp"),
        (ONE, STRANGER, "/mcp"),
        (TWO, MCP_ONLY, "/b"),
        (NONE, MCP_ONLY, None),
        (WATCHED, STRANGER, "/mcp"),
    ],
)
def test_oauth_metadata_is_asked_for_as_a_path_where_mcp_is_granted(
    policy: Policy, who: Principal, target: str | None
) -> None:
    routed = route(METADATA, who, policy)
    assert (routed.treatment, routed.transport, routed.refusal) == (Treatment.SNIFF, True, None)
    assert declared(routed.target) == target
    assert declared(routed.neighbour) is None


def test_an_announced_endpoint_is_decided_as_the_path_that_announced_it() -> None:
    learned = {endpoint_key(9000, "/messages"): "/b", endpoint_key(9000, "/both"): None}
    routed = route(b"/messages?session=1", MCP_ONLY, TWO, learned)
    assert (routed.treatment, routed.refusal) == (Treatment.MCP, None)
    assert declared(routed.target) == declared(routed.neighbour) == "/b"
    # It takes messages; streams and sessions are at the path itself.
    assert not routed.transport
    for path in (b"/messages/x", b"/message", b"/both"):
        assert route(path, MCP_ONLY, TWO, learned).refusal is not None


def test_an_endpoint_opens_nothing_once_its_path_is_declared_no_more() -> None:
    learned = {endpoint_key(9000, "/messages"): "/gone"}
    assert route(b"/messages", MCP_ONLY, ONE, learned).refusal is not None


def test_an_endpoint_of_one_port_is_none_of_another() -> None:
    learned = {endpoint_key(9001, "/messages"): "/mcp"}
    assert route(b"/messages", learned=learned).refusal is not None


@pytest.mark.parametrize(
    "path", [b"/a/../b", b"/a%2fb", b"//a", b"x", b"/mcp/%2e%2e/admin", b"/mcp/..;/admin"]
)
def test_a_peers_path_that_could_be_read_as_another_is_refused(path: bytes) -> None:
    with pytest.raises(HttpRefused):
        route(path, BOTH)


@given(st.lists(st.sampled_from(["mcp", "admin", "mcpx", "MCP", "", "..", "%6dcp", ";"]), max_size=4))
def test_with_mcp_alone_every_path_outside_is_refused(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    try:
        routed = route(path.encode())
    except HttpRefused:
        return
    inside = path == "/mcp" or path.startswith("/mcp/")
    assert (routed.refusal is None) is inside
    assert (declared(routed.target) == "/mcp") is inside


@pytest.mark.parametrize("path", [b"/mcp;v=1", b"/MCP", b"/Mcp/x?y=1"])
def test_another_spelling_of_a_path_with_policies_of_its_own_is_refused(path: bytes) -> None:
    stands = standing(("", "Service", "github"), ("outrider.dev", "Backend", "github"))
    objects = [allow("s", None, kind="Service"), allow("b", inline("tools")), stands, backend()]
    policy = compile_policy(load_objects(objects), labels={}, namespace="tools")
    assert declared(route(b"/mcp", BOTH, policy).target) == "/mcp"
    assert declared(route(b"/other", BOTH, policy).target) == "/"
    with pytest.raises(HttpRefused) as refused:
        route(path, BOTH, policy)
    assert refused.value.reason is Reason.HTTP_BAD_TARGET


def test_an_announced_endpoint_has_the_policies_of_its_stream_though_every_path_is_granted() -> None:
    stands = standing(("", "Service", "github"), ("outrider.dev", "Backend", "github"))
    objects = [allow("s", None, kind="Service"), allow("b", inline("tools")), stands, backend()]
    policy = compile_policy(load_objects(objects), labels={}, namespace="tools")
    learned = {endpoint_key(9000, "/messages"): "/mcp", endpoint_key(9000, "/both"): None}
    routed = route(b"/messages", BOTH, policy, learned)
    assert declared(routed.target) == declared(routed.neighbour) == "/mcp"
    assert declared(route(b"/both", BOTH, policy, learned).target) is None
    assert declared(route(b"/other", BOTH, policy, learned).target) == "/"
