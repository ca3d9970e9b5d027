"""Sentences of what policies decide."""

from __future__ import annotations

from typing import Final

SENTENCES: Final = {
    "allowed": "The policy allows it.",
    "allowed_base_protocol": "A method of the base protocol, which every granted backend may use.",
    "allowed_egress_default": ("The destination is no declared Backend and the policy says egress: allow."),
    "tool_not_granted": (
        "No policy grants this tool; add it to tools.allow of the outbound or inbound rule."
    ),
    "tool_denied": "A policy denies this tool in tools.deny, and deny wins over allow.",
    "prompt_not_granted": "No policy grants this prompt; add it to prompts.allow.",
    "prompt_denied": "A policy denies this prompt in prompts.deny, and deny wins over allow.",
    "resource_not_granted": "No policy grants this resource; add it to resources.allow.",
    "resource_denied": "A policy denies this resource in resources.deny, and deny wins over allow.",
    "name_outside_charset": (
        "The name holds characters that MCP names should not have, so no pattern matches it; "
        "only an exact entry in the policy would."
    ),
    "narrowed_by_pod": (
        "A policy lets it pass, and an annotation of the pod or of its namespace takes it away (policy, "
        "tools-allow or tools-deny, as the rule says); change that annotation, and create the pod anew."
    ),
    "arguments_refused": (
        "The tool is granted, but a rule under arguments does not hold for what the call gives it; "
        "call it with other arguments, or change the rule."
    ),
    "access_policy_not_granted": (
        "The target has XAccessPolicies, and no rule of one that is accepted matches this request; add a rule "
        "with this source and method, or look at the policy's status for why it is not accepted."
    ),
    "task_of_another": "The task was made for another caller, so its state and result are not this one's.",
    "unknown_method": (
        "The method is none that this version knows, so its contents cannot be checked; "
        "unknownMethods: allow in the rule lets such methods pass unchecked."
    ),
    "backend_not_granted": (
        "The destination is a declared Backend, but no AgentPolicy of this agent names it under outbound."
    ),
    "egress_denied": (
        "The destination is no declared Backend and the policy says egress: deny; "
        "a Backend document with this host and port, named under outbound of an AgentPolicy, would allow it."
    ),
    "egress_private_address": (
        "The destination leads to an address that is not public, which egress: allow does not mean; "
        "a Backend document with this host and port (a link-local or metadata address written out as its host), "
        "named under outbound of an AgentPolicy, would allow it."
    ),
    "path_not_declared": (
        "The host is a declared Backend but this path is not below its path; "
        "a Backend document with this host, port and path would allow it."
    ),
    "caller_token_stripped": (
        "The agent passed on a token that a caller had given to it, to a destination that is not its audience; "
        "the header was removed. Let the agent use a token of its own, or exchange the caller's for one with "
        "this destination as its audience (RFC 8693)."
    ),
    "inbound_path_not_declared": (
        "No inbound rule grants this peer MCP at this path; set mcp.path of the rule to the path of the MCP "
        "server (/mcp where it is not written), or write http: {allow: true} for what is no MCP."
    ),
    "peer_not_allowed": "No inbound rule of the policy names this peer under from.",
    "no_inbound_rule": (
        "No AgentPolicy of this workload has an inbound section, so nobody may call it; "
        "an inbound rule with from and mcp would open it."
    ),
    "user_not_granted": (
        "The rules that would grant this are for other users, or for tokens that hold other scopes; look at "
        "users and scopes of the rule."
    ),
    "connect_refused": (
        "A CONNECT tunnel cannot be inspected, and this destination is subject to a policy that must be; "
        "use an http:// URL and let the sidecar make the TLS connection, or declare the "
        "Backend as protocol: TCP."
    ),
    "server_request_refused": (
        "The server asked the agent for something the policy does not let servers ask."
    ),
    "server_request_unanswered": (
        "The server was not told that what it asked is refused: it asked too much at once, or did not take "
        "the answer in time."
    ),
    "protocol_not_allowed": "The rule that matches does not allow this protocol.",
    "external_auth_denied": "The external authorization service that an XAccessPolicy names said no.",
    "external_auth_failed": (
        "The external authorization service that an XAccessPolicy names gave no answer that can be used, and "
        "without its yes nothing passes; the log line external_auth tells what went wrong."
    ),
    "external_auth_grpc_missing": (
        "An XAccessPolicy names an external authorization service that speaks gRPC, and the gRPC library is not "
        "installed in this sidecar; install grpcio (the extra outrider[spire] brings it), or let the service "
        "speak HTTP."
    ),
    "external_auth_impossible": (
        "An XAccessPolicy wants this request to be authorized by an external service, which cannot be asked "
        "about what is inside a tunnel or about several messages at once; use an http:// URL and let the sidecar "
        "make the TLS connection, and send each message of a batch by itself."
    ),
}
