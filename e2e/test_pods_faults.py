"""Whatever fails, nothing that the applications say is ever on the wire in plain text, and no way in or out opens.

Each test breaks something while the links of both pods are captured, lets the applications talk, repairs it, and
shows that they are served again. That the capture would have seen their words is shown in test_pods.py.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest

from e2e.attacks import says_in_tls, secured, tool_call
from e2e.frames import tcp_opened
from e2e.meshed_pods import CLIENT_ID, VERSIONS, MeshedPods, marker
from e2e.namespaces import Capture
from e2e.plugs import dialled, listening
from e2e.pods import PodSidecar, until
from webhook.identity.registry import Registry

HOUR, SHORT = timedelta(hours=1), timedelta(seconds=3)
INBOUND_PORTS = (22, 9000, 9001, 15001, 15002, 15006, 15443)


class Watch:
    """Both links, and every word that was said while they were watched."""

    def __init__(self, pods: MeshedPods, client: Capture, server: Capture) -> None:
        self.pods = pods
        self.client = client
        self.server = server
        self._said: list[str] = []

    def words(self, what: str) -> str:
        words = marker(what)
        self._said.append(words)
        return words

    def fails(self, what: str, version: str = "ipv4") -> None:
        """Assert that a call from the client's pod fails."""
        words = self.words(what)
        found = self.pods.call(words, version=version)
        assert "error" in found, found
        assert words not in "".join(self.pods.application.executed())

    def works(self, what: str, version: str = "ipv4") -> None:
        """Assert that a call from the client's pod is answered."""
        words = self.words(what)
        found = self.pods.call(words, version=version)
        assert [call.get("text") for call in found["calls"]] == [words[::-1]], found

    def is_clean(self) -> None:
        """Assert that no word, no answer and nothing else of MCP was in plain text on either link."""
        assert self._said
        for wire in (self.client, self.server):
            for words in self._said:
                assert not wire.saw(words.encode())
                assert not wire.saw(words[::-1].encode())
            for text in (b"jsonrpc", b"tools/", b"POST /mcp"):
                assert not wire.saw(text)


@pytest.fixture
def watch(pods: MeshedPods) -> Iterator[Watch]:
    pods.works()
    with pods.net.capture(pods.net["client"]) as client, pods.net.capture(pods.net["server"]) as server:
        watched = Watch(pods, client, server)
        yield watched
        watched.works("healed")
        watched.works("healed", "ipv6")
        watched.is_clean()


@contextlib.contextmanager
def down(sidecar: PodSidecar, *, orderly: bool = False) -> Iterator[None]:
    """Killed, or stopped as the kubelet does it, and started again at the end."""
    sidecar.stop() if orderly else sidecar.kill()
    try:
        yield
    finally:
        sidecar.start()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_killed_client_sidecar_cuts_the_way_out(pods: MeshedPods, watch: Watch, version: str) -> None:
    server = getattr(pods.net["server"], version)
    with down(pods.client), pods.net.capture(pods.net["client"]) as wire:
        watch.fails("client killed", version)
        for port in (9000, 9001, 15443, 443):
            with pytest.raises(ConnectionRefusedError):
                with dialled(pods.net["client"], server, port):
                    pass
        assert not tcp_opened(wire.frames())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_killed_server_sidecar_cuts_the_way_in(pods: MeshedPods, watch: Watch, version: str) -> None:
    server = getattr(pods.net["server"], version)
    with listening(pods.net["server"], server, 9001) as debug, down(pods.server):
        watch.fails("server killed", version)
        for port in INBOUND_PORTS:
            for source in ("attacker", "client"):
                with pytest.raises(ConnectionRefusedError):
                    with dialled(pods.net[source], server, port, uid=1774, gid=1774):
                        pass
        with pytest.raises(BlockingIOError):
            debug.accept(0)


