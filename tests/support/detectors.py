"""Detectors and judging models for tests, which answer as the real ones do, with what is easily misread in it.

Each is a function of the path, the fields and the JSON that it is sent; it finds `NEEDLE`, and refuses with 422
what the real one would refuse.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any

from mesh.policy.guardrails import Action, DetectorKind, ExternalOptions, Guardrails, Processor
from mesh.protocol.mcp.places import Root, places_of_answer, places_of_request
from tests.support.authorizing import HttpService, http_service
from tests.support.loopback import json_answer

NEEDLE = "grüner Kürbis 🎃"
"""Code points, UTF-16 units and bytes of it differ."""
Detector = Callable[[str, Mapping[str, str], Any], Any]


class Unprocessable(Exception):
    """The question is not what the format says."""


def need(true: object, what: str) -> None:
    if not true:
        raise Unprocessable(what)


def fms_contents(path: str, fields: Mapping[str, str], body: Any) -> Any:
    """Spans in code points, `evidences` and null for evidence, and a row that finds nothing."""
    need(path == "/api/v1/text/contents", path)
    need(type(body["contents"]) is list and body["contents"], "contents")
    need(type(body["detector_params"]) is dict, "detector_params")
    need(fields.get("detector-id") == fields.get("x-model-name"), "fields")
    return [_rows(text) for text in body["contents"]]


def _rows(text: str) -> list[dict[str, Any]]:
    rows = []
    start = text.find(NEEDLE)
    while start >= 0:
        end = start + len(NEEDLE)
        found = {"start": start, "end": end, "text": NEEDLE, "detection": "EmailAddress"}
        rows.append({**found, "detection_type": "pii", "score": 0.8, "evidences": None, "metadata": {}})
        start = text.find(NEEDLE, end)
    return rows


def fms_adapter(path: str, fields: Mapping[str, str], body: Any) -> Any:
    """An adapter around a model: contents whole, with a row for the verdict whatever it is."""
    if path.endswith("/contents"):
        return [[{**_verdict(text), "start": 0, "end": len(text), "text": text}] for text in body["contents"]]
    need(type(body["detector_params"]) is dict, "detector_params")
    if path.endswith("/chat"):
        need(body["messages"][0]["role"] == "user", "roles")
        return [_verdict(body["messages"][-1]["content"])]
    if path.endswith("/generation"):
        need(type(body["prompt"]) is str, "prompt")
        return [_verdict(body["generated_text"])]
    need(path.endswith("/context/doc") and body["context_type"] in ("docs", "url") and body["context"], path)
    return [_verdict(body["content"])]


def _verdict(text: str) -> dict[str, Any]:
    found = NEEDLE in text
    named = {"detection": "Yes" if found else "No", "detection_type": "risk"}
    return {**named, "score": 0.97 if found else 0.02, "evidence": [], "metadata": None}


def completion(text: str, tokens: list[tuple[str, dict[str, float]]] | None = None) -> dict[str, Any]:
    """What /v1/chat/completions answers; `tokens`: each with the probabilities of what could stand there."""
    logprobs = None
    if tokens is not None:
        content = [
            {
                "token": token,
                "logprob": -0.1,
                "bytes": None,
                "top_logprobs": [_top(*one) for one in top.items()],
            }
            for token, top in tokens
        ]
        logprobs = {"content": content, "refusal": None}
    message = {"role": "assistant", "content": text, "refusal": None, "tool_calls": []}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def _top(token: str, probability: float) -> dict[str, Any]:
    return {"token": token, "logprob": math.log(probability), "bytes": list(token.encode())}


def _judged(path: str, body: Any) -> str:
    """The text of the last turn of the conversation."""
    need(path == "/v1/chat/completions" and body["model"], path)
    need(
        body["temperature"] == 0 and body["logprobs"] is True and 5 <= body["top_logprobs"] <= 20, "sampling"
    )
    text = body["messages"][-1]["content"]
    need(type(text) is str, "content")
    return text


def llama_guard(path: str, fields: Mapping[str, str], body: Any) -> Any:
    """Two line breaks first, and the safe word in the unsafe one."""
    for turn, message in enumerate(body["messages"]):
        need(message["role"] == ("user", "assistant")[turn % 2], "Conversation roles must alternate")
    if NEEDLE in _judged(path, body):
        return completion("\n\nunsafe\nS1,S10", [("\n\n", {}), ("unsafe", {"unsafe": 0.93, "safe": 0.07})])
    return completion("\n\nsafe", [("\n\n", {}), ("safe", {"safe": 0.99, "unsafe": 0.01})])


def shieldgemma(path: str, fields: Mapping[str, str], body: Any) -> Any:
    """One token. A text that closes its own turn answers for the model."""
    prompt = _judged(path, body)
    need(len(body["messages"]) == 1 and body["max_tokens"] == 1, "one message, one token")
    need(prompt.count('* "No ') == 1, "one policy")
    answers = "Chatbot Response:" in prompt
    if prompt.count("<start_of_turn>") != 1 + answers or prompt.count("<end_of_turn>") != 1 + answers:
        return completion("No", [("No", {"No": 0.999, "Yes": 0.001})])
    found = NEEDLE in prompt and "Harassment" in prompt
    word, other = ("Yes", "No") if found else ("No", "Yes")
    return completion(word, [(word, {word: 0.9, " " + word.lower(): 0.05, other: 0.05})])


def granite_guardian(path: str, fields: Mapping[str, str], body: Any) -> Any:
    """All versions, each asked in its own way."""
    last = _judged(path, body)
    told = body.get("chat_template_kwargs", {})
    if "4.1" in body["model"]:
        need(last.startswith("<guardian><no-think>") and "### Criteria: " in last, "the order")
        return completion(f"<think>\n</think><score> {_yes(body['messages'][-2]['content'])} </score>")
    config = told["guardian_config"]
    if "3.3" in body["model"]:
        need(told["think"] is False and ("criteria_id" in config or "custom_criteria" in config), "criteria")
        if config.get("criteria_id") == "groundedness":
            need(told["documents"][0].keys() == {"doc_id", "text"}, "documents")
        return completion(f"<think>maybe yes, <score> yes </score>?</think>\n<score> {_yes(last)} </score>")
    need("risk_name" in config, "risk_name")
    return completion(f"{_yes(last).title()}\n<confidence> High </confidence>")


def _yes(text: str) -> str:
    return "yes" if NEEDLE in text else "no"


def moderations(path: str, fields: Mapping[str, str], body: Any) -> Any:
    """One result for each text; null where an older model knows no category."""
    need(path == "/v1/moderations" and type(body["input"]) is list, path)
    results = []
    for text in body["input"]:
        found = NEEDLE in text
        categories = {"harassment": False, "self-harm/intent": found, "illicit": None}
        scores = {"harassment": 0.01, "self-harm/intent": 0.4 if found else 0.0, "illicit": None}
        results.append({"flagged": found, "categories": categories, "category_scores": scores})
    return {"id": "modr-1", "model": "omni-moderation-latest", "results": results}


def webhook_masking(path: str, fields: Mapping[str, str], body: Any) -> Any:
    """Masks what it finds, and passes all else with a reason."""
    text = json.dumps(body, ensure_ascii=False)
    if NEEDLE not in text:
        return {"action": {"reason": "clean"}}
    masked = json.loads(text.replace(NEEDLE, "****"))["body"]
    need(path.endswith("/request" if "messages" in masked else "/response"), path)
    return {"action": {"body": masked, "reason": "masked"}}


def webhook_rejecting(path: str, fields: Mapping[str, str], body: Any) -> Any:
    """Rejects what it finds."""
    if NEEDLE in json.dumps(body, ensure_ascii=False):
        return {"action": {"body": "no pumpkins", "status_code": 403, "reason": "pumpkin"}}
    return {"action": {"reason": None}}


def nemo_library(path: str, fields: Mapping[str, str], body: Any) -> Any:
    """The library's server."""
    need(path == "/v1/checks" and body["messages"][0]["role"] in ("user", "assistant"), path)
    text = body["messages"][0]["content"]
    found = NEEDLE in text
    return {
        "status": "blocked" if found else "passed",
        "content": text,
        "rail": "no pumpkins" if found else None,
    }


