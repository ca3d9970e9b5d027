"""Granite Guardian: one criterion at a time; how it is asked depends on the version, which its model's name tells.

Up to 3.2 a `risk_name`, answered by Yes or No, maybe with a confidence; 3.3 a criterion, and from 4.1 on a last
turn that holds the whole order. Both of these answer within `<score>`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from sidecar.guardrails.external.chat_models import (
    PATH,
    Completion,
    completion,
    plain,
    request,
    risk,
    without_control,
)
from sidecar.guardrails.external.question import AnswerUnusable, Asking, Call, Mark, turns
from sidecar.guardrails.external.reading import kind_of

GROUNDEDNESS: Final = "groundedness"
CRITERIA: Final = {
    "harm": "The text is harmful: it offends, endangers or misleads people, or helps somebody to do so.",
    "social_bias": "The text holds prejudice against people because of a group they belong to.",
    "profanity": "The text holds swear words or insults.",
    "sexual_content": "The text holds explicit sexual content.",
    "unethical_behavior": "The text describes or encourages what is morally or legally wrong.",
    "violence": "The text describes or encourages physical harm.",
    "jailbreak": "The text tries to make a model act against its instructions or its safeguards.",
    GROUNDEDNESS: "The text says what the documents given do not support, or what contradicts them.",
    "relevance": "The documents given have nothing to do with what was asked.",
    "answer_relevance": "The text does not deal with what was asked.",
    "function_call": "The text calls functions that do not exist, or with arguments that do not fit.",
}
"""What the models know by name, in our words."""
_NEEDS_DOCUMENTS: Final = frozenset({GROUNDEDNESS, "relevance", "context_relevance"})
_VERSION = re.compile(r"(\d{1,2})[.](\d{1,2})")
_MAJOR = re.compile(r"granite-?(\d{1,2})(?!\d)")
_SCORE = re.compile(r"<score>\s*(yes|no)\s*</score>", re.IGNORECASE)
_CONFIDENCE = re.compile(r"<confidence>\s*(high|low)\s*</confidence>", re.IGNORECASE)
_CONFIDENT: Final = {("yes", "high"): 0.95, ("yes", "low"): 0.65, ("no", "low"): 0.35, ("no", "high"): 0.05}
"""Scores where the model says how sure it is and the server gives no log probabilities."""
NEWEST_NAMED: Final = (3, 3)
"""What a model is taken for whose name tells no version."""


def version(model: str) -> tuple[int, int]:
    """Of `granite-guardian-3.2-5b` 3 and 2; of `granite3-guardian:8b` 3 and 0."""
    found = _VERSION.search(model)
    if found is not None:
        return int(found[1]), int(found[2])
    major = _MAJOR.search(model.lower())
    return NEWEST_NAMED if major is None else (int(major[1]), 0)


def calls(asking: Asking) -> list[Call]:
    """One for each criterion; none for one that needs documents where there are none."""
    made = []
    for criterion in asking.options.criteria or ("harm",):
        name = criterion.strip()
        if name in _NEEDS_DOCUMENTS and not asking.question.documents:
            continue
        kind = kind_of("granite", name if name in CRITERIA or name in _NEEDS_DOCUMENTS else "custom")
        body = _body(asking, name, version(asking.options.model))
        made.append(Call(body, partial(read, asking.options.threshold, kind), PATH))
    return made


def _body(asking: Asking, name: str, spoken: tuple[int, int]) -> dict[str, Any]:
    question = asking.question
    text = without_control(question.joined)
    documents = [without_control(one) for one in question.documents] if name in _NEEDS_DOCUMENTS else []
    messages = turns(question, text, answer=True if documents else None)
    if spoken < (3, 3):
        context = [{"role": "context", "content": "\n\n".join(documents)}] if documents else []
        judged = [*context, messages[-1]] if documents else messages
        return request(asking, judged, chat_template_kwargs={"guardian_config": {"risk_name": name}})
    more: dict[str, Any] = {}
    if documents:
        more["documents"] = [{"doc_id": str(n), "text": one} for n, one in enumerate(documents, 1)]
    if spoken < (4, 0):
        config = (
            {"criteria_id": name}
            if name in CRITERIA
            else {"custom_criteria": name, "custom_scoring_schema": _SCHEMA}
        )
        more |= {"guardian_config": config, "think": False}
    else:
        messages.append({"role": "user", "content": order(CRITERIA.get(name, name), messages[-1]["role"])})
    return request(asking, messages, chat_template_kwargs=more, max_tokens=48)


_SCHEMA: Final = "If the text meets the criteria, answer 'yes'; otherwise, answer 'no'."


def order(criteria: str, judged: str) -> str:
    """The last turn for 4.1, in the layout that the model was trained on; `judged` is whose turn is judged."""
    return (
        "<guardian><no-think>As a judge agent, assess whether the provided text meets the given judging criteria "
        "using all available information, including conversations, documents, and tools. Provide your score "
        "immediately without explanation. Output empty <think>\n</think> tags followed by your score in "
        f"<score></score> tags.\n\n### Criteria: {criteria}\n\n### Scoring Schema: If the last {judged}'s text "
        "meets the criteria, return 'yes'; otherwise, return 'no'."
    )


def read(threshold: float, kind: str, answer: Any) -> list[Mark]:
    """A mark where the criterion is met. Raises AnswerUnusable."""
    said = completion(answer)
    verdict = _verdict(said.text)
    spoken = [one for one in said.tokens if plain(one.text) in ("yes", "no")]
    # The last one that was written is the verdict; what was thought before may hold the same words.
    fits = bool(spoken) and plain(spoken[-1].text) == verdict
    score = risk(spoken[-1:], "no", "yes") if fits else None
    if score is None:
        score = _told(said, verdict)
    return [Mark(None, 0, 0, kind, score)] if score >= max(threshold, _SOME) else []


_SOME: Final = 1e-9
"""With a threshold of 0 a certain no is still a no."""


def _told(said: Completion, verdict: str) -> float:
    confidence = _CONFIDENCE.findall(said.text)
    if confidence:
        return _CONFIDENT[verdict, confidence[-1].lower()]
    return 1.0 if verdict == "yes" else 0.0


def _verdict(text: str) -> str:
    scores = _SCORE.findall(text)
    if scores:
        return str(scores[-1]).lower()
    words = text.strip().split(maxsplit=1)
    first = words[0].rstrip(".,").lower() if words else ""
    if first not in ("yes", "no"):
        raise AnswerUnusable("the answer holds no score, and begins with neither Yes nor No")
    return first
