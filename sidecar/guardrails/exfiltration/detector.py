"""Looks for data on its way out: one question to all patterns, and Python only where one answers."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from mesh.policy.guardrails import ExfiltrationOptions
from sidecar.guardrails.exfiltration.commands import (
    DESTINATION,
    FOUND_THERE,
    HEADERS,
    KEY_FILES,
    RUN,
    SEND_COMMANDS,
    SENDING,
)
from sidecar.guardrails.exfiltration.decode import from_base32, from_base64, from_hex, readings
from sidecar.guardrails.exfiltration.hosts import CATCHERS, allowed, host_of
from sidecar.guardrails.exfiltration.links import carries
from sidecar.guardrails.exfiltration.private import has_pairs, has_person, has_secret
from sidecar.guardrails.hit import SEPARATOR, Hit
from sidecar.guardrails.re2_set import Patterns

KINDS: Final[dict[str, str]] = {
    "IMAGE_WITH_PAYLOAD": "Picture, style or frame, in markdown or HTML, whose URL carries data or a place for it",
    "LINK_WITH_PAYLOAD": "Link whose URL carries a credential, or data in pairs or encoded",
    "CATCHER_HOST": "URL of a request catcher, out-of-band tester, tunnel or anonymous drop",
    "SEND_COMMAND": "Command or call that sends private data, or what it finds where it runs",
    "PRIVATE_BLOB": "Encoded text that decodes to a credential or to names with values",
    "DNS_LABELS": "Host name whose labels decode to text",
    "MAIL_WITH_PAYLOAD": "mailto: link whose body or subject carries private data",
    "SECRET_FILE_SENT": "File of credentials, named together with a destination and a word for sending",
    "UNEXAMINED": "Rest of a text with more candidates than are looked at, so that it counts as found",
}
"""What can be found, each in one line."""

CANDIDATES: Final = 2048
"""Matches looked at in one text. What follows then is a hit as a whole."""
NEAR: Final = 300
"""Characters before and after the name of a file in which a destination counts."""

COMMAND: Final = 4096
"""Characters of one line from a command on that are looked at."""
BEFORE: Final = 120
"""Characters before a command that belong to it, as what is piped into it."""

_URL = r"((?:https?:)?//[^\s\"'<>)\\\x1f]{4,})"
# Four characters of base64 that stand for three printable ASCII characters. Hashes and identifiers do not go on
# like this for long, so that the automaton itself tells text from noise.
_TEXT64 = r"[I-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
_LABEL = r"[A-Za-z0-9_-]"

# No bounded gaps here: a counter that starts anew at each word multiplies the states of the automaton, and an
# automaton that outgrows its memory is a hundred times slower. What is too long is cut in Python.
_PATTERNS: Final = (
    ("image.markdown", rf"!\[[^\]\n\x1f]*\]\(\s*<?{_URL}"),
    (
        "image.html",
        r"(?i)<(?:img|image|script|iframe|embed|source|video|audio|track|object|link|input|form|body|base|svg|use)\b"
        r"[^>\x1f]*?(?:src|href|action|data|poster|srcset|background|formaction|ping)\s*=\s*[\"'\\]*"
        rf"{_URL}",
    ),
    ("image.css", rf"(?i)\burl\(\s*[\"'\\]*{_URL}"),
    ("link.markdown", rf"(?:^|[^!])\[[^\]\n\x1f]*\]\(\s*<?{_URL}"),
    ("link.html", rf"(?i)<a\s[^>\x1f]*?href\s*=\s*[\"'\\]*{_URL}"),
    ("image.reference", rf"(?m)^[ \t]*\[[^\]\n\x1f]+\]:[ \t]*<?{_URL}"),
    (
        "link.query",
        r"(https?://[^\s\"'<>\\?\x1f]+\?(?:[^\s\"'<>\\\x1f]*[=?&])?[^\s\"'<>\\&=?{},\x1f]{20}[^\s\"'<>\\\x1f]*)",
    ),
    (
        "catcher",
        r"(?i)(?://(?:[a-z0-9_-]+\.)*|[a-z0-9_-]\.|@|\b(?:curl|wget|nslookup|dig|nc|ncat|ping|host)\s(?:[^\n\x1f]*?[\s/])?)"
        rf"((?:{'|'.join(map(re.escape, CATCHERS))})(?:[/?:#][^\s\"'<>)\\\x1f]*)?)(?:[^a-z0-9.-]|\.\s|\.?$)",
    ),
    ("blob.base64", rf"(?:^|[^A-Za-z0-9+_-])((?:{_TEXT64}){{10}}[A-Za-z0-9+/_-]*={{0,2}})"),
    ("blob.gzip", r"(?:^|[^A-Za-z0-9+_-])(H4sI[A-Za-z0-9+/_-]{40}[A-Za-z0-9+/_-]*={0,2})"),
    ("blob.zlib", r"(?:^|[^A-Za-z0-9+_-])(e[JN][opwxy][A-Za-z0-9+/_-]{40}[A-Za-z0-9+/_-]*={0,2})"),
    ("blob.hex", r"(?:^|[^0-9A-Za-z])((?:[2-7][0-9a-fA-F]){16}[0-9a-fA-F]*)"),
    ("blob.percent", r"((?:%[2-7][0-9a-fA-F]){12}(?:%[0-9a-fA-F]{2})*)"),
    (
        "labels",
        rf"(?:^|[^A-Za-z0-9_-])({_LABEL}{{28}}{_LABEL}*\.(?:{_LABEL}+\.)+[A-Za-z]{{2}}[A-Za-z]*)",
    ),
    ("mail", r"(?i)\bmailto:[^\s\"'<>)?\x1f]+\?([^\s\"'<>)\x1f]+)"),
    ("file", rf"(?i)({KEY_FILES})"),
    *((f"send.{number}", pattern) for number, pattern in enumerate(SEND_COMMANDS)),
)


@cache
def _patterns() -> Patterns:
    return Patterns(_PATTERNS)


class ExfiltrationDetector:
    """Finds what would carry data away. URLs to `ExfiltrationOptions.hosts` may carry anything."""

    name = "exfiltration"

    def __init__(self, options: ExfiltrationOptions | None = None) -> None:
        self._hosts = tuple((options or ExfiltrationOptions()).hosts)
        self._patterns = _patterns()

    def prepare(self) -> None:
        """Compile the patterns now, not at the first text."""
        self._patterns.prepare()

    def scan(self, text: str) -> list[Hit]:
        """What carries data, by position; each place once."""
        hits = self._found(text)
        return _distinct(hits) if hits else hits

    def _found(self, text: str) -> list[Hit]:
        hits: list[Hit] = []
        for count, (name, match) in enumerate(self._patterns.matches(text)):
            start, end = match.span(1) if match.re.groups else match.span()
            if count >= CANDIDATES:
                hits.extend(_rest(text, start))
                break
            hit = self._judge(name.partition(".")[0], name, text, start, end)
            if hit is not None:
                hits.append(hit)
        return hits

    def _judge(self, family: str, name: str, text: str, start: int, end: int) -> Hit | None:
        found = text[start:end]
        if family in ("image", "link"):
            return self._link(family, name, found, start, end)
        if family == "blob":
            return Hit("PRIVATE_BLOB", start, end, 0.9, name) if _private_blob(name, found) else None
        if family == "catcher":
            return (
                None if self._is_allowed(text, start, end) else Hit("CATCHER_HOST", start, end, 0.9, "host")
            )
        if family == "labels":
            return self._labels(found, start, end)
        if family == "mail":
            return Hit("MAIL_WITH_PAYLOAD", start, end, 0.8, "mail") if _private_query(found) else None
        if family == "file":
            return self._file(text, start, end)
        return self._command(text, start, min(end, start + COMMAND))

    def _link(self, family: str, name: str, url: str, start: int, end: int) -> Hit | None:
        if self._hosts and allowed(host_of(url), self._hosts):
            return None
        what = carries(url, family == "image")
        if not what:
            return None
        kind = "IMAGE_WITH_PAYLOAD" if family == "image" else "LINK_WITH_PAYLOAD"
        return Hit(kind, start, end, 0.9, f"{name}: {what}")

    def _is_allowed(self, text: str, start: int, end: int) -> bool:
        """Whether the host that ends with this one may be sent anything."""
        if not self._hosts:
            return False
        before = _HOST_START.search(text, max(0, start - 255), start)
        host = (before.group() if before else "") + text[start:end]
        return allowed(host_of("//" + host), self._hosts)

    def _labels(self, host: str, start: int, end: int) -> Hit | None:
        if self._hosts and allowed(host.lower(), self._hosts):
            return None
        labels = host.split(".")[:-2]
        for label in [*labels, "".join(labels)]:
            if len(label) >= 24 and _reads(label):
                return Hit("DNS_LABELS", start, end, 0.9, "labels")
        return None

    def _file(self, text: str, start: int, end: int) -> Hit | None:
        near = _near(text, start, end)
        destination = DESTINATION.search(near)
        if destination is None or SENDING.search(near) is None:
            return None
        if self._hosts and allowed(host_of(destination.group()), self._hosts):
            return None
        return Hit("SECRET_FILE_SENT", start, end, 0.7, "file")

    def _command(self, text: str, start: int, end: int) -> Hit | None:
        before = text[max(0, start - BEFORE) : start]
        command = before[max(before.rfind(SEPARATOR), before.rfind("\n")) + 1 :] + text[start:end]
        destination = DESTINATION.search(command)
        if destination is None:
            return None
        if self._hosts and allowed(host_of(destination.group()), self._hosts):
            return None
        if _FILE.search(command):
            return Hit("SEND_COMMAND", start, end, 0.9, "file")
        if RUN.search(command) or FOUND_THERE.search(HEADERS.sub(" ", command)):
            return Hit("SEND_COMMAND", start, end, 0.7, "substitution")
        return Hit("SEND_COMMAND", start, end, 0.8, "data") if _private_command(command) else None


_HOST_START = re.compile(r"[A-Za-z0-9_.-]*\Z")
_FILE = re.compile(KEY_FILES, re.IGNORECASE)
_TOKENS = re.compile(r"[^\s\"'&=;,(){}]{16,}")
_DATA = re.compile(
    r"(?i)(?:-d|--data[a-z-]*|--post-data|--body-data|-F|--form|--json|-body|body\s*:|data\s*=)"
    r"\s*[= ]?\s*[\"'@]?(.{8,})"
)


_NODE_ID = re.compile(r"\d{1,3}:[A-Za-z]+[\d:]*\Z")
"""What identifiers of GitHub's older kind decode to. They stand in every second object of its answers."""