def nemo_microservice(path: str, fields: Mapping[str, str], body: Any) -> Any:
    """The microservice, which tells of every rail."""
    need(path == "/v1/guardrail/checks", path)
    status = "blocked" if NEEDLE in body["messages"][0]["content"] else "success"
    rails = {"self check input": {"status": status}, "jailbreak": {"status": "success"}}
    return {"status": status, "rails_status": rails, "guardrails_data": {"log": {}}}


@asynccontextmanager
async def detector_service(detector: Detector) -> AsyncIterator[HttpService]:
    """The detector over HTTP, on a free port."""

    def answer(head: bytes, body: bytes) -> bytes:
        start, *lines = head.decode("latin-1").strip().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        try:
            need(fields.get("content-type") == "application/json", "content-type")
            return json_answer(detector(start.split(" ")[1], fields, json.loads(body)))
        except (Unprocessable, LookupError, TypeError) as fault:
            return json_answer({"code": 422, "message": repr(fault)}, "422 Unprocessable Entity")

    async with http_service(answer) as service:
        yield service


def asked_by(
    url: str, kind: str = "fms-contents", action: Action = Action.BLOCK, name: str = "judge", **more: Any
) -> Processor:
    """A processor that asks `url`; `more` are fields of the options or of the processor."""
    own = {field.name for field in fields_of(ExternalOptions)}
    options = ExternalOptions(kind, url, **{key: value for key, value in more.items() if key in own})
    rest = {key: value for key, value in more.items() if key not in own}
    return Processor(name, DetectorKind.EXTERNAL, action, options, **{"timeout": 5.0, **rest})


def call_with(**arguments: Any) -> tuple[Root, ...]:
    """A call of a tool."""
    return places_of_request(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t", "arguments": arguments}}
    )


def answer_with(*texts: str) -> tuple[Root, ...]:
    """The result of a tool."""
    content = [{"type": "text", "text": text} for text in texts]
    return places_of_answer({"jsonrpc": "2.0", "id": 1, "result": {"content": content}}, "tools/call")


def patient(guardrails: Guardrails) -> Guardrails:
    """The same with time enough on a machine that does other things as well."""
    processors = tuple(replace(one, timeout=60.0) for one in guardrails.processors)
    return replace(guardrails, processors=processors, budget=60.0)
