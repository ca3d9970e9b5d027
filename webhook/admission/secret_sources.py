"""The ways by which a container gets what is in a Secret: a variable, all its keys as variables, or files."""

from __future__ import annotations

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
    env = container.get("env") or ()
    for one in env:
        found = secret_key(one)
        if found is not None and (found[:2] in keys or found[0] in keys):
            yield f"variable {one['name']} is key {found[1]} of Secret {found[0]}"
    own = {one["name"] for one in env}
    for prefix, name in whole_secrets(container):
        if name in keys:
            yield f"envFrom of Secret {name}"
        for secret, key in (pair for pair in keys if isinstance(pair, tuple)):
            if secret == name and prefix + key not in own:
                yield f"variable {prefix}{key} comes from Secret {name} by envFrom"
    yield from _files(container, volumes, keys)


def _files(container: Container, volumes: Collection[Volume], keys: Keys) -> Iterator[str]:
    holding = {one["name"]: list(_held(one, keys)) for one in volumes}
    for mount in container.get("volumeMounts") or ():
        for secret, path in holding.get(mount.get("name", ""), ()):
            if _shows(mount, path):
                yield f"volume {mount['name']} holds Secret {secret}"


def _held(volume: Volume, keys: Keys) -> Iterator[tuple[str, str]]:
    """The Secrets of `keys` that a volume holds, each with the path of the key in it."""
    projected = (volume.get("projected") or {}).get("sources")
    sources: list[Any] = projected if isinstance(projected, list) else []
    parts: list[tuple[Any, str]] = [(volume.get("secret"), "secretName")]
    parts += [(one["secret"], "name") for one in sources if isinstance(one, dict) and one.get("secret")]
    for part, called in parts:
        if not isinstance(part, dict) or not isinstance(part.get(called), str):
            continue
        name = part[called]
        if name in keys:
            yield name, ""
        for pair in keys:
            path = _path(part.get("items"), pair[1]) if isinstance(pair, tuple) and pair[0] == name else None
            if path is not None:
                yield name, path


def _path(items: Any, key: str) -> str | None:
    """Where `key` stands in a volume with these `items`; None where it does not."""
    if not isinstance(items, list) or not items:
        return key
    paths = (one.get("path") for one in items if isinstance(one, dict) and one.get("key") == key)
    return next((path for path in paths if isinstance(path, str)), None)


def _shows(mount: VolumeMount, path: str) -> bool:
    """Does a mount that may be of a part of the volume only show `path`?"""
    below = mount.get("subPath")
    if not below or not path or mount.get("subPathExpr"):
        return True
    return path == below or path.startswith(f"{below.rstrip('/')}/")
