"""The script for fish: one `complete` for each word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cli.completion.words import Subcommand, Takes, Word


def script(commands: Iterable[Subcommand]) -> str:
    """To be read by `outrider completion fish | source`, or put into fish's completions folder."""
    root, *others = commands
    lines = ["# fish completion for outrider", "complete -c outrider -f"]
    lines += [_option(word, "__fish_use_subcommand") for word in root.options]
    for command in others:
        told = f"-a {_quoted(command.name)} -d {_quoted(command.summary)}"
        lines.append(f"complete -c outrider -n __fish_use_subcommand {told}")
    for command in others:
        condition = f"__fish_seen_subcommand_from {command.name}"
        lines += [_option(word, condition) for word in command.options]
        lines += _plain(command, condition)
    return "".join(f"{line}\n" for line in lines)


def _option(word: Word, condition: str) -> str:
    spelled = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in word.flags]
    match word.takes:
        case Takes.CHOICE:
            spelled.append(f"-x -a {_quoted(' '.join(word.choices))}")
        case Takes.FILE:
            spelled.append("-r -F")
        case Takes.TEXT:
            spelled.append("-x")
        case Takes.NOTHING:
            pass
    return f"complete -c outrider -n {_quoted(condition)} {' '.join(spelled)} -d {_quoted(word.help)}"


def _plain(command: Subcommand, condition: str) -> Iterator[str]:
    for argument in command.arguments:
        if argument.takes is Takes.CHOICE:
            yield f"complete -c outrider -n {_quoted(condition)} -a {_quoted(' '.join(argument.choices))}"
        elif argument.takes is Takes.FILE:
            yield f"complete -c outrider -n {_quoted(condition)} -F"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
