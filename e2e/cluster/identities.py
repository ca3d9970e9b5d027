"""A SPIFFE CSI driver for the node: a Workload API for each pod, which knows it by its service account."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from e2e.authority import TrustDomain, trust_domain
from e2e.cluster.node import Node
from mesh.settings.table import SIDECAR_CONTAINER, SIDECAR_UID

DRIVER: Final = "csi.spiffe.io"
SOCKET: Final = "spire-agent.sock"


class SpiffeDriver:
    """Mounts `spire-agent.sock` of `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, for the sidecar's user only."""

    def __init__(self, trust: TrustDomain, folder: Path) -> None:
        self.trust = trust
        self._folder = folder
        self._numbers = itertools.count()

    def __call__(self, pod: dict[str, Any], source: dict[str, Any], mounted: Path) -> Path:
        # Not in the pod's own folder: a socket's path has 107 bytes at most.
        folder = self._folder / str(next(self._numbers))
        folder.mkdir(mode=0o755)
        self.trust.serve(folder / SOCKET, self.workload(pod), _owner(pod["spec"]))
        return folder

    @staticmethod
    def workload(pod: dict[str, Any]) -> str:
        """The path of a pod's identity."""
        account = pod["spec"].get("serviceAccountName") or "default"
        return f"ns/{pod['metadata']['namespace']}/sa/{account}"


def _owner(spec: dict[str, Any]) -> int:
    """The sidecar's user, or the application's where no sidecar was injected."""
    everyone = [*(spec.get("initContainers") or []), *spec["containers"]]
    for container in everyone:
        if container["name"] == SIDECAR_CONTAINER:
            return int((container.get("securityContext") or {}).get("runAsUser", SIDECAR_UID))
    return int((spec.get("securityContext") or {}).get("runAsUser", 0))


@contextlib.contextmanager
def spiffe_driver(node: Node, name: str) -> Iterator[SpiffeDriver]:
    """The driver on a node until the block ends, for the trust domain `name`."""
    folder = Path(tempfile.mkdtemp(prefix="outrider-csi-"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        driver = SpiffeDriver(stack.enter_context(trust_domain(name)), folder)
        node.csi[DRIVER] = driver
        stack.callback(node.csi.pop, DRIVER)
        yield driver
