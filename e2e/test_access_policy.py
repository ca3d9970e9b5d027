"""The conformance cases of kube-agentic-networking for XAccessPolicy, against real processes.

Two sidecars with SVIDs of one trust domain and mutual TLS between them, an MCP server of the SDK behind the one
and a client that sends what the conformance suite sends before the other. Each case runs twice: with the policy at
the server's end, and at the agent's. By whom a policy is accepted is the control plane's to say, and is tested
there; what follows from it for requests is here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import environments
from e2e.authority import TrustDomain, trust_domain
from e2e.conftest import skip
from e2e.environments import Unavailable
from e2e.processes import announced_port, environment, spawn
from tests.support.authorizing import NO, YES, grpc_service, http_service, messages

NAMESPACE = "agentic-conformance-infra"
HOST = f"conformance-mcp-backend-svc.{NAMESPACE}.svc"
AUTHORINO = f"authorino.{NAMESPACE}.svc.cluster.local:50051"
TESTER = f"ns/{NAMESPACE}/sa/conformance-tester-sa"
SERVER = f"ns/{NAMESPACE}/sa/conformance-mcp-backend-sa"
FORBIDDEN = {"code": 403, "message": "Access to this tool is forbidden."}
ENDS = ["server", "agent"]
SOURCES = {
    "SA": {"type": "ServiceAccount", "serviceAccount": {"name": "conformance-tester-sa"}},
    "SPIFFE": {"type": "SPIFFE", "spiffe": f"spiffe://cluster.local/{TESTER}"},
}
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers in lower case, and the message, if there is one."""

    status: int
    headers: dict[str, str]
    message: Any
    text: str


