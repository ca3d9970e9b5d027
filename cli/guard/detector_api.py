"""The FMS detectors API, seen from the server: what is asked is read strictly, and answered with values.

Offsets are code points, as the orchestrator counts. A question that is not what the API says is refused with its
own error body; a parameter that is not known is refused as well, since whoever sent it meant something by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from cli.guard.examiner import EVERYTHING, Examiner, Selection, whole
from mesh.policy.guardrails import Part
from mesh.protocol.mcp.places import Root
from sidecar.guardrails.verdict import Finding

UNPROCESSABLE: Final = 422
BAD: Final = 400
MOST_CONTENTS: Final = 10_000
_PARAMETERS: Final = ("detectors", "kinds", "threshold")


class Refused(Exception):
    """The caller asked for something that cannot be answered; `message` says what to change."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def error_body(code: int, message: str) -> dict[str, Any]:
    """What every refusal looks like."""
    return {"code": code, "message": message}


def contents(examiner: Examiner, body: Any) -> Iterator[list[dict[str, Any]]]:
    """The answer to /api/v1/text/contents, one entry after the other. Raises Refused at once, NotExamined."""
    question = _object(body)
    texts = _list(question.get("contents"), "contents")
    if len(texts) > MOST_CONTENTS:
        raise Refused(UNPROCESSABLE, f"contents: {len(texts)} texts; at most {MOST_CONTENTS} at once")
    for number, text in enumerate(texts):
        _text(text, f"contents[{number}]")
    selection = _selection(examiner, question)
    return ([_spanned(one, text) for one in examiner.text(text, selection)] for text in texts)


def _spanned(finding: Finding, text: str) -> dict[str, Any]:
    start, end = finding.start, finding.end
    if start == end:
        start, end = 0, len(text)  # too much of something: that is in no place
    return {"start": start, "end": end, "text": text[start:end], **whole(finding)}


def chat(examiner: Examiner, body: Any) -> list[dict[str, Any]]:
    """The answer to /api/v1/text/chat: about everything that the messages hold. Raises Refused, NotExamined."""
    question = _object(body)
    messages = _list(question.get("messages"), "messages")
    if not messages:
        raise Refused(UNPROCESSABLE, "messages: empty")
    for number, message in enumerate(messages):
        if type(message) is not dict or type(message.get("role")) is not str:
            raise Refused(UNPROCESSABLE, f"messages[{number}]: expected an object with a role")
    if question.get("tools") is not None:
        _list(question["tools"], "tools")
    selection = _selection(examiner, question)
    roots = [Root(messages, index, Part.RESULTS, ("messages",)) for index in range(len(messages))]
    return _told(examiner.found(roots, selection))


def generation(examiner: Examiner, body: Any) -> list[dict[str, Any]]:
    """The answer to /api/v1/text/generation: about the text that was generated. Raises Refused, NotExamined."""
    question = _object(body)
    _text(question.get("prompt"), "prompt")
    _text(question.get("generated_text"), "generated_text")
    selection = _selection(examiner, question)
    return _told(examiner.found((Root(question, "generated_text", Part.RESULTS, ()),), selection))


def _told(findings: list[Finding]) -> list[dict[str, Any]]:
    """Each kind once for each place, with its highest score."""
    best: dict[tuple[str, str, str], Finding] = {}
    for one in findings:
        key = (one.processor.name, one.kind, one.leaf.where)
        known = best.get(key)
        if known is None or one.score > known.score:
            best[key] = one
    rows = []
    for one in best.values():
        row = whole(one)
        row["metadata"]["where"] = one.leaf.where
        rows.append(row)
    return rows


def _selection(examiner: Examiner, question: dict[str, Any]) -> Selection:
    given = question.get("detector_params")
    if given is None or given == {}:
        return EVERYTHING
    if type(given) is not dict:
        raise Refused(UNPROCESSABLE, "detector_params: expected an object")
    unknown = sorted(given.keys() - set(_PARAMETERS))
    if unknown:
        raise Refused(BAD, f"detector_params: {unknown[0]!r} is not known; allowed: {', '.join(_PARAMETERS)}")
    detectors = _names(given, "detectors", examiner.names)
    kinds = _names(given, "kinds", examiner.kinds)
    threshold = given.get("threshold", 0.0)
    if type(threshold) not in (int, float) or not 0 <= threshold <= 1:
        raise Refused(UNPROCESSABLE, "threshold: expected a number from 0 to 1")
    return Selection(detectors, kinds, float(threshold))


def _names(given: dict[str, Any], key: str, served: frozenset[str]) -> frozenset[str]:
    names = _list(given.get(key, []), key)
    if key in given and not names:
        raise Refused(UNPROCESSABLE, f"{key}: empty; leave it out for everything")
    chosen = frozenset(_text(name, key) for name in names)
    strange = sorted(chosen - served)
    if strange:
        raise Refused(BAD, f"{key}: {strange[0]!r} is not served here; allowed: {', '.join(sorted(served))}")
    return chosen


def _object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise Refused(UNPROCESSABLE, "the body: expected an object")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if type(value) is not list:
        raise Refused(UNPROCESSABLE, f"{what}: expected an array")
    return value


def _text(value: Any, what: str) -> str:
    if type(value) is not str:
        raise Refused(UNPROCESSABLE, f"{what}: expected a string")
    return value
