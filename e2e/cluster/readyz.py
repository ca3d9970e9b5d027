"""What sidecars say of themselves, asked as a kubelet does."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from e2e.cluster.api import Json
from e2e.cluster.kube import Kube
from mesh.settings.table import SIDECAR_CONTAINER

PORT = 15020


def readyz(pod: Json) -> Json:
    """The body of /readyz, whatever its verdict; {} where nobody answers."""
    url = f"http://{pod['status'].get('podIP')}:{PORT}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            said = answer.read()
    except urllib.error.HTTPError as unready:
        said = unready.read()
    except OSError:
        return {}
    found: Json = json.loads(said)
    return found


def sidecar_restarts(pod: Json) -> int:
    """How often the sidecar of a pod was started anew."""
    every = pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
    return next((int(one["restartCount"]) for one in every if one["name"] == SIDECAR_CONTAINER), 0)


def wait_restarted(kube: Kube, name: str, namespace: str, more_than: int = 0) -> Json:
    """The pod once its sidecar runs anew and answers."""

    def look() -> Json | None:
        found = kube.the("Pod", name, namespace)
        return found if sidecar_restarts(found) > more_than and readyz(found) else None

    return kube.until(look, f"the sidecar of {name} runs anew", namespace)
