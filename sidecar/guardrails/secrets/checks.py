"""What a credential of the right shape still has to be: varied, no example, with a checksum that is right.

Pure arithmetic over the credential alone; each gives how sure it is, 0 to 1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import re
import zlib
from collections import Counter
from urllib.parse import unquote

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM = 6
"""Characters of base62 at the end of GitHub's and npm's tokens: CRC32 of what stands between prefix and them."""

PLACEHOLDER = re.compile(
    r"(?i)example|x{5}|\*{3}|\.{3}|0{8}|1{8}|your[_-]|redacted|placeholder|dummy|replace|insert|todo|change[_-]?me"
    r"|abcdefghijkl|0123456789ab|<|\$\{|\{\{|\]"
)
"""What is written where a credential goes. Part of a pattern's meaning, so that documents do not count."""


_PUBLISHED = frozenset(
    """
    0b476bdf9acf2123 2037abcaffb2b777 27a9a42931dff7eb 2f21fd9c81678e39 37f8f09bdf12c2f2
    3a8b61d0f636b007 3f370c9dd8225c63 49f777db995e8260 4c98242dcadc8b29 8731261cb72d8626
    a19f89ab3555eac1 a6c814bc555ae62c dc0fcf046c61640c e4a5542bb7fd7b67 ea9bb1082cf95663
    eb540d2b6ee2a0a4 f56e323494a6ffc2
    """.split()  # noqa: SIM905
)
"""Starts of SHA-256 of keys that stand in vendors' own documentation and SDKs: they give nobody anything."""


def published(token: str) -> bool:
    """Whether everybody knows it."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()[:16] in _PUBLISHED


def stepping(token: str) -> bool:
    """Whether most of it counts up or down, as abcdef, a1b2c3 and 987654 do: somebody typed it as an example."""
    codes = token.encode("utf-8", "replace")
    steps = sum(
        abs(a - b) == 1 or abs(a - c) == 1 for a, b, c in zip(codes, codes[1:], codes[2:], strict=False)
    )
    return steps > 0.6 * len(codes)


def entropy(text: str) -> float:
    """Bits for each character, by Shannon, from how often each one stands there."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if size else 0.0


def plausible(token: str) -> float:
    """No placeholder."""
    return 0.0 if PLACEHOLDER.search(token) else 1.0


def signed(token: str) -> float:
    """The shape holds the vendor's mark in its midst, which no accident puts there."""
    return 1.0 if token else 0.0


def mixed(token: str) -> float:
    """No placeholder and no word: with a digit or both cases, and more than a few different letters."""
    tail = token[-64:]
    if PLACEHOLDER.search(token) or entropy(tail) < 2.8:
        return 0.0
    if stepping(tail) or published(token):
        return 0.0
    digits = any(c.isdigit() for c in tail)
    return 1.0 if digits or not (tail.islower() or tail.isupper()) else 0.0


def aws_key_id(token: str) -> float:
    """Of AWS's base32 alphabet it is surely one; older ids and A3T use more."""
    if PLACEHOLDER.search(token) or entropy(token) < 3.0 or (token.isalpha() and not token.startswith("A3T")):
        return 0.0
    return 1.0 if token[4:].isalnum() else 0.0


def checksummed(token: str) -> bool:
    """Whether the last six characters are the CRC32 of what stands before them and after the first underscore."""
    body, _, tail = token.partition("_")[2][:-_CHECKSUM], "", token[-_CHECKSUM:]
    value = zlib.crc32(body.encode())
    digits = ""
    while value:
        value, digit = divmod(value, 62)
        digits = _BASE62[digit] + digits
    return digits.rjust(_CHECKSUM, "0") == tail


def base62_crc(token: str) -> float:
    """A checksum that is right makes sure; one that is wrong may be a token that somebody changed a little."""
    if checksummed(token):
        return 1.0
    return 0.8 if mixed(token) else 0.0


def unbase64(text: str) -> bytes:
    """Of either alphabet, padded or not; nothing where it is no base64."""
    text = text.rstrip("=").translate(_URL_ALPHABET)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


_URL_ALPHABET = str.maketrans("-_", "+/")


def jwt(token: str) -> float:
    """Its header is that of JOSE, with `alg` or `typ` (RFC 7515, 4.1); a broken one counts too."""
    header = unbase64(token.partition(".")[0])
    return 1.0 if header[:1] == b"{" and (b'"alg"' in header or b'"typ"' in header) else 0.0


def discord(token: str) -> float:
    """Its first part is the number of a user in base64."""
    return 1.0 if unbase64(token.partition(".")[0]).isdigit() else 0.0


def sas(token: str) -> float:
    """An HMAC-SHA256 in base64, percent-encoded or not."""
    return 1.0 if len(unbase64(unquote(token))) == 32 else 0.0


def basic(token: str) -> float:
    """`user:password` in base64 (RFC 7617)."""
    text = unbase64(token)
    _name, colon, password = text.partition(b":")
    if not colon or not password or not text.isascii() or not text.decode("ascii").isprintable():
        return 0.0
    return plausible(password.decode("ascii"))


def private_pem(token: str) -> float:
    """PEM within base64 that says that it is a private key."""
    return 1.0 if b"PRIVATE KEY" in unbase64(token[: len(token) // 4 * 4]) else 0.0


def strong(token: str) -> float:
    """Of digits and both cases, as random text is: for shapes that other things have too."""
    tail = token[-64:]
    classes = (str.isdigit, str.isupper, str.islower)
    random = entropy(tail) > 3.9 and all(sum(map(one, tail)) >= 2 for one in classes)
    return 0.9 if random and not PLACEHOLDER.search(token) else 0.0


_VARIABLE = re.compile(
    r"""[${}<>()%*\[\]]|^(?:pass(?:word|wd)?|pwd|pw|secret_?here|x+|(?:api[_-]?)?(?:token|key)|[a-z]+_?pass(?:word)?)$""",
    re.I,
)


def url_password(token: str) -> float:
    """A password within a URL that is no variable and not the word for it."""
    token = unquote(token)
    return 0.0 if len(set(token)) < 3 or _VARIABLE.search(token) or PLACEHOLDER.search(token) else 0.9


def cli_password(token: str) -> float:
    """What follows a user's name on a command line; the user may stand before it with a colon."""
    return url_password(token.strip("\"'").rpartition(":")[2].strip("\"'"))


def bearer(token: str) -> float:
    """A token in a header: long, with digits, no placeholder."""
    bits = entropy(token)
    random = bits > 3.0 if any(c.isdigit() for c in token) else bits > 3.6 and len(token) >= 24
    return 0.9 if random and mixed(token) else 0.0


def told(token: str) -> float:
    """A password in running text: of letters and digits, and no name of a thing."""
    token = token.rstrip(".,;:!?)")
    classes = (
        any(map(str.isdigit, token)) + any(map(str.isalpha, token)) + any(not c.isalnum() for c in token)
    )
    sure = classes >= 2 and any(map(str.isdigit, token)) and "://" not in token
    return 0.6 if sure and len(set(token)) >= 5 and url_password(token) else 0.0
