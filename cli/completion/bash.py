"""The script for bash: one function, which looks for the subcommand and for the option before the cursor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cli.completion.words import Subcommand, Takes


def script(commands: Iterable[Subcommand]) -> str:
    """To be read by `source <(outrider completion bash)`."""
    root, *others = commands
    values = "\n".join(line for one in (root, *others) for line in _values(one))
    options = "\n".join(f'      "{one.name}") words="{_flags(one)}" ;;' for one in (root, *others))
    plain = "\n".join(_plain(one) for one in others)
    names = " ".join(one.name for one in others)
    return f"""# bash completion for outrider
_outrider() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" command="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{COMP_WORDS[i]}}" in
      -*) ;;
      *) command="${{COMP_WORDS[i]}}"; break ;;
    esac
  done
  COMPREPLY=()
  case "$command $prev" in
{values}
  esac
  if [[ "$cur" == -* ]]; then
    case "$command" in
{options}
    esac
  else
    case "$command" in
      "") words="{names}" ;;
{plain}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -F _outrider outrider
"""


def _values(command: Subcommand) -> Iterator[str]:
    """What follows options that take a value."""
    for option in command.options:
        patterns = "|".join(f'"{command.name} {flag}"' for flag in option.flags)
        if option.takes is Takes.CHOICE:
            choices = " ".join(option.choices)
            yield f'    {patterns}) COMPREPLY=($(compgen -W "{choices}" -- "$cur")); return ;;'
        elif option.takes is Takes.FILE:
            yield f"    {patterns}) compopt -o filenames 2>/dev/null; " + _FILES + "; return ;;"
        elif option.takes is Takes.TEXT:
            yield f"    {patterns}) return ;;"


_FILES = "local IFS=$'\\n'; COMPREPLY=($(compgen -f -- \"$cur\"))"


def _flags(command: Subcommand) -> str:
    return " ".join(flag for option in command.options for flag in option.flags)


def _plain(command: Subcommand) -> str:
    """Arguments that are no options: words to choose from, or files."""
    choices = [choice for argument in command.arguments for choice in argument.choices]
    if choices and any(argument.takes is Takes.FILE for argument in command.arguments):
        verbs = " ".join(choices)
        return (
            f'      "{command.name}") if [[ "$prev" == "{command.name}" ]]; then words="{verbs}"; '
            f"else compopt -o filenames 2>/dev/null; {_FILES}; return; fi ;;"
        )
    if any(argument.takes is Takes.FILE for argument in command.arguments):
        return f'      "{command.name}") compopt -o filenames 2>/dev/null; {_FILES}; return ;;'
    return f'      "{command.name}") words="{" ".join(choices)}" ;;'
