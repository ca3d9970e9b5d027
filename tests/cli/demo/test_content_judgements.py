"""What the demo makes of guardrails, pins and limits: statements that hold for what should happen, and for nothing
else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from cli.demo import content_judgements as judgements
from cli.demo.content_judgements import (
    ADDRESS,
    ANSWER,
    BEFORE,
    CALLS,
    DROP,
    EVERY_TOOL,
    KEY,
    SELECT,
    TOOLS,
    WITHOUT,
    Content,
    Rug,
    refused,
)
from cli.demo.findings import Finding
from cli.demo.ticket_texts import CUSTOMER_MAIL, QUEUE, QUEUE_LATER, TICKETS
from cli.demo.visits import Outcome, Sight, Visit, Watched
from mesh.protocol.mcp.denials import POLICY_CODES
from mesh.reasons import Reason

MASKED = {"name": "Carol", "mail": "email-2@masked.invalid", "open_tickets": 1}
FINDING = {"event": "finding", "detector": "pii", "kind": "EMAIL", "tool": "reply"}


def text(tool: str, answer: str, data: Any = None) -> Outcome:
    return Outcome(tool, text=answer, data=data)


def error(tool: str, reason: Reason, more: str = "", data: Any = None) -> Outcome:
    return Outcome(tool, error=f"{reason.sentence}{more}", code=POLICY_CODES[reason], data=data)


OUTCOMES = {
    "mail": text("reply", f"ticket 7 answered: {ANSWER.format(ADDRESS)}"),
    "customer": text("find_customer", json.dumps(MASKED), MASKED),
    "injected": error("read_ticket", Reason.GUARD_INJECTION),
    "clean": text("read_ticket", TICKETS["7"]),
    "poisoned": error("export_tickets", Reason.TOOL_POISONED),
    "leet": error("reply", Reason.GUARD_INJECTION),
    "secret": error("reply", Reason.GUARD_SECRET),
    "drop": error("search_orders", Reason.GUARD_SQL),
    "select": text("search_orders", "2 orders"),
    "page": text("page_oncall", "paged: smoke"),
    "again": error("page_oncall", Reason.RATE_LIMITED, " Try again in 59.9 s.", {"retryAfterSeconds": 59.9}),
}
SERVER = (
    {"event": "ready"},
    {"event": "reply", "text": ANSWER.format("<EMAIL_1>")},
    {"event": "sql", "sql": SELECT},
)


def visit(**others: Outcome) -> Visit:
    outcomes = tuple({**OUTCOMES, **others}[name] for name in CALLS)
    return Visit("2026-07-28", TOOLS, outcomes=outcomes)


GOOD = Content(Visit("2026-07-28", EVERY_TOOL), visit(), SERVER, (FINDING,))


def broken(findings: Iterable[Finding]) -> int:
    return sum(not finding.holds for finding in findings)


def test_all_holds_when_content_is_guarded() -> None:
    found = [*judgements.looked_at(GOOD)]
    assert (len(found), broken(found)) == (12, 0)


@pytest.mark.parametrize(
    "others",
    [
        {"mail": text("reply", f"ticket 7 answered: {ANSWER.format('<EMAIL_1>')}")},
        {"customer": text("find_customer", json.dumps({**MASKED, "mail": "x@y"}), MASKED)},
        {"customer": text("find_customer", "no JSON", MASKED)},
        {"customer": text("find_customer", json.dumps({**MASKED, "mail": CUSTOMER_MAIL}), None)},
        {
            "customer": text(
                "find_customer",
                json.dumps({**MASKED, "mail": CUSTOMER_MAIL}),
                {**MASKED, "mail": CUSTOMER_MAIL},
            )
        },
        {"injected": text("read_ticket", TICKETS["8"])},
        {"clean": error("read_ticket", Reason.GUARD_INJECTION)},
        {"poisoned": text("export_tickets", "exported")},
        {"leet": text("reply", "answered")},
        {"secret": text("reply", "answered")},
        {"drop": text("search_orders", "2 orders")},
        {"select": error("search_orders", Reason.GUARD_SQL)},
        {"page": error("page_oncall", Reason.RATE_LIMITED)},
        {"again": text("page_oncall", "paged: smoke, still")},
        {"again": error("page_oncall", Reason.RATE_LIMITED)},
        {"again": error("page_oncall", Reason.RATE_LIMITED, data={"retryAfterSeconds": 61})},
    ],
)
def test_each_outcome_that_is_another_breaks_one_statement(others: dict[str, Outcome]) -> None:
    assert broken(judgements.looked_at(replace(GOOD, visit=visit(**others)))) == 1


@pytest.mark.parametrize(
    "content",
    [
        replace(GOOD, direct=Visit("2026-07-28", TOOLS)),
        replace(GOOD, visit=replace(GOOD.visit, tools=EVERY_TOOL)),
        replace(GOOD, server=({"event": "reply", "text": ANSWER.format(ADDRESS)}, *SERVER[2:])),
        replace(GOOD, server=(*SERVER, {"event": "export", "note": "none"})),
        replace(GOOD, server=(*SERVER, {"event": "reply", "text": "the attachment"})),
        replace(GOOD, server=(*SERVER, {"event": "sql", "sql": DROP})),
        replace(GOOD, log=()),
        replace(GOOD, log=({**FINDING, "what": KEY},)),
    ],
)
def test_what_the_server_saw_and_the_log_says_count_as_well(content: Content) -> None:
    assert broken(judgements.looked_at(content)) == 1


def test_a_session_that_broke_off_holds_nothing() -> None:
    gone = Visit(failed="no route")
    found = [*judgements.looked_at(Content(gone, gone, (), ()))]
    assert broken(found) == len(found) == 12
    assert "never called: no route" in found[2].seen


def test_findings_are_told_by_kind_and_place() -> None:
    line = {"event": "finding", "detector": "secrets", "kind": "JWT", "tool": "reply", "where": "params.x"}
    told = [one.evidence for one in judgements.disguised(replace(GOOD, log=(line,)))]
    assert told[0] == ""
    assert "kind=JWT" in told[1]
    assert "where=params.x" in told[1]


LINE = {"tool": "count_tickets", "reason": "pin_changed", "what": f"description: {QUEUE} -> {QUEUE_LATER}"}
WATCHED = Watched("2025-11-25", 3, None)
RUG = Rug(BEFORE, WITHOUT, LINE, WATCHED)


def test_a_tool_that_changed_is_gone_and_the_log_says_how() -> None:
    assert broken(judgements.pulled(RUG)) == 0


@pytest.mark.parametrize(
    "rug",
    [
        replace(RUG, before=WITHOUT),
        replace(RUG, before=None),
        replace(RUG, after=BEFORE),
        replace(RUG, after=None),
        replace(RUG, after=Sight(WITHOUT.tools, "2 tickets")),
        replace(RUG, watched=replace(WATCHED, failed="reset")),
        replace(RUG, line={}),
        replace(RUG, line={**LINE, "what": "description"}),
    ],
)
def test_one_that_did_not_go_is_told(rug: Rug) -> None:
    assert broken(judgements.pulled(rug)) == 1


def test_a_refusal_reads_as_clients_show_it() -> None:
    assert refused(Reason.GUARD_SQL) == f"error -31017: {Reason.GUARD_SQL.sentence}"