class Talker:
    """Talks MCP as the suite's curl does, through the agent's sidecar."""

    def __init__(self, forward: str) -> None:
        self._forward = forward
        self._session: dict[str, str] = {}

    def send(self, verb: str, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own."""
        connection = HTTPConnection(*self._forward.split(":"), timeout=15)
        with contextlib.closing(connection):
            fields = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
            fields |= {"Content-Type": "application/json"} if body is not None else {}
            data = None if body is None else json.dumps(body).encode()
            connection.request(verb, f"http://{HOST}:3001/mcp", data, {**fields, **self._session, **headers})
            got = connection.getresponse()
            text = got.read().decode()
        found = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()]
        raw = found[-1] if found else text
        message = json.loads(raw) if raw.strip().startswith(("{", "[")) else None
        return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, message, text)

    def ask(self, method: str, **params: Any) -> Answer:
        """A request whose id is a random number, which has to come back as the same number."""
        ident = random.randrange(2**31)
        answer = self.send("POST", {"jsonrpc": "2.0", "id": ident, "method": method, "params": params})
        assert answer.message["id"] == ident
        assert type(answer.message["id"]) is int
        return answer

    def begin(self) -> Answer:
        """initialize, and what follows it."""
        client = {"name": "conformance", "version": "1"}
        answer = self.ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
        session = answer.headers.get("mcp-session-id")
        if session is not None:
            self._session = {"mcp-session-id": session}
            self.send("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def call(self, tool: str, **arguments: Any) -> Answer:
        return self.ask("tools/call", name=tool, arguments=arguments)

    def tools(self) -> list[str]:
        return [tool["name"] for tool in self.ask("tools/list").message["result"]["tools"]]


@pytest.fixture(scope="module")
def domain() -> Iterator[TrustDomain]:
    with trust_domain("cluster.local") as made:
        yield made


@pytest.fixture(scope="module")
def application() -> Iterator[int]:
    try:
        python = environments.python_with_mcp_v2()
    except Unavailable as reason:
        skip("mcp 2.x", reason)
        raise
    with spawn([python, "-m", "e2e.servers.sums"], announced_port, env=environment()) as port:
        yield port


Start = Callable[..., Talker]


@pytest.fixture
def start(domain: TrustDomain, application: int, tmp_path: Path) -> Iterator[Start]:
    """start(end, *policies, connect={}) -> Talker: both sidecars, with the policies at one end."""
    with contextlib.ExitStack() as stack:

        def run(end: str, *policies: Document, connect: dict[str, str] | None = None) -> Talker:
            others = connect or {}
            inbound = _sidecar(
                stack,
                domain,
                tmp_path / "server",
                SERVER,
                [STANDING, *policies] if end == "server" else [_open_to_all()],
                application={"host": "127.0.0.1", "ports": [application]},
                connect=others,
            )["inbound"]
            forward = _sidecar(
                stack,
                domain,
                tmp_path / "agent",
                TESTER,
                [_backend(), *(policies if end == "agent" else [_may_use_all()])],
                connect={f"{HOST}:3001": inbound, **others},
            )["forward"]
            return Talker(forward)

        yield run


def _sidecar(
    stack: contextlib.ExitStack,
    domain: TrustDomain,
    folder: Path,
    workload: str,
    documents: list[Document],
    **settings: Any,
) -> dict[str, str]:
    """A sidecar's addresses, once it is ready."""
    folder.mkdir()
    socket = folder / "api.sock"
    domain.serve(socket, workload, os.getuid())
    (folder / "policies.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    ours = {"forward": "127.0.0.1:0", "inbound": None} if workload == TESTER else {"forward": None}
    configuration = {
        "agent": {"namespace": NAMESPACE, "name": folder.name, "labels": {}},
        "identity": {"provider": "workload-api", "socket": f"unix://{socket}"},
        "listen": {"inbound": "127.0.0.1:0", "telemetry": None, **ours},
        "policies": ["policies.yaml"],
        "denials": "forbidden",
        **settings,
    }
    (folder / "sidecar.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    command = [sys.executable, "-m", "sidecar", "--config", folder / "sidecar.yaml"]
    return stack.enter_context(spawn(command, _ready, on="stderr", log=folder / "log", env=environment()))


def _ready(line: str) -> dict[str, str] | None:
    value = json.loads(line) if line.startswith("{") else {}
    return value if value.get("event") == "ready" else None


def _document(api: str, kind: str, name: str, spec: Any, **metadata: str) -> Document:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": spec,
    }


def _backend() -> Document:
    tls = {"mode": "Mesh", "identity": f"spiffe://cluster.local/{SERVER}"}
    spec = {"protocol": "MCP", "host": HOST, "port": 3001, "path": "/mcp", "tls": tls}
    return _document("outrider.dev/v1alpha1", "Backend", "mcp", spec)


def _may_use_all() -> Document:
    grant = {kind: {"allow": ["*"]} for kind in ("tools", "prompts", "resources")}
    spec = {"outbound": [{"backend": "mcp", **grant}]}
    return _document("outrider.dev/v1alpha1", "AgentPolicy", "all", spec)


def _open_to_all() -> Document:
    grant = {kind: {"allow": ["*"]} for kind in ("tools", "prompts", "resources")}
    return _document(
        "outrider.dev/v1alpha1", "AgentPolicy", "all", {"inbound": [{"from": ["*"], "mcp": grant}]}
    )


STANDING = _document(
    "outrider.dev/v1alpha1",
    "Standing",
    "here",
    {"targets": [{"group": "", "kind": "Service", "namespace": NAMESPACE, "name": "mcp"}]},
)


def access(
    end: str, name: str, action: str = "Allow", created: str = "2026-01-01T00:00:00Z", **spec: Any
) -> Document:
    """An XAccessPolicy on the Service at the server's end, on the Backend at the agent's."""
    group, kind = ("", "Service") if end == "server" else ("outrider.dev", "Backend")
    body = {"targetRefs": [{"group": group, "kind": kind, "name": "mcp"}], "action": action, **spec}
    version = "agentic.networking.x-k8s.io/v1alpha1"
    return _document(version, "XAccessPolicy", name, body, creationTimestamp=created)


def rule(*tools: str, base: bool = True, source: str = "SA") -> Document:
    option = "MATCH_BASE_PROTOCOL_METHODS" if base else "SKIP_BASE_PROTOCOL_METHODS"
    mcp: Document = {"mcpBaseProtocolMethodsOption": option}
    mcp["methods"] = [{"name": "tools/call", "params": list(tools)}]
    return {"name": "r", "source": SOURCES[source], "authorization": {"type": "Inline", "mcp": mcp}}


def ask_elsewhere(end: str, name: str, protocol: str, port: int, **more: Any) -> Document:
    settings = {"http": {"path": "/check"}} if protocol == "HTTP" else {"grpc": {}}
    auth = {"protocol": protocol, "backendRef": {"name": "authorino", "port": port}, **settings}
    rules = [{"name": "tester", "source": SOURCES["SA"]}]
    return access(end, name, "ExternalAuth", externalAuth=auth, rules=rules, **more)


@contextlib.contextmanager
def served(service: AbstractAsyncContextManager[Any]) -> Iterator[Any]:
    """An asynchronous service in a thread of its own."""
    ready, done = threading.Event(), threading.Event()
    found: list[Any] = []

    async def run() -> None:
        async with service as value:
            found.append(value)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(20)
        yield found[0]
    finally:
        done.set()
        thread.join(20)


@pytest.mark.parametrize("end", ENDS)
def test_base_protocol_match(start: Start, end: str) -> None:
    tester = start(end, access(end, "match", rules=[rule("some-other-tool")]))
    begun = tester.begin()
    assert begun.status == 200
    assert begun.headers["mcp-session-id"]
    assert tester.ask("tools/list").status == 200
    refused = tester.call("some-tool")
    assert (refused.status, refused.headers["content-type"]) == (200, "application/json")
    assert refused.message["error"] == FORBIDDEN
    assert tester.send("DELETE").status == 200


@pytest.mark.parametrize("end", ENDS)
def test_base_protocol_skip(start: Start, end: str) -> None:
    tester = start(end, access(end, "skip", rules=[rule("some-other-tool", base=False)]))
    begun = tester.begin()
    assert "403" in begun.text
    assert begun.message["error"] == FORBIDDEN
    assert tester.send("DELETE", **{"mcp-session-id": "any"}).status == 403


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("end", ENDS)
def test_source_matching(start: Start, end: str, source: str) -> None:
    tester = start(end, access(end, "source", rules=[rule("get-sum", source=source)]))
    tester.begin()
    assert "The sum of 2 and 3 is 5." in tester.call("get-sum", a=2, b=3).text
    assert tester.call("echo", message="x").message["error"] == FORBIDDEN
    assert tester.tools() == ["get-sum"]


@pytest.mark.parametrize("end", ENDS)
def test_another_source_gets_nothing(start: Start, end: str) -> None:
    other = rule("get-sum")
    other["source"] = {"type": "ServiceAccount", "serviceAccount": {"name": "somebody-else"}}
    tester = start(end, access(end, "other", rules=[other]))
    answer = tester.send("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert answer.status in (200, 403)
    assert "result" not in answer.text


def authorino() -> AbstractAsyncContextManager[int]:
    """What the conformance suite tells Authorino to allow, and what a session needs besides."""
    made = messages()

    def answer(request: Any) -> Any:
        said = request.attributes.metadata_context.filter_metadata["mcp_proxy"]
        tool = said["params"]["name"] if "params" in said and "name" in said["params"] else ""
        method = said["method"] if "method" in said else ""  # noqa: SIM401 - a Struct has no get
        base = method == "initialize" or method.startswith("notifications/") or method == "tools/list"
        fine = base or (method == "tools/call" and tool in ("get-sum", "get-env"))
        who = request.attributes.source.principal == f"spiffe://cluster.local/{TESTER}"
        return made["CheckResponse"](status=made["Status"](code=0 if fine and who else 7))

    return grpc_service(answer)


@pytest.mark.parametrize("end", ENDS)
def test_evaluation_logic(start: Start, end: str) -> None:
    with served(authorino()) as port:
        tester = start(
            end,
            ask_elsewhere(end, "eval-extauth", "GRPC", 50051),
            access(end, "eval-allow", rules=[rule("get-sum", "echo")]),
            connect={AUTHORINO: f"127.0.0.1:{port}"},
        )
        assert tester.begin().status == 200
        assert "The sum of 2 and 3 is 5." in tester.call("get-sum", a=2, b=3).text
        assert tester.call("get-env").message["error"] == FORBIDDEN
        assert tester.call("echo", message="x").message["error"] == FORBIDDEN
        # Listed is what may be called once somebody else says yes.
        assert sorted(tester.tools()) == ["echo", "get-sum"]


@pytest.mark.parametrize("end", ENDS)
def test_external_auth_over_http(start: Start, end: str) -> None:
    def answer(head: bytes, body: bytes) -> bytes:
        return NO if b"refuse" in head.split(b"authorization: ")[-1] else YES

    with served(http_service(answer)) as service:
        tester = start(
            end,
            ask_elsewhere(end, "http", "HTTP", 50051),
            access(end, "allow", rules=[rule("get-sum")]),
            connect={AUTHORINO: f"127.0.0.1:{service.port}"},
        )
        tester.begin()
        assert "is 5." in tester.call("get-sum", a=2, b=3).text
        body = {"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": {"name": "get-sum"}}
        refused = tester.send("POST", body, authorization="refuse")
        assert (refused.status, refused.message["id"], refused.message["error"]) == (200, "x", FORBIDDEN)
        asked = len(service.asked)
        assert tester.call("echo").message["error"] == FORBIDDEN
        assert len(service.asked) == asked


@pytest.mark.parametrize("end", ENDS)
def test_of_two_external_authorizations_only_the_senior_is_asked(start: Start, end: str) -> None:
    with (
        served(http_service(lambda head, body: YES)) as senior,
        served(http_service(lambda h, b: NO)) as junior,
    ):
        other = AUTHORINO.replace("50051", "50052")
        tester = start(
            end,
            ask_elsewhere(end, "a-junior", "HTTP", 50052, created="2026-06-01T00:00:00Z"),
            ask_elsewhere(end, "senior", "HTTP", 50051, created="2025-01-01T00:00:00Z"),
            access(end, "allow", rules=[rule("get-sum")]),
            connect={AUTHORINO: f"127.0.0.1:{senior.port}", other: f"127.0.0.1:{junior.port}"},
        )
        tester.begin()
        assert "is 5." in tester.call("get-sum", a=2, b=3).text
        assert senior.asked
        assert not junior.asked


@pytest.mark.parametrize("end", ENDS)
def test_without_its_service_nothing_passes(start: Start, end: str) -> None:
    tester = start(
        end,
        ask_elsewhere(end, "away", "HTTP", 50051),
        access(end, "allow", rules=[rule("get-sum")]),
        connect={AUTHORINO: "127.0.0.1:1"},
    )
    assert tester.begin().message["error"] == FORBIDDEN


@pytest.mark.parametrize("end", ENDS)
def test_grants_of_one_target_are_a_union(start: Start, end: str) -> None:
    tester = start(
        end,
        access(end, "one", rules=[rule("get-sum")]),
        access(end, "two", rules=[rule("echo", base=False, source="SPIFFE")]),
    )
    tester.begin()
    assert "is 5." in tester.call("get-sum", a=2, b=3).text
    assert "Echo: x" in tester.call("echo", message="x").text
    assert sorted(tester.tools()) == ["echo", "get-sum"]


@pytest.mark.parametrize("end", ENDS)
def test_levels_have_to_agree(start: Start, end: str) -> None:
    own = _document(
        "outrider.dev/v1alpha1",
        "AgentPolicy",
        "own",
        {"outbound": [{"backend": "mcp", "tools": {"allow": ["echo", "get-env"]}}]}
        if end == "agent"
        else {"inbound": [{"from": ["*"], "mcp": {"tools": {"allow": ["echo", "get-env"]}}}]},
    )
    tester = start(end, own, access(end, "target", rules=[rule("get-sum", "echo")]))
    tester.begin()
    assert tester.tools() == ["echo"]
    assert "Echo: x" in tester.call("echo", message="x").text
    for tool in ("get-sum", "get-env"):
        assert tester.call(tool).message["error"] == FORBIDDEN
