"""What was read of one kind of object: the objects, or why there are none to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cli.cluster.answers import Denied, Obj


@dataclass(frozen=True, slots=True)
class Part:
    """`unread` is empty where the objects could be read; `absent` says that there is no such kind or object."""

    items: tuple[Obj, ...] = ()
    unread: str = ""
    absent: bool = False

    @property
    def one(self) -> Obj | None:
        """The only object, where one was asked for by its name."""
        return self.items[0] if self.items else None

    def named(self, name: str, namespace: str | None = None) -> Obj | None:
        """The object of that name; `namespace` None where the kind has none or it does not matter."""
        for item in self.items:
            metadata = item.get("metadata") or {}
            if metadata.get("name") == name and namespace in (None, metadata.get("namespace")):
                return item
        return None


NOT_ASKED = Part(unread="it was not asked for")


def read_list(fetch: Callable[[], tuple[Obj, ...]]) -> Part:
    """A list. 404 means that the cluster does not serve the kind."""
    try:
        return Part(fetch())
    except Denied as denied:
        return Part(absent=True) if denied.status == 404 else Part(unread=str(denied))


def read_one(fetch: Callable[[], Obj]) -> Part:
    """One object by its name."""
    try:
        return Part((fetch(),))
    except Denied as denied:
        return Part(absent=True) if denied.status == 404 else Part(unread=str(denied))
