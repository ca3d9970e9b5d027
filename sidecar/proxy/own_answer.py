"""Answers to requests that carried a credential of ours: nothing of it goes back to the agent.

Neither do the server's own words about credentials: what it challenges us with, and sessions that it keeps in
cookies. A credential that a server echoes is blotted out, in headers, documents and streams.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from msgspec import structs

from mesh.protocol.http1.heads import UNTIL_CLOSE, ResponseHead, all_values
from mesh.protocol.oauth.challenge import parse_challenges
from mesh.protocol.oauth.token_refusal import Wanted, printable
from mesh.reasons import Reason
from sidecar.proxy.answers import Answer, AnswerRefused, JsonAnswer, WrappedAnswer
from sidecar.proxy.choose_answer import choose_answer, refuse_encoded
from sidecar.proxy.plan import Plan, Secrets, Treatment
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
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
_CHARSET = re.compile(rb"""charset\*?\s*=\s*["']?([^"';\s]*)""", re.IGNORECASE)
_LIKE_ASCII = re.compile(
    rb"|utf-?8|(us-)?ascii|(iso-?8859|latin|windows|koi8|tis)-?[0-9a-z]{1,4}(-[ei])?|cp(125\d|437|85[028]|866|9\d\d)"
    rb"|gb2312|gbk|gb18030|big5(-hkscs)?|euc-(jp|kr|tw)|shift-jis|sjis|ks-c-5601-1987|macintosh",
    re.IGNORECASE,
)
"""Charsets in which a secret is spelled as in ASCII."""
_MOST_SAID = 200
_CHECKED = "as the agent may see it"
_WITH_RESULT = frozenset({"GET", "POST"})
_NOT_FOR_THE_AGENT = _ABOUT_CREDENTIALS | _ABOUT_BYTES


def own_answer(
    plan: Plan, head: ResponseHead, pipeline: Pipeline, redactor: Redactor, *, closing: bool
) -> Answer:
    """The Answer for this response. Raises AnswerRefused, also where the server does not take our credential."""
    if plan.routed.minted and head.status == 401:
        raise AnswerRefused(Reason.CREDENTIAL_NOT_ACCEPTED, _challenged(head, plan))
    if plan.secrets is None:
        shown = _without(_own_phrase(head), _ABOUT_CREDENTIALS)
        return choose_answer(plan, shown, pipeline, closing=closing)
    answer = choose_answer(plan, _checked(head, redactor), pipeline, closing=closing)
    if plan.treatment is Treatment.MCP and isinstance(answer, JsonAnswer):
        return answer  # looked through when it is written
    return RedactedAnswer(answer, redactor.stream(), plan, plan.secrets)


def _challenged(head: ResponseHead, plan: Plan) -> str:
    """What the server says is wrong with our credential: the words of its Bearer challenge, or of another."""
    challenges = parse_challenges(all_values(head.headers, b"www-authenticate"))
    said = next((one.params for one in challenges if "error" in one.params), None)
    if said is None:
        return "HTTP 401"
    issued = () if plan.issued is None else plan.issued.secrets
    wanted = Wanted(sent=tuple(secret.decode("latin-1") for secret in issued))
    words = [printable(said[name], wanted) for name in ("error", "error_description") if said.get(name)]
    return f"HTTP 401, {': '.join(words)}"[:_MOST_SAID]


def _checked(head: ResponseHead, redactor: Redactor) -> ResponseHead:
    """The head as the agent may see it, remembered with the head, since servers repeat theirs."""
    known: tuple[Redactor, ResponseHead] | None = head.memo.get(_CHECKED) if head.body_length else None
    if known is not None and known[0] is redactor:
        return known[1]
    shown = _shown(_own_phrase(head), redactor)
    refuse_encoded(shown)
    _refuse_charset(shown)
    if head.body_length:
        head.memo[_CHECKED] = redactor, shown
    return shown


def _own_phrase(head: ResponseHead) -> ResponseHead:
    phrase = _PHRASES.get(head.status, b"")
    return head if head.reason == phrase else structs.replace(head, reason=phrase, memo={})


def _refuse_charset(head: ResponseHead) -> None:
    """Raise AnswerRefused for text that does not look like text here."""
    media = head.fields.get(b"content-type", b"")
    for charset in _CHARSET.findall(media) if head.body_length else ():
        if not _LIKE_ASCII.fullmatch(charset.replace(b"_", b"-")):
            raise AnswerRefused(Reason.UPSTREAM_CONTENT_TYPE, f"Content-Type {media.decode('latin-1')!r}")


def _shown(head: ResponseHead, redactor: Redactor) -> ResponseHead:
    """The head without secrets. What is blotted out of the body may be longer or shorter, so no length that was
    announced holds."""
    shown = _without(head, _NOT_FOR_THE_AGENT)
    headers = redactor.headers(shown.headers)
    if headers is not shown.headers:
        shown = structs.replace(shown, headers=headers, fields=dict(headers), memo={})
    if head.body_length > 0:
        shown = structs.replace(shown, body_length=UNTIL_CLOSE, memo={})
    return shown


def _without(head: ResponseHead, names: frozenset[bytes]) -> ResponseHead:
    if names.isdisjoint(head.fields):
        return head
    headers = [field for field in head.headers if field[0] not in names]
    return structs.replace(head, headers=headers, fields=dict(headers), memo={})


class RedactedAnswer(WrappedAnswer):
    """Another Answer, which is given what the backend sent without the secrets."""

    __slots__ = ("_issued", "_plan", "_secrets", "_stream")

    def __init__(self, answer: Answer, stream: RedactedStream, plan: Plan, secrets: Secrets) -> None:
        super().__init__(answer)
        self._stream = stream
        self._plan = plan
        self._secrets = secrets
        self._issued = secrets.issued

    def body(self, data: bytes) -> bytes:
        if self._issued != self._secrets.issued:
            # As long as a stream is open others are issued, and this one is renewed.
            self._issued = self._secrets.issued
            self._stream.use(self._secrets.redactor(self._plan))
        shown = self._stream.feed(data)
        return self.inner.body(shown) if shown else b""

    def end(self) -> bytes:
        rest = self._stream.end()
        return (self.inner.body(rest) if rest else b"") + self.inner.end()
