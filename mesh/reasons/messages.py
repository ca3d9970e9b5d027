"""Sentences of HTTP, JSON, JSON-RPC and MCP that cannot be passed on safely."""

from __future__ import annotations

from typing import Final

SENTENCES: Final = {
    "http_malformed": "The message is not well-formed HTTP/1.1.",
    "http_ambiguous_length": (
        "The end of the message can be read in more than one way (several Content-Length values, or "
        "Content-Length with Transfer-Encoding), which is how requests are smuggled."
    ),
    "http_bad_header": ("A header field breaks the grammar of RFC 9112 (folding, control character, space)."),
    "http_bad_chunk": "The chunked body breaks the grammar of RFC 9112.",
    "http_bad_host": ("The Host header is missing, repeated, malformed or not that of the request target."),
    "http_bad_target": "The request target is malformed, or could be read as another path.",
    "http_version": "Only HTTP/1.1 and HTTP/1.0 are spoken here.",
    "http_head_too_large": "The request line and headers exceed limits.headBytes or limits.headers.",
    "http_body_too_large": "The body exceeds limits.bodyBytes.",
    "http_truncated": "The connection closed before the message was complete.",
    "http_upgrade": "Protocol upgrades are not passed on: what follows could not be inspected.",
    "http_expectation": "The Expect header asks for something other than 100-continue.",
    "http_content_encoding": "The body is compressed; only identity can be inspected.",
    "http_content_type": "The media type is not application/json.",
    "http_method": "MCP uses POST, GET and DELETE only.",
    "not_a_proxy_request": (
        "This port is a forward proxy and takes absolute-form requests; "
        "set HTTP_PROXY to it instead of using it as the server's address."
    ),
    "not_redirected": (
        "The connection was opened to a capture port itself, which only the kernel's redirection leads to; "
        "connect to the service's own port."
    ),
    "plain_text_refused": (
        "This workload takes mutual TLS of the mesh only; give the caller a sidecar, or set inbound.mode: "
        "permissive for this port and name the caller as unauthenticated in an inbound rule."
    ),
    "foreign_tls_refused": (
        "The TLS offered is the application's own and not the mesh's, so it cannot be inspected; set "
        "inbound.mode: permissive for this port and grant unauthenticated http: {allow: true} to let it pass."
    ),
    "would_be_plain_text": (
        "The application encrypted this request and the Backend is declared with tls: None, so that it would "
        "leave in plain text; declare the Backend with mode Public or Mesh."
    ),
    "idle_timeout": "Nothing arrived within limits.idleSeconds.",
    "head_timeout": "The request head did not arrive within limits.headSeconds.",
    "too_many_connections": "limits.connections are open already.",
    "json_malformed": "The body is not JSON as RFC 8259 defines it.",
    "json_not_utf8": "The body is not UTF-8, or begins with a byte order mark.",
    "json_duplicate_key": "An object names the same key twice; readers disagree on which one counts.",
    "json_too_deep": "The body is nested deeper than limits.jsonDepth.",
    "json_number": "A number is not valid JSON, or too large to be read alike everywhere.",
    "jsonrpc_invalid": "The message is not a JSON-RPC 2.0 request, notification or response.",
    "jsonrpc_hybrid": "The message is a request and a response at once.",
    "jsonrpc_id": "The id is neither a string nor an integer.",
    "batch_refused": "Another message of the same batch was refused, so the whole batch was.",
    "batch_too_large": "The batch is empty or has more messages than limits.batch.",
    "sse_malformed": "The event stream is not UTF-8 text.",
    "sse_event_too_large": "An event exceeds limits.eventBytes.",
    "mcp_header_mismatch": "An Mcp-* header is missing, repeated or differs from the body.",
    "mcp_unknown_version": "The protocol version is none that this version of Outrider knows.",
    "mcp_malformed": "The message does not have the shape that its MCP method requires.",
}
