"""`outrider demo --cluster`: the idea on a cluster where Outrider is installed, in two namespaces of its own.

An agent and a server that know nothing of Outrider; policies as resources; a change that takes effect while both
run on; and nothing left afterwards. Every statement is checked as it is made.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Iterator

from cli.cluster import connect
from cli.cluster.answers import Obj
from cli.cluster.connect import Connection
from cli.cluster.failures import ClusterUnavailable
from cli.demo.cluster_objects import (
    AGENT_NAME,
    EVERYTHING,
    READING,
    SERVER_NAME,
    Cast,
    agent_policy,
    backend,
    belongings,
    namespace,
    pod,
    server_policy,
    service,
)
from cli.demo.cluster_stage import Stage, StageFailed
from cli.demo.findings import Finding, equal
from cli.demo.screen import Screen
from cli.describe.journal import read_journal
from cli.platform_settings import read_installed
from mesh.settings.table import SIDECAR_CONTAINER

HELD, NOT_HELD, INTERRUPTED = 0, 1, 130
CHANGE_SECONDS = 1.0
_START_SECONDS, _CHANGE_PATIENCE, _STATUS_SECONDS = 120.0, 30.0, 30.0
_LOOK = "`outrider check -n {0}` and `kubectl -n {0} describe pods` say why."


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the demo on a cluster."""
    group = parser.add_argument_group("on a cluster")
    group.add_argument(
        "--cluster", action="store_true", help="play on the kubeconfig's cluster, where Outrider is installed"
    )
    group.add_argument(
        "--namespace-prefix",
        default="outrider-demo",
        metavar="NAME",
        help="of the two namespaces, which are deleted at the end (default: %(default)s)",
    )
    connect.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Play; 0 when every statement held, 1 when one did not, 2 without a cluster to use, 130 when stopped."""
    return connect.asking(options, lambda connection: play(connection, options, Screen()))


def play(
    connection: Connection,
    options: argparse.Namespace,
    screen: Screen,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Raises ClusterUnavailable where Outrider is not installed, or installed without its control plane."""
    cast = Cast(f"{options.namespace_prefix}-{secrets.token_hex(3)}", _image(connection))
    stage = Stage(connection.api, cast, clock, sleep)
    screen.title(
        "Outrider demo: an agent and an MCP server on a cluster",
        f"Namespaces {cast.agents} and {cast.tools} of {connection.api.server}; both are deleted at the end.",
    )
    code = HELD
    try:
        found = list(_story(stage, screen))
        code = _sum_up(screen, found)
    except StageFailed as failed:
        screen.failure(f"{failed}.", failed.hint)
        code = NOT_HELD
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        code = max(code, _clean_up(stage, screen))
    return code


def _image(connection: Connection) -> str:
    installed = read_installed(connection.api)
    if installed.unknown:
        raise ClusterUnavailable(
            f"{installed.unknown}.", "Install Outrider first; docs/use-on-a-cluster.md says how."
        )
    if not installed.settings.control_plane.present:
        raise ClusterUnavailable(
            "Outrider is installed without its control plane, which brings policies to sidecars.",
            "Set controlPlane in the chart's values; docs/use-on-a-cluster.md says how.",
        )
    return installed.settings.image


def _story(stage: Stage, screen: Screen) -> Iterator[Finding]:
    cast = stage.cast
    screen.heading("Two pods that know nothing of Outrider")
    stage.make_namespace(namespace(cast.tools))
    stage.make_namespace(namespace(cast.agents))
    for space, name in ((cast.tools, SERVER_NAME), (cast.agents, AGENT_NAME)):
        for resource, document in belongings(name):
            stage.make(space, resource, document)
    stage.make(cast.tools, "services", service())
    stage.make(cast.tools, "pods", pod(SERVER_NAME, cast.image))
    server_id = _identity(stage, cast.tools, SERVER_NAME)
    caller = server_id.replace(cast.tools, cast.agents).replace(f"/sa/{SERVER_NAME}", f"/sa/{AGENT_NAME}")
    stage.make(cast.tools, "agentpolicies", server_policy(caller))
    stage.make(cast.agents, "backends", backend(cast, server_id))
    stage.make(cast.agents, "agentpolicies", agent_policy(READING))
    stage.make(cast.agents, "pods", pod(AGENT_NAME, cast.image, f"http://{cast.host}:8080/mcp"))
    for space, name in ((cast.tools, SERVER_NAME), (cast.agents, AGENT_NAME)):
        stage.until(
            lambda space=space, name=name: _ready(stage.get(space, "pods", name)),  # type: ignore[misc]
            _START_SECONDS,
            f"Pod {space}/{name} is not ready",
            _LOOK.format(space),
        )
        screen.started(f"{space}/{name}, with the sidecar that admission gave it")
    yield from _told(screen, _sees_less(stage))
    screen.heading("A policy changes, and takes effect while everything runs on")
    yield from _told(screen, _changes(stage, EVERYTHING, "The agent sees and may call delete_ticket"))
    yield from _told(screen, _changes(stage, READING, "Taken away again, it is gone"))
    screen.heading("What the cluster says of the policy")
    yield from _told(screen, _status(stage))


