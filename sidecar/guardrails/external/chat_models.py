"""Models that judge, behind /v1/chat/completions: what their answers have in common.

What a model writes is one draw; how sure it is stands in the log probabilities. The score is the probability of
the unsafe word against that of the safe one, over all tokens that were written, as other clients of these models
compute it. Where the verdict is no token of its own there, the log probabilities speak of something else, and the
words count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sidecar.guardrails.external.question import AnswerUnusable, Asking
from sidecar.guardrails.external.reading import a_list, a_text, an_object

PATH: Final = "/v1/chat/completions"
TOP: Final = 20
_LEAST: Final = 1e-50
_NEVER: Final = -1e6
_CONTROL = re.compile(
    r"<\|[^<>|\n]{1,64}\|>|</?(?:start_of_turn|end_of_turn|bos|eos|pad|unk|s|guardian|mask)>|\[/?INST\]",
    re.IGNORECASE,
)


class Token(NamedTuple):
    """A token that was written, and what could have stood there, with the log of its probability."""

    text: str
    top: tuple[tuple[str, float], ...]


class Completion(NamedTuple):
    """What a model wrote. `tokens` is empty where the server gave no log probabilities."""

    text: str
    tokens: tuple[Token, ...]


def request(asking: Asking, messages: Sequence[Mapping[str, str]], **more: Any) -> dict[str, Any]:
    """The body of a request. What the policy's parameters say wins over our defaults, but not over who is asked
    about what; objects are merged."""
    body: dict[str, Any] = {"temperature": 0, "max_tokens": 100, "logprobs": True, "top_logprobs": TOP}
    for key, value in (*more.items(), *asking.parameters.items()):
        ours = body.get(key)
        both = type(ours) is dict and type(value) is dict
        body[key] = {**ours, **value} if both else value  # type: ignore[dict-item]
    return {**body, "model": asking.options.model, "messages": list(messages)}


def without_control(text: str) -> str:
    """The text without the tokens by which it could end its own turn and speak in another's."""
    return _CONTROL.sub(" ", text)


def completion(answer: Any) -> Completion:
    """The first choice. Raises AnswerUnusable."""
    choices = a_list(an_object(answer, "the answer").get("choices"), "choices")
    if not choices:
        raise AnswerUnusable("choices is empty")
    choice = an_object(choices[0], "a choice")
    message = an_object(choice.get("message"), "message")
    logprobs = choice.get("logprobs")
    content = None if logprobs is None else an_object(logprobs, "logprobs").get("content")
    tokens = () if content is None else tuple(map(_token, a_list(content, "logprobs.content")))
    return Completion(a_text(message.get("content"), "content"), tokens)


def _token(value: Any) -> Token:
    entry = an_object(value, "a token")
    top = entry.get("top_logprobs")
    alternatives = [] if top is None else a_list(top, "top_logprobs")
    return Token(a_text(entry.get("token"), "token"), tuple(map(_weighed, alternatives)))


def _weighed(value: Any) -> tuple[str, float]:
    entry = an_object(value, "a token")
    log = entry.get("logprob")
    if (type(log) is not float and type(log) is not int) or not log <= 0.001:
        raise AnswerUnusable("logprob is no number up to 0")
    return a_text(entry.get("token"), "token"), float(max(log, _NEVER))


def plain(token: str) -> str:
    """A token as it is compared."""
    return token.strip().lower()


def risk(tokens: Sequence[Token], safe: str, unsafe: str) -> float | None:
    """The probability of `unsafe` against `safe`; None where neither is among the tokens that were written."""
    if not any(plain(one.text) in (safe, unsafe) for one in tokens):
        return None
    weights = {safe: _LEAST, unsafe: _LEAST}
    for one in tokens:
        for text, log in one.top:
            word = plain(text)
            if word in weights:
                weights[word] += math.exp(log)
    if weights[safe] == weights[unsafe] == _LEAST:
        return None
    return weights[unsafe] / (weights[safe] + weights[unsafe])
