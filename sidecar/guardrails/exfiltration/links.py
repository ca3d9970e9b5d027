"""Whether a URL carries data: in its query, path, fragment or in the labels of its host.

Pictures are fetched by who shows them and nobody asks, so that less is enough there: an address, a sentence, a
place for data to be put in. A link has to carry a credential, data in pairs, or something that was encoded and
reads like either. What people make links with, like a search, a redirect, campaign parameters, does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_plus

from sidecar.guardrails.exfiltration.decode import readings
from sidecar.guardrails.exfiltration.hosts import host_of
from sidecar.guardrails.exfiltration.private import has_address, has_pairs, has_person, has_secret, is_prose

PIECES: Final = 48
"""Parts of one URL that are looked at; one with more is taken as carrying data where it is a picture's."""
LENGTH: Final = 8192
"""Characters of one URL that are looked at."""
WHOLE: Final = "?"
"""Name of a query as a whole, in which only credentials count: its pairs are what a query consists of."""
_SHORTEST: Final = 8
_SIGNING = frozenset(
    (
        *("x-amz-signature", "x-amz-credential", "x-amz-security-token", "x-amz-date", "x-amz-algorithm"),
        *(
            "x-goog-signature",
            "x-goog-credential",
            "signature",
            "sig",
            "se",
            "skoid",
            "sktid",
            "key-pair-id",
            "policy",
        ),
        *(
            "x-oss-signature",
            "ossaccesskeyid",
            "awsaccesskeyid",
            "googleaccessid",
            "oh",
            "oe",
            "_nc_ohc",
            "hmac",
        ),
    )
)
"""Parameters with which storage signs a URL. They say who signed, and nothing of what was read."""
_SIGNED_JWT = (".githubusercontent.com",)
"""Where `jwt=` is how pictures are signed."""
_SLOT = re.compile(
    r"(?i)[=/](?:\{\{?|\$\{|%7b|\[|%5b|<|%3c)[ _a-z0-9%-]{0,40}"
    r"(?:data|secret|token|key|conversation|message|history|prompt|content|summary|context|password"
    r"|info|result|answer|insert)"
)
_PROSE_WORDS: Final = 8
_SPLIT = re.compile(r"[/?&#;=]")


def pieces(url: str) -> Iterator[tuple[str, str]]:
    """Name and text of each part: parameters by their name, segments and labels without one."""
    rest = url[:LENGTH].partition("//")[2]
    head, _, query = rest.partition("?")
    head, _, fragment = head.partition("#")
    query, _, late = query.partition("#")
    host, _, path = head.partition("/")
    yield "", ".".join(host.split(".")[:-2])
    for label in host.split(".")[:-2]:
        yield "", label
    for segment in path.split("/"):
        yield "", segment.rpartition(".")[0] if "." in segment[-5:] else segment
    unsigned = []
    for part in (query, fragment, late):
        for pair in part.split("&"):
            name, sign, value = pair.partition("=")
            if name.lower() not in _SIGNING:
                unsigned.append(pair)
                yield (name.lower(), value) if sign else ("", name)
    if len(unsigned) > 1:
        yield WHOLE, "&".join(unsigned)


def carries(url: str, picture: bool) -> str:
    """What of a private kind a URL carries, in a word; empty: nothing."""
    host = host_of(url)
    if picture and _SLOT.search(url[:LENGTH]):
        return "slot"
    for count, (name, value) in enumerate(pieces(url)):
        if count > PIECES:
            return "pieces" if picture else ""
        if len(value) < _SHORTEST:
            continue
        if name == "jwt" and host.endswith(_SIGNED_JWT):
            continue
        found = _whole(value) if name == WHOLE else _open(value, picture) or _encoded(value, picture)
        if found:
            return found
    return ""


def _whole(query: str) -> str:
    return "secret" if has_secret(query) or has_secret(unquote_plus(query)) else ""


def _open(text: str, picture: bool) -> str:
    if has_secret(text):
        return "secret"
    if picture and "@" in text and has_address(text):
        return "person"
    return "pairs" if picture and ";" in text and has_pairs(text) else ""


def _encoded(text: str, picture: bool) -> str:
    for number, reading in enumerate(readings(text)):
        percent = number == 0 and "%" in text
        if has_secret(reading):
            return "secret"
        if reading.startswith(("http://", "https://")):
            continue
        if has_pairs(reading) and not (percent and not picture and _harmless(reading)):
            return "pairs"
        if (picture or not percent) and has_person(reading):
            return "person"
        if is_prose(reading, _PROSE_WORDS if percent else 3) and (picture or not percent):
            return "prose"
        if not percent:
            for inner in readings(reading):
                if has_secret(inner) or has_pairs(inner):
                    return "nested"
    return ""


def _harmless(text: str) -> bool:
    """Percent-encoded pairs in a link are often a URL's own parameters, as of a redirect."""
    return "://" in text or text.startswith(("/", "?"))
