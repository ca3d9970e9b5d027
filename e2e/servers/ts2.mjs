// Three tools on the TypeScript SDK 2.x: its web handler serves both eras on one URL.

import { createServer } from "node:http";
import { addNotes, fromTree, listen } from "./notes.mjs";

const { McpServer, createMcpHandler } = fromTree("@modelcontextprotocol/server");
const { toNodeHandler } = fromTree("@modelcontextprotocol/node");
const { z } = fromTree("zod");

const handler = createMcpHandler(() =>
  addNotes(new McpServer({ name: "notes-ts2", version: "1.0.0" }), z.object({ id: z.string().optional() })),
);
listen(createServer(toNodeHandler(handler)));
