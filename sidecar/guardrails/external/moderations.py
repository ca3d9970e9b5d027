"""OpenAI's moderations: one result for each text, with a verdict and a score for each category.

`flagged` is the server's own verdict, by thresholds of its own that differ by category; it counts whatever the
scores are, and so does any score from the policy's threshold on.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sidecar.guardrails.external.question import AnswerUnusable, Asking, Call, Mark, Question
from sidecar.guardrails.external.reading import a_list, a_score, an_object, kind_of

PATH: Final = "/v1/moderations"


def calls(asking: Asking) -> list[Call]:
    """All texts as one list."""
    question, options = asking.question, asking.options
    body: dict[str, Any] = {**asking.parameters, "input": list(question.texts)}
    if options.model:
        body["model"] = options.model
    return [Call(body, partial(read, question, options.threshold, options.criteria), PATH)]


def read(question: Question, threshold: float, criteria: tuple[str, ...], answer: Any) -> list[Mark]:
    """Marks over whole texts; with `criteria` only for those categories. Raises AnswerUnusable."""
    results = a_list(an_object(answer, "the answer").get("results"), "results", len(question.texts))
    wanted = {one.strip().lower() for one in criteria}
    return [
        question.whole(index, kind_of("moderation", category), score)
        for index, result in enumerate(results)
        for category, score in _categories(an_object(result, "a result"), threshold, wanted)
    ]


def _categories(result: dict[str, Any], threshold: float, wanted: set[str]) -> list[tuple[str, float]]:
    flagged = result.get("flagged")
    if type(flagged) is not bool:
        raise AnswerUnusable("flagged is neither true nor false")
    found, named = [], False
    scores = an_object(result.get("category_scores"), "category_scores")
    for category, verdict in an_object(result.get("categories"), "categories").items():
        # Older models leave null what they do not know.
        if verdict is not None and type(verdict) is not bool:
            raise AnswerUnusable("a category is neither true nor false")
        told = scores.get(category)
        score = (1.0 if verdict else 0.0) if told is None else a_score(told, "a score")
        named = named or verdict is True
        over = told is not None and score >= threshold
        if (verdict or over) and (not wanted or category.lower() in wanted):
            found.append((category, score))
    if flagged and not named and not found:
        found.append(("flagged", 1.0))
    return found
