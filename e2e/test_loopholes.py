"""Every known way to call a forbidden tool past a naive filter, tried on real servers.

Directly, to show that the trick works on the stacks that it is said to work on; through the sidecar, to show that
it does not, and that the same trick with an allowed tool passes or is refused, but harms nobody's session.
"""

from __future__ import annotations

import json

import pytest

from e2e import sidecars, smuggling
from e2e.conftest import Sidecars, Subjects
from e2e.loopholes import ROWS, Row
from e2e.probing import Probe
from e2e.raw import Answer, Route, talk
from e2e.smuggling import WireRow
from e2e.subjects import KINDS, Kind, Server

CASES = [
    pytest.param(kind, row, id=f"{kind.name}-{row.id}")
    for kind in KINDS
    for row in ROWS
    if kind.revision in row.revisions
]
REFUSING_STATUSES = {400, 403, 404, 405, 406, 411, 413, 415, 501}
CONNECT_ROWS = {"plain", "batch", "escaped-tool-name", "bom", "duplicate-name", "chunked", "name-wrong"}


def _through(sidecar: Sidecars, server: Server, kind: Kind, *, tunnel: bool = False) -> Route:
    """The way to `server` through a sidecar whose policy grants the one allowed tool of `kind`."""
    documents = [
        sidecars.backend("subject", server.port, server.path),
        sidecars.policy({"backend": "subject", "tools": {"allow": [kind.allowed, "write_note"]}}),
    ]
    started = sidecar(f"one-tool-{kind.program}", documents)
    return Route(server.port, server.path, started.forward, tunnel)


@pytest.mark.parametrize(("kind", "row"), CASES)
def test_the_trick_works_directly_on_the_stacks_it_is_said_to_work_on(
    kind: Kind, row: Row, subject: Subjects
) -> None:
    server = subject(kind.program)
    ran, answer = Probe(kind, server, Route(server.port, server.path)).ran(row, kind.forbidden)
    assert ran == (kind.name in row.runs_on), answer


@pytest.mark.parametrize(("kind", "row"), CASES)
def test_the_forbidden_tool_does_not_run_behind_the_sidecar(
    kind: Kind, row: Row, subject: Subjects, sidecar: Sidecars
) -> None:
    server = subject(kind.program)
    ran, answer = Probe(kind, server, _through(sidecar, server, kind)).ran(row, kind.forbidden)
    assert not ran, answer
    _assert_refused_cleanly(answer)


@pytest.mark.parametrize(("kind", "row"), CASES)
def test_the_allowed_tool_passes_or_is_refused_cleanly(
    kind: Kind, row: Row, subject: Subjects, sidecar: Sidecars
) -> None:
    server = subject(kind.program)
    ran, answer = Probe(kind, server, _through(sidecar, server, kind)).ran(row, kind.allowed)
    if row.allowed == "passes" and kind.name in row.runs_on:
        assert isinstance(answer, Answer)
        assert answer.status == 200
        assert kind.allowed_words.encode() in answer.body
    elif row.allowed == "refused":
        assert not ran, answer
        _assert_refused_cleanly(answer)


@pytest.mark.parametrize(("kind", "row"), [case for case in CASES if case.values[1].id in CONNECT_ROWS])
def test_a_tunnel_is_inspected_as_well(kind: Kind, row: Row, subject: Subjects, sidecar: Sidecars) -> None:
    server = subject(kind.program)
    probe = Probe(kind, server, _through(sidecar, server, kind, tunnel=True))
    ran, answer = probe.ran(row, kind.forbidden)
    assert not ran, answer
    _assert_refused_cleanly(answer)
    if row.allowed == "passes" and kind.name in row.runs_on:
        _, answer = probe.ran(row, kind.allowed)
        assert isinstance(answer, Answer)
        assert kind.allowed_words.encode() in answer.body


@pytest.mark.parametrize("tunnel", [False, True], ids=["forward", "tunnel"])
@pytest.mark.parametrize("row", smuggling.ROWS, ids=lambda row: row.id)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.records], ids=lambda kind: kind.name)
def test_no_request_is_smuggled_behind_another(
    kind: Kind, row: WireRow, tunnel: bool, subject: Subjects, sidecar: Sidecars
) -> None:
    server = subject(kind.program)
    probe = Probe(kind, server, _through(sidecar, server, kind, tunnel=tunnel))
    before = len(server.executed())
    data = row.build(probe.plain(kind.allowed), probe.plain(kind.forbidden))
    said = talk(probe.route, data + probe.plain(kind.allowed, last=True))
    probe.still_works()
    assert kind.forbidden not in server.executed()[before:]
    assert b"HTTP/1.1 5" not in said.replace(b"HTTP/1.1 501", b"")
    assert b"HTTP/1.1 " in said, said


def _assert_refused_cleanly(answer: Answer | str) -> None:
    """A whole HTTP answer that is either a refusal by status or holds nothing but JSON-RPC errors."""
    assert isinstance(answer, Answer), answer
    if answer.status in REFUSING_STATUSES or (answer.status == 202 and not answer.body):
        return
    assert answer.status in (200, 307), answer
    try:
        messages = answer.messages()
    except json.JSONDecodeError:
        pytest.fail(f"not JSON: {answer}")
    calls = [message for message in messages if message.get("id") != 8]
    assert all("error" in message or message["result"].get("isError") for message in calls), answer
