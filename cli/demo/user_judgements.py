"""What must come of users' tokens and of a hidden secret: pure functions from what each side saw to findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cli.demo.cast import HELPDESK, NOTES_AUDIENCE
from cli.demo.desk import Answer
from cli.demo.findings import Finding, equal, shown
from cli.demo.issuer import Exchanged, digest
from cli.demo.processes import Record
from mesh.reasons import Reason

ALICE, BOB = "alice", "bob"
HANDLE_CHARACTERS = 47


def turned_away(answer: Answer, asked: Sequence[Record]) -> Iterator[Finding]:
    """A call without a token. `asked`: what the agent saw until then."""
    yield equal(
        "Without a user's token nobody reaches the agent; the answer says where to get one",
        expected=(401, Reason.TOKEN_MISSING, True, 0),
        seen=(answer.status, answer.body.get("reason"), "resource_metadata=" in answer.challenge, len(asked)),
        evidence=f"401 WWW-Authenticate: {answer.challenge}",
    )


def handed_over(answer: Answer, asked: Record, token: str) -> Iterator[Finding]:
    """What the agent got in the place of `token`, and what it made of it."""
    scheme, _, held = str(asked.get("authorization", "")).partition(" ")
    yield equal(
        f"With one they do; in its place the agent gets a handle of {HANDLE_CHARACTERS} characters",
        expected=("Bearer", "orh_", HANDLE_CHARACTERS, False),
        seen=(scheme, held[:4], len(held), token in str(asked)),
        evidence=f"the token has {len(token)} characters, the agent has {held[:12]}…",
    )
    yield equal(
        "The agent sends the handle on to the notes server, as agents do with tokens, and that works",
        expected=(200, "Triage goes by severity."),
        seen=(answer.status, answer.body.get("text", answer.body.get("error"))),
        evidence=shown(answer.body.get("text")),
    )


def made_for_the_server(bearer: Record, exchanged: Exchanged | None, token: str) -> Iterator[Finding]:
    """What the server saw: `bearer`, and what the authorization server made."""
    claims = bearer.get("claims", {})
    actor = claims.get("act", {}).get("sub")
    yield equal(
        "The server saw a token for it alone: the user is the subject, the agent the actor",
        expected=(NOTES_AUDIENCE, ALICE, HELPDESK.spiffe_id, False),
        seen=(claims.get("aud"), claims.get("sub"), actor, bearer.get("digest") == digest(token)),
        evidence=f"aud={claims.get('aud')} sub={claims.get('sub')} act={actor}",
    )
    made = exchanged and (exchanged.client, exchanged.digest)
    yield equal(
        "It is the one that the authorization server made, for a client that proved its SVID",
        expected=(HELPDESK.spiffe_id, bearer.get("digest")),
        seen=made,
        evidence=f"token exchange (RFC 8693), client {exchanged.client}" if exchanged else "",
    )


def another_user(subjects: Sequence[str], exchanges: int, handles: Sequence[str]) -> Iterator[Finding]:
    """Alice, Bob and Alice again, one after the other."""
    yield equal(
        "Another user's request carries that user, and the first one's again the first",
        expected=((ALICE, BOB, ALICE), 2, 2),
        seen=(tuple(subjects), exchanges, len(set(handles))),
        evidence=f"{shown(subjects)}; {exchanges} exchanges, because a token is used until it ends",
    )


def from_elsewhere(answer: Answer, line: Record, bearers: int) -> Iterator[Finding]:
    """The agent sent a handle that its sidecar did not make. `bearers`: what reached the server thereupon."""
    yield equal(
        "A handle from elsewhere is worth nothing: the request never reaches the server",
        expected=(True, Reason.HANDLE_UNKNOWN, 0),
        seen=("error" in answer.body, line.get("reason"), bearers),
        evidence=shown(answer.body.get("error")),
    )


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of the agent's pushes to two services. `stopped`: what the sidecar counted for the second."""

    environment: str
    placeholder: str
    secret: str
    code: Answer
    code_saw: Sequence[str]
    paste: Answer
    paste_saw: Sequence[str]
    stopped: float


def hidden_secret(pushed: Pushed) -> Iterator[Finding]:
    """A secret in the agent's environment that is not there."""
    yield equal(
        "In the agent's environment is a placeholder; the service that it is for got the secret",
        expected=(pushed.placeholder, 200, ("its secret",)),
        seen=(
            pushed.environment,
            pushed.code.body.get("status"),
            tuple("its secret" if one == f"Bearer {pushed.secret}" else one for one in pushed.code_saw),
        ),
        evidence=f"CODE_TOKEN={pushed.environment}",
    )
    yield equal(
        "Sent to another service the request is stopped and counted, and never got there",
        expected=(403, True, 0, 1.0),
        seen=(
            pushed.paste.body.get("status"),
            Reason.PLACEHOLDER_STOPPED in str(pushed.paste.body.get("text")),
            len(pushed.paste_saw),
            pushed.stopped,
        ),
        evidence=Reason.PLACEHOLDER_STOPPED.sentence,
    )


def nothing_told(told: str, secrets: Iterable[str]) -> Iterator[Finding]:
    """All that agent and sidecars wrote, and all that must not stand there."""
    kept = [secret for secret in secrets if secret]
    yield equal(
        "None of these tokens, nor the secret, stands in what the agent or a sidecar wrote",
        expected=0,
        seen=sum(secret in told for secret in kept),
        evidence=f"{len(kept)} looked for in {len(told.splitlines())} lines",
    )
