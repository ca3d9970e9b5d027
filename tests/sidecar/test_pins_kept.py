"""Pins of a sidecar that has a control plane: they outlive the process, and a new generation ends them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from mesh.distribution.messages import Configuration
from sidecar.control.saved import PINS_FILE
from tests.sidecar.test_control_plane import config_of, running
from tests.support.control_plane import BACKEND, control_plane, granting, sealed
from tests.support.loopback import Client, client_of, json_answer, read_request, result, serving
from tests.support.slow import until


def pinned(**pin: Any) -> Configuration:
    backend = {**BACKEND, "spec": {**BACKEND["spec"], "pin": {"mode": "FirstUse", **pin}}}
    return sealed(Configuration("any", [backend, granting("*")], {}))


async def listed(client: Client) -> list[str]:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    _, answer = await client.rpc(message)
    return [one["name"] for one in answer["result"]["tools"]]


async def test_pins_outlive_the_process_and_end_with_their_generation(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    tools = [{"name": "a", "description": "Does it."}, {"name": "b"}]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            body = json.loads((await read_request(reader))[1])
            writer.write(json_answer(result({"tools": tools}, body["id"])))

    async with control_plane(tmp_path / "plane", pinned()) as plane, serving(script) as server:
        config = config_of(plane, server.port, state)
        async with running(config) as (_, port), client_of(port) as client:
            assert await listed(client) == ["a", "b"]
            await until(lambda: (state / PINS_FILE).exists())
        assert (state / PINS_FILE).stat().st_mode & 0o777 == 0o600
        tools[0] = {"name": "a", "description": "Does more."}
        async with running(config) as (_, port), client_of(port) as client:
            assert await listed(client) == ["b"]
            plane.latest = pinned(generation=2)
            plane.push(plane.latest)
            await plane.applied(plane.latest.version)
            assert await listed(client) == ["a", "b"]
            tools.append({"name": "c"})
            assert await listed(client) == ["a", "b"]
