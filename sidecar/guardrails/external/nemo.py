"""NeMo Guardrails, asked to check and not to generate.

Two servers do that: the library's, with `status` passed, modified or blocked and the `rail` that did it, and the
microservice, with `status` success or blocked and the status of every rail. The role of a message says which rails
are run: those for input about the user's, those for output about the assistant's.
"""

from __future__ import annotations

from typing import Any, Final

from sidecar.guardrails.external.question import AnswerUnusable, Asking, Call, Mark, turns
from sidecar.guardrails.external.reading import a_text, an_object, kind_of

PATH: Final = "/v1/checks"
"""The library's; the microservice has /v1/guardrail/checks, which its URL has to say."""
_PASSED: Final = frozenset({"passed", "success"})
_STOPPED: Final = frozenset({"blocked", "modified"})


def calls(asking: Asking) -> list[Call]:
    """One conversation; which configuration is meant is the policy's to say, in `parameters.guardrails`."""
    turn = turns(asking.question, asking.question.joined)[-1]
    return [Call({**asking.parameters, "model": asking.options.model, "messages": [turn]}, read, PATH)]


def read(answer: Any) -> list[Mark]:
    """A mark where a rail stops the message, or would change it. Raises AnswerUnusable."""
    said = an_object(answer, "the answer")
    status = a_text(said.get("status"), "status").lower()
    if status in _PASSED:
        return []
    if status not in _STOPPED:
        raise AnswerUnusable("status is none of passed, success, modified and blocked")
    rail = said.get("rail")
    named = _stopped(said.get("rails_status")) or ([rail] if type(rail) is str and rail else [status])
    return [Mark(None, 0, 0, kind_of("nemo", one), 1.0) for one in named]


def _stopped(rails: Any) -> list[str]:
    """The names of the rails that say so themselves."""
    if rails is None:
        return []
    entries = an_object(rails, "rails_status").items()
    return [name for name, one in entries if an_object(one, "a rail").get("status") in _STOPPED]
