"""Classes of words that mean much the same to somebody who plants instructions. Own words, kept small.

With few examples a model learns the wording it was shown; with classes it learns that something is to be told to
somebody, whatever the verb. A word is of one class.
"""

from __future__ import annotations

from typing import Final

_TEXT: Final = {
    "SETASIDE": (
        "ignore ignoring disregard forget forgetting overlook neglect override overriding "
        "overrule discard abandon disobey bypass circumvent skip"
    ),
    "EARLIER": (
        "previous previously prior earlier preceding above former foregoing initial initially original"
    ),
    "ORDERS": (
        "instruction instructions instructed directive directives prompt prompts guideline "
        "guidelines command commands rules rule restrictions restriction programming guidance "
        "constraints"
    ),
    "TELL": (
        "reveal show print output repeat display tell give disclose share leak expose dump recite "
        "say confirm provide explain spell state mention describe answer respond reply return"
    ),
    "SEND": (
        "send forward post upload transmit email submit exfiltrate relay bcc deliver transfer share publish"
    ),
    "CHANGE": (
        "delete remove change update reset transfer create make add invite cancel book reserve "
        "schedule modify"
    ),
    "GATHER": (
        "collect gather concatenate extract read get fetch find retrieve access harvest copy "
        "include append record"
    ),
    "SECRET": (
        "password passwords passphrase credentials credential secret secrets key keys token "
        "tokens pin passcode contraseña passwort senha"
    ),
    "PERSONAL": (
        "birthday birth initials address phone salary balance ssn passport bank account accounts "
        "card location lives inbox emails iban transaction transactions contacts"
    ),
    "HIDDEN": "hidden secretly silently covertly quietly confidential private internal",
    "SYSTEM": "system administrator admin root developer override maintenance debug",
    "MODE": "mode enabled activated unlocked entering initiating reset",
    "MODEL": "ai assistant llm model chatbot bot gpt chatgpt claude agent openai anthropic",
    "YOU": "you your you're yours yourself you've",
    "ME": "i i'm me my i'll i've mine our us we",
    "USER": "user user's users customer client victim",
    "NOT": "not never don't without no cannot avoid nothing",
    "MUST": "must should shall need required always strictly immediately necessary",
    "PRETEND": (
        "pretend imagine suppose roleplay act acting hypothetical hypothetically fictional "
        "virtual parallel assume dystopian universe"
    ),
    "AUTHORITY": (
        "president manager boss accountant supervisor officer ceo owner creator expert police colleague"
    ),
    "ENCODE": (
        "base64 rot13 encode encoded cipher reverse reversed interlace dashes spaces letter "
        "backwards hex acrostic haiku poem emoji"
    ),
    "BEFORE": (
        "before after first when whenever once then prior instead otherwise finally afterwards "
        "anyway oh actually"
    ),
    "TOOL": "tool tools function functions call calling invoke",
    "IMPORTANT": "important urgent critical attention warning emergency compliance",
    "OUTSIDE": "http https www website url link webhook server endpoint attacker external remote",
    "ALL": "all every everything any each entire whole full",
}

CLASSES: Final[dict[str, str]] = {}
"""Word -> class; a word that is listed twice is of the first."""
for _name, _words in _TEXT.items():
    for _word in _words.split():
        CLASSES.setdefault(_word, _name)
