"""The script for zsh: the specifications of `_arguments`, one set for each subcommand."""

from __future__ import annotations

from collections.abc import Iterable

from cli.completion.words import Subcommand, Takes, Word


def script(commands: Iterable[Subcommand]) -> str:
    """To be put into a folder of `fpath` as `_outrider`, or read by `source <(outrider completion zsh)`."""
    root, *others = commands
    listed = "\n".join(f"    {_quoted(f'{one.name}:{_plain(one.summary)}')}" for one in others)
    cases = "\n".join(_case(one) for one in others)
    options = _arguments(root)
    return f"""#compdef outrider
_outrider() {{
  local context state state_descr line
  typeset -A opt_args
  local -a commands
  commands=(
{listed}
  )
  _arguments -C \\
{options}    '1:command:->command' \\
    '*::argument:->argument'
  case $state in
    command) _describe 'command' commands ;;
    argument)
      case $line[1] in
{cases}
      esac ;;
  esac
}}
if [[ "${{zsh_eval_context[-1]}}" == loadautofunc ]]; then
  _outrider "$@"
else
  compdef _outrider outrider
fi
"""


def _case(command: Subcommand) -> str:
    return (
        f"        {command.name})\n          _arguments \\\n{_arguments(command, 12)}            && return ;;"
    )


def _arguments(command: Subcommand, indent: int = 4) -> str:
    specifications = [one for word in command.words for one in _specifications(word)]
    return "".join(f"{' ' * indent}{_quoted(one)} \\\n" for one in specifications)


def _specifications(word: Word) -> list[str]:
    value = _value(word)
    if not word.flags:
        return [f"{'*' if word.repeated else ''}:{_plain(word.name)}{value}"]
    exclusive = "" if word.repeated else f"({' '.join(word.flags)})"
    star = "*" if word.repeated else ""
    suffix = "" if word.takes is Takes.NOTHING else f":{_plain(word.name)}{value}"
    return [f"{exclusive}{star}{flag}[{_plain(word.help)}]{suffix}" for flag in word.flags]


def _value(word: Word) -> str:
    match word.takes:
        case Takes.CHOICE:
            return f":({' '.join(word.choices)})"
        case Takes.FILE:
            return ":_files"
        case _:
            return ": "


def _plain(text: str) -> str:
    """Without what has a meaning in a specification."""
    return "".join(" " if character in "[]:\\" else character for character in text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
