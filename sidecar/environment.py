"""Environment variables laid over the sidecar's file.

In a pod the injector sets variables and no file has to exist; each variable stands for one key of the file
(`mesh.settings`), is written as text, and wins over the file. The result is one tree that is checked as one.
"""

from __future__ import annotations

from collections.abc import Mapping as Environment

from mesh.policy import yaml_tree
from mesh.policy.errors import ErrorLog
from mesh.policy.yaml_tree import Entry, Mapping, Node, Scalar, Sequence
from mesh.settings.table import ENV_CONFIG, SIDECAR_ENV

CONFIG_VARIABLE = ENV_CONFIG.name

_JSON_KEYS = frozenset({"agent.labels", "connect", "limits"})
_LIST_KEYS = frozenset({"policies", "application.ports"})
_OFF = "off"


def overlay(node: Node | None, environment: Environment[str, str], log: ErrorLog) -> Node | None:
    """`node` with every variable of the settings table that is set laid over it."""
    tree = node
    for name, setting in SIDECAR_ENV.items():
        value = environment.get(name, "")
        if not setting.key or not value:
            continue
        tree = _put(tree, setting.key.split("."), _node(setting.key, value, log))
    return tree


def _node(key: str, value: str, log: ErrorLog) -> Node:
    """The value as the tree that its key has in a file."""
    if key in _JSON_KEYS:
        found = yaml_tree.read_documents(value, log)
        return found[0] if found else Mapping(1, ())
    if key in _LIST_KEYS:
        plain = key == "application.ports"
        items = [item.strip() for item in value.split(",") if item.strip()]
        return Sequence(1, tuple(Scalar(1, item, plain) for item in items))
    if key.startswith("listen.") and value == _OFF:
        return Scalar(1, "null", plain=True)
    return Scalar(1, value, plain=False)


def _put(tree: Node | None, path: list[str], value: Node) -> Node:
    """`tree` with `value` at `path`; what is no mapping on the way is replaced."""
    entries = tree.entries if isinstance(tree, Mapping) else ()
    key, *rest = path
    if rest:
        below = next((entry.value for entry in entries if entry.key == key), None)
        value = _put(below, rest, value)
    kept = tuple(entry for entry in entries if entry.key != key)
    line = tree.line if tree is not None else 1
    return Mapping(line, (*kept, Entry(value.line, key, value)))
