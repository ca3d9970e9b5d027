"""An MCP server in a pod behind its Service, both called `tools`, for modules whose sessions outlast a test."""

from __future__ import annotations

from e2e.cluster.api import Json
from e2e.cluster.test_agents import PORT, program


def service() -> Json:
    """What leads to the server."""
    spec = {"selector": {"app": "tools"}, "ports": [{"port": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "tools"}, "spec": spec}


def server(python: str, image: str) -> Json:
    """The server: e2e.servers.backwards on every address, run by `python`."""
    every_address = ["--host", "0.0.0.0", "--host", "::"]
    command = [python, "-m", "e2e.servers.backwards", "--port", str(PORT), *every_address]
    return of_image(program("tools", command, "transparent", ports=[{"containerPort": PORT}]), image)


def of_image(made: Json, image: str) -> Json:
    """A pod whose first container is of another image."""
    made["spec"]["containers"][0]["image"] = image
    return made
