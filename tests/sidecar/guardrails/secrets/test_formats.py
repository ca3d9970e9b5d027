"""Each row of the table finds what it describes: texts are made from the patterns themselves."""

from __future__ import annotations

import random
import re
import string
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from sidecar.guardrails.hit import SEPARATOR
from sidecar.guardrails.re2_set import Patterns
from sidecar.guardrails.secrets import KINDS, SecretsDetector
from sidecar.guardrails.secrets.detector import FORMATS

ALPHABET = string.ascii_letters + string.digits
CASES = [
    pytest.param(row.kind, pattern, id=f"{row.kind}-{i}")
    for row in FORMATS
    for i, pattern in enumerate(row.patterns)
]


def _one_of(items: list[Any], draw: random.Random) -> str:
    if items[0][0] is ops.NEGATE:
        denied = {chr(value) for op, value in items[1:] if op is ops.LITERAL}
        return draw.choice([c for c in ALPHABET if c not in denied])
    choices: list[str] = []
    for op, value in items:
        if op is ops.LITERAL:
            choices.append(chr(value))
        elif op is ops.RANGE:
            choices.extend(map(chr, range(value[0], value[1] + 1)))
        elif value is ops.CATEGORY_DIGIT:
            choices.extend(string.digits)
        elif value is ops.CATEGORY_WORD:
            choices.extend(ALPHABET)
        elif value is ops.CATEGORY_SPACE:
            choices.append(" ")
        else:
            choices.extend(ALPHABET)
    return draw.choice([c for c in choices if c != SEPARATOR])


def _written(tree: Any, draw: random.Random) -> str:
    """A text that the pattern matches, drawn at random."""
    text = ""
    for op, value in tree:
        if op is ops.LITERAL:
            text += chr(value)
        elif op is ops.NOT_LITERAL:
            text += draw.choice([c for c in ALPHABET if c != chr(value)])
        elif op is ops.ANY:
            text += draw.choice(ALPHABET)
        elif op is ops.IN:
            text += _one_of(value, draw)
        elif op is ops.BRANCH:
            text += _written(draw.choice(value[1]), draw)
        elif op is ops.SUBPATTERN:
            text += _written(value[3], draw)
        elif op in (ops.MAX_REPEAT, ops.MIN_REPEAT):
            least, most, inner = value
            if not least and inner[0][0] is ops.IN and inner[0][1][0][0] is ops.NEGATE:
                text += "" if (ops.CATEGORY, ops.CATEGORY_SPACE) in inner[0][1] else " "  # a gap
                continue
            most = least + 2 if most is ops.MAXREPEAT else most
            for _ in range(draw.randint(least, min(most, least + 2)) if least else 0):
                text += _written(inner, draw)
    return text


def written(pattern: str, seed: int) -> str:
    return _written(_parser.parse(pattern), random.Random(seed))


@pytest.mark.parametrize(("kind", "pattern"), CASES)
def test_each_pattern_finds_what_it_describes(secrets: SecretsDetector, kind: str, pattern: str) -> None:
    one = Patterns([(kind, pattern)])
    found = 0
    for seed in range(40):
        text = written(pattern, seed)
        if one.which(text):
            found += any(
                hit.kind in KINDS for hit in secrets.scan(f"see\n{text}\n" if text[0].isalnum() else text)
            )
    if kind in {"JWT", "BASIC_AUTH", "DISCORD_TOKEN", "ENCODED_PRIVATE_KEY", "GRAFANA_TOKEN", "AZURE_SAS"}:
        return  # random text does not pass what they check; they have tests of their own
    assert found > 0


def test_every_kind_is_in_the_table_with_a_line_of_documentation() -> None:
    assert {row.kind for row in FORMATS} < set(KINDS)
    for kind, doc in KINDS.items():
        assert re.fullmatch(r"[A-Z0-9_]+", kind)
        assert doc
        assert "\n" not in doc


def test_kinds_stand_in_the_table_once() -> None:
    kinds = [row.kind for row in FORMATS]
    assert len(kinds) == len(set(kinds))
