"""Every reason code Outrider can give, with its sentence: the one table.

A code is stable and machine readable: it stands in decision logs, in the `reason` label of metrics and in
admission replies. Its sentence says what happened and what to do next, in words for the person who reads it.
Nothing outside this module invents a code; documentation is generated from this table.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was allowed, refused or changed."""

    # Decisions of a policy.
    ALLOWED = "allowed"
    ALLOWED_BASE_PROTOCOL = "allowed_base_protocol"
    ALLOWED_EGRESS_DEFAULT = "allowed_egress_default"
    TOOL_NOT_GRANTED = "tool_not_granted"
    TOOL_DENIED = "tool_denied"
    PROMPT_NOT_GRANTED = "prompt_not_granted"
    PROMPT_DENIED = "prompt_denied"
    RESOURCE_NOT_GRANTED = "resource_not_granted"
    RESOURCE_DENIED = "resource_denied"
    NAME_OUTSIDE_CHARSET = "name_outside_charset"
    NARROWED_BY_POD = "narrowed_by_pod"
    TASK_OF_ANOTHER = "task_of_another"
    UNKNOWN_METHOD = "unknown_method"
    BACKEND_NOT_GRANTED = "backend_not_granted"
    EGRESS_DENIED = "egress_denied"
    EGRESS_PRIVATE_ADDRESS = "egress_private_address"
    PATH_NOT_DECLARED = "path_not_declared"
    CALLER_TOKEN_STRIPPED = "caller_token_stripped"  # noqa: S105 - a code, not a token
    INBOUND_PATH_NOT_DECLARED = "inbound_path_not_declared"
    PEER_NOT_ALLOWED = "peer_not_allowed"
    NO_INBOUND_RULE = "no_inbound_rule"
    CONNECT_REFUSED = "connect_refused"
    SERVER_REQUEST_REFUSED = "server_request_refused"
    SERVER_REQUEST_UNANSWERED = "server_request_unanswered"
    PROTOCOL_NOT_ALLOWED = "protocol_not_allowed"

    # HTTP that cannot be passed on safely.
    HTTP_MALFORMED = "http_malformed"
    HTTP_AMBIGUOUS_LENGTH = "http_ambiguous_length"
    HTTP_BAD_HEADER = "http_bad_header"
    HTTP_BAD_CHUNK = "http_bad_chunk"
    HTTP_BAD_HOST = "http_bad_host"
    HTTP_BAD_TARGET = "http_bad_target"
    HTTP_VERSION = "http_version"
    HTTP_HEAD_TOO_LARGE = "http_head_too_large"
    HTTP_BODY_TOO_LARGE = "http_body_too_large"
    HTTP_TRUNCATED = "http_truncated"
    HTTP_UPGRADE = "http_upgrade"
    HTTP_EXPECTATION = "http_expectation"
    HTTP_CONTENT_ENCODING = "http_content_encoding"
    HTTP_CONTENT_TYPE = "http_content_type"
    HTTP_METHOD = "http_method"
    NOT_A_PROXY_REQUEST = "not_a_proxy_request"
    NOT_REDIRECTED = "not_redirected"
    PLAIN_TEXT_REFUSED = "plain_text_refused"
    FOREIGN_TLS_REFUSED = "foreign_tls_refused"
    WOULD_BE_PLAIN_TEXT = "would_be_plain_text"
    IDLE_TIMEOUT = "idle_timeout"
    HEAD_TIMEOUT = "head_timeout"
    TOO_MANY_CONNECTIONS = "too_many_connections"

    # JSON and JSON-RPC that cannot be inspected safely.
    JSON_MALFORMED = "json_malformed"
    JSON_NOT_UTF8 = "json_not_utf8"
    JSON_DUPLICATE_KEY = "json_duplicate_key"
    JSON_TOO_DEEP = "json_too_deep"
    JSON_NUMBER = "json_number"
    JSONRPC_INVALID = "jsonrpc_invalid"
    JSONRPC_HYBRID = "jsonrpc_hybrid"
    JSONRPC_ID = "jsonrpc_id"
    BATCH_REFUSED = "batch_refused"
    BATCH_TOO_LARGE = "batch_too_large"
    SSE_MALFORMED = "sse_malformed"
    SSE_EVENT_TOO_LARGE = "sse_event_too_large"
    MCP_HEADER_MISMATCH = "mcp_header_mismatch"
    MCP_UNKNOWN_VERSION = "mcp_unknown_version"
    MCP_MALFORMED = "mcp_malformed"

    # Identity and mutual TLS.
    NO_SVID = "no_svid"
    SVID_EXPIRED = "svid_expired"
    PEER_NO_CERTIFICATE = "peer_no_certificate"
    PEER_BAD_LEAF = "peer_bad_leaf"
    PEER_UNTRUSTED = "peer_untrusted"
    PEER_EXPIRED = "peer_expired"
    PEER_UNKNOWN_TRUST_DOMAIN = "peer_unknown_trust_domain"
    PEER_WRONG_IDENTITY = "peer_wrong_identity"
    TLS_HANDSHAKE = "tls_handshake"

    # TLS of the application's own: inspected, passed or refused.
    NOT_TLS = "not_tls"
    CLIENT_HELLO_MALFORMED = "client_hello_malformed"
    SERVER_NAME_INVALID = "server_name_invalid"
    SERVER_NAME_MISSING = "server_name_missing"
    SERVER_NAME_MISMATCH = "server_name_mismatch"
    INTERCEPTION_UNAVAILABLE = "interception_unavailable"
    INTERCEPTION_NOT_TRUSTED = "interception_not_trusted"

    # The other side of a forwarded request.
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_CONNECT_TIMEOUT = "upstream_connect_timeout"
    UPSTREAM_RESET = "upstream_reset"
    UPSTREAM_IDLE_TIMEOUT = "upstream_idle_timeout"
    UPSTREAM_MALFORMED = "upstream_malformed"
    UPSTREAM_ENCODED = "upstream_encoded"
    UPSTREAM_CONTENT_TYPE = "upstream_content_type"
    CLIENT_GONE = "client_gone"
    CLIENT_STALLED = "client_stalled"
    DRAINING = "draining"
    LISTENER_NOT_BOUND = "listener_not_bound"

    # Admission: what happened to a pod, and why.
    INJECTED = "injected"
    NOT_OPTED_IN = "not_opted_in"
    POD_OPTED_OUT = "pod_opted_out"
    OPT_OUT_REFUSED = "opt_out_refused"
    INJECT_LABEL_INVALID = "inject_label_invalid"
    NAMESPACE_LABEL_INVALID = "namespace_label_invalid"
    NAMESPACE_DISABLED = "namespace_disabled"
    NAMESPACE_IGNORED = "namespace_ignored"
    NAMESPACE_UNKNOWN = "namespace_unknown"
    NOT_A_POD_CREATION = "not_a_pod_creation"
    POD_MALFORMED = "pod_malformed"
    POD_TOO_LARGE = "pod_too_large"
    HOST_NETWORK = "host_network"
    MIRROR_POD = "mirror_pod"
    WINDOWS_POD = "windows_pod"
    SIDECAR_UID = "sidecar_uid"
    SIDECAR_PORT = "sidecar_port"
    RESERVED_NAME = "reserved_name"
    RESERVED_VOLUME = "reserved_volume"
    IDENTITY_EXPOSED = "identity_exposed"
    SECRET_EXPOSED = "secret_exposed"  # noqa: S105 - a code, not a secret
    SHARED_PROCESSES = "shared_processes"
    PROXY_CONFLICT = "proxy_conflict"
    ANNOTATION_INVALID = "annotation_invalid"
    NOT_PERMITTED = "not_permitted"
    CAPTURE_IMPOSSIBLE = "capture_impossible"
    CAPTURE_UNDONE = "capture_undone"
    SIDECAR_GROUP = "sidecar_group"
    PROBE_REFUSED = "probe_refused"
    HOOK_REFUSED = "hook_refused"
    SIDECAR_JOINED = "sidecar_joined"
    CONTAINERS_ADDED = "containers_added"

    # Validation: documents of our own at the API server.
    DOCUMENTS_VALID = "documents_valid"
    DOCUMENTS_INVALID = "documents_invalid"
    NOT_VALIDATED = "not_validated"

    @property
    def sentence(self) -> str:
        """What happened and, where something can be done, what to do."""
        return SENTENCES[self]


