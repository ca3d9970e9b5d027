"""The environment of a container: values, references to other objects, and `$(NAME)` in commands."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from kubernetes.utils.quantity import parse_quantity

REFERENCE: Final = re.compile(r"\$(\$|\(([^()]+)\))")
KEYED: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
Find = Callable[[str, str, str], dict[str, Any] | None]
"""(kind, namespace, name) to the object: kind is "Secret" or "ConfigMap"."""


class NotConfigured(Exception):
    """A reference leads nowhere; the container cannot be made until it does (CreateContainerConfigError)."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` for each name that is known; `$$` is a dollar sign."""

    def replace(found: re.Match[str]) -> str:
        if found[2] is None:
            return "$"
        return variables.get(found[2], found[0])

    return REFERENCE.sub(replace, text)


def contents(found: dict[str, Any], kind: str) -> dict[str, bytes]:
    """The keys of a Secret or ConfigMap."""
    if kind == "Secret":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    plain = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return plain | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}


class Variables:
    """Makes the environment of a pod's containers. `status` gives what is known of the pod only once it runs."""

    def __init__(self, pod: dict[str, Any], find: Find, status: Mapping[str, str]) -> None:
        self._pod = pod
        self._find = find
        self._status = status

    def of(self, container: dict[str, Any], base: Mapping[str, str]) -> dict[str, str]:
        """Everything that the container's program is given. Raises NotConfigured."""
        made = dict(base)
        for source in container.get("envFrom") or []:
            made.update(self._all_of(source))
        for entry in container.get("env") or []:
            value = self._value(entry, container, made)
            if value is not None:
                made[entry["name"]] = value
        return made

    def _all_of(self, source: dict[str, Any]) -> dict[str, str]:
        kind, reference = (
            ("Secret", source.get("secretRef")) if source.get("secretRef") else ("ConfigMap", None)
        )
        reference = reference or source["configMapRef"]
        found = self._object(kind, reference)
        prefix = source.get("prefix") or ""
        return {prefix + key: value.decode() for key, value in (found or {}).items()}

    def _value(self, entry: dict[str, Any], container: dict[str, Any], made: Mapping[str, str]) -> str | None:
        source = entry.get("valueFrom")
        if not source:
            return expand(entry.get("value") or "", made)
        if field := source.get("fieldRef"):
            return self.field(field["fieldPath"])
        if resource := source.get("resourceFieldRef"):
            return self.resource(resource, container)
        for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if reference := source.get(key):
                return self._key(kind, reference)
        raise NotConfigured(f"{entry['name']}: {', '.join(source)} is nothing that this node knows")

    def _key(self, kind: str, reference: dict[str, Any]) -> str | None:
        found = self._object(kind, reference)
        if found is None:
            return None
        if reference["key"] not in found:
            if reference.get("optional"):
                return None
            raise NotConfigured(f"couldn't find key {reference['key']} in {kind} {reference['name']}")
        return found[reference["key"]].decode()

    def _object(self, kind: str, reference: dict[str, Any]) -> dict[str, bytes] | None:
        found = self._find(kind, self._pod["metadata"]["namespace"], reference["name"])
        if found is None:
            if reference.get("optional"):
                return None
            raise NotConfigured(f'{kind.lower()} "{reference["name"]}" not found')
        return contents(found, kind)

    def field(self, path: str) -> str:
        """A field of the pod, as the downward API has it. Raises NotConfigured."""
        meta, spec = self._pod["metadata"], self._pod["spec"]
        if keyed := KEYED.fullmatch(path):
            return str((meta.get(keyed[1]) or {}).get(keyed[2], ""))
        if path in ("metadata.labels", "metadata.annotations"):
            pairs = meta.get(path.partition(".")[2]) or {}
            return "\n".join(f'{key}="{_escaped(value)}"' for key, value in sorted(pairs.items()))
        known = {
            "metadata.name": meta["name"],
            "metadata.namespace": meta["namespace"],
            "metadata.uid": meta["uid"],
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            **self._status,
        }
        if path not in known:
            raise NotConfigured(f"fieldPath {path} is nothing that this node knows")
        return str(known[path])

    def resource(self, reference: dict[str, Any], container: dict[str, Any]) -> str:
        """A request or limit in units of its divisor, rounded up; without a limit, a node of 4 CPUs and 8 GiB."""
        named = reference.get("containerName")
        if named:
            spec = self._pod["spec"]
            everyone = [*(spec.get("initContainers") or []), *spec["containers"]]
            container = next(other for other in everyone if other["name"] == named)
        kind, _, resource = reference["resource"].partition(".")
        found = ((container.get("resources") or {}).get(kind) or {}).get(resource)
        whole = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "20Gi"}
        quantity = parse_quantity(  # type: ignore[no-untyped-call]
            found or (whole.get(resource, "0") if kind == "limits" else "0")
        )
        divisor = parse_quantity(reference.get("divisor") or "1") or 1  # type: ignore[no-untyped-call]
        return str(math.ceil(quantity / divisor))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
