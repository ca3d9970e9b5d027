"""What runs in the pods of the cluster's demo: an MCP server and an agent, of the standard library alone.

They know nothing of Outrider. Both run in the sidecar's own image, which has Python and is on the nodes anyway.
"""

from __future__ import annotations

SERVER = """\
import json, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOLS = [{"name": n, "inputSchema": {"type": "object"}} for n in ("find_ticket", "read_ticket", "delete_ticket")]

def result(message):
    if message["method"] == "tools/list":
        return {"tools": TOOLS}
    if message["method"] == "tools/call":
        print("called " + message["params"]["name"], flush=True)
        return {"content": [{"type": "text", "text": "done"}]}
    return {}

class Mcp(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": result(message)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
ThreadingHTTPServer(("127.0.0.1", 8080), Mcp).serve_forever()
"""

AGENT = """\
import json, os, signal, sys, time, urllib.error, urllib.request

def ask(method, params):
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(os.environ["MCP_URL"], json.dumps(message).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return {"error": {"message": "HTTP %d" % error.code}}
    except OSError as error:
        return {"error": {"message": str(error)}}

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
last = None
while True:
    listed = ask("tools/list", {})
    called = ask("tools/call", {"name": "delete_ticket", "arguments": {}})
    seen = {
        "tools": [tool["name"] for tool in listed.get("result", {}).get("tools", [])],
        "listing": listed.get("error", {}).get("message", ""),
        "refused": called.get("error", {}).get("message", ""),
    }
    if seen != last:
        print(json.dumps(seen), flush=True)
        last = seen
    time.sleep(0.05)
"""
