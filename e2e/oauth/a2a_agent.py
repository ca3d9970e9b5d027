"""Agents that talk A2A 1.0 to each other (HTTP+JSON), by the A2A SDK.

`--role client`: an MCP server whose tool asks an A2A agent at `--next`. `--role server`: that agent, which calls
an MCP tool at `--next`. Otherwise as agent.py.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
from a2a.client import ClientConfig, create_client
from a2a.helpers.proto_helpers import get_stream_response_text, new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Role,
    SendMessageRequest,
)
from starlette.applications import Starlette

from e2e.oauth.agent import (
    SECONDS,
    Forward,
    Next,
    alone,
    build,
    call,
    forwarded,
    mcp_app,
    options_of_agents,
    run,
)

BINDING = "HTTP+JSON"


class Worker(AgentExecutor):
    """Answers each message with what the MCP tool said."""

    def __init__(self, name: str, forward: Forward, to: Next) -> None:
        self._name = name
        self._forward = forward
        self._to = to

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        headers = context.call_context.state["headers"]
        answer = await alone(partial(call, self._to, forwarded(self._forward, headers)))
        said = {"agent": self._name, "received": headers.get("authorization"), "answer": answer}
        await event_queue.enqueue_event(new_text_message(json.dumps(said), context_id=context.context_id))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Nothing goes on after an answer."""


async def send(url: str, headers: dict[str, str]) -> Any:
    """Ask the A2A agent whose card is at the origin of `url`."""
    place = urlsplit(url)
    async with httpx.AsyncClient(headers=headers, timeout=SECONDS) as http:
        config = ClientConfig(streaming=False, httpx_client=http, supported_protocol_bindings=[BINDING])
        client = await create_client(f"{place.scheme}://{place.netloc}", config)
        message = new_text_message("who am I?", role=Role.ROLE_USER)
        try:
            async for answer in client.send_message(SendMessageRequest(message=message)):
                return json.loads(get_stream_response_text(answer))
        finally:
            await client.close()


def card(name: str, port_name: str) -> AgentCard:
    """The agent under the name that the mesh has for it."""
    return AgentCard(
        name=name,
        description="Asks an MCP server",
        version="1",
        supported_interfaces=[
            AgentInterface(url=port_name, protocol_binding=BINDING, protocol_version="1.0")
        ],
        capabilities=AgentCapabilities(streaming=False),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="ask", name="ask", description="Asks", tags=["test"])],
    )


def a2a_app(name: str, own_url: str, executor: AgentExecutor) -> Starlette:
    described = card(name, own_url)
    handler = DefaultRequestHandler(executor, InMemoryTaskStore(), described)
    return Starlette(routes=[*create_agent_card_routes(described), *create_rest_routes(handler)])


def main() -> None:
    parser = options_of_agents(__doc__)
    parser.add_argument("--role", choices=["client", "server"], required=True)
    parser.add_argument("--own-url", default="")
    options = parser.parse_args()
    if options.role == "client":
        app: Any = mcp_app(build(options.name, options.forward, partial(send, options.next)))
    else:
        to = Next(options.next, options.tool, json.loads(options.arguments))
        app = a2a_app(options.name, options.own_url, Worker(options.name, options.forward, to))
    run(app, options.port)


if __name__ == "__main__":
    main()
