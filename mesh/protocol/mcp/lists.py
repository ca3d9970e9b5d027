"""Lists of tools, prompts, resources and templates with what a policy does not allow taken out.

Lists are known by their shape in any result, not by the request they answer: ids come back with their type
changed, answers arrive on other streams than expected, and a sidecar that restarts remembers no request.
Order, cursors and everything unknown are kept, and pages are never merged, so an empty page with a cursor is
what clients must expect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from mesh.protocol.lookalikes import KnownNames
from mesh.protocol.mcp.errors import malformed
from mesh.protocol.mcp.methods import PROMPTS_GET, RESOURCES_READ, SKILLS_GET, TEMPLATES_LIST, TOOLS_CALL
from mesh.protocol.mcp.subjects import Subject, SubjectKind, refuse_lookalike

MAX_TTL_MS: Final = 60_000
"""How long a client may keep a filtered list, so that a changed policy shows."""


# Members of items as the revisions define them.
_ITEM_MEMBERS = (
    *("_meta", "annotations", "arguments", "description", "execution", "frontmatter", "icons", "inputSchema"),
    *("mimeType", "outputSchema", "resources", "size", "title"),
)


class _Inventory(msgspec.Struct, frozen=True):
    """What the items of one list are, and the member that names them."""

    kind: SubjectKind
    name: str
    method: str
    members: KnownNames


def _inventory(kind: SubjectKind, name: str, method: str) -> _Inventory:
    return _Inventory(kind, name, method, KnownNames(name, harmless=_ITEM_MEMBERS))


_INVENTORIES = {
    "tools": _inventory(SubjectKind.TOOL, "name", TOOLS_CALL),
    "prompts": _inventory(SubjectKind.PROMPT, "name", PROMPTS_GET),
    "resources": _inventory(SubjectKind.RESOURCE, "uri", RESOURCES_READ),
    "resourceTemplates": _inventory(SubjectKind.TEMPLATE, "uriTemplate", TEMPLATES_LIST),
    "skills": _inventory(SubjectKind.RESOURCE, "uri", SKILLS_GET),
}
_LISTS = KnownNames(*_INVENTORIES)
_CACHE_MEMBERS = frozenset({"cacheScope", "ttlMs", "resultType"})


class Filtered(msgspec.Struct, frozen=True, gc=False):
    """What is left of a result. If nothing `changed`, `result` is the very object that was given.

    `hidden` are the items taken out, in order; an item without a usable name is hidden with the name "".
    """

    result: dict[str, Any]
    changed: bool
    hidden: tuple[Subject, ...]


def filter_result(
    result: dict[str, Any], allowed: Callable[[Subject], bool], *, total: Callable[[SubjectKind], bool]
) -> Filtered:
    """Take out of the lists in `result` what is not `allowed`; `result` itself is left as it is.

    Every item is asked about, so that what is seen and what may be called cannot differ. `total(kind)` says that
    every well-formed name of a kind is allowed, to this caller as to any: unless it is and nothing was hidden, a
    result that may be cached (2026-07-28) becomes private to this caller and short-lived. Raises McpRefused
    (MCP_MALFORMED) for a list that is none, and for members that differ from a list's name in case only.
    """
    refuse_lookalike(result, _LISTS)
    present = [name for name in _INVENTORIES if name in result]
    if not present:
        return Filtered(result, False, ())
    hidden: list[Subject] = []
    filtered = dict(result)
    for name in present:
        filtered[name] = _filter_items(name, result[name], allowed, hidden)
    shared = not hidden and all(total(_INVENTORIES[name].kind) for name in present)
    if not shared and _CACHE_MEMBERS & filtered.keys():
        _keep_private(filtered)
    changed = bool(hidden) or (not shared and filtered != result)
    return Filtered(filtered if changed else result, changed, tuple(hidden))


def _filter_items(
    name: str, items: Any, allowed: Callable[[Subject], bool], hidden: list[Subject]
) -> list[Any]:
    """The items that are allowed; the others are appended to `hidden`."""
    if type(items) is not list:
        raise malformed(f"{name} in a result is not a list")
    inventory = _INVENTORIES[name]
    kept = []
    for item in items:
        subject = _subject(item, inventory)
        if subject.name and allowed(subject):
            kept.append(item)
        else:
            hidden.append(subject)
    return kept


def _subject(item: Any, inventory: _Inventory) -> Subject:
    """What `item` offers; the name is "" where readers could disagree on it."""
    if type(item) is dict:
        name = item.get(inventory.name)
        if type(name) is str and inventory.members.lookalike(item) is None:
            return Subject(inventory.kind, name, inventory.method)
    return Subject(inventory.kind, "", inventory.method)


def _keep_private(result: dict[str, Any]) -> None:
    """Let nobody share a filtered result, nor keep it for long (2026-07-28, caching of list results)."""
    result["cacheScope"] = "private"
    ttl = result.get("ttlMs")
    if "ttlMs" in result and (type(ttl) is not int or not 0 <= ttl <= MAX_TTL_MS):
        result["ttlMs"] = MAX_TTL_MS if type(ttl) is int and ttl > 0 else 0
