"""Whether a text reads like data of somebody: credentials, names with values, addresses, sentences."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from mesh.policy.guardrails import SecretsOptions
from sidecar.guardrails.secrets import SecretsDetector

_TELLING = (
    r"user(?:name)?|login|name|e?mail|pass(?:word|wd)?|pwd|secret|token|api_?key|key|auth|session"
    r"|cookie|ssn|card|cvv|iban"
    r"|account|phone|address|salary|revenue|notes?|balance|dob|birth|patient|customer|client|host"
    r"(?:name)?|env|history"
    r"|conversation|message|prompt|content|credentials?|otp|pin|private|confidential|database|db"
    r"|invoice|order|employee"
)
_PAIR = re.compile(
    rf"(?i)(?:^|[\s;&,|?{{\"'\n])(?:[a-z]{{1,12}}[_-])?(?:{_TELLING})[\"']?\s{{0,2}}[=:]\s{{0,2}}[\"']?"
    rf"[^\s;&,|\"'=]{{2,}}"
)
_ANY_PAIR = re.compile(r"(?:^|[;&\n,|])\s?[A-Za-z][\w.-]{0,30}=[^;&\n=]{1,}")
_MAIL = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,12}\b")
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")
_PERSONAL = re.compile(
    r"\b\d{3}-\d{2}-\d{4}\b|\b(?:\d[ -]?){13,19}\b|\+\d{1,3}[ -]?\d{2,4}[ -]?\d{3,4}[ -]?\d{3,4}\b"
)
_KEYLIKE = re.compile(r"(?i)\b(?:gh[pousr]_|sk-|xox[bp]-|AKIA|eyJ|hf_|glpat-)[A-Za-z0-9_-]{6,}")

READ: Final = 16384
"""Characters of one text that are read for private things."""
CERTAIN: Final = 0.6


@cache
def _secrets() -> SecretsDetector:
    return SecretsDetector(SecretsOptions())


def has_secret(text: str) -> bool:
    """A credential, or the beginning of one."""
    text = text[:READ]
    if _KEYLIKE.search(text):
        return True
    return any(hit.score >= CERTAIN for hit in _secrets().scan(text))


def has_pairs(text: str) -> bool:
    """Names that tell of somebody, with values: one and another pair, or two of them."""
    text = text[:READ]
    telling = sum(1 for _, _ in zip(_PAIR.finditer(text), range(2), strict=False))
    return telling >= 2 or (
        telling == 1 and sum(1 for _ in zip(_ANY_PAIR.finditer(text), range(2), strict=False)) > 1
    )


def has_address(text: str) -> bool:
    """An e-mail address."""
    return _MAIL.search(text[:READ]) is not None


def has_person(text: str) -> bool:
    """An e-mail address, or a number in the form of a card, a phone or an SSN."""
    text = text[:READ]
    return bool(_MAIL.search(text) or _PERSONAL.search(text))


def is_prose(text: str, words: int) -> bool:
    """A sentence or more: so many words, with spaces between most."""
    text = text[:READ]
    return text.count(" ") + text.count("\n") >= words - 1 and len(_WORD.findall(text)) >= words
