"""The ways by which a container gets what is in a Secret: a variable, all its keys as variables, or files."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator
from typing import Any

from webhook.admission.documents import Container, EnvVar, Volume, VolumeMount

Keys = Collection[tuple[str, str] | str]
"""Keys of Secrets, as pairs, and names of Secrets of which every key counts."""


def secret_key(variable: EnvVar) -> tuple[str, str, bool] | None:
    """Name and key of the Secret that a variable comes from, and whether it may be missing."""
    reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
    if not isinstance(reference, dict):
        return None
    name, key = reference.get("name"), reference.get("key")
    if not isinstance(name, str) or not isinstance(key, str) or not name or not key:
        return None
    return name, key, bool(reference.get("optional"))


def whole_secrets(container: Container) -> Iterator[tuple[str, str]]:
    """Prefix and name of the Secrets that a container takes all variables of."""
    for source in container.get("envFrom") or ():
        name = (source.get("secretRef") or {}).get("name")
        if name:
            yield source.get("prefix") or "", name


def collective(container: Container, variable: str) -> Iterator[tuple[str, str]]:
    """Secret and key that `variable` may come from by `envFrom`."""
    for prefix, name in whole_secrets(container):
        if variable.startswith(prefix) and variable != prefix:
            yield name, variable.removeprefix(prefix)


def from_secrets(container: Container) -> Iterator[str]:
    """What comes from Secrets, in words: variables by name, and Secrets that are taken whole."""
    for one in container.get("env") or ():
        if secret_key(one) is not None:
            yield one["name"]
    for prefix, name in whole_secrets(container):
        yield f"{prefix}* of Secret {name} (envFrom)"


def exposures(container: Container, volumes: Collection[Volume], keys: Keys) -> Iterator[str]:
    """How `container` gets any of `keys`, in words."""
    sought = _Sought(keys)
    env = container.get("env") or ()
    for one in env:
        found = secret_key(one)
        if found is not None and (found[1] in sought.keys_of(found[0]) or found[0] in sought.whole):
            yield f"variable {one['name']} is key {found[1]} of Secret {found[0]}"
    own = {one["name"] for one in env}
    for prefix, name in whole_secrets(container):
        if name in sought.whole:
            yield f"envFrom of Secret {name}"
        for key in sought.keys_of(name):
            if prefix + key not in own:
                yield f"variable {prefix}{key} comes from Secret {name} by envFrom"
    yield from _files(container, volumes, sought)


class _Sought:
    """`Keys` by the name of the Secret, so that nothing is looked for in a list of all of them."""

    __slots__ = ("_keys", "whole")

    def __init__(self, keys: Keys) -> None:
        self.whole = frozenset(one for one in keys if isinstance(one, str))
        self._keys: dict[str, dict[str, None]] = {}
        for pair in keys:
            if isinstance(pair, tuple):
                self._keys.setdefault(pair[0], {})[pair[1]] = None

    def keys_of(self, secret: str) -> Collection[str]:
        """The keys of a Secret that are sought one by one, in their order."""
        return self._keys.get(secret, ())


def _files(container: Container, volumes: Collection[Volume], sought: _Sought) -> Iterator[str]:
    mounts = container.get("volumeMounts") or ()
    mounted = {mount.get("name", "") for mount in mounts}
    holding = {one["name"]: list(_held(one, sought)) for one in volumes if one["name"] in mounted}
    for mount in mounts:
        shown = _shown(mount)
        for secret, path in holding.get(mount.get("name", ""), ()):
            if not shown or not path or f"{path}/".startswith(f"{shown}/"):
                yield f"volume {mount['name']} holds Secret {secret}"


def _held(volume: Volume, sought: _Sought) -> Iterator[tuple[str, str]]:
    """The Secrets that are sought and that a volume holds, each with the path of the key in it."""
    projected = (volume.get("projected") or {}).get("sources")
    sources: list[Any] = projected if isinstance(projected, list) else []
    parts: list[tuple[Any, str]] = [(volume.get("secret"), "secretName")]
    parts += [(one["secret"], "name") for one in sources if isinstance(one, dict) and one.get("secret")]
    for part, called in parts:
        if not isinstance(part, dict) or not isinstance(part.get(called), str):
            continue
        name = part[called]
        if name in sought.whole:
            yield name, ""
        for path in _paths(part.get("items"), sought.keys_of(name)):
            yield name, posixpath.normpath(path)


def _paths(items: Any, keys: Collection[str]) -> Iterator[str]:
    """Where those of `keys` stand that a volume with these `items` has."""
    if not isinstance(items, list) or not items:
        yield from keys
        return
    pairs = ((one.get("key"), one.get("path")) for one in items if isinstance(one, dict))
    yield from (path for key, path in pairs if isinstance(key, str) and isinstance(path, str) and key in keys)


def _shown(mount: VolumeMount) -> str:
    """The part of a volume that a mount shows; "" for all of it.

    The kubelet keeps every file once more in `..data`, and in the folder with a time that this names.
    """
    below = posixpath.normpath(mount.get("subPath") or ".")
    return "" if below == "." or below.startswith("..") or mount.get("subPathExpr") else below
