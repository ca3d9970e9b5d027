// A TypeScript SDK client on demand, as sdk_v1.py is a Python one: `sdk` is its major version, `mode` its era.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const fromTree = createRequire(`${process.env.OUTRIDER_E2E_NODE}/package.json`);
const v1 = {
  ...fromTree("@modelcontextprotocol/sdk/client/index.js"),
  ...fromTree("@modelcontextprotocol/sdk/client/streamableHttp.js"),
};
const v2 = fromTree("@modelcontextprotocol/client");
const OPTIONS = { timeout: 4000 };
const AT_ONCE = 16;

async function call(client, sdk, name, args) {
  try {
    const params = { name, arguments: args };
    const result = await (sdk === 1 ? client.callTool(params, undefined, OPTIONS) : client.callTool(params, OPTIONS));
    return { text: result.content[0]?.text ?? "", isError: Boolean(result.isError) };
  } catch (error) {
    return { code: error.code ?? null, message: String(error.message) };
  }
}

async function play({ key, url, calls, sdk, mode }) {
  const { Client, StreamableHTTPClientTransport } = sdk === 1 ? v1 : v2;
  const client = new Client({ name: "sdk", version: "1" }, mode ? { versionNegotiation: { mode } } : {});
  client.onerror = () => {};
  const found = { key, tools: [], calls: [] };
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(url)), OPTIONS);
    found.tools = (await client.listTools(undefined, OPTIONS)).tools.map((tool) => tool.name);
    for (const [name, args] of calls) found.calls.push(await call(client, sdk, name, args));
  } catch (error) {
    found.error = String(error);
  } finally {
    await client.close().catch(() => {});
  }
  return found;
}

// A stream that breaks after its client was closed is nobody's failure.
process.on("unhandledRejection", () => {});
const waiting = [];
for await (const line of createInterface({ input: process.stdin })) waiting.push(JSON.parse(line));

async function worker() {
  for (let asked = waiting.shift(); asked; asked = waiting.shift()) {
    process.stdout.write(`${JSON.stringify(await play(asked))}\n`);
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, worker));
process.exit(0);
