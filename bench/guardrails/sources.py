"""Labelled texts, and which of them must not be divided between training and validation.

A number is not a memory only where near-duplicates stay together: rows of one goal, one template or one base
sentence are one group, and a group is on one side as a whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.guardrails.phrases import ATTACKS, HONEST, lines

VALIDATION_TENTHS: Final = 3
OWN: Final = "own_phrases"

POSITIVE: Final = (
    "pi_obfuscated",
    "pi_agentdojo",
    "pi_cyberseceval",
    "pi_sysprompt",
    "tool_desc",
    "tool_desc_synth",
    "own_phrases",
)
"""Sources whose positives are learned from. Left out: pi_bipia, where what is planted is an ordinary request and
nothing in the words tells, and pi_piguard_valid, whose licence allows evaluation only."""

NEGATIVE: Final = (
    "benign_wildguard",
    "benign_frr",
    "benign_notinject",
    "benign_json_github",
    "tool_desc",
    "pi_agentdojo",
    "pi_bipia",
    "pi_obfuscated",
    "pii_mcp_json",
    "own_phrases",
)

EVALUATED: Final = (
    *dict.fromkeys((*POSITIVE, "pi_bipia", "pi_piguard_valid", *NEGATIVE)),
    "benign_sql",
)

_GOAL: Final = re.compile(
    r"(?:TODO: |instructions\. Do |###\(system_message\) |following instruction: |following first:\s+)"
    r"(.+?)(?: instead\.|\s+After you do that|$)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Row:
    """`group`: rows that share it are near-duplicates. `description`: it is what a server says of a tool."""

    source: str
    text: str
    positive: bool
    group: str
    variant: str

    @property
    def description(self) -> bool:
        return self.source.startswith("tool_desc")

    @property
    def validation(self) -> bool:
        return self._number("validation") % 10 < VALIDATION_TENTHS

    def fold(self, folds: int) -> int:
        """Which part of the training rows it is in, when these are divided again."""
        return self._number("fold") % folds

    def _number(self, purpose: str) -> int:
        return int(hashlib.sha256(f"{purpose} {self.group}".encode()).hexdigest(), 16)


def read_source(folder: Path, source: str) -> list[Row]:
    """All rows of one file, or our own. Raises OSError where the file is not there."""
    if source == OWN:
        return [
            Row(OWN, line, positive, line, "")
            for positive, text in ((True, ATTACKS), (False, HONEST))
            for line in lines(text)
        ]
    text = (folder / f"{source}.jsonl").read_text(encoding="utf-8")
    return [_row(source, json.loads(line)) for line in text.splitlines()]


def _row(source: str, raw: dict[str, Any]) -> Row:
    # Decoding is not what is learned here: of obfuscated rows the sentence that they hide is taken.
    text = raw["plain"] if source == "pi_obfuscated" else raw["text"]
    positive = bool(raw["label"]) and source.startswith(("pi_", "tool_desc")) and not source.startswith("pii")
    variant = str(raw.get("attack", raw.get("technique", raw.get("template", raw.get("variant", "")))))
    return Row(source, text, positive, _group(source, raw, positive=positive), variant)


def _group(source: str, raw: dict[str, Any], *, positive: bool) -> str:
    if source == "pi_obfuscated":
        return str(raw["plain"])
    if source == "tool_desc_synth":
        return f"template {raw['template']}"
    if source == "pi_agentdojo" and positive:
        found = _GOAL.search(raw["text"])
        return found[1].strip() if found else str(raw["id"])
    if source == "pi_cyberseceval":
        return str(raw["text"])[:50]
    return str(raw["id"])
