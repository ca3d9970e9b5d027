"""What to do about sidecars that are not ready, by what the kubelet says of them."""

from __future__ import annotations

from collections.abc import Iterable

from cli.check.objects import inner, name_of, sidecar_status
from cli.cluster.answers import Obj

_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_CONFIGURATION = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_BAD_INPUT = 2


def readiness_hint(namespace: str, pods: Iterable[Obj]) -> str:
    """The next steps, each once; the pod named is the first in that state."""
    told: dict[str, str] = {}
    for pod in pods:
        kind, said = _hint(namespace, pod)
        told.setdefault(kind, said)
    return " ".join(told.values())


def _hint(namespace: str, pod: Obj) -> tuple[str, str]:
    name, status = name_of(pod), sidecar_status(pod) or {}
    waiting = str(inner(status, "state", "waiting", "reason") or "")
    logs = f"kubectl -n {namespace} logs {name} -c outrider-sidecar"
    if waiting in _IMAGE:
        return "image", "Correct sidecarImage or image in the chart's values, or settings.imagePullSecrets."
    if waiting in _CONFIGURATION:
        return "configuration", f"`kubectl -n {namespace} describe pod {name}` says what is missing."
    last = inner(status, "lastState", "terminated") or inner(status, "state", "terminated")
    if last and last.get("exitCode") == _BAD_INPUT:
        return (
            "input",
            f"It ends with 2, for what it reads is invalid, mostly policies: `{logs} --previous` says which.",
        )
    if last:
        return "ended", f"`{logs} --previous` says why it ended."
    if inner(status, "state", "running") is not None:
        return (
            "running",
            f"`outrider describe pod {name} -n {namespace}` says what it waits for, mostly its identity or the "
            "control plane.",
        )
    return "pending", (
        f"It has not started: `kubectl -n {namespace} describe pod {name}` says why, such as a ConfigMap or "
        "volume that is not there."
    )
