"""Globs `backend/tool`, by which annotations name tools."""

from __future__ import annotations

from mesh.policy.entries import name_fault

_BACKEND_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.*?")


def tool_fault(entry: str) -> str | None:
    """What is wrong with a glob `backend/tool`, or None. Wildcards do not reach across the first slash."""
    backend, slash, tool = entry.partition("/")
    if not slash or not backend:
        return "an entry is a Backend, a slash and a tool, like github/get_*; */* is every tool"
    if not _BACKEND_CHARACTERS.issuperset(backend):
        return (
            "before the slash stands the name of a Backend, a-z 0-9 - ., or a pattern of those with * and ?"
        )
    return name_fault(backend) or name_fault(tool)
