"""A cache of one kind of object, kept by a watch, which tells what changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from e2e.cluster.api import Api, ApiError

AGAIN_SECONDS = 0.2
Changed = Callable[[dict[str, Any], bool], None]
"""Called with an object and whether it is gone."""


class Informer:
    """Lists and watches `path` in a thread until it is closed; an API server that is away is awaited."""

    def __init__(self, api: Api, path: str, changed: Changed) -> None:
        self._api = api
        self._path = path
        self._changed = changed
        self._closed = threading.Event()
        self._synced = threading.Event()
        self._objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._thread = threading.Thread(target=self._run, name=f"informer {path}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_synced(self, seconds: float = 30) -> None:
        assert self._synced.wait(seconds), f"{self._path} was never listed"

    def stop(self) -> None:
        """Begin to end: closing the Api after this ends the watch for good."""
        self._closed.set()

    def close(self) -> None:
        """No more calls after this."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        return self._objects.get((namespace, name))

    def all(self) -> list[dict[str, Any]]:
        return list(self._objects.values())

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow(self._list())
            except ApiError:
                self._closed.wait(AGAIN_SECONDS)
        self._api.forget()

    def _list(self) -> str:
        answer = self._api.get(self._path)
        found = {_key(item): item for item in answer["items"]}
        for key, gone in list(self._objects.items()):
            if key not in found or found[key]["metadata"]["uid"] != gone["metadata"]["uid"]:
                self._put(gone, gone=True)
        for item in found.values():
            self._put(item, gone=False)
        self._synced.set()
        return str(answer["metadata"]["resourceVersion"])

    def _follow(self, version: str) -> None:
        while not self._closed.is_set():
            for event in self._api.watch(self._path, resourceVersion=version, allowWatchBookmarks="true"):
                if self._closed.is_set():
                    return
                item = event["object"]
                if event["type"] == "ERROR":
                    return  # too old: list again
                version = item["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._put(item, gone=event["type"] == "DELETED")

    def _put(self, item: dict[str, Any], *, gone: bool) -> None:
        key = _key(item)
        known = self._objects.get(key)
        if gone:
            self._objects.pop(key, None)
        elif (
            known is not None and known["metadata"]["resourceVersion"] == item["metadata"]["resourceVersion"]
        ):
            return
        else:
            self._objects[key] = item
        self._changed(item, gone)


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