def test_a_sidecar_that_was_stopped_leaves_nothing_open_either(pods: MeshedPods, watch: Watch) -> None:
    with down(pods.client, orderly=True), down(pods.server, orderly=True):
        for version in VERSIONS:
            watch.fails("stopped", version)
            for port in INBOUND_PORTS:
                with pytest.raises(ConnectionRefusedError):
                    with dialled(pods.net["attacker"], getattr(pods.net["server"], version), port):
                        pass


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_under_way_when_the_client_sidecar_died_goes_nowhere(
    pods: MeshedPods, watch: Watch, version: str
) -> None:
    words = watch.words("half")
    request = tool_call(words, f"server.{version}.test:9000")
    half = len(request) - 20
    with dialled(pods.net["client"], getattr(pods.net["server"], version), 9000) as connection:
        connection.sendall(request[:half])
        with down(pods.client), contextlib.suppress(ConnectionError):
            connection.sendall(request[half:])
            assert connection.recv(100) == b""
            connection.sendall(request)
        # Not even now that there is a sidecar again, which knows nothing of this connection.
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
            assert connection.recv(100) == b""
    assert words not in "".join(pods.application.executed())


def test_what_was_under_way_when_the_server_sidecar_died_is_over(pods: MeshedPods, watch: Watch) -> None:
    words = watch.words("stream")
    with dialled(pods.net["client"], pods.net["server"].ipv4, 9000) as connection:
        request = _kept(words)
        connection.sendall(request)
        assert words[::-1].encode() in until(lambda: connection.recv(65536), lambda: "no answer")
        with down(pods.server):
            connection.sendall(request)
            assert b"upstream_" in connection.recv(65536)
    assert pods.application.executed().count(f"granted {words}") == 1


# Identity.


@contextlib.contextmanager
def without_svid(pods: MeshedPods, sidecar: PodSidecar) -> Iterator[None]:
    """Started anew while the Workload API has nothing for it; it gets its SVID at the end."""
    sidecar.kill()
    pods.authority.change(lambda registry: registry.unregister(sidecar.socket))
    sidecar.start(ready=False)
    before = len(sidecar.lines("ready"))
    try:
        until(lambda: _not_ready(sidecar), sidecar.text)
        yield
    finally:
        identity = pods.authority.id(sidecar.workload)
        pods.authority.change(lambda registry: registry.register(sidecar.socket, identity))
        sidecar.said("ready", before)


def _not_ready(sidecar: PodSidecar) -> bool | None:
    with contextlib.suppress(OSError):
        status, text = sidecar.ready()
        assert (status, "no_svid" in text) == (503, True)
        return True
    return None


def test_without_an_svid_the_client_says_nothing(pods: MeshedPods, watch: Watch) -> None:
    with without_svid(pods, pods.client), pods.net.capture(pods.net["client"]) as wire:
        for version in VERSIONS:
            watch.fails("no SVID", version)
        assert not tcp_opened(wire.frames())


def test_without_an_svid_the_server_answers_nobody(pods: MeshedPods, watch: Watch) -> None:
    with without_svid(pods, pods.server):
        for version in VERSIONS:
            watch.fails("no SVID", version)
            for port in INBOUND_PORTS:
                with pytest.raises(ConnectionRefusedError):
                    with dialled(pods.net["attacker"], getattr(pods.net["server"], version), port):
                        pass


def test_without_the_workload_api_all_goes_on_until_the_svid_ends_and_then_nothing_does(
    pods: MeshedPods, watch: Watch
) -> None:
    sides = (pods.client, pods.server)
    rotations, ends = ([len(side.lines(e)) for side in sides] for e in ("identity", "identity_expired"))

    def lifetime(seconds: timedelta) -> None:
        def change(registry: Registry) -> None:
            registry.svid_lifetime = seconds
            registry.rotate()

        pods.authority.change(change)

    lifetime(SHORT)
    for side, before in zip(sides, rotations, strict=True):
        side.said("identity", before)
    pods.authority.stop()
    watch.works("Workload API gone")
    with _held(pods, watch) as (inward, outward):
        for side, before in zip(sides, ends, strict=True):
            side.said("identity_expired", before)
        words = watch.words("held")
        request = _kept(words)
        with contextlib.suppress(OSError):
            inward.sendall(request)
            assert inward.recv(100) == b""
        outward.sendall(request)
        assert b"svid_expired" in outward.recv(65536)
        assert words not in "".join(pods.application.executed())
    for version in VERSIONS:
        watch.fails("expired", version)
    honest = pods.authority.identity(CLIENT_ID)
    for port in (9000, 15443):
        words = watch.words("expired server")
        server = pods.net["server"].ipv4
        attacker, request = pods.net["attacker"], tool_call(words)
        found = _tried(partial(says_in_tls, attacker, server, port, request, identity=honest))
        assert not (isinstance(found, bytes) and found), found
    rotations = [len(side.lines("identity")) for side in sides]
    lifetime(HOUR)
    for side, before in zip(sides, rotations, strict=True):
        side.provide()
        side.said("identity", before)


