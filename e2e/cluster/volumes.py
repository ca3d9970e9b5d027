"""A pod's volumes as folders of this machine, kept up to date as a kubelet does: a new folder, then one rename.

Programs that hold `..data` open see all of the old content or all of the new. What a volume needs and is not there
yet keeps the pod from starting, and is tried again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from e2e.cluster.api import Api, ApiError
from e2e.cluster.variables import Find, NotConfigured, Variables, contents

Csi = Callable[[dict[str, Any], dict[str, Any], Path], Path]
"""(pod, the volume's `csi`, an empty folder) to the folder that is mounted. Raises NotMounted."""
DATA: Final = "..data"
REFRESHED: Final = frozenset({"secret", "configMap", "projected", "downwardAPI"})


class NotMounted(Exception):
    """A volume cannot be made now (FailedMount)."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a volume."""

    content: bytes
    mode: int
    owner: int = 0


@dataclass(slots=True)
class Token:
    """A service account's token, and when it is to be replaced."""

    text: str
    replace_at: float


@dataclass(slots=True)
class Volumes:
    """Everything that a pod's containers mount."""

    pod: dict[str, Any]
    folder: Path
    api: Api
    find: Find
    csi: Mapping[str, Csi]
    clock: Callable[[], float]
    tokens: dict[tuple[str, str], Token] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)

    @property
    def group(self) -> int | None:
        return (self.pod["spec"].get("securityContext") or {}).get("fsGroup")

    def make(self, variables: Variables) -> None:
        """Make every volume. Raises NotMounted, and goes on from there when it is called again."""
        for volume in self.pod["spec"].get("volumes") or []:
            if volume["name"] not in self.paths:
                self.paths[volume["name"]] = self._make(volume, variables)

    def refresh(self, variables: Variables) -> None:
        """Write what has changed. What is gone meanwhile leaves the volume as it was."""
        for volume in self.pod["spec"].get("volumes") or []:
            kind = _kind(volume)
            if kind in REFRESHED and volume["name"] in self.paths:
                with contextlib.suppress(NotMounted, NotConfigured, ApiError):
                    self._write(self.paths[volume["name"]], self._files(kind, volume[kind], variables))

    def depends_on(self, kind: str, name: str) -> bool:
        """Whether a volume is made of this Secret or ConfigMap."""
        key, named = ("secret", "secretName") if kind == "Secret" else ("configMap", "name")
        for volume in self.pod["spec"].get("volumes") or []:
            sources = (volume.get("projected") or {}).get("sources") or []
            if (volume.get(key) or {}).get(named) == name:
                return True
            if any((source.get(key) or {}).get("name") == name for source in sources):
                return True
        return False

    def tokens_due(self) -> bool:
        """Whether a token has to be replaced."""
        return any(self.clock() >= token.replace_at for token in self.tokens.values())

    def remove(self) -> None:
        for volume in self.pod["spec"].get("volumes") or []:
            if _in_memory(volume) and volume["name"] in self.paths:
                # Lazily: containers' own copies of the mount end with them.
                subprocess.run(["umount", "--lazy", self.paths[volume["name"]]], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self, volume: dict[str, Any], variables: Variables) -> Path:
        kind = _kind(volume)
        folder: Path = self.folder / volume["name"]
        source = volume.get(kind) or {}
        if kind == "hostPath":
            return _host_path(source)
        folder.mkdir(parents=True, exist_ok=True)
        if kind in REFRESHED:
            self._write(folder, self._files(kind, source, variables))
            return folder
        if kind == "csi":
            if source["driver"] not in self.csi:
                raise NotMounted(
                    f"driver name {source['driver']} not found in the list of registered CSI drivers"
                )
            return self.csi[source["driver"]](self.pod, source, folder)
        if kind in ("emptyDir", "ephemeral", "persistentVolumeClaim"):
            if _in_memory(volume):
                _mount_memory(folder, source.get("sizeLimit"))
            folder.chmod(0o777)
            if self.group is not None:
                os.chown(folder, 0, self.group)
                folder.chmod(0o2777)
            return folder
        raise NotMounted(f"{kind} is nothing that this node knows")

    def _files(self, kind: str, source: dict[str, Any], variables: Variables) -> dict[str, File]:
        default = source.get("defaultMode", 0o644)
        if kind == "projected":
            files: dict[str, File] = {}
            for part in source.get("sources") or []:
                name = next(iter(part))
                files.update(self._part(name, part[name], default, variables))
            return files
        return self._part(kind, source, default, variables)

    def _part(self, kind: str, source: dict[str, Any], mode: int, variables: Variables) -> dict[str, File]:
        if kind == "serviceAccountToken":
            return {source["path"]: self._token_file(source)}
        if kind == "downwardAPI":
            return {item["path"]: _downward(item, variables, mode) for item in source.get("items") or []}
        if kind not in ("secret", "configMap"):
            raise NotMounted(f"projected {kind} is nothing that this node knows")
        name = source.get("secretName") or source["name"]
        named = "Secret" if kind == "secret" else "ConfigMap"
        found = self.find(named, self.pod["metadata"]["namespace"], name)
        if found is None:
            if source.get("optional"):
                return {}
            raise NotMounted(f'{named.lower()} "{name}" not found')
        return _selected(contents(found, named), source, mode, f'{named.lower()} "{name}"')

    def _token_file(self, source: dict[str, Any]) -> File:
        """Readable by the one user of all containers, or the group, or else by all; as a kubelet has it."""
        content = self._token(source).encode()
        users = self._users()
        if self.group is not None:
            return File(content, 0o640)
        if len(users) == 1 and None not in users:
            return File(content, 0o600, next(user for user in users if user is not None))
        return File(content, 0o644)

    def _users(self) -> set[int | None]:
        spec = self.pod["spec"]
        default = (spec.get("securityContext") or {}).get("runAsUser")
        everyone = [*(spec.get("initContainers") or []), *spec["containers"]]
        return {(one.get("securityContext") or {}).get("runAsUser", default) for one in everyone}

    def _token(self, source: dict[str, Any]) -> str:
        key = source.get("audience") or "", source["path"]
        known = self.tokens.get(key)
        if known is not None and self.clock() < known.replace_at:
            return known.text
        seconds = source.get("expirationSeconds") or 3600
        meta, account = self.pod["metadata"], self.pod["spec"].get("serviceAccountName") or "default"
        bound = {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]}
        spec: dict[str, Any] = {"expirationSeconds": seconds, "boundObjectRef": bound}
        if key[0]:
            spec["audiences"] = [key[0]]
        path = f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{account}/token"
        try:
            made = self.api.post(path, {"spec": spec})["status"]
        except ApiError as error:
            raise NotMounted(f"failed to fetch token: {error}") from error
        until = datetime.fromisoformat(made["expirationTimestamp"]).timestamp()
        now = self.clock()
        self.tokens[key] = Token(made["token"], now + min(0.8 * (until - now), 86400.0))
        return str(made["token"])

    def expire_tokens(self) -> None:
        """Replace every token at the next refresh, as if its time had come."""
        for token in self.tokens.values():
            token.replace_at = 0.0

    def _write(self, folder: Path, files: Mapping[str, File]) -> None:
        """Put `files` in place of what is there, at once; nothing happens when nothing has changed."""
        data = folder / DATA
        if data.exists() and _same(data.resolve(), files):
            return
        fresh = folder / f"..{secrets.token_hex(6)}"
        fresh.mkdir()
        fresh.chmod(0o755)
        for name, file in files.items():
            self._write_file(fresh / name, file)
        before = data.resolve() if data.exists() else None
        link = folder / "..data_tmp"
        link.symlink_to(fresh.name)
        link.rename(data)
        self._show(folder, files)
        if before is not None:
            shutil.rmtree(before, ignore_errors=True)

    def _write_file(self, path: Path, file: File) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode if self.group is None else file.mode | 0o040)
        os.chown(path, file.owner, self.group if self.group is not None else 0)

    @staticmethod
    def _show(folder: Path, files: Mapping[str, File]) -> None:
        wanted = {name.partition("/")[0] for name in files}
        for entry in folder.iterdir():
            if not entry.name.startswith("..") and entry.name not in wanted:
                entry.unlink()
        for name in wanted:
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"{DATA}/{name}")


