"""What the injection detector finds, by name."""

from __future__ import annotations

from typing import Final

MODEL: Final = "MODEL"

KINDS: Final[dict[str, str]] = {
    "OVERRIDE": "Tells the model to set aside what it was told before, in one of many languages.",
    "PERSONA": "Gives the model another role or mode, in which its rules are said not to hold.",
    "EXTRACTION": "Asks for the system prompt, for hidden instructions, or for secrets of the system.",
    "CONCEALMENT": "Tells the model to keep something from the user, or what to say when the user asks.",
    "FAKE_TURN": "Imitates the markup of a conversation, or a message of the system or of an administrator.",
    "STEERING": "Speaks to the model from within data: do this first, use this tool, copy every message.",
    "MOVEMENT": "Asks that data be sent to an address or a place in the network.",
    "SECRET_FILE": "Asks that a file with keys or passwords be read and passed on.",
    "URGENCY": "Shouts or threatens, so that what follows is done.",
    MODEL: "A sentence that reads like an injection to the linear model; the score is its probability.",
    "POISON_CONCEALMENT": "A description speaks of doing something silently, or of what users must not learn.",
    "POISON_COLLECTION": "A description wants secrets or the conversation collected or passed along.",
    "POISON_SECRET_FILE": "A description names files with keys or passwords to be read.",
    "POISON_DESTINATION": "A description sends data, copies or credentials to a place of its own.",
    "POISON_OTHER_TOOLS": "A description speaks of how other tools are to be used, or of what they send to whom.",
    "POISON_ORDER": "A description holds markup, comments or orders meant for the model.",
}
"""Kinds that begin with POISON_ count only in descriptions of tools: elsewhere such sentences are ordinary."""
