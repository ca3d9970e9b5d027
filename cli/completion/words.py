"""What can be typed after `outrider`, read from the parsers themselves: no list has to be kept beside them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from enum import StrEnum

_FILES = ("FILE", "PATH", "DIR")


class Takes(StrEnum):
    """What follows an option, or stands as an argument."""

    NOTHING = "nothing"
    CHOICE = "choice"
    FILE = "file"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Word:
    """An option with its spellings, or, without any, an argument. `name` is what help calls its value."""

    flags: tuple[str, ...]
    help: str
    takes: Takes
    choices: tuple[str, ...] = ()
    name: str = ""
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A subcommand and its words; the one without a name is `outrider` itself."""

    name: str
    summary: str
    words: tuple[Word, ...]

    @property
    def options(self) -> tuple[Word, ...]:
        return tuple(word for word in self.words if word.flags)

    @property
    def arguments(self) -> tuple[Word, ...]:
        return tuple(word for word in self.words if not word.flags)


def subcommands(parser: argparse.ArgumentParser) -> tuple[Subcommand, ...]:
    """Of a parser with subparsers: itself first, then each of them."""
    found = [Subcommand("", "", _words(parser, outermost=True))]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {str(one.dest): str(one.help or "") for one in action._choices_actions}
            for name, inner in action.choices.items():
                found.append(Subcommand(name, summaries.get(name, ""), _words(inner)))
    return tuple(found)


def _words(parser: argparse.ArgumentParser, *, outermost: bool = False) -> tuple[Word, ...]:
    """Options and arguments. The verbs of a subcommand are words to choose from, and its options those of all."""
    words: dict[tuple[str, ...], Word] = {}
    verbs: list[Word] = []
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            word = _word(action)
            words[word.flags or (word.name,)] = word
        elif not outermost:
            verbs.append(Word((), str(action.help or ""), Takes.CHOICE, tuple(action.choices), "verb"))
            for inner in action.choices.values():
                for word in _words(inner):
                    if word.flags and not any(set(word.flags) & set(known) for known in words):
                        words[word.flags] = word
    return (*verbs, *words.values(), *((_FILES_AFTER,) if verbs else ()))


_FILES_AFTER = Word((), "", Takes.FILE, name="FILE", repeated=True)


def _word(action: argparse.Action) -> Word:
    name = str(action.metavar or action.dest)
    choices = tuple(str(choice) for choice in action.choices or ())
    if action.nargs == 0:
        takes = Takes.NOTHING
    elif choices:
        takes = Takes.CHOICE
    else:
        takes = Takes.FILE if any(word in name for word in _FILES) else Takes.TEXT
    told = (action.help or "") % {"default": action.default}
    repeated = action.nargs in ("*", "+") or isinstance(action, argparse._AppendAction)
    return Word(tuple(action.option_strings), told, takes, choices, name, repeated)
