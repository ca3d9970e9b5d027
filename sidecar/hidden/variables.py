"""The section `hiddenSecrets` of the sidecar's configuration: which placeholders there are, and their files.

    hiddenSecrets:
      outrider-hidden-0123456789abcdef0123456789abcdef:
        {container: agent, variable: GITHUB_TOKEN, files: [/run/outrider/hidden-secrets/...]}

Admission writes it. What it keeps beside that for itself (`originals`) says nothing to the sidecar.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh.policy import yaml_tree
from mesh.policy.fields import INVALID, Field, Invalid, Place, Reader, read_object
from mesh.policy.yaml_tree import Broken, Node, Scalar, Sequence
from mesh.settings.placeholders import PLACEHOLDER

_KEY = re.compile(PLACEHOLDER + "[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class HiddenVariable:
    """A variable of a container that holds a placeholder. Of `files` the last one that is there has the secret."""

    container: str
    variable: str
    files: tuple[Path, ...]

    def below(self, folder: Path) -> HiddenVariable:
        """Relative paths are relative to `folder`."""
        return HiddenVariable(self.container, self.variable, tuple(folder / file for file in self.files))


def hidden_variables(node: Node, place: Place) -> Mapping[str, HiddenVariable] | Invalid:
    """Variables by placeholder."""
    if isinstance(node, Broken):
        return INVALID
    if not isinstance(node, yaml_tree.Mapping):
        return place.error(node, "expected a mapping of placeholders")
    found: dict[str, HiddenVariable] = {}
    for entry in node.entries:
        below = place.child(entry.key)
        if not _KEY.fullmatch(entry.key):
            below.report(f"is no placeholder; write {PLACEHOLDER} and 32 hexadecimal digits", entry.line)
            continue
        if not isinstance(entry.value, yaml_tree.Mapping):
            below.report("expected a container, a variable and files", entry.line)
            continue
        values = read_object(entry.value, below, _VARIABLE)
        if values is not None and INVALID not in values.values() and INVALID not in values["files"]:
            files = tuple(Path(file) for file in values["files"])
            found[entry.key] = HiddenVariable(values["container"], values["variable"], files)
    return found if len(found) == len(node.entries) else INVALID


def _written(what: str) -> Reader:
    """A text that is not empty. What stands there instead is not told: it could be the secret itself."""

    def read(node: Node, place: Place) -> str | Invalid:
        if isinstance(node, Scalar) and node.text and "\0" not in node.text:
            return node.text
        return INVALID if isinstance(node, Broken) else place.error(node, f"expected {what}")

    return read


def _files(node: Node, place: Place) -> tuple[Any, ...] | Invalid:
    if not isinstance(node, Sequence):
        return INVALID if isinstance(node, Broken) else place.error(node, "expected a list of paths")
    return tuple(_path(item, place.item(index)) for index, item in enumerate(node.items))


_path = _written("a path")
_VARIABLE = {
    "container": Field(_written("the name of a container"), missing="the container's name"),
    "variable": Field(_written("the name of a variable"), missing="the variable's name"),
    "files": Field(_files, missing="the files that may hold the secret"),
    "originals": Field(lambda node, place: None),
}