def _identity(stage: Stage, space: str, name: str) -> str:
    """The SPIFFE ID that a pod's sidecar has got."""
    return stage.until(
        lambda: read_journal(stage.log(space, name, SIDECAR_CONTAINER)).spiffe_id or None,
        _START_SECONDS,
        f"The sidecar of {space}/{name} has no identity",
        _LOOK.format(space),
    )


def _ready(found: Obj) -> bool:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _sees_less(stage: Stage) -> Iterator[Finding]:
    seen = stage.until(
        lambda: found if (found := stage.seen()).get("tools") else None,
        _START_SECONDS,
        "The agent sees no tool",
        _LOOK.format(stage.cast.agents),
    )
    yield equal("Of the server's three tools the agent sees two", expected=list(READING), seen=seen["tools"])
    yield Finding(
        "Its call of delete_ticket is refused",
        bool(seen["refused"]),
        "an error",
        "an answer",
        f"the agent was told: {seen['refused']}",
    )
    called = stage.log(stage.cast.tools, SERVER_NAME, "program")
    yield Finding("The server has seen no such call", "called delete_ticket" not in called, "none", "one")


def _changes(stage: Stage, tools: tuple[str, ...], statement: str) -> Iterator[Finding]:
    before = stage.get(stage.cast.agents, "pods", AGENT_NAME)
    stage.replace(stage.cast.agents, "agentpolicies", agent_policy(tools))
    began = stage.clock()
    allowed = "delete_ticket" in tools
    stage.until(
        lambda: _is_so(stage.seen(), tools, allowed=allowed),
        _CHANGE_PATIENCE,
        "The change has not reached the agent",
        f"`outrider describe pod {AGENT_NAME} -n {stage.cast.agents}` says which configuration is in force.",
    )
    took = stage.clock() - began
    yield Finding(
        f"{statement}, within {CHANGE_SECONDS:g} second",
        took <= CHANGE_SECONDS,
        f"{CHANGE_SECONDS:g} s at most",
        f"{took:.2f} s",
        f"{took:.2f} s after the API server took the change, as read from the agent's log",
    )
    after = stage.get(stage.cast.agents, "pods", AGENT_NAME)
    yield equal("No container was restarted", expected=_restarts(before), seen=_restarts(after))


def _is_so(seen: dict[str, object], tools: tuple[str, ...], *, allowed: bool) -> bool:
    return seen.get("tools") == list(tools) and (seen.get("refused") == "") is allowed


def _restarts(found: Obj) -> list[int]:
    status = found.get("status") or {}
    listed = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return [int(one.get("restartCount", 0)) for one in listed]


def _status(stage: Stage) -> Iterator[Finding]:
    def conditions() -> dict[str, Obj]:
        found = stage.get(stage.cast.agents, "agentpolicies", AGENT_NAME)
        listed = (found.get("status") or {}).get("conditions") or ()
        current = found["metadata"].get("generation")
        return {one["type"]: one for one in listed if one.get("observedGeneration") == current}

    def settled() -> dict[str, Obj] | None:
        found = conditions()
        return (
            found
            if all(found.get(one, {}).get("status") == "True" for one in ("Accepted", "Applied"))
            else None
        )

    found = stage.until(
        settled,
        _STATUS_SECONDS,
        "The policy is not Accepted and Applied",
        f"`kubectl -n {stage.cast.agents} describe agentpolicy {AGENT_NAME}` shows its conditions.",
    )
    for kind in ("Accepted", "Applied"):
        told = f"{found[kind].get('reason', '')}: {found[kind].get('message', '')}".strip(": ")
        yield equal(
            f"Condition {kind} of the policy", expected="True", seen=found[kind]["status"], evidence=told
        )


def _told(screen: Screen, findings: Iterator[Finding]) -> Iterator[Finding]:
    for finding in findings:
        screen.finding(finding)
        yield finding


def _sum_up(screen: Screen, found: list[Finding]) -> int:
    broken = [one for one in found if not one.holds]
    if broken:
        screen.summary(f"{len(broken)} of {len(found)} statements did not hold.", good=False)
        return NOT_HELD
    screen.summary(f"All {len(found)} statements held.", good=True)
    return HELD


def _clean_up(stage: Stage, screen: Screen) -> int:
    """Leave nothing; 1 where something is left, with what to do."""
    try:
        with screen.progress("deleting the namespaces"):
            stage.remove()
    except (StageFailed, ClusterUnavailable) as failed:
        print(f"outrider: {failed}\n  {failed.hint}", file=sys.stderr)
        return NOT_HELD
    screen.started(f"namespaces {stage.cast.agents} and {stage.cast.tools} are deleted")
    return HELD
