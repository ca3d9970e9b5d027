"""Llama Guard 3 and 4: `safe`, or `unsafe` and a line of categories.

The server's chat template brings the policy; the last turn is judged. The word `safe` ends the word `unsafe`, so
that only whole first lines are compared.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from sidecar.guardrails.external.chat_models import PATH, completion, request, risk, without_control
from sidecar.guardrails.external.question import AnswerUnusable, Asking, Call, Mark, turns

CATEGORIES: Final = {
    "S1": "violent crimes",
    "S2": "non-violent crimes",
    "S3": "sex crimes",
    "S4": "child exploitation",
    "S5": "defamation",
    "S6": "specialized advice",
    "S7": "privacy",
    "S8": "intellectual property",
    "S9": "indiscriminate weapons",
    "S10": "hate",
    "S11": "self-harm",
    "S12": "sexual content",
    "S13": "elections",
    "S14": "abuse of a code interpreter",
}
_CATEGORY = re.compile(r"S[0-9]{1,2}")
UNNAMED: Final = "LLAMA_GUARD_UNSAFE"


def calls(asking: Asking) -> list[Call]:
    """One conversation."""
    messages = turns(asking.question, without_control(asking.question.joined))
    options = asking.options
    return [Call(request(asking, messages), partial(read, options.threshold, options.criteria), PATH)]


def read(threshold: float, criteria: tuple[str, ...], answer: Any) -> list[Mark]:
    """Marks of an answer; with `criteria` only for those categories. Raises AnswerUnusable."""
    said = completion(answer)
    lines = [line.strip() for line in said.text.strip().splitlines()]
    verdict = lines[0].lower() if lines else ""
    if verdict not in ("safe", "unsafe"):
        raise AnswerUnusable("the first line is neither safe nor unsafe")
    score = risk(said.tokens, "safe", "unsafe")
    if score is None:
        score = 1.0 if verdict == "unsafe" else 0.0
    if score < threshold or (score == 0.0 and verdict == "safe"):
        return []
    named = _CATEGORY.findall(lines[1].upper()) if verdict == "unsafe" and len(lines) > 1 else []
    wanted = {one.strip().upper() for one in criteria}
    if named and wanted:
        named = [one for one in named if one in wanted]
        if not named:
            return []
    kinds = [(f"LLAMA_GUARD_{one}", CATEGORIES.get(one, "")) for one in dict.fromkeys(named)]
    return [Mark(None, 0, 0, kind, score, note) for kind, note in kinds or [(UNNAMED, "")]]
