"""What each field of our kinds is for, in a sentence or two: descriptions of the CRDs, and of docs/api.md.

By the reader of the object that the field is in; examples are in examples.yaml. A test holds both against the
tables that the loader reads by.
"""

from __future__ import annotations

from typing import Final

from charts import content_words, credential_words

_USERS: Final = {
    "users": "The users on whose behalf the rule grants: ISSUER#SUBJECT, exact or with * and ?. Absent: "
    "everybody, and "
    "requests without a user. What the rule denies is denied to all.",
    "scopes": "What a user's token has to hold for the rule to grant, all of them. Absent: nothing.",
}
_CONTENT: Final = {
    "guardrails": "What is done with the content of messages. Absent: everything is looked for and written down.",
    "rateLimit": "How often, how many at once, and how large. Absent: no limit.",
}
_MCP: Final = {
    "tools": "Tools that are granted, by the names that tools/list gives. Absent: none.",
    "prompts": "Prompts that are granted, by name. Absent: none.",
    "resources": "Resources and resource templates that are granted, by URI. Absent: none.",
    "unknownMethods": "Whether methods pass that this version knows nothing of, and so cannot inspect.",
    "arguments": "What the arguments of granted tools have to be. Every entry whose tool matches has to "
    "hold.",
}

WORDS: Final[dict[str, dict[str, str]]] = {
    "AgentPolicy": {
        "selector": "The agents that the policy is for: pods of its namespace. Absent or empty: all of them.",
        "mode": "enforce refuses what is not granted; observe lets it pass and records that it would be "
        "refused.",
        "egress": "What happens to destinations that are no Backend.",
        "outbound": "What the agents may use, a Backend each.",
        "inbound": "Who may call the agents, and what. Absent: this policy says nothing of callers; where no "
        "policy does, nobody may call. Empty: nobody may call, as far as this policy is asked.",
        "users": "Whose tokens callers bring, and how they are verified. Absent: this policy says nothing "
        "of users.",
    },
    "read_selector": {
        "matchLabels": "Labels that a pod has, each with this value.",
    },
    "read_outbound": {
        "backend": 'The name of a Backend of the policy\'s namespace, or "*" for every one of them; of another '
        "namespace as namespace/name.",
        **_USERS,
        **_MCP,
        "serverRequests": "What the server may ask of the agent. Absent: anything; empty: nothing.",
        **_CONTENT,
    },
    "read_inbound": {
        "from": "Callers: SPIFFE IDs, exact or with * and ? within a segment of the path (a last segment * "
        "stands "
        'for everything below), "*" for every authenticated peer, or unauthenticated for those without '
        "mutual TLS.",
        **_USERS,
        "mcp": "What the callers may use of the MCP server of this workload. Absent: nothing of MCP.",
        "http": "Plain HTTP that is not MCP. Absent: none.",
        **_CONTENT,
    },
    "read_mcp": {
        "path": "Where the MCP server is: a prefix of the path, up to a slash.",
        **_MCP,
    },
    "read_http": {
        "allow": "Whether the callers may use every path of every port.",
    },
    "read_names": {
        "allow": "What is granted: exact names, or patterns with * (any characters, slashes too) and ? (one "
        'character); "*" is everything.',
        "deny": "What is not granted although allow matches it. What any policy denies is denied.",
    },
    "_read_rule": {
        "tool": "The tools that the entry is about: a name or a pattern, as in tools.allow.",
        "require": "A CEL expression over args, the arguments as a map. It has to be true; an error is a "
        "refusal.",
        "message": "What the agent is told when it is refused, so that it can do better.",
    },
    "Backend": {
        "protocol": "What the Backend speaks. MCP is inspected by message, HTTP by request, TCP by "
        "connection.",
        "host": "The DNS name or IP address that agents connect to; *.name stands for every host one label "
        "below, "
        "for HTTP and TCP.",
        "port": "The port that agents connect to.",
        "path": "Requests with this prefix of the path, up to a slash, belong to the Backend.",
        "tls": "How sidecars connect to it.",
        "credential": "What the sidecar puts into requests in the agent's place. Absent: the agent sees to "
        "that itself.",
        "pin": "For MCP: how what the server offers is held to what it offered. Absent: not at all.",
    },
    "read_tls": {
        "mode": "Mesh: mutual TLS with a workload of the mesh. Public: TLS with a server of public name. "
        "None: "
        "plain text. Where an identity is given, Mesh is meant.",
        "identity": "The SPIFFE ID that the server has to prove; with mode Mesh, and with no other.",
    },
    **credential_words.WORDS,
    **content_words.WORDS,
}

KINDS: Final = {
    "AgentPolicy": "What agents may use, and who may call them. Without any policy an agent may use nothing.",
    "Backend": "Something that agents talk to: an MCP server, an HTTP service, a TCP port.",
}
"""What each kind is."""
