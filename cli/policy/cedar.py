"""Cedar policies as ToolHive uses them, as far as they say plainly which tools and prompts may be used.

Source: Cedar's grammar (docs.cedarpolicy.com, policy syntax) and ToolHive's authorization policy reference
(docs.stacklok.com, 2026): principals are `Client::"sub"`, actions `call_tool`, `get_prompt` and `read_resource`,
resources `Tool::"name"`, `Prompt::"name"` and `Resource::"sanitised URI"`. A forbid that applies wins over every
permit; what no permit names is refused.

Only policies without conditions and about every principal have a counterpart: who a user is, and what arguments
are, our rules for names do not ask. A permit that is not understood may be left out, since that grants less. A
forbid may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(r'\s+|//[^\n]*|"(?:[^"\\]|\\.)*"|[A-Za-z_]\w*|::|==|!=|<=|>=|&&|\|\||.', re.DOTALL)
_EVERYTHING = "*"
_SECTIONS = {"call_tool": "tools", "get_prompt": "prompts", "read_resource": "resources"}
_TYPES = {"Tool": "tools", "Prompt": "prompts", "Resource": "resources"}


class CedarInvalid(Exception):
    """The text is no Cedar policy; its author is at fault."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One policy: `scope` is the text between its parentheses by part, `conditions` all when and unless
    clauses.
    """

    effect: str
    principal: str
    action: str
    resource: str
    conditions: str
    text: str


@dataclass
class Rights:
    """By section (tools, prompts, resources): the names allowed, `*` for all, and those denied.

    `left_out` are permits that are not mapped; `blocking` are forbids that are not, which leave nothing to be
    granted.
    """

    allow: dict[str, set[str]] = field(default_factory=dict)
    deny: dict[str, set[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    blocking: list[str] = field(default_factory=list)


def rights(texts: list[str]) -> Rights:
    """What policies say together. Raises CedarInvalid."""
    found = Rights()
    for statement in (one for text in texts for one in statements(text)):
        fault = _fault(statement)
        sections = _sections(statement)
        if statement.effect == "forbid":
            _forbid(statement, fault, sections, found)
        elif fault or not sections:
            found.left_out.append(f"{statement.text}: {fault or 'its action or resource has no counterpart'}")
        else:
            for section, name in sections:
                found.allow.setdefault(section, set()).add(name)
    return found


def _forbid(statement: Statement, fault: str, sections: list[tuple[str, str]], found: Rights) -> None:
    """A forbid with conditions, or for some principals, is one without here: that refuses more, never less."""
    if not sections:
        found.blocking.append(
            f"{statement.text}: its action or resource has no counterpart, and it may not be dropped"
        )
        return
    if fault:
        found.left_out.append(f"{statement.text}: {fault}; what it forbids is denied always")
    for section, name in sections:
        found.deny.setdefault(section, set()).add(name)


def _fault(statement: Statement) -> str:
    """Why a statement says more than which names."""
    if statement.principal != "principal":
        return "it is about some principals, and users' tokens are not asked here"
    return "it has conditions" if statement.conditions else ""


def _sections(statement: Statement) -> list[tuple[str, str]]:
    """The (section, name) pairs that its action and resource mean; empty where they have no counterpart."""
    action, resource = statement.action, statement.resource
    named = re.findall(r'Action::"([^"\\]*)"', action)
    shape = re.sub(r'Action::"[^"\\]*"', "A", action)
    if action == "action":
        sections = [*_SECTIONS.values()]
    elif shape == "action==A" or re.fullmatch(r"actionin(A|\[A(,A)*,?\])", shape):
        sections = [_SECTIONS[one] for one in named if one in _SECTIONS]
    else:
        return []
    if resource == "resource":
        return [(section, _EVERYTHING) for section in sections]
    exact = re.fullmatch(r'resource==([A-Za-z_]\w*)::"([^"\\]+)"', resource)
    section = _TYPES.get(exact.group(1)) if exact else None
    if exact is None or section is None or section not in sections:
        return []
    # URIs are rewritten before Cedar sees them; which one was meant cannot be told.
    return [] if section == "resources" else [(section, exact.group(2))]


def statements(text: str) -> Iterator[Statement]:
    """The policies of a text. Raises CedarInvalid."""
    tokens = [one for one in _TOKEN.findall(text) if one.strip() and not one.startswith("//")]
    while tokens:
        end = tokens.index(";") if ";" in tokens else None
        if end is None:
            raise CedarInvalid(f"a Cedar policy ends with ; in {_short(text)}")
        yield _statement(tokens[:end])
        tokens = tokens[end + 1 :]


def _statement(tokens: list[str]) -> Statement:
    said = _short(" ".join(tokens))
    while tokens[:1] == ["@"]:
        close = tokens.index(")") if ")" in tokens else len(tokens)
        tokens = tokens[close + 1 :]
    if len(tokens) < 3 or tokens[0] not in ("permit", "forbid") or tokens[1] != "(":
        raise CedarInvalid(f"no Cedar policy: {said}")
    close = _closing(tokens, 1, said)
    parts = _scope(tokens[2:close])
    if len(parts) != 3:
        raise CedarInvalid(f"a Cedar policy has principal, action and resource: {said}")
    principal, action, resource = parts
    return Statement(tokens[0], principal, action, resource, "".join(tokens[close + 1 :]), said)


def _closing(tokens: list[str], start: int, said: str) -> int:
    depth = 0
    for index in range(start, len(tokens)):
        depth += (tokens[index] == "(") - (tokens[index] == ")")
        if depth == 0:
            return index
    raise CedarInvalid(f"a parenthesis is not closed: {said}")


def _scope(words: list[str]) -> list[str]:
    """The three parts between commas, without those inside brackets."""
    parts, depth = [""], 0
    for word in words:
        depth += (word in "([") - (word in ")]")
        if word == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += word
    return parts[:3] if len(parts) == 4 and not parts[3] else parts


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:100] + "…"
