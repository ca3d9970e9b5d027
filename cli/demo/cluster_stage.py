"""A cluster as the demo uses it: objects made, replaced and removed, and logs that are read until they tell."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from cli.cluster.answers import Denied, Obj
from cli.demo.cluster_objects import AGENT_NAME, Cast
from mesh.policy.documents import API_VERSION

if TYPE_CHECKING:
    from cli.cluster.api import Api

T = TypeVar("T")

_CORE = "/api/v1"
_OURS = f"/apis/{API_VERSION}"
_PAUSE = 0.05
_FORBIDDEN, _MISSING, _CONFLICT = 403, 404, 409


class StageFailed(Exception):
    """Something did not come about in time, or was refused; the cluster or who runs it is at fault.

    `hint` says what to do.
    """

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


class Stage:
    """The namespaces of one demo. `clock` and `sleep` are given by tests."""

    def __init__(
        self,
        api: Api,
        cast: Cast,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.api = api
        self.cast = cast
        self.clock = clock
        self._sleep = sleep

    def make_namespace(self, document: Obj) -> None:
        """Raises StageFailed."""
        self._do("POST", f"{_CORE}/namespaces", document)

    def make(self, space: str, resource: str, document: Obj) -> None:
        """An object of the core, or of ours. Raises StageFailed."""
        self._do("POST", _path(space, resource, document), document)

    def replace(self, space: str, resource: str, document: Obj) -> None:
        """The spec of one that is there. Raises StageFailed."""
        path = f"{_path(space, resource, document)}/{document['metadata']['name']}"
        found = self.api.get(path)
        self._do("PUT", path, {**found, "spec": document["spec"]})

    def get(self, space: str, resource: str, name: str) -> Obj:
        """Raises Denied."""
        prefix = _OURS if resource in ("agentpolicies", "backends") else _CORE
        return self.api.get(f"{prefix}/namespaces/{space}/{resource}/{name}")

    def log(self, space: str, name: str, container: str) -> str:
        """What a container wrote; "" while it has not begun."""
        try:
            return self.api.text(f"{_CORE}/namespaces/{space}/pods/{name}/log", container=container)
        except Denied as denied:
            if denied.status == _FORBIDDEN:
                raise StageFailed(
                    f"Logs cannot be read: {denied}", "Ask for the right to read pods/log."
                ) from denied
            return ""

    def seen(self) -> dict[str, Any]:
        """The last that the agent saw."""
        lines = [
            one for one in self.log(self.cast.agents, AGENT_NAME, "program").splitlines() if one[:1] == "{"
        ]
        value: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return value

    def until(self, look: Callable[[], T | None], seconds: float, what: str, hint: str) -> T:
        """Look until there is something. Raises StageFailed."""
        end = self.clock() + seconds
        while True:
            found = look()
            if found:
                return found
            if self.clock() > end:
                raise StageFailed(f"{what} within {seconds:g} seconds", hint)
            self._sleep(_PAUSE)

    def remove(self) -> None:
        """Delete both namespaces, and wait until they are gone."""
        for space in (self.cast.agents, self.cast.tools):
            self._delete(f"{_CORE}/namespaces/{space}")
        for space in (self.cast.agents, self.cast.tools):
            self.until(
                lambda space=space: self._gone(space),  # type: ignore[misc]
                120,
                f"Namespace {space} is not gone",
                f"`kubectl delete namespace {space}` deletes it; `kubectl describe` says what holds it.",
            )

    def _gone(self, space: str) -> bool:
        try:
            self.api.get(f"{_CORE}/namespaces/{space}")
        except Denied as denied:
            return denied.status == _MISSING
        return False

    def _delete(self, path: str) -> None:
        try:
            self.api._request("DELETE", path, {}, None)
        except Denied as denied:
            if denied.status not in (_MISSING, _CONFLICT):
                raise StageFailed(
                    f"{path} cannot be deleted: {denied}", "Delete it with kubectl."
                ) from denied

    def _do(self, method: str, path: str, document: Obj) -> None:
        try:
            self.api._request(method, path, {}, document)
        except Denied as denied:
            name = document["metadata"]["name"]
            raise StageFailed(
                f"{document['kind']} {name} is refused: {denied}",
                "The demo needs the right to make namespaces, pods and policies; `outrider check` sees the rest.",
            ) from denied


def _path(space: str, resource: str, document: Obj) -> str:
    prefix = _OURS if document["apiVersion"] == API_VERSION else _CORE
    return f"{prefix}/namespaces/{space}/{resource}"
