"""The tools and the prompt that need several rounds: they answer `input_required` and are called again (SEP-2322).

Each names what it asks for by a key. A round whose answers lack a key is asked again, not failed, and keys that
nobody asked for are ignored. `requestState` is sealed by the SDK's boundary, so what comes back here is what was
minted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types

from e2e.servers.everything_tools import Context, Handler, Outcome, Params, ServerTool, define, said, text


def _ask(message: str, field: str, kind: str = "string") -> types.ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(prompt: str, max_tokens: int) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=text(prompt))
    return types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    )


_NAME = _ask("What is your name?", "name")
_CAPITAL = _sample("What is the capital of France?", 100)
_ROOTS = types.ListRootsRequest()


def _required(asked: Mapping[str, Any], state: str | None = None) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=dict(asked), request_state=state)


def _answers(params: Any, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answers to every key that was asked, or None when one is missing or no real answer."""
    given = params.input_responses or {}
    if any(key not in given for key in asked):
        return None
    found = {key: given[key] for key in asked}
    unusable = any(isinstance(answer, types.ElicitResult) and not answer.content for answer in found.values())
    return None if unusable else found


def _shown(answer: Any) -> str:
    """What an answer says, whatever kind it is."""
    if isinstance(answer, types.ElicitResult):
        return ", ".join(str(value) for value in (answer.content or {}).values())
    if isinstance(answer, types.ListRootsResult):
        return ", ".join(str(root.uri) for root in answer.roots)
    return str(getattr(answer.content, "text", ""))


def _one_round(asked: Mapping[str, Any], sentence: str, state: str | None = None) -> Handler:
    """Asks once; with a state, the answers count only when that state comes back with them."""

    async def run(ctx: Context, params: Params) -> Outcome:
        found = _answers(params, asked)
        if found is None or params.request_state != state:
            return _required(asked, state)
        return said(sentence.format(", ".join(_shown(answer) for answer in found.values())))

    return run


_STEP_1 = {"step1": _ask("Step 1: What is your name?", "name")}
_STEP_2 = {"step2": _ask("Step 2: What is your favorite color?", "color")}


async def _two_rounds(ctx: Context, params: Params) -> Outcome:
    if params.request_state == "round-1" and _answers(params, _STEP_1):
        return _required(_STEP_2, "round-2")
    if params.request_state == "round-2" and (found := _answers(params, _STEP_2)):
        return said(f"The favorite color is {_shown(found['step2'])}.")
    return _required(_STEP_1, "round-1")


async def _what_the_client_can(ctx: Context, params: Params) -> Outcome:
    """Asks only for what the client declared that it can do."""
    declared = ctx.session.client_capabilities or types.ClientCapabilities()
    asked: dict[str, Any] = {}
    if declared.sampling is not None:
        asked["capital"] = _CAPITAL
    if declared.elicitation is not None:
        asked["name"] = _NAME
    if declared.roots is not None:
        asked["roots"] = _ROOTS
    if not asked or _answers(params, asked) is not None:
        return said("Nothing more to ask.")
    return _required(asked)


async def _streaming_elicitation(ctx: Context, params: Params) -> Outcome:
    await ctx.session.report_progress(1, 2)
    asked = {"name": _NAME}
    return said("Thank you.") if _answers(params, asked) else _required(asked)


_CONTEXT = {"user_context": _ask("What context should the prompt use?", "context")}


def prompt_with_input(
    params: types.GetPromptRequestParams,
) -> types.GetPromptResult | types.InputRequiredResult:
    """`prompts/get` may need input as well as `tools/call`."""
    found = _answers(params, _CONTEXT)
    if found is None:
        return _required(_CONTEXT)
    words = f"Use this context: {_shown(found['user_context'])}"
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=text(words))])


def tools() -> list[ServerTool]:
    confirm = {"confirm": _ask("Please confirm", "ok", "boolean")}
    several = {"user_name": _NAME, "greeting": _sample("Generate a greeting", 50), "client_roots": _ROOTS}
    rows: list[tuple[str, Handler]] = [
        ("elicitation", _one_round({"user_name": _NAME}, "Hello, {}!")),
        ("sampling", _one_round({"capital_question": _CAPITAL}, "The model says: {}")),
        ("list_roots", _one_round({"client_roots": _ROOTS}, "The roots are: {}")),
        ("request_state", _one_round(confirm, "state-ok: {}", "minted")),
        ("multiple_inputs", _one_round(several, "All of it: {}", "minted")),
        ("multi_round", _two_rounds),
        ("tampered_state", _one_round(confirm, "Untouched: {}", "minted")),
        ("capabilities", _what_the_client_can),
    ]
    listed = [define(f"test_input_required_result_{name}", "Asks for input", run) for name, run in rows]
    return [*listed, define("test_streaming_elicitation", "Asks on a stream", _streaming_elicitation)]
