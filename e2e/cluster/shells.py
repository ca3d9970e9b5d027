"""Pods that run a line of shell or Python on this machine's programs."""

from __future__ import annotations

from typing import Any, Final

from e2e.cluster.kube import Kube, pod

SHELL: Final = "example/shell"
SERVE: Final = ["python", "-m", "http.server", "8080", "--bind", "::"]
"""A server of the files of its machine, on every address of its pod."""


def shell(name: str, script: str, **spec: Any) -> dict[str, Any]:
    """A pod that runs a script of the shell."""
    return pod(name, image=SHELL, command=["sh", "-c", script], **spec)


def python(name: str, program: str, **spec: Any) -> dict[str, Any]:
    """A pod that runs a program of Python once."""
    return pod(name, image=SHELL, command=["python", "-c", program], **{"restartPolicy": "Never", **spec})


def printed(kube: Kube, namespace: str, name: str) -> str:
    """What a pod that ends well has printed."""
    kube.wait_phase(name, namespace, "Succeeded")
    return kube.logs(name, namespace)
