"""What the demo makes of users' tokens: statements that hold for what should happen, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from cli.demo import user_judgements as judgements
from cli.demo.cast import HELPDESK, NOTES_AUDIENCE
from cli.demo.desk import Answer
from cli.demo.findings import Finding
from cli.demo.issuer import Exchanged, digest
from cli.demo.user_judgements import Pushed
from mesh.reasons import Reason

TOKEN, MADE, SECRET = "head.claims.signature", "other.claims.signature", "s3cr3t"
HANDLE = "orh_" + "A" * 43
BARE = Answer(401, 'Bearer resource_metadata="x"', {"reason": "token_missing"})
READ = Answer(200, "", {"text": "Triage goes by severity."})
ASKED = {"event": "asked", "authorization": f"Bearer {HANDLE}"}
CLAIMS = {"aud": NOTES_AUDIENCE, "sub": "alice", "act": {"sub": HELPDESK.spiffe_id}}
BEARER = {"event": "bearer", "digest": digest(MADE), "claims": CLAIMS}
EXCHANGED = Exchanged(HELPDESK.spiffe_id, "alice", HELPDESK.spiffe_id, NOTES_AUDIENCE, digest(MADE))
UNKNOWN = {"reason": Reason.HANDLE_UNKNOWN.value}
PUSHED = Pushed(
    "outrider-hidden-x",
    "outrider-hidden-x",
    SECRET,
    Answer(200, "", {"status": 200, "text": "{}"}),
    [f"Bearer {SECRET}"],
    Answer(200, "", {"status": 403, "text": '{"reason":"placeholder_stopped"}'}),
    [],
    1.0,
)


def broken(findings: Iterable[Finding]) -> int:
    return sum(not finding.holds for finding in findings)


@pytest.mark.parametrize(
    ("judge", "good", "bad"),
    [
        (
            judgements.turned_away,
            (BARE, []),
            [(READ, []), (BARE, [ASKED]), (replace(BARE, challenge=""), [])],
        ),
        (
            judgements.handed_over,
            (READ, ASKED, TOKEN),
            [
                (Answer(200, "", {"error": "no"}), ASKED, TOKEN),
                (READ, {"authorization": f"Bearer {TOKEN}"}, TOKEN),
                (READ, {**ASKED, "cookie": TOKEN}, TOKEN),
                (READ, {}, TOKEN),
            ],
        ),
        (
            judgements.made_for_the_server,
            (BEARER, EXCHANGED, TOKEN),
            [
                ({}, EXCHANGED, TOKEN),
                (BEARER, None, TOKEN),
                ({**BEARER, "claims": {**CLAIMS, "aud": "all"}}, EXCHANGED, TOKEN),
                ({**BEARER, "claims": {**CLAIMS, "act": {}}}, EXCHANGED, TOKEN),
                (BEARER, replace(EXCHANGED, digest="another"), TOKEN),
                (BEARER, EXCHANGED, MADE),
            ],
        ),
        (
            judgements.another_user,
            (["alice", "bob", "alice"], 2, [HANDLE, "b", HANDLE]),
            [
                (["alice", "alice", "alice"], 2, [HANDLE, "b", HANDLE]),
                (["alice", "bob", "alice"], 3, [HANDLE, "b", HANDLE]),
                (["alice", "bob", "alice"], 2, [HANDLE, HANDLE, HANDLE]),
            ],
        ),
        (
            judgements.from_elsewhere,
            (Answer(200, "", {"error": "no"}), UNKNOWN, 0),
            [(READ, UNKNOWN, 0), (Answer(200, "", {"error": "no"}), {}, 0), (READ, UNKNOWN, 1)],
        ),
        (
            judgements.hidden_secret,
            (PUSHED,),
            [
                (replace(PUSHED, environment=SECRET),),
                (replace(PUSHED, code_saw=["Bearer outrider-hidden-x"]),),
                (replace(PUSHED, code_saw=[]),),
                (replace(PUSHED, paste_saw=["Bearer outrider-hidden-x"]),),
                (replace(PUSHED, stopped=0.0),),
                (replace(PUSHED, paste=Answer(200, "", {"status": 200, "text": "{}"})),),
            ],
        ),
        (
            judgements.nothing_told,
            ("lines of words", [TOKEN, SECRET]),
            [(f"a {TOKEN} b", [TOKEN]), (SECRET, [SECRET])],
        ),
    ],
)
def test_a_statement_holds_for_what_should_happen_only(
    judge: Any, good: tuple[Any, ...], bad: list[tuple[Any, ...]]
) -> None:
    assert broken(judge(*good)) == 0
    for one in bad:
        assert broken(judge(*one)) >= 1
