// What both TypeScript servers share: the three tools, the record of what ran, and how they announce their port.

import { appendFileSync } from "node:fs";
import { createRequire } from "node:module";

// The packages lie in a tree outside the repository, so they are resolved from there.
export const fromTree = createRequire(`${process.env.OUTRIDER_E2E_NODE}/package.json`);

// The file that gets the name of each tool that ran.
const executed = process.argv[2];

const NOTES = [
  ["read_note", "note"],
  ["write_note", "wrote"],
  ["delete_note", "deleted"],
];

// Registers the tools on an McpServer of either SDK line; `schema` is what that line takes as inputSchema.
export function addNotes(server, schema) {
  for (const [name, verb] of NOTES) {
    server.registerTool(name, { description: name, inputSchema: schema }, async ({ id }) => {
      if (executed) appendFileSync(executed, `${name}\n`);
      return { content: [{ type: "text", text: `${verb} ${id ?? "1"}` }] };
    });
  }
  return server;
}

// Listens on a free loopback port and says which.
export function listen(httpServer) {
  httpServer.listen(0, "127.0.0.1", () => {
    process.stdout.write(`${JSON.stringify({ port: httpServer.address().port })}\n`);
  });
  process.on("SIGTERM", () => process.exit(0));
}
