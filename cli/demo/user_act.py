"""The act about users: an agent works for them, and holds neither their tokens nor a secret of its own."""

from __future__ import annotations

import secrets

from cli.demo import user_judgements as judgements
from cli.demo.cast import CODE_HOST, PASTE_HOST
from cli.demo.desk import PLACEHOLDER, Desk
from cli.demo.findings import Finding
from cli.demo.screen import Screen
from cli.demo.user_judgements import ALICE, BOB, Pushed
from mesh.reasons import Reason

STOPPED = 'outrider_placeholders_stopped_total{backend="paste"}'


async def agent_holds_nothing(screen: Screen, desk: Desk) -> list[Finding]:
    """Users call the helpdesk, which calls servers for them."""
    screen.heading("An agent that works for users, and holds no credential")
    with screen.progress("calling the helpdesk"):
        found = [*await _users(desk), *await _hidden(desk)]
        found += judgements.nothing_told(desk.told, (*desk.issuer.made, desk.secret))
    screen.findings(found)
    return found


async def _users(desk: Desk) -> list[Finding]:
    bare = await desk.ask("/read", None, name="welcome")
    found = [*judgements.turned_away(bare, desk.asked)]
    tokens = {user: desk.issuer.token(user) for user in (ALICE, BOB)}
    subjects = []
    answers = []
    for number, user in enumerate((ALICE, BOB, ALICE), 1):
        answers.append(await desk.ask("/read", tokens[user], name="welcome"))
        subjects.append(await desk.carried(number))
    first = next(iter(desk.asked), {})
    found += judgements.handed_over(answers[0], first, tokens[ALICE])
    bearer, exchanged = next(iter(desk.bearers), {}), next(iter(desk.issuer.exchanges), None)
    found += judgements.made_for_the_server(bearer, exchanged, tokens[ALICE])
    handles = [str(one["authorization"]) for one in desk.asked]
    found += judgements.another_user(subjects, len(desk.issuer.exchanges), handles)
    return [*found, *await _stranger(desk, tokens[ALICE])]


async def _stranger(desk: Desk, token: str) -> list[Finding]:
    before = len(desk.bearers)
    made_up = f"Bearer orh_{secrets.token_urlsafe(32)}"
    answer = await desk.ask("/read", token, name="welcome", authorization=made_up)
    line = await desk.sidecar.logged(event="decision", reason=Reason.HANDLE_UNKNOWN)
    return [*judgements.from_elsewhere(answer, line, len(desk.bearers) - before)]


async def _hidden(desk: Desk) -> list[Finding]:
    token = desk.issuer.token(ALICE)
    code = await desk.ask("/push", token, url=f"https://{CODE_HOST}/fixes")
    paste = await desk.ask("/push", token, url=f"https://{PASTE_HOST}/fixes")
    stopped = await desk.sidecar.metric(STOPPED)
    pushed = Pushed(
        desk.environment, PLACEHOLDER, desk.secret, code, desk.code.seen, paste, desk.paste.seen, stopped
    )
    return [*judgements.hidden_secret(pushed)]