def _kind(volume: dict[str, Any]) -> str:
    return next((key for key in volume if key != "name"), "emptyDir")


def _in_memory(volume: dict[str, Any]) -> bool:
    return bool((volume.get("emptyDir") or {}).get("medium") == "Memory")


def _mount_memory(folder: Path, limit: str | None) -> None:
    """`limit`: a quantity of bytes, which tmpfs writes with another suffix (tmpfs(5))."""
    size = "50%" if limit is None else limit.removesuffix("i").lower()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotMounted(f"tmpfs: {done.stderr.strip()}")


def _host_path(source: dict[str, Any]) -> Path:
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        raise NotMounted(f"hostPath {path} does not exist")
    if kind in ("Directory", "DirectoryOrCreate") and not path.is_dir():
        raise NotMounted(f"hostPath type check failed: {path} is not a directory")
    return path


def _downward(item: dict[str, Any], variables: Variables, mode: int) -> File:
    try:
        if field_of := item.get("fieldRef"):
            text = variables.field(field_of["fieldPath"])
        else:
            text = variables.resource(item["resourceFieldRef"], {})
    except NotConfigured as error:
        raise NotMounted(str(error)) from error
    return File(text.encode(), item.get("mode", mode))


def _selected(found: dict[str, bytes], source: dict[str, Any], mode: int, where: str) -> dict[str, File]:
    items = source.get("items")
    if not items:
        return {key: File(value, mode) for key, value in found.items()}
    files = {}
    for item in items:
        if item["key"] in found:
            files[item["path"]] = File(found[item["key"]], item.get("mode", mode))
        elif not source.get("optional"):
            raise NotMounted(f"references non-existent {where} key: {item['key']}")
    return files


def _same(folder: Path, files: Mapping[str, File]) -> bool:
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return there.keys() == files.keys() and all(
        path.read_bytes() == files[name].content for name, path in there.items()
    )
