"""The act about content: what passes between the agent and a server that not only well-meaning people write to."""

from __future__ import annotations

from cli.demo import content_judgements as judgements
from cli.demo.cast import LEGACY, MODERN, TICKETS_HOST, url
from cli.demo.content_judgements import CALL, CALLS, RUG_SECONDS, Content, Rug
from cli.demo.findings import Finding
from cli.demo.processes import Record
from cli.demo.screen import Screen
from cli.demo.stage import Stage
from mesh.reasons import Reason


async def content_is_looked_at(screen: Screen, stage: Stage) -> list[Finding]:
    """Personal data, planted instructions, secrets, SQL, haste, and a tool that changes."""
    screen.heading(f"What is said: {TICKETS_HOST}, to which anybody may write")
    with screen.progress("calling tools"):
        direct = await stage.neighbour.visit(stage.tickets_direct, MODERN)
        visit = await stage.agent.visit(url(TICKETS_HOST), MODERN, *CALLS.values())
        # The last that is looked at: when this is logged, so is all before.
        await stage.triage.logged(event="rate_limited", reason=Reason.RATE_LIMITED.value)
        content = Content(direct, visit, stage.tickets.records, stage.triage.log)
        found = [*judgements.looked_at(content)]
        found += judgements.pulled(await _rug(stage))
    screen.findings(found)
    return found


async def _rug(stage: Stage) -> Rug:
    """A session lists tools and calls one, round after round, while the server changes it."""
    watching = await stage.agent.watch(url(TICKETS_HOST), LEGACY, CALL)
    before = next(iter(await watching.more(1)), None)
    stage.change_tickets()
    after = await watching.until(judgements.WITHOUT, RUG_SECONDS)
    line: Record = await stage.triage.logged(event="pin", reason=Reason.PIN_CHANGED.value)
    watched = await watching.end()
    return Rug(before, after, line, watched)
