"""YAML values as Kubernetes reads them, and text that every reader of YAML reads alike.

`kubectl` reads neither the timestamps nor the base-60 numbers of YAML 1.1 (`12:30` is text to it), and reads some
numbers that PyYAML does not (`1e3`). What is written is quoted wherever any reader might take text for something
else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from mesh.policy.scalars import read_as

# libyaml where PyYAML was built with it: the same documents, much faster.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+(?:\.[0-9]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+))$"
    r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)
# In place of PyYAML's readings; None where Kubernetes has no such type.
_READ_OTHERWISE = {
    "tag:yaml.org,2002:int": _INTEGER,
    "tag:yaml.org,2002:float": _FLOAT,
    "tag:yaml.org,2002:timestamp": None,
    "tag:yaml.org,2002:value": None,
}
_MERGE = "tag:yaml.org,2002:merge"


def events(text: str) -> Iterator[Any]:
    """The parser's events, which neither recurse nor expand anything."""
    parsed: Iterator[Any] = yaml.parse(text, Loader=_Base)
    return parsed


def dump(value: Any) -> str:
    """`value` as one YAML document, keys in their order, without anchors."""
    text: str = yaml.dump(value, Dumper=ManifestDumper, sort_keys=False, allow_unicode=True, width=10_000)
    return text


class ManifestLoader(_Base):  # type: ignore[misc]
    """The safe loader with the readings of Kubernetes, and with keys that are unique."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Refuses a key that stands twice: readers disagree on which one counts."""
        seen: set[tuple[str, str]] = set()
        for key_node, _ in node.value:
            key = (key_node.tag, str(key_node.value))
            if key in seen and key_node.tag != _MERGE:
                problem = f"key {key[1]!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _resolvers(inherited: dict[str, list[tuple[str, Any]]]) -> dict[str, list[tuple[str, Any]]]:
    """PyYAML's implicit types by first character, with the readings above."""
    kept: dict[str, list[tuple[str, Any]]] = {}
    for first, readings in inherited.items():
        changed = [(tag, _READ_OTHERWISE.get(tag, pattern)) for tag, pattern in readings]
        kept[first] = [(tag, pattern) for tag, pattern in changed if pattern is not None]
    return kept


ManifestLoader.yaml_implicit_resolvers = _resolvers(_Base.yaml_implicit_resolvers)


class ManifestDumper(yaml.SafeDumper):
    """The safe dumper without aliases, which manifests do not use, and with long text in blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True

    def represent_text(self, data: str) -> Any:
        """Text of several lines as a block; text that looks like something else in quotes."""
        style = "|" if "\n" in data else None
        if read_as(data) != "string":
            style = "'"
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


ManifestDumper.add_representer(str, ManifestDumper.represent_text)
