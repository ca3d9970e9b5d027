"""What differs between the tools that a server offers and those that were approved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from cli.pins.sources import Offer
from mesh.pins.compare import changed
from mesh.pins.digest import tool_digest
from mesh.pins.lookalike import Names


class Finding(NamedTuple):
    """One difference, as a sidecar would find it; `tool` is empty for that of the set."""

    kind: Literal["changed", "added", "renamed", "look-alike", "removed", "set"]
    tool: str
    what: str


def differences(now: Offer, before: Offer) -> list[Finding]:
    """In the order of the names. Where only the digest of the set was approved, that is all that is compared."""
    if not before.tools and before.digest:
        return list(_of_set(now, before))
    found = list(_of_tools(now, before))
    return found or list(_of_set(now, before))


def _of_set(now: Offer, before: Offer) -> Iterator[Finding]:
    if before.digest and before.digest != now.digest:
        yield Finding("set", "", f"{before.digest} -> {now.digest}")


def _of_tools(now: Offer, before: Offer) -> Iterator[Finding]:
    names, gone = Names(before.tools), before.tools.keys() - now.tools.keys()
    bodies = {_body(before, name): name for name in sorted(gone) if name in before.definitions}
    renamed: set[str] = set()
    for name in sorted(now.tools):
        if name not in before.tools:
            mistaken = names.mistaken(name)
            was = bodies.get(_body(now, name))
            if was is not None:
                renamed.add(was)
                yield Finding("renamed", name, f"was {was}; all but the name is the same")
            elif mistaken is not None:
                yield Finding("look-alike", name, f"like {mistaken[0]}, but for {mistaken[1]}")
            else:
                yield Finding("added", name, now.tools[name])
        elif now.tools[name] != before.tools[name]:
            yield Finding("changed", name, _changed(now, before, name))
    for name in sorted(gone - renamed):
        yield Finding("removed", name, "no longer offered")


def _changed(now: Offer, before: Offer, name: str) -> str:
    if name in before.definitions and name in now.definitions:
        difference = changed(before.definitions[name], now.definitions[name])
        if difference is not None:
            return str(difference)
    return f"{before.tools[name]} -> {now.tools[name]}"


def _body(offer: Offer, name: str) -> str:
    return tool_digest({key: value for key, value in offer.definitions[name].items() if key != "name"})
