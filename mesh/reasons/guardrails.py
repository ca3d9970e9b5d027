"""Sentences of content checks, pinned tools and rate limits."""

from __future__ import annotations

from typing import Final

SENTENCES: Final = {
    "guard_pii": "The message holds personal data, which a guardrail keeps back.",
    "guard_secret": "The message holds what looks like a credential, which a guardrail keeps back.",
    "guard_sql": "The message holds SQL that a guardrail does not let pass here.",
    "guard_injection": "The message holds what reads like an instruction planted for a model.",
    "guard_exfiltration": "The message would carry data to a place of its own, in a link or an encoded text.",
    "guard_term": "The message holds a term that a guardrail keeps back.",
    "guard_shape": "The message exceeds what a guardrail allows in size, depth or number of values.",
    "guard_external": "A detector that was asked about the message says no.",
    "guard_failed": (
        "A detector failed, and its failureMode is closed: nothing passes unchecked. The sidecar's log names it."
    ),
    "guard_timeout": (
        "Checking the message took longer than its guardrails allow, and failureMode is closed; raise "
        "guardrails.budget or timeout, or send less at once."
    ),
    "guard_unmaskable": (
        "What was found cannot be masked without breaking the message, so that it was kept back as a whole."
    ),
    "tool_poisoned": "The tool's description holds instructions planted for a model; it is hidden.",
    "pin_changed": "The tool is not what it was when it was pinned; it is hidden until somebody approves it.",
    "pin_added": "The tool came after the server's tools were pinned; it is hidden until somebody approves it.",
    "pin_lookalike": "The tool's name can be mistaken for that of a pinned one; it is hidden.",
    "pin_removed": "The server no longer lists a tool that is pinned; nothing is hidden for that.",
    "pin_not_approved": "What the server offers is not what was approved (Backend spec.pin); it is hidden.",
    "rate_limited": "The agent asks more often than its policy allows; ask again when the answer says.",
    "too_many_concurrent": "As many requests as the policy allows are under way; ask again when one has ended.",
    "result_too_large": "The answer is larger than the policy's rateLimit.resultBytes.",
    "rate_store_unavailable": (
        "The store of shared rate limits does not answer, and its failureMode is closed; see to the store."
    ),
}
