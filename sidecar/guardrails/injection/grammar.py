"""The words that rules are put together from: gaps that stay within one text, and the vocabularies of the attack.

Rules are prose with gaps of a few words, so that rewording and filling do not help. A gap is counted in words and
crosses no SEPARATOR: what stands in one string of a message is never read together with its neighbour. RE2's `\\w`
is ASCII; letters of other scripts count as what stands between words, which only makes gaps more generous.
"""

from __future__ import annotations

G = r"[^\w\x1f]+"
"""What stands between two words of one text."""


THEN = "\N{BROKEN BAR}"
"""Divides a rule into its head, which stands by itself, and the rest. A text in which no head of a group of rules
matches is not asked for that group at all: the heads of all groups together are one small automaton."""


def head(rule: str) -> str:
    """What has to match before the rest can; where a gap follows, that something stands between words there."""
    first, _, rest = rule.partition(THEN)
    return first + r"[^\w\x1f]" if rest.startswith((G, f"(?:{G}")) else first


def whole(rule: str) -> str:
    """The rule as RE2 reads it."""
    return rule.replace(THEN, "")


def gap(words: int) -> str:
    """Up to so many words between two others, in the shortest reading."""
    return rf"(?:{G}\w+){{0,{words}}}?{G}"


def near(characters: int) -> str:
    """Up to so many characters between two parts, in scripts that put no blanks between words."""
    return rf"[^\n\x1f]{{0,{characters}}}?"


def either(*alternatives: str) -> str:
    """One of them."""
    return f"(?:{'|'.join(alternatives)})"


NOT = either(
    r"do[ \t]?n[o'’]?t",
    "do not",
    "never",
    "must not",
    "mustn['’]?t",
    "should not",
    "shouldn['’]?t",
    "may not",
    "cannot",
    "can['’]?t",
    "avoid",
    "refrain from",
)
"""Prohibition, with the apostrophe in its spellings."""

SET_ASIDE = either(
    "ignor(?:e|es|ing)",
    "disregard(?:ing)?",
    "forget(?:ting)?",
    "overlook",
    "neglect",
    "overrid(?:e|ing)",
    "overrule",
    "discard",
    "abandon",
    "delete",
    "erase",
    "set aside",
    "put aside",
    "throw away",
    "cancel",
    "pay no (?:attention|heed) to",
    rf"{NOT}{G}(?:follow|obey|listen to|comply with|adhere to|heed|abide by|respect)",
    "(?:stop|quit|cease)[^\\w\\x1f]+(?:following|obeying|listening to|complying with|adhering to)",
)
"""To act as if something had not been said."""

EARLIER = either(
    "previous(?:ly)?",
    "prior",
    "earlier",
    "preceding",
    "above",
    "former",
    "foregoing",
    "past",
    "initial",
    "original",
    "existing",
    "old",
    "system",
    "developer",
    "your",
    "other",
)
"""Whose instructions: those that came first, or those of the assistant."""

INSTRUCTIONS = either(
    "instructions?",
    "directions?",
    "directives?",
    "prompts?",
    "guidelines?",
    "commands?",
    "orders?",
    "programming",
    "guidance",
    "constraints?",
    "training",
)
"""What an assistant goes by, in words that seldom mean anything else beside EARLIER."""

RULES = either(
    "rules?", "polic(?:y|ies)", "restrictions?", "limitations?", "safeguards?", "guardrails?", "protocols?"
)
"""What an assistant goes by, in words that others use too."""

TELL = either(
    "reveal",
    "show",
    "print",
    "output",
    "repeat",
    "display",
    "tell",
    "give",
    "disclose",
    "share",
    "leak",
    "expose",
    "dump",
    "recite",
    "return",
    "write",
    "copy",
    "quote",
    "list",
    "encode",
    "translate",
    "summari[sz]e",
    "spell",
    "provide",
    "reproduce",
    "echo",
    "state",
    "describe",
    "paste",
    "render",
    "verbali[sz]e",
    "send",
    "explain",
)
"""To give away."""

SEND = either(
    "sends?",
    "sending",
    "forward(?:s|ed|ing)?",
    "post(?:s|ed|ing)?",
    "upload(?:s|ed|ing)?",
    "transmit(?:s|ted|ting)?",
    "e-?mail(?:s|ed|ing)?",
    "submit(?:s|ted)?",
    "exfiltrat(?:e|es|ed|ing)",
    "leak(?:s|ed)?",
    "relay(?:s|ed)?",
    "bcc",
    "deliver",
    "transfer(?:s|red)?",
    "copy",
    "push(?:es)?",
    "report",
)
"""To move data to somebody."""

SENSITIVE = either(
    "passwords?",
    "passphrases?",
    "credentials?",
    "api[ _-]?keys?",
    "secret[ _-]?keys?",
    "access[ _-]?(?:keys?|tokens?)",
    "private[ _-]?keys?",
    "ssh[ _-]?keys?",
    "secrets",
    "auth(?:entication|orization)?[ _-]?tokens?",
    "session[ _-]?tokens?",
    "bearer",
    "cookies",
    "security codes?",
    "credit[ _-]?cards?",
    "(?:bank )?account[ _-]numbers?",
    "passport",
    "environment variables?",
    "env(?:ironment)? vars?",
    "(?:chat|conversation|message|browsing) (?:history|log|transcript)s?",
    "(?:full|whole|entire|complete) (?:conversation|chat|context|history)",
    "the conversation",
    "system prompt",
    "personal (?:data|information|details)",
    "(?:user|customer)(?:['’]?s)? (?:data|information|e-?mails?|files|messages|details|records)",
    "(?:confidential|sensitive|private) (?:data|information|files|documents?|details)",
    "[a-z]+_API_KEY",
)
"""What nobody asks a tool to pass on."""

AWAY = either(
    "https?://",
    "www\\.",
    "[\\w.+-]+@[\\w-]+\\.",
    "(?:an?|the|our|my|this|some) (?:\\w+ )?(?:remote|external|attacker(?:['’]s)?|third[- ]party)",
    "attackers?\\b",
    "my (?:\\w+ )?(?:e-?mail|server|address|website|endpoint|webhook|account)",
    "(?:the|this|following) (?:\\w+ )?(?:website|url|webhook|e-?mail address)",
)
"""Where it is sent, when that is somewhere else."""

MODEL = either(
    "ai",
    "ai (?:assistants?|agents?|models?|systems?)",
    "assistants?",
    "llms?",
    "language models?",
    "models?",
    "agents?",
    "chat ?bots?",
    "gpt[\\w.-]*",
    "claude",
)
"""Who is spoken to."""

USER = either(
    "users?",
    "customers?",
    "humans?",
    "operators?",
    "owners?",
    "victims?",
    "person",
    "anyone",
    "anybody",
    "them",
)
"""Who must not know."""

PRIVATE_FILES = either(
    r"~/\.\w+",
    "/etc/(?:passwd|shadow)",
    r"\.ssh/",
    r"id_(?:rsa|ed25519|ecdsa|dsa)\b",
    r"\.aws/credentials",
    r"\.kube/config",
    r"\.netrc\b",
    r"\.git-credentials",
    r"mcp\.json\b",
    r"\.bash_history",
    r"\.gnupg",
    r"wallet\.dat",
)
"""Files that hold keys, passwords or what a user did, and are seldom spoken of for another reason."""

KEY_FILES = either(
    PRIVATE_FILES,
    r"\.npmrc\b",
    r"\.pypirc\b",
    r"\.docker/config",
    r"\.env\b",
    r"credentials\.json",
    r"secrets?\.ya?ml",
)
"""The same, with those that honest texts often name."""
