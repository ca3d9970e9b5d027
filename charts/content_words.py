"""What each field of `guardrails`, `rateLimit` and `pin` is for, as `field_words` has the others."""

from __future__ import annotations

from typing import Final

_COMMON: Final = {
    "action": "What happens to what is found: off, flag (it is written down), mask (something else stands in its "
    "place) or block (the message does not pass).",
    "direction": "Which way the message goes, seen from who began the exchange.",
    "parts": "What of a message is looked at. Absent: all of it.",
    "tools": "The tools whose messages are looked at, by name or pattern; messages of no tool always are. "
    "Absent: all.",
    "timeout": "How long it may take for one message, 1ms to 60s. Absent: 250ms, for an external one 2s.",
    "failureMode": "What becomes of a message when it fails or is late: closed blocks it, open lets it pass.",
    "observe": "Whether findings are written down and nothing else.",
}
_OPTIONS: Final = {
    "shape": {
        "bytes": "How large a message may be as JSON.",
        "depth": "How deep arrays and objects may be nested.",
        "items": "How many values one array or object may have.",
        "values": "How many values all of them may have together.",
        "characters": "How long one string may be.",
    },
    "secrets": {"entropy": "Whether what only looks like a secret counts, beside a word like password."},
    "pii": {
        "kinds": "Kinds of personal data, like EMAIL or IBAN. Absent: all of the locales.",
        "locales": "Countries whose kinds are looked for, like us or de, besides those of none. Absent: all.",
    },
    "sql": {
        "statements": "Kinds of whole statements that are allowed, like select: a list for all tools, or lists by "
        'name or pattern of a tool; "*" is for those that no other matches. Absent: none.',
    },
    "injection": {"threshold": "The score from which the model's word counts. Absent: its own."},
    "exfiltration": {
        "hosts": "Where links may lead with anything in them: hosts, or *.name. Absent: nowhere."
    },
    "terms": {
        "words": "The terms, whose case and spelling tricks do not count.",
        "whole": "Whether only whole words count.",
    },
}
_FOUND: Final = {
    "shape": "Messages that are too large or too deep.",
    "secrets": "Tokens, keys and passwords.",
    "pii": "Personal data.",
    "sql": "SQL that is injected, and statements that are not allowed.",
    "injection": "Instructions planted for a model.",
    "exfiltration": "Links and encoded texts that carry data out.",
    "terms": "Terms of yours.",
}
_RATE: Final = {
    "requests": "How many requests pass in each span.",
    "per": "The span.",
    "burst": "How many of them may come at once.",
}

WORDS: Final[dict[str, dict[str, str]]] = {
    "read_guardrails": {
        **{name: f"{says} An action alone, or a mapping with more." for name, says in _FOUND.items()},
        "processors": "More detectors, asked after those above in this order.",
        "reversible": "Whether what was masked on the way out is put back on the way home, and vice versa.",
        "budget": "The time that one message and all local detectors have, 1ms to 10s. Absent: 250ms.",
    },
    **{f"read_detector {name}": {**_COMMON, **options} for name, options in _OPTIONS.items()},
    "read_processor": {
        "name": "By which logs and metrics tell it.",
        "detector": "What looks at the message.",
        **_COMMON,
        **{key: f"For {name}: {says}" for name, options in _OPTIONS.items() for key, says in options.items()},
        "external": "For external: whom to ask.",
    },
    "read_external": {
        "kind": "The wire format.",
        "url": "Where it is asked.",
        "model": "What it calls its model or detector; needed for llama-guard, shieldgemma and granite-guardian.",
        "threshold": "The score from which what it says counts. Absent: 0.5.",
        "criteria": "What it is asked about, in its own words: categories, criteria, policies. Absent: its own.",
        "parameters": "What is sent along as it stands here.",
        "concurrency": "How many questions are under way at once. Absent: 8.",
        "cacheSeconds": "How long an answer about the same text counts. Absent: 300.",
    },
    "read_rate_limit": {
        **_RATE,
        "tools": "Rates of tools, by name or pattern; each one that matches counts, besides that of the rule.",
        "scope": "Whether all requests share one count, or those of each user.",
        "concurrent": "How many requests are under way at once.",
        "resultBytes": "How large one answer may be.",
        "shared": "Whether it is counted together with other sidecars, in the store of their configuration.",
        "failureMode": "While that store does not answer: open counts locally, closed refuses. Absent: open.",
    },
    "read_tool_rate": _RATE,
    "read_pin": {
        "mode": "Off, FirstUse (what the server offers when it is first asked is right) or Approved (what is "
        "written here is).",
        "digest": "Of all tools together, for Approved.",
        "tools": "Digests of single tools by their exact names, for Approved.",
        "observe": "Whether differences are written down, and nothing is hidden.",
        "generation": "With another number what was pinned at first use is forgotten.",
    },
}