SENTENCES: dict[Reason, str] = {
    Reason.ALLOWED: "The policy allows it.",
    Reason.ALLOWED_BASE_PROTOCOL: "A method of the base protocol, which every granted backend may use.",
    Reason.ALLOWED_EGRESS_DEFAULT: (
        "The destination is no declared Backend and the policy says egress: allow."
    ),
    Reason.TOOL_NOT_GRANTED: (
        "No policy grants this tool; add it to tools.allow of the outbound or inbound rule."
    ),
    Reason.TOOL_DENIED: "A policy denies this tool in tools.deny, and deny wins over allow.",
    Reason.PROMPT_NOT_GRANTED: "No policy grants this prompt; add it to prompts.allow.",
    Reason.PROMPT_DENIED: "A policy denies this prompt in prompts.deny, and deny wins over allow.",
    Reason.RESOURCE_NOT_GRANTED: "No policy grants this resource; add it to resources.allow.",
    Reason.RESOURCE_DENIED: "A policy denies this resource in resources.deny, and deny wins over allow.",
    Reason.NAME_OUTSIDE_CHARSET: (
        "The name holds characters that MCP names should not have, so no pattern matches it; "
        "only an exact entry in the policy would."
    ),
    Reason.NARROWED_BY_POD: (
        "A policy lets it pass, and an annotation of the pod or of its namespace takes it away (policy, "
        "tools-allow or tools-deny, as the rule says); change that annotation, and create the pod anew."
    ),
    Reason.TASK_OF_ANOTHER: "The task was made for another caller, so its state and result are not this one's.",
    Reason.UNKNOWN_METHOD: (
        "The method is none that this version knows, so its contents cannot be checked; "
        "unknownMethods: allow in the rule lets such methods pass unchecked."
    ),
    Reason.BACKEND_NOT_GRANTED: (
        "The destination is a declared Backend, but no AgentPolicy of this agent names it under outbound."
    ),
    Reason.EGRESS_DENIED: (
        "The destination is no declared Backend and the policy says egress: deny; "
        "a Backend document with this host and port, named under outbound of an AgentPolicy, would allow it."
    ),
    Reason.EGRESS_PRIVATE_ADDRESS: (
        "The destination leads to an address that is not public, which egress: allow does not mean; "
        "a Backend document with this host and port (a link-local or metadata address written out as its host), "
        "named under outbound of an AgentPolicy, would allow it."
    ),
    Reason.PATH_NOT_DECLARED: (
        "The host is a declared Backend but this path is not below its path; "
        "a Backend document with this host, port and path would allow it."
    ),
    Reason.CALLER_TOKEN_STRIPPED: (
        "The agent passed on a token that a caller had given to it, to a destination that is not its audience; "
        "the header was removed. Let the agent use a token of its own, or exchange the caller's for one with "
        "this destination as its audience (RFC 8693)."
    ),
    Reason.INBOUND_PATH_NOT_DECLARED: (
        "No inbound rule grants this peer MCP at this path; set mcp.path of the rule to the path of the MCP "
        "server (/mcp where it is not written), or write http: {allow: true} for what is no MCP."
    ),
    Reason.PEER_NOT_ALLOWED: "No inbound rule of the policy names this peer under from.",
    Reason.NO_INBOUND_RULE: (
        "No AgentPolicy of this workload has an inbound section, so nobody may call it; "
        "an inbound rule with from and mcp would open it."
    ),
    Reason.CONNECT_REFUSED: (
        "A CONNECT tunnel cannot be inspected, and this destination is subject to a policy that must be; "
        "use an http:// URL and let the sidecar make the TLS connection, or declare the "
        "Backend as protocol: TCP."
    ),
    Reason.SERVER_REQUEST_REFUSED: (
        "The server asked the agent for something the policy does not let servers ask."
    ),
    Reason.SERVER_REQUEST_UNANSWERED: (
        "The server was not told that what it asked is refused: it asked too much at once, or did not take "
        "the answer in time."
    ),
    Reason.PROTOCOL_NOT_ALLOWED: "The rule that matches does not allow this protocol.",
    Reason.HTTP_MALFORMED: "The message is not well-formed HTTP/1.1.",
    Reason.HTTP_AMBIGUOUS_LENGTH: (
        "The end of the message can be read in more than one way (several Content-Length values, or "
        "Content-Length with Transfer-Encoding), which is how requests are smuggled."
    ),
    Reason.HTTP_BAD_HEADER: (
        "A header field breaks the grammar of RFC 9112 (folding, control character, space)."
    ),
    Reason.HTTP_BAD_CHUNK: "The chunked body breaks the grammar of RFC 9112.",
    Reason.HTTP_BAD_HOST: (
        "The Host header is missing, repeated, malformed or not that of the request target."
    ),
    Reason.HTTP_BAD_TARGET: "The request target is malformed, or could be read as another path.",
    Reason.HTTP_VERSION: "Only HTTP/1.1 and HTTP/1.0 are spoken here.",
    Reason.HTTP_HEAD_TOO_LARGE: "The request line and headers exceed limits.headBytes or limits.headers.",
    Reason.HTTP_BODY_TOO_LARGE: "The body exceeds limits.bodyBytes.",
    Reason.HTTP_TRUNCATED: "The connection closed before the message was complete.",
    Reason.HTTP_UPGRADE: "Protocol upgrades are not passed on: what follows could not be inspected.",
    Reason.HTTP_EXPECTATION: "The Expect header asks for something other than 100-continue.",
    Reason.HTTP_CONTENT_ENCODING: "The body is compressed; only identity can be inspected.",
    Reason.HTTP_CONTENT_TYPE: "The media type is not application/json.",
    Reason.HTTP_METHOD: "MCP uses POST, GET and DELETE only.",
    Reason.NOT_A_PROXY_REQUEST: (
        "This port is a forward proxy and takes absolute-form requests; "
        "set HTTP_PROXY to it instead of using it as the server's address."
    ),
    Reason.NOT_REDIRECTED: (
        "The connection was opened to a capture port itself, which only the kernel's redirection leads to; "
        "connect to the service's own port."
    ),
    Reason.PLAIN_TEXT_REFUSED: (
        "This workload takes mutual TLS of the mesh only; give the caller a sidecar, or set inbound.mode: "
        "permissive for this port and name the caller as unauthenticated in an inbound rule."
    ),
    Reason.FOREIGN_TLS_REFUSED: (
        "The TLS offered is the application's own and not the mesh's, so it cannot be inspected; set "
        "inbound.mode: permissive for this port and grant unauthenticated http: {allow: true} to let it pass."
    ),
    Reason.WOULD_BE_PLAIN_TEXT: (
        "The application encrypted this request and the Backend is declared with tls: None, so that it would "
        "leave in plain text; declare the Backend with mode Public or Mesh."
    ),
    Reason.IDLE_TIMEOUT: "Nothing arrived within limits.idleSeconds.",
    Reason.HEAD_TIMEOUT: "The request head did not arrive within limits.headSeconds.",
    Reason.TOO_MANY_CONNECTIONS: "limits.connections are open already.",
    Reason.JSON_MALFORMED: "The body is not JSON as RFC 8259 defines it.",
    Reason.JSON_NOT_UTF8: "The body is not UTF-8, or begins with a byte order mark.",
    Reason.JSON_DUPLICATE_KEY: "An object names the same key twice; readers disagree on which one counts.",
    Reason.JSON_TOO_DEEP: "The body is nested deeper than limits.jsonDepth.",
    Reason.JSON_NUMBER: "A number is not valid JSON, or too large to be read alike everywhere.",
    Reason.JSONRPC_INVALID: "The message is not a JSON-RPC 2.0 request, notification or response.",
    Reason.JSONRPC_HYBRID: "The message is a request and a response at once.",
    Reason.JSONRPC_ID: "The id is neither a string nor an integer.",
    Reason.BATCH_REFUSED: "Another message of the same batch was refused, so the whole batch was.",
    Reason.BATCH_TOO_LARGE: "The batch is empty or has more messages than limits.batch.",
    Reason.SSE_MALFORMED: "The event stream is not UTF-8 text.",
    Reason.SSE_EVENT_TOO_LARGE: "An event exceeds limits.eventBytes.",
    Reason.MCP_HEADER_MISMATCH: "An Mcp-* header is missing, repeated or differs from the body.",
    Reason.MCP_UNKNOWN_VERSION: "The protocol version is none that this version of Outrider knows.",
    Reason.MCP_MALFORMED: "The message does not have the shape that its MCP method requires.",
    Reason.NO_SVID: (
        "This sidecar has no SVID yet; look at identity_ready in its metrics and at the provider."
    ),
    Reason.SVID_EXPIRED: "This sidecar's own SVID has expired and the provider has not renewed it.",
    Reason.PEER_NO_CERTIFICATE: "The peer presented no certificate: it is not a workload of the mesh.",
    Reason.PEER_BAD_LEAF: "The peer's certificate is no X509-SVID (SPIFFE X509-SVID, section 5).",
    Reason.PEER_UNTRUSTED: "The peer's certificate does not chain to the bundle of its own trust domain.",
    Reason.PEER_EXPIRED: "The peer's certificate is expired or not yet valid.",
    Reason.PEER_UNKNOWN_TRUST_DOMAIN: "There is no bundle for the peer's trust domain; federate with it.",
    Reason.PEER_WRONG_IDENTITY: "The server proved an identity other than the Backend's tls.identity.",
    Reason.TLS_HANDSHAKE: (
        "The TLS handshake failed: the other side speaks no TLS 1.3 or refused our certificate."
    ),
    Reason.NOT_TLS: "The first bytes on a connection that should be TLS are no TLS handshake.",
    Reason.CLIENT_HELLO_MALFORMED: "The ClientHello breaks the grammar of RFC 8446, or is too large.",
    Reason.SERVER_NAME_INVALID: "The ClientHello's server_name is not exactly one legal host name.",
    Reason.SERVER_NAME_MISSING: (
        "The ClientHello names no server, so no policy can be applied; let the client send SNI, which it does "
        "for URLs with a host name in place of an IP address."
    ),
    Reason.SERVER_NAME_MISMATCH: (
        "The ClientHello names another server than the one that the connection was opened to."
    ),
    Reason.INTERCEPTION_UNAVAILABLE: (
        "The interception CA of this pod must not issue for this host: its name constraints were fixed when the "
        "sidecar started, from the Backends of that time; restart the pod if the Backend is newer."
    ),
    Reason.INTERCEPTION_NOT_TRUSTED: (
        "The application does not trust the interception CA: it pins certificates, or takes its roots from "
        "elsewhere than SSL_CERT_FILE and its like; make it read the bundle, or do not intercept this host."
    ),
    Reason.UPSTREAM_UNREACHABLE: "The backend's address cannot be resolved or refuses connections.",
    Reason.UPSTREAM_CONNECT_TIMEOUT: (
        "The backend did not accept the connection within limits.connectSeconds."
    ),
    Reason.UPSTREAM_RESET: "The backend closed the connection before its answer was complete.",
    Reason.UPSTREAM_IDLE_TIMEOUT: "The backend sent nothing for limits.upstreamIdleSeconds.",
    Reason.UPSTREAM_MALFORMED: "The backend's answer is malformed or ambiguous and was not passed on.",
    Reason.UPSTREAM_ENCODED: (
        "The backend compressed its answer although identity was asked for; it cannot be inspected."
    ),
    Reason.UPSTREAM_CONTENT_TYPE: "The backend's answer is neither JSON nor an event stream.",
    Reason.CLIENT_GONE: "The caller closed its connection before the answer was complete.",
    Reason.CLIENT_STALLED: "The caller took nothing of its answer for limits.stallSeconds.",
    Reason.DRAINING: "The sidecar is shutting down.",
    Reason.LISTENER_NOT_BOUND: (
        "The sidecar does not accept connections on this listener yet; it does once it has an SVID."
    ),
    Reason.INJECTED: "The pod gets a sidecar.",
    Reason.NOT_OPTED_IN: (
        "Neither the namespace nor the pod asks for a sidecar; label the namespace "
        "outrider.dev/injection=enabled or the pod outrider.dev/inject=true."
    ),
    Reason.POD_OPTED_OUT: "The pod opts out by its own label.",
    Reason.OPT_OUT_REFUSED: (
        "The namespace is labelled outrider.dev/injection=required, so no pod in it may opt out; "
        "remove the pod's opt-out label."
    ),
    Reason.INJECT_LABEL_INVALID: 'The label outrider.dev/inject must be "true" or "false".',
    Reason.NAMESPACE_LABEL_INVALID: (
        "The namespace's label outrider.dev/injection must be enabled, required or disabled."
    ),
    Reason.NAMESPACE_DISABLED: (
        "The namespace is labelled outrider.dev/injection=disabled; "
        "change that label, or remove outrider.dev/inject from the pod."
    ),
    Reason.NAMESPACE_IGNORED: (
        "Pods of this namespace never get a sidecar; run the agent in a namespace of its own."
    ),
    Reason.NAMESPACE_UNKNOWN: (
        "The labels of the pod's namespace cannot be read, so nothing says whether it needs a sidecar; "
        "it is refused until they can."
    ),
    Reason.NOT_A_POD_CREATION: "Only the creation of pods, and the adding of containers to them, is looked at.",
    Reason.POD_MALFORMED: "The object does not have the shape of a pod.",
    Reason.POD_TOO_LARGE: "The pod has more of it than can be looked at in time; split it up.",
    Reason.HOST_NETWORK: (
        "The pod uses the node's network (hostNetwork: true), where a sidecar's ports would be the node's; "
        "remove hostNetwork."
    ),
    Reason.MIRROR_POD: "The pod mirrors a static pod of a node, which admission cannot change.",
    Reason.WINDOWS_POD: "The sidecar runs on Linux only.",
    Reason.SIDECAR_UID: "A container runs as the sidecar's user; give it another runAsUser.",
    Reason.SIDECAR_PORT: "A container declares a port that the sidecar listens on; use another one.",
    Reason.RESERVED_NAME: "A container has the sidecar's name; rename it.",
    Reason.RESERVED_VOLUME: "A container mounts a volume reserved for the sidecar; rename the volume.",
    Reason.IDENTITY_EXPOSED: (
        "A container has what the sidecar gets its identity by, and could act without its sidecar; take that "
        "volume or variable away."
    ),
    Reason.SECRET_EXPOSED: (
        "The pod hides a secret from its agent and gives it the same secret in another way; name that variable in "
        "outrider.dev/hide-secrets as well, or take away what gives it."
    ),
    Reason.SHARED_PROCESSES: (
        "The containers share their processes, and one that may be root, trace others or escalate privileges "
        "could read the sidecar's keys; set shareProcessNamespace and hostPID to false, or runAsNonRoot: true and "
        "allowPrivilegeEscalation: false without such capabilities."
    ),
    Reason.PROXY_CONFLICT: (
        "A container sets a proxy variable that would lead its traffic past the sidecar; remove the variable."
    ),
    Reason.ANNOTATION_INVALID: (
        "Labels and annotations of Outrider are honoured or refused, never ignored; correct it or remove it."
    ),
    Reason.NOT_PERMITTED: (
        "Pods and namespaces may weaken only what the platform's settings allow; remove it, or have "
        "whoever runs the mesh add it to allow."
    ),
    Reason.CAPTURE_IMPOSSIBLE: (
        "Transparent capture cannot be had here; write outrider.dev/capture: explicit, or auto, which is "
        "explicit where transparent is impossible."
    ),
    Reason.CAPTURE_UNDONE: (
        "A container could undo transparent capture; take the privilege away, or write "
        "outrider.dev/capture: explicit."
    ),
    Reason.SIDECAR_GROUP: (
        "A container would have the sidecar's group, which transparent capture exempts; use another one."
    ),
    Reason.PROBE_REFUSED: (
        "The sidecar asks probes in the kubelet's place under transparent capture, and cannot ask this one; "
        "correct it."
    ),
    Reason.SIDECAR_JOINED: (
        "An ephemeral container would join the processes of the sidecar, which holds keys; name another "
        "targetContainerName, or none."
    ),
    Reason.CONTAINERS_ADDED: "Nothing speaks against the containers that are added to the pod.",
    Reason.DOCUMENTS_VALID: "Every sidecar can read it.",
    Reason.DOCUMENTS_INVALID: "No sidecar would use it as it is; correct every line below.",
    Reason.NOT_VALIDATED: (
        "Only ephemeral containers, AgentPolicies, Backends and ConfigMaps labelled outrider.dev/policies are "
        "validated."
    ),
    Reason.HOOK_REFUSED: (
        "Under transparent capture the kubelet reaches no port of the application, and a hook that the sidecar "
        "called in its place could be called by anybody; use exec, or sleep."
    ),
}
