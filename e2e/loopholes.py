"""Ways to call a forbidden tool that a naive filter misses, as data: one row, one trick.

Each body is text with three marks, so that the same trick is tried with a forbidden tool (it must never run) and
with an allowed one (it must pass, or be refused as cleanly, but never be read differently on the two sides):
`<TOOL>` the tool's name, `<ARGUMENTS>` its arguments, `<META>` what the protocol era wants in `_meta`.
`runs_on` names the stacks that execute the row when nothing is in between: a trick that no server falls for proves
nothing about a proxy.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from e2e.subjects import LEGACY, MODERN

PY_130 = "py-1.30"
PY_23 = frozenset({"py-2.3-legacy", "py-2.3-modern"})
PY = PY_23 | {PY_130}
TS_1 = frozenset({"ts-1.32", "server-everything"})
TS_2 = frozenset({"ts-2.4-legacy", "ts-2.4-modern"})
TS = TS_1 | TS_2
ALL = PY | TS
# Servers of ours that look at no path at all.
ANY_PATH = TS - {"server-everything"}
NOBODY: frozenset[str] = frozenset()
MODERNS = frozenset({"py-2.3-modern", "ts-2.4-modern"})
LEGACIES = ALL - MODERNS

PARAMS = '{"name":"<TOOL>","arguments":<ARGUMENTS>,<META>}'
PLAIN = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":' + PARAMS + "}"
PING = '{"jsonrpc":"2.0","id":8,"method":"ping"}'
JSON = ((b"Content-Type", b"application/json"),)
ACCEPT = (b"Accept", b"application/json, text/event-stream")
HEADERS_MODERN = (
    (b"MCP-Protocol-Version", b"2026-07-28"),
    (b"Mcp-Method", b"tools/call"),
    (b"Mcp-Name", b"<TOOL>"),
)


def _utf8(text: str) -> bytes:
    return text.encode()


def _as(encoding: str) -> Callable[[str], bytes]:
    return lambda text: text.encode(encoding)


def _bad_byte(text: str) -> bytes:
    """Puts a byte that is no UTF-8 where the mark is."""
    return text.encode().replace(b"<BAD>", b"\xff")


@dataclass(frozen=True, slots=True)
class Row:
    """One trick. `allowed` says what the sidecar does with it when the tool is allowed."""

    id: str
    text: str = PLAIN
    encode: Callable[[str], bytes] = _utf8
    headers: tuple[tuple[bytes, bytes], ...] = JSON
    mcp: tuple[tuple[bytes, bytes], ...] = HEADERS_MODERN
    revisions: frozenset[str] = frozenset({LEGACY, MODERN})
    chunked: bool = False
    path: str | None = None
    allowed: str = "refused"
    runs_on: frozenset[str] = ALL


def _argument(more: str) -> str:
    """The plain call with one more argument, which every stack ignores when it can read it."""
    return PLAIN.replace("<ARGUMENTS>,", "<ARGUMENTS+>,").replace("<ARGUMENTS+>", f"<ARGUMENTS,{more}>")


def _id(text: str) -> str:
    return PLAIN.replace('"id":7', f'"id":{text}')


def _without(name: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(pair for pair in HEADERS_MODERN if pair[0] != name)


def _with(name: bytes, *values: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return (*_without(name), *((name, value) for value in values))


ONLY_LEGACY = frozenset({LEGACY})
ONLY_MODERN = frozenset({MODERN})
TS_BATCH = frozenset({"ts-1.32", "server-everything", "ts-2.4-legacy"})

ROWS = [
    Row("plain", allowed="passes"),
    # Several messages in one body.
    Row("batch", f"[{PING},{PLAIN}]", revisions=ONLY_LEGACY, allowed="passes", runs_on=TS_BATCH),
    Row("batch-of-one", f"[{PLAIN}]", revisions=ONLY_LEGACY, allowed="passes", runs_on=TS_BATCH),
    Row("batch-modern", f"[{PLAIN}]", revisions=ONLY_MODERN, runs_on=NOBODY),
    Row("batch-nested", f"[[{PLAIN}]]", runs_on=NOBODY),
    Row("second-value-after-the-first", PLAIN + PLAIN, runs_on=NOBODY),
    # One key, two values: readers agree to take the last, but need not.
    Row("duplicate-name", PLAIN.replace('"name":', '"name":"<ALLOWED>","name":')),
    Row("duplicate-params", PLAIN.replace('"params":', '"params":{"name":"<ALLOWED>"},"params":')),
    Row("duplicate-method", PLAIN.replace('"method":', '"method":"tools/list","method":')),
    Row("duplicate-name-escaped", PLAIN.replace('"name":', '"name":"<ALLOWED>","n\\u0061me":')),
    # The same text, written another way.
    Row("escaped-tool-name", PLAIN.replace("<TOOL>", "<ESCAPED>"), allowed="passes"),
    Row("escaped-key", PLAIN.replace('"name":', '"n\\u0061me":'), allowed="passes"),
    Row("escaped-method", PLAIN.replace("tools/call", "tools\\/call"), allowed="passes"),
    Row("leading-whitespace", "\r\n\t  " + PLAIN, allowed="passes"),
    Row("trailing-whitespace", PLAIN + "\r\n\t  ", allowed="passes"),
    # Not UTF-8, or not only.
    Row("bom", "\ufeff" + PLAIN, runs_on=TS | {PY_130, "py-2.3-modern"}),
    Row("utf-16", encode=_as("utf-16"), runs_on=frozenset({PY_130, "py-2.3-modern"})),
    Row("utf-16-le", encode=_as("utf-16-le"), runs_on=frozenset({PY_130, "py-2.3-modern"})),
    Row("utf-16-be", encode=_as("utf-16-be"), runs_on=frozenset({PY_130, "py-2.3-modern"})),
    Row("utf-32", encode=_as("utf-32"), runs_on=frozenset({PY_130, "py-2.3-modern"})),
    Row(
        "charset-in-content-type",
        headers=((b"Content-Type", b"application/json; charset=utf-16"),),
        encode=_as("utf-16-le"),
        runs_on=frozenset({PY_130, "py-2.3-modern"}),
    ),
    Row("invalid-utf-8", _argument('"note":"<BAD>"'), encode=_bad_byte, runs_on=TS),
    # What one parser reads and another refuses.
    Row("nested-100k", _argument('"note":' + "[" * 100_000 + "]" * 100_000), runs_on=TS),
    Row("integer-of-5000-digits", _argument('"note":' + "9" * 5000), runs_on=TS),
    Row("nan", _argument('"note":NaN'), runs_on=PY),
    Row("infinity", _argument('"note":-Infinity'), runs_on=PY),
    Row("lone-surrogate", _argument('"note":"\\ud800"'), runs_on=TS | {PY_130, "py-2.3-modern"}),
    Row("comment", PLAIN.replace('"id":7', '/**/"id":7'), runs_on=NOBODY),
    Row("trailing-comma", PLAIN.removesuffix("}") + ",}", runs_on=NOBODY),
    # Compression that is not there, and that is.
    Row("gzip-header-on-plain-body", headers=(*JSON, (b"Content-Encoding", b"gzip"))),
    Row(
        "gzip-body",
        encode=lambda text: gzip.compress(text.encode()),
        headers=(*JSON, (b"Content-Encoding", b"gzip")),
        runs_on=NOBODY,
    ),
    Row(
        "deflate-body",
        encode=lambda text: zlib.compress(text.encode()),
        headers=(*JSON, (b"Content-Encoding", b"deflate")),
        runs_on=NOBODY,
    ),
    # Messages that are not what they seem.
    Row("request-with-result", PLAIN.removesuffix("}") + ',"result":{}}', runs_on=PY),
    Row(
        "request-with-error",
        PLAIN.removesuffix("}") + ',"error":{"code":1,"message":"m"}}',
        runs_on=frozenset({"py-2.3-modern"}),
    ),
    Row("id-float", _id("1.0"), runs_on=TS),
    Row("id-2-to-the-70", _id("1180591620717411303424"), allowed="passes", runs_on=PY),
    Row("id-null", _id("null"), runs_on=NOBODY),
    Row("id-true", _id("true"), runs_on=NOBODY),
    Row("id-fraction", _id("1.5"), runs_on=NOBODY),
    Row("id-object", _id("{}"), runs_on=NOBODY),
    Row("id-empty-string", _id('""'), allowed="passes"),
    Row("notification", PLAIN.replace('"id":7,', ""), allowed="any", runs_on=NOBODY),
    Row("version-missing", PLAIN.replace('"jsonrpc":"2.0",', ""), runs_on=NOBODY),
    Row("name-trailing-space", PLAIN.replace("<TOOL>", "<TOOL> "), allowed="any", runs_on=NOBODY),
    Row("name-array", PLAIN.replace('"<TOOL>"', '["<TOOL>"]'), runs_on=NOBODY),
    # How the body is said to be.
    Row("chunked", chunked=True, allowed="passes"),
    Row(
        "media-type-upper-case",
        headers=((b"content-type", b"APPLICATION/JSON; x=y"),),
        allowed="passes",
        runs_on=ALL - {PY_130, "py-2.3-legacy"},
    ),
    Row("text-plain", headers=((b"Content-Type", b"text/plain"),), runs_on=NOBODY),
    Row("no-content-type", headers=(), runs_on=NOBODY),
    Row("json-suffix", headers=((b"Content-Type", b"application/vnd.api+json"),), runs_on=NOBODY),
    # 2026-07-28: the headers repeat the body, and lie.
    Row("name-missing", mcp=_without(b"Mcp-Name"), revisions=ONLY_MODERN, runs_on=NOBODY),
    Row("name-wrong", mcp=_with(b"Mcp-Name", b"<OTHER>"), revisions=ONLY_MODERN, runs_on=NOBODY),
    Row("name-twice", mcp=_with(b"Mcp-Name", b"<OTHER>", b"<TOOL>"), revisions=ONLY_MODERN, runs_on=NOBODY),
    Row(
        "name-twice-reversed",
        mcp=_with(b"Mcp-Name", b"<TOOL>", b"<OTHER>"),
        revisions=ONLY_MODERN,
        runs_on=NOBODY,
    ),
    Row(
        "name-base64",
        mcp=_with(b"Mcp-Name", b"=?base64?<BASE64>?="),
        revisions=ONLY_MODERN,
        allowed="passes",
        runs_on=MODERNS,
    ),
    Row("method-missing", mcp=_without(b"Mcp-Method"), revisions=ONLY_MODERN, runs_on=NOBODY),
    Row("method-wrong", mcp=_with(b"Mcp-Method", b"tools/list"), revisions=ONLY_MODERN, runs_on=NOBODY),
    Row(
        "method-twice",
        mcp=_with(b"Mcp-Method", b"tools/list", b"tools/call"),
        revisions=ONLY_MODERN,
        runs_on=NOBODY,
    ),
    Row(
        "version-header-missing", mcp=_without(b"MCP-Protocol-Version"), revisions=ONLY_MODERN, runs_on=NOBODY
    ),
    Row(
        "version-header-older",
        mcp=_with(b"MCP-Protocol-Version", b"2025-11-25"),
        revisions=ONLY_MODERN,
        runs_on=NOBODY,
    ),
    Row(
        "version-header-unknown",
        mcp=_with(b"MCP-Protocol-Version", b"2099-01-01"),
        revisions=ONLY_MODERN,
        runs_on=NOBODY,
    ),
    # Where it is said to go.
    Row("origin-evil", headers=(*JSON, (b"Origin", b"http://evil.example")), allowed="any", runs_on=ALL - PY),
    Row("path-query", path="/mcp?x=/other", allowed="any"),
    Row("path-trailing-slash", path="/mcp/", allowed="any", runs_on=TS),
    Row("path-dot-segment", path="/x/../mcp", allowed="any", runs_on=ANY_PATH),
    Row("path-encoded", path="/%6dcp", allowed="any", runs_on=ANY_PATH | PY),
    Row("path-double-slash", path="//mcp", allowed="any", runs_on=ANY_PATH),
]
