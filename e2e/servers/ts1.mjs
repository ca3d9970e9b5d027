// Three tools on the TypeScript SDK 1.x: the handshake era with one transport per session, as its examples do it.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { addNotes, fromTree, listen } from "./notes.mjs";

const { McpServer } = fromTree("@modelcontextprotocol/sdk/server/mcp.js");
const { StreamableHTTPServerTransport } = fromTree("@modelcontextprotocol/sdk/server/streamableHttp.js");
const { z } = fromTree("zod");

const sessions = new Map();

async function transportOf(request) {
  const known = sessions.get(request.headers["mcp-session-id"]);
  if (known) return known;
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  const server = addNotes(new McpServer({ name: "notes-ts1", version: "1.0.0" }), { id: z.string().optional() });
  await server.connect(transport);
  return transport;
}

listen(
  createServer(async (request, response) => {
    const transport = await transportOf(request);
    await transport.handleRequest(request, response);
  }),
);