def _private_blob(name: str, blob: str) -> bool:
    if name == "blob.hex":
        text = from_hex(blob)
    elif name == "blob.percent":
        text = next(readings(blob), "")
    else:
        text = from_base64(blob)
    if not text or _NODE_ID.match(text):
        return False
    return has_secret(text) or has_pairs(text)


def _private_query(query: str) -> bool:
    return any(has_secret(one) or has_pairs(one) or has_person(one) for one in (query, *readings(query)))


def _private_command(command: str) -> bool:
    """Whether the data of a command is private, as it stands or decoded."""
    data = _DATA.search(command)
    if data is not None and (has_secret(data.group(1)) or _many(data.group(1))):
        return True
    return any(
        has_secret(one) or has_pairs(one) for token in _TOKENS.findall(command) for one in readings(token)
    )


def _many(data: str) -> bool:
    """Pairs of which one is a credential by its name."""
    return bool(_CREDENTIAL_PAIR.search(data)) and has_pairs(data)


_CREDENTIAL_PAIR = re.compile(
    r"(?i)\b(?:token|secret|passw\w*|cookie|ssn|card)[\"']?\s?[=:]\s?[\"']?[^\s\"'$<{;&,]{6,}"
)


def _reads(label: str) -> bool:
    """Whether a label decodes to text of more than hexadecimal digits."""
    return any(
        len(text) >= 12 and _TEXTLIKE.search(text) is not None
        for text in (from_hex(label), from_base32(label), from_base64(label))
    )


_TEXTLIKE = re.compile(r"^[\x20-\x7e\t\r\n]+$")


def _near(text: str, start: int, end: int) -> str:
    """Around a place, within the same text of the message."""
    before = text[max(0, start - NEAR) : start].rpartition(SEPARATOR)[2]
    after = text[end : end + NEAR].partition(SEPARATOR)[0]
    return before + text[start:end] + after


def _rest(text: str, start: int) -> list[Hit]:
    """Everything from `start` on, one hit for each text."""
    hits = []
    while start < len(text):
        end = text.find(SEPARATOR, start)
        end = len(text) if end < 0 else end
        if end > start:
            hits.append(Hit("UNEXAMINED", start, end, 1.0, "candidates"))
        start = end + 1
    return hits


def _distinct(hits: list[Hit]) -> list[Hit]:
    """Without those that lie within another one, by position; the same place is named once."""
    if len(hits) < 2:
        return hits
    hits.sort(key=lambda hit: (hit.start, -hit.end))
    kept = [hits[0]]
    for hit in hits[1:]:
        if hit.end > kept[-1].end:
            kept.append(hit)
    return kept
