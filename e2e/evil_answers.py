"""Odd ways in which a server can answer `tools/list`, as data: one row, one encoding that some client reads.

Each answer offers two tools, an allowed and a forbidden one. `read_by` names the clients that get the forbidden
one to see when nothing is in between; `safe` says whether the allowed one must still arrive through the sidecar
(the answer is put in order) or may be lost with the rest (the answer is refused).
Marks in a body: `<ID>` the request's id, `<FLIPPED>` the same as the other JSON type, `<RESULT>` the result,
`<SAFE>` the same with the allowed tool alone, `<PORT>` and `<OTHER>` this server's two ports.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass

ALLOWED = "read_note"
FORBIDDEN = "delete_note"

PY_1, PY_2, PY_2M = "py-1.30", "py-2.3-legacy", "py-2.3-modern"
TS_1, TS_2, TS_2M = "ts-1.32", "ts-2.4-legacy", "ts-2.4-modern"
PY = frozenset({PY_1, PY_2, PY_2M})
TS = frozenset({TS_1, TS_2, TS_2M})
ALL = PY | TS
NOBODY: frozenset[str] = frozenset()
LEGACIES = frozenset({PY_1, PY_2, TS_1, TS_2})

ANSWER = '{"jsonrpc":"2.0","id":<ID>,"result":<RESULT>}'
EVENT = "event: message\ndata: " + ANSWER + "\n\n"
SPLIT = '{"jsonrpc":"2.0",\ndata: "id":<ID>,\ndata: "result":<RESULT>}'
JSON = b"application/json"
SSE = b"text/event-stream"


def _utf8(text: str) -> bytes:
    return text.encode()


def _gzip(text: str) -> bytes:
    return gzip.compress(text.encode())


def _gzip_twice(text: str) -> bytes:
    return gzip.compress(_gzip(text))


def _deflate(text: str) -> bytes:
    return zlib.compress(text.encode())


@dataclass(frozen=True, slots=True)
class EvilRow:
    """One answer. `way` is where it comes: on the POST itself, on the GET stream, on a resumed one, elsewhere."""

    id: str
    text: str = ANSWER
    encode: Callable[[str], bytes] = _utf8
    content_type: bytes | None = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    status: int = 200
    way: str = "post"
    framing: str = "length"
    read_by: frozenset[str] = ALL
    safe: bool = False


def _sse(name: str, text: str, *, read_by: frozenset[str] = ALL, safe: bool = False) -> EvilRow:
    return EvilRow(name, text, content_type=SSE, read_by=read_by, safe=safe, framing="close")


def _encoded(
    name: str,
    coding: bytes,
    encode: Callable[[str], bytes],
    text: str = ANSWER,
    read_by: frozenset[str] = ALL,
) -> EvilRow:
    kind = SSE if text == EVENT else JSON
    said = ((b"Content-Encoding", coding),)
    return EvilRow(name, text, encode, kind, said, framing="close", read_by=read_by)


ROWS = [
    EvilRow("json", safe=True),
    EvilRow("json-chunked", framing="chunked", safe=True),
    EvilRow("json-until-close", framing="close", safe=True),
    EvilRow("json-bytewise-chunks", framing="bytewise", safe=True),
    EvilRow("media-type-upper-case", content_type=b"APPLICATION/JSON; CHARSET=utf-8", safe=True),
    EvilRow("escaped-key", ANSWER.replace("<RESULT>", "<ESCAPED-RESULT>"), safe=True),
    EvilRow("status-201", status=201),
    # Event streams.
    _sse("sse", EVENT, safe=True),
    _sse("sse-primed", "id: 1\r\ndata: \r\nretry: 100\r\n\r\n" + EVENT.replace("\n", "\r\n"), safe=True),
    _sse("sse-several-lines", "event: message\ndata: " + SPLIT + "\n\n", safe=True),
    _sse("sse-no-space", EVENT.replace("data: ", "data:"), safe=True),
    _sse("sse-no-event", EVENT.removeprefix("event: message\n"), safe=True),
    _sse("sse-cr-only", EVENT.replace("\n", "\r"), read_by=PY),
    _sse("sse-bom", "\ufeff" + EVENT),
    _sse("sse-comment-first", ": hello\n\n" + EVENT, safe=True),
    _sse("sse-line-separators", EVENT.replace("<RESULT>", "<SEPARATED-RESULT>"), safe=True),
    _sse("sse-other-event", EVENT.replace("event: message", "event: foo"), read_by=NOBODY),
    _sse("sse-endpoint-event", EVENT.replace("event: message", "event: endpoint"), read_by=NOBODY),
    _sse("sse-unterminated", EVENT.removesuffix("\n"), read_by=NOBODY),
    _sse("sse-batch", "data: [" + ANSWER + "]\n\n", read_by=NOBODY),
    _sse("sse-second-answer", EVENT.replace("<RESULT>", "<SAFE>") + EVENT, read_by=NOBODY, safe=True),
    # Ids and envelopes.
    EvilRow("id-other-type", ANSWER.replace("<ID>", "<FLIPPED>")),
    EvilRow("id-float", ANSWER.replace("<ID>", "<ID>.0"), read_by=TS),
    EvilRow("batch", "[" + ANSWER + "]", read_by=TS),
    EvilRow("bom", "\ufeff" + ANSWER, read_by=TS),
    EvilRow("duplicate-tools", ANSWER.replace("<RESULT>", "<DOUBLED-RESULT>")),
    EvilRow("duplicate-result", ANSWER.replace('"result":', '"result":<SAFE>,"result":')),
    EvilRow("utf-16", encode=lambda text: text.encode("utf-16"), read_by=NOBODY),
    # What the body is said to be.
    EvilRow("text-plain", content_type=b"text/plain", read_by=NOBODY),
    EvilRow("empty-content-type", content_type=b"", read_by=NOBODY),
    EvilRow("no-content-type", content_type=None, read_by=NOBODY),
    EvilRow("json-said-to-be-sse", content_type=SSE, framing="close", read_by=NOBODY),
    _encoded("gzip", b"gzip", _gzip),
    _encoded("gzip-upper-case", b"GZIP", _gzip),
    _encoded("x-gzip", b"x-gzip", _gzip, read_by=TS),
    _encoded("deflate", b"deflate", _deflate),
    _encoded("gzip-twice", b"gzip, gzip", _gzip_twice),
    _encoded("gzip-sse", b"gzip", _gzip, EVENT),
    EvilRow("gzip-unsaid", encode=_gzip, read_by=NOBODY),
    # Another way than the answer to the POST.
    EvilRow("redirect-same-origin", way="redirect", read_by=ALL),
    EvilRow("redirect-other-origin", way="redirect-away", read_by=NOBODY),
    EvilRow("on-the-get-stream", EVENT, content_type=SSE, way="get-stream", read_by=LEGACIES, safe=True),
    EvilRow("on-a-resumed-stream", EVENT, content_type=SSE, way="resumed", read_by=ALL, safe=True),
]
BY_ID = {row.id: row for row in ROWS}