@contextlib.contextmanager
def _held(pods: MeshedPods, watch: Watch) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connections that were in use and are kept open: one of a granted peer, one of the application."""
    server, peer = pods.net["server"].ipv4, pods.authority.identity(CLIENT_ID)
    with (
        secured(pods.net["attacker"], server, 9000, identity=peer) as inward,
        dialled(pods.net["client"], server, 9000) as outward,
    ):
        for connection in (inward, outward):
            words = watch.words("held")
            connection.sendall(_kept(words))
            assert words[::-1].encode() in connection.recv(65536)
        yield inward, outward


def _kept(words: str) -> bytes:
    """A call after which the connection stays open."""
    return tool_call(words, "server.ipv4.test:9000").replace(b"Connection: close\r\n", b"")


def _tried(attempt: Callable[[], bytes | str]) -> bytes | str:
    try:
        return attempt()
    except OSError as refused:
        return str(refused)


def test_an_authority_that_is_replaced_at_once_lets_nobody_fall_back(pods: MeshedPods, watch: Watch) -> None:
    """The harshest rotation: who has the new bundle trusts nobody of the old one any more."""
    stale = pods.authority.identity(CLIENT_ID)
    sides = (pods.client, pods.server)
    rotations = [len(side.lines("identity")) for side in sides]
    pods.authority.change(lambda registry: registry.rotate_authority())
    for side, before in zip(sides, rotations, strict=True):
        side.said("identity", before)
    watch.works("new authority")
    words = watch.words("old authority")
    found = says_in_tls(pods.net["attacker"], pods.net["server"].ipv4, 9000, tool_call(words), identity=stale)
    assert not isinstance(found, bytes) or found == b""


# Policy, application, names.


@pytest.mark.parametrize("version", VERSIONS)
def test_a_refusal_by_policy_says_nothing_in_plain_text(pods: MeshedPods, watch: Watch, version: str) -> None:
    for tool in ("forbidden", "forbidden_here", "forbidden_there"):
        words = watch.words(tool)
        assert pods.call(words, tool, version=version)["calls"][0]["code"] == -32602
        assert words not in "".join(pods.application.executed())


def test_an_application_that_restarts_is_missed_and_found_again(pods: MeshedPods, watch: Watch) -> None:
    pods.application.kill()
    for version in VERSIONS:
        watch.fails("application gone", version)
    pods.application.start()


def test_a_name_that_leads_to_the_attacker_gives_it_nothing(pods: MeshedPods, watch: Watch) -> None:
    """DNS is not trusted: the attacker is asked to prove who it is before a word is said."""
    words = watch.words("hijacked")
    got: list[bytes] = []

    with pods.net.capture(pods.net["attacker"]) as wire:
        with listening(pods.net["attacker"], "0.0.0.0", 9000, uid=0) as trap:
            with dialled(pods.net["client"], pods.net["attacker"].ipv4, 9000) as connection:
                connection.sendall(tool_call(words, "hijacked.test:9000"))
                with trap.accept() as trapped:
                    got.append(trapped.recv(65536))
                    trapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                answer = connection.recv(65536)
        assert not wire.saw(words.encode())
    assert got[0][:1] == b"\x16"  # a ClientHello, and that is all
    assert b"HTTP/1.1 200" not in answer.partition(b"\r\n")[0] or b'"error"' in answer


def test_an_impostor_with_an_identity_of_the_mesh_gives_the_client_nothing(
    pods: MeshedPods, watch: Watch
) -> None:
    words = watch.words("elsewhere")
    found = pods.agent().calls("http://elsewhere.test:9000/mcp", ("granted", words))
    assert "error" in found
    assert words not in "".join(pods.application.executed())
