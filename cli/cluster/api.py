"""The API server as plain JSON: GET a path, follow the pages, ask for a review.

Objects stay dictionaries, as the server wrote them: what looks at them needs a few fields of many kinds, of which
some are custom resources. Of the `kubernetes` client only the connection is used, for kubeconfigs have many ways
to log in.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from urllib.parse import quote, urlencode

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from cli.cluster.answers import Denied, Obj
from cli.cluster.failures import ClusterUnavailable, refused, unavailable

TIMEOUT_SECONDS = 15.0
POD_TIMEOUT_SECONDS = 5.0
PAGE = 500
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class Api:
    """One API server, with the credential of one kubeconfig context."""

    def __init__(self, client: ApiClient, headers: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._headers = dict(headers or {})
        self.server = str(client.configuration.host)
        self.unverified = self.server.startswith("https:") and not client.configuration.verify_ssl
        """Nobody looks whether it is this server that answers, as the kubeconfig wants it."""

    def get(self, path: str, **query: str) -> Obj:
        """The object at `path`, such as `/api/v1/namespaces/agents`.

        Raises:
            Denied: the server answers with something other than success.
            ClusterUnavailable: it does not answer, or does not know who asks.
        """
        return self._object(self._request("GET", path, query, None))

    def items(self, path: str, **query: str) -> tuple[Obj, ...]:
        """Every object of a list, over all its pages; each with apiVersion and kind. Raises as `get`."""
        found: list[Obj] = []
        more: dict[str, str] = {}
        while True:
            page = self.get(path, limit=str(PAGE), **query, **more)
            kind = str(page.get("kind", "")).removesuffix("List")
            version = page.get("apiVersion", "v1")
            found += [{"apiVersion": version, "kind": kind, **item} for item in page.get("items") or ()]
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return tuple(found)
            more = {"continue": token}

    def text(self, path: str, **query: str) -> str:
        """What is at `path` as text, such as a log. Raises as `get`."""
        return self._request("GET", path, query, None).decode("utf-8", "replace")

    def create(self, path: str, document: Obj) -> Obj:
        """The answer to a POST; reviews change nothing in the cluster. Raises as `get`."""
        return self._object(self._request("POST", path, {}, document))

    def metadata(self, path: str) -> Obj:
        """An object without what it holds, such as a Secret: that does not leave the server. Raises as `get`."""
        found = self._object(self._request("GET", path, {}, None, accept=_METADATA))
        return {key: value for key, value in found.items() if key not in ("data", "stringData")}

    def through(self, path: str) -> str:
        """What a pod answers at a path of its subresource `proxy`, with whatever status.

        Raises:
            Denied: the server does not let it through, or does not reach the pod.
            ClusterUnavailable: as `get`; the pod does not answer in time.
        """
        try:
            data = self._request("GET", path, {}, None, seconds=POD_TIMEOUT_SECONDS)
        except Denied as denied:
            if _is_status(denied.body):
                raise
            data = denied.body
        return data.decode("utf-8", "replace")

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Obj | None,
        *,
        accept: str = "application/json, */*",
        seconds: float = TIMEOUT_SECONDS,
    ) -> bytes:
        url = self.server.rstrip("/") + quote(path, safe="/:")
        if query:
            url = f"{url}?{urlencode(query)}"
        headers = {"Accept": accept, "Content-Type": "application/json", **self._headers}
        try:
            self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            with _told_already() if self.unverified else nullcontext():
                response = self._client.call_api(
                    method, url, header_params=headers, body=body, _request_timeout=seconds
                )
            data = bytes(response.response.data or b"")
        except (HTTPError, ApiException, OSError) as error:
            raise unavailable(self.server, error) from error
        if 200 <= response.status < 300:
            return data
        if response.status == 401:
            raise refused(self.server, 401, "")
        raise Denied(response.status, _message(data) or str(response.reason), data)

    def _object(self, data: bytes) -> Obj:
        try:
            value = json.loads(data)
        except ValueError as error:
            raise _no_api_server(self.server) from error
        if not isinstance(value, dict):
            raise _no_api_server(self.server)
        return value


@contextmanager
def _told_already() -> Iterator[None]:
    """Without the warning that each request gets which verifies nothing; `connect` says it once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureRequestWarning)
        yield


def _no_api_server(server: str) -> ClusterUnavailable:
    return ClusterUnavailable(
        f"What {server} answers is not JSON, so it is no API server.",
        "Look whether the address in the kubeconfig is the API server's.",
    )


def _is_status(data: bytes) -> bool:
    """Is it the API server's own answer?"""
    try:
        value = json.loads(data)
    except ValueError:
        return not data
    return isinstance(value, dict) and value.get("kind") == "Status"


def _message(data: bytes) -> str:
    """The message of a Status object, or the text of any other answer."""
    try:
        value = json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace").strip()[:200]
    return str(value.get("message") or "") if isinstance(value, dict) else ""
