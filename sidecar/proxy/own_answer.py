"""Answers to requests that carried a credential of ours: nothing of it goes back to the agent.

Neither do the server's own words about credentials: what it challenges us with, and sessions that it keeps in
cookies. A credential that a server echoes is blotted out, in headers, documents and streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from mesh.protocol.http1.heads import UNTIL_CLOSE, ResponseHead
from mesh.reasons import Reason
from sidecar.proxy.answers import Answer, AnswerRefused
from sidecar.proxy.choose_answer import choose_answer, refuse_encoded
from sidecar.proxy.plan import Plan
from sidecar.proxy.redact import RedactedStream, Redactor

if TYPE_CHECKING:
    from sidecar.proxy.pipeline import Pipeline

_ABOUT_CREDENTIALS = frozenset(
    {b"www-authenticate", b"authentication-info", b"proxy-authenticate", b"set-cookie", b"set-cookie2"}
)
_ABOUT_BYTES = frozenset(
    {b"etag", b"content-md5", b"digest", b"content-digest", b"repr-digest", b"accept-ranges"}
)
"""What a server says of bytes that may not be the same any more."""


def own_answer(
    plan: Plan, head: ResponseHead, pipeline: Pipeline, redactor: Redactor, *, closing: bool
) -> Answer:
    """The Answer for this response. Raises AnswerRefused, also where the server does not take our credential."""
    if plan.minted and head.status == 401:
        raise AnswerRefused(Reason.CREDENTIAL_NOT_ACCEPTED, "HTTP 401")
    if redactor:
        refuse_encoded(head)
    answer = choose_answer(plan, _shown(head, redactor), pipeline, closing=closing)
    return RedactedAnswer(answer, redactor.stream()) if redactor else answer


def _shown(head: ResponseHead, redactor: Redactor) -> ResponseHead:
    left_out = _ABOUT_CREDENTIALS | _ABOUT_BYTES if redactor else _ABOUT_CREDENTIALS
    headers = redactor.headers([field for field in head.headers if field[0] not in left_out])
    # What is blotted out may be longer or shorter, so no length that was announced holds.
    length = UNTIL_CLOSE if head.body_length > 0 else head.body_length
    return structs.replace(head, headers=headers, fields=dict(headers), body_length=length, memo={})


class RedactedAnswer:
    """Another Answer, which is given what the backend sent without the secrets."""

    __slots__ = ("_answer", "_stream")

    def __init__(self, answer: Answer, stream: RedactedStream) -> None:
        self._answer = answer
        self._stream = stream

    @property
    def endless(self) -> bool:
        return self._answer.endless

    @property
    def closes(self) -> bool:
        return self._answer.closes

    @property
    def begun(self) -> bool:
        return self._answer.begun

    def begin(self) -> bytes:
        return self._answer.begin()

    def body(self, data: bytes) -> bytes:
        shown = self._stream.feed(data)
        return self._answer.body(shown) if shown else b""

    def end(self) -> bytes:
        rest = self._stream.end()
        return (self._answer.body(rest) if rest else b"") + self._answer.end()
