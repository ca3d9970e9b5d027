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

from mesh.policy import yaml_tree
from mesh.policy.fields import INVALID, Field, Invalid, Place, describe, list_of, read_object, text
from mesh.policy.yaml_tree import Broken, Node
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
        return place.error(node, f"expected a mapping, found {describe(node)}")
    found: dict[str, HiddenVariable] = {}
    for entry in node.entries:
        below = place.child(entry.key)
        if not _KEY.fullmatch(entry.key):
            below.report(f"is no placeholder; write {PLACEHOLDER} and 32 hexadecimal digits", entry.line)
            continue
        values = read_object(entry.value, below, _VARIABLE)
        if values is not None and INVALID not in values.values() and INVALID not in values["files"]:
            files = tuple(Path(file) for file in values["files"])
            found[entry.key] = HiddenVariable(values["container"], values["variable"], files)
    return found if len(found) == len(node.entries) else INVALID


def _named(value: str) -> str | None:
    return None if value else "is empty"


def _path(value: str) -> str | None:
    return None if value and "\0" not in value else "is no path"


_VARIABLE = {
    "container": Field(text(_named), missing="the container's name"),
    "variable": Field(text(_named), missing="the variable's name"),
    "files": Field(list_of(text(_path)), missing="the files that may hold the secret"),
    "originals": Field(lambda node, place: None),
}
