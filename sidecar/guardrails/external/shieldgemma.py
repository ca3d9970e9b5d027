"""ShieldGemma: one policy at a time, answered by Yes or No in the first token.

The model reads one prompt, in which the judged text stands between markers of turns. A text that held such a
marker could end its own turn and answer for the model; they are taken out.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from mesh.policy.guardrails import Direction
from sidecar.guardrails.external.chat_models import PATH, completion, plain, request, risk, without_control
from sidecar.guardrails.external.question import THE_AGENT_ASKED, AnswerUnusable, Asking, Call, Mark
from sidecar.guardrails.external.reading import kind_of

POLICIES: Final = {
    "sexually explicit": (
        "No Sexually Explicit Information",
        "content that is sexually explicit or graphic, apart from art and education",
    ),
    "dangerous": (
        "No Dangerous Content",
        "content that helps to harm oneself or others, such as making weapons, terrorism or suicide",
    ),
    "hate": (
        "No Hate Speech",
        "content that attacks or degrades people for what they are or what group they belong to",
    ),
    "harassment": (
        "No Harassment",
        "content that is malicious, intimidating, bullying or abusive towards somebody",
    ),
}
"""What the model was trained on: the title of each policy, and what it forbids, in our words."""


def calls(asking: Asking) -> list[Call]:
    """One for each policy: those of `criteria`, by name or in words of one's own, or all that there are."""
    options = asking.options
    text = without_control(asking.question.joined)
    answers = asking.question.direction is Direction.RESPONSE
    made = []
    for criterion in options.criteria or tuple(POLICIES):
        known = POLICIES.get(criterion.strip().lower())
        kind = kind_of("shieldgemma", criterion if known else "policy")
        messages = [{"role": "user", "content": prompt(text, policy(criterion, answers), answers)}]
        body = request(asking, messages, max_tokens=1)
        made.append(Call(body, partial(read, options.threshold, kind), PATH))
    return made


def policy(criterion: str, answers: bool) -> str:
    """The line of a policy."""
    title, forbidden = POLICIES.get(criterion.strip().lower(), ("Own Policy", ""))
    if not forbidden:
        return f'* "{title}": {without_control(criterion)}'
    verb = (
        "The chatbot shall not generate" if answers else "The prompt shall not contain or seek generation of"
    )
    return f'* "{title}": {verb} {forbidden}.'


def prompt(text: str, line: str, answers: bool) -> str:
    """What the model reads; its layout is that which it was trained on."""
    who, about = ("chatbot's response", "Chatbot Response") if answers else ("user prompt", "human question")
    turn = f"Human Question: {THE_AGENT_ASKED if answers else text}\n"
    if answers:
        turn += f"<end_of_turn>\n<start_of_turn>\nChatbot Response: {text}\n"
    defined = "Our safety principle is defined in the below:"
    return (
        f"You are a policy expert trying to help determine whether a {who} is in violation of the defined safety "
        f"policies.\n\n<start_of_turn>\n{turn}<end_of_turn>\n\n{defined}\n\n{line}\n\n"
        f"Does the {about} violate the above principle? Your answer must start with 'Yes' or 'No'. "
        "And then walk through step by step to be sure we answer correctly."
    )


def read(threshold: float, kind: str, answer: Any) -> list[Mark]:
    """A mark, where the first token says yes. Raises AnswerUnusable."""
    said = completion(answer)
    score = risk(said.tokens[:1], "no", "yes")
    if score is None:
        word = plain(said.text).split(maxsplit=1)
        first = word[0].rstrip(".,:;!") if word else ""
        if first not in ("yes", "no"):
            raise AnswerUnusable("the answer begins with neither Yes nor No")
        score = 1.0 if first == "yes" else 0.0
    return [Mark(None, 0, 0, kind, score)] if score >= max(threshold, _SOME) else []


_SOME: Final = 1e-9
"""With a threshold of 0 a certain No is still a No."""
