"""Every reason code Outrider can give, with its sentence: the one table, its sentences in a module for each room.

A code is stable and machine readable: it stands in decision logs, in the `reason` label of metrics and in
admission replies. Its sentence says what happened and what to do next, in words for the person who reads it.
Nothing outside this package invents a code; documentation is generated from this table.
"""

from __future__ import annotations

from enum import StrEnum

from mesh.reasons import admission, connections, credentials, guardrails, messages, policy

_BY_CODE = {
    **policy.SENTENCES,
    **credentials.SENTENCES,
    **guardrails.SENTENCES,
    **messages.SENTENCES,
    **connections.SENTENCES,
    **admission.SENTENCES,
}


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
    ARGUMENTS_REFUSED = "arguments_refused"
    ACCESS_POLICY_NOT_GRANTED = "access_policy_not_granted"
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
    USER_NOT_GRANTED = "user_not_granted"
    CONNECT_REFUSED = "connect_refused"
    SERVER_REQUEST_REFUSED = "server_request_refused"
    SERVER_REQUEST_UNANSWERED = "server_request_unanswered"
    PROTOCOL_NOT_ALLOWED = "protocol_not_allowed"
    EXTERNAL_AUTH_DENIED = "external_auth_denied"
    EXTERNAL_AUTH_FAILED = "external_auth_failed"
    EXTERNAL_AUTH_GRPC_MISSING = "external_auth_grpc_missing"
    EXTERNAL_AUTH_IMPOSSIBLE = "external_auth_impossible"

    # Tokens of users, and what belongs to them.
    TOKEN_MISSING = "token_missing"  # noqa: S105 - codes, not tokens
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105
    TOKEN_TOO_LARGE = "token_too_large"  # noqa: S105
    TOKEN_REPEATED = "token_repeated"  # noqa: S105
    TOKEN_ALGORITHM = "token_algorithm"  # noqa: S105
    TOKEN_ISSUER = "token_issuer"  # noqa: S105
    TOKEN_AUDIENCE = "token_audience"  # noqa: S105
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"  # noqa: S105
    TOKEN_KEY_UNKNOWN = "token_key_unknown"  # noqa: S105
    TOKEN_SIGNATURE = "token_signature"  # noqa: S105
    TOKEN_INACTIVE = "token_inactive"  # noqa: S105
    TOKEN_BOUND = "token_bound"  # noqa: S105
    SCOPE_MISSING = "scope_missing"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    TOO_MANY_UNKNOWN_TOKENS = "too_many_unknown_tokens"
    HANDLE_UNKNOWN = "handle_unknown"
    HANDLE_EXPIRED = "handle_expired"
    HANDLE_STRIPPED = "handle_stripped"
    SUBJECT_MISSING = "subject_missing"
    SUBJECT_AMBIGUOUS = "subject_ambiguous"
    SESSION_OF_ANOTHER = "session_of_another"
    SESSION_UNAVAILABLE = "session_unavailable"

    # Credentials that the sidecar puts in.
    CREDENTIAL_UNAVAILABLE = "credential_unavailable"
    CREDENTIAL_REFUSED = "credential_refused"
    CREDENTIAL_ANSWER_INVALID = "credential_answer_invalid"
    CREDENTIAL_SECRET_MISSING = "credential_secret_missing"  # noqa: S105
    CREDENTIAL_NOT_ACCEPTED = "credential_not_accepted"
    CREDENTIAL_PLAIN_TEXT = "credential_plain_text"
    PLACEHOLDER_STOPPED = "placeholder_stopped"
    PLACEHOLDER_UNREADABLE = "placeholder_unreadable"

    # Content, pinned tools and rates.
    GUARD_PII = "guard_pii"
    GUARD_SECRET = "guard_secret"  # noqa: S105 - a code, not a secret
    GUARD_SQL = "guard_sql"
    GUARD_INJECTION = "guard_injection"
    GUARD_EXFILTRATION = "guard_exfiltration"
    GUARD_TERM = "guard_term"
    GUARD_SHAPE = "guard_shape"
    GUARD_EXTERNAL = "guard_external"
    GUARD_FAILED = "guard_failed"
    GUARD_TIMEOUT = "guard_timeout"
    GUARD_UNMASKABLE = "guard_unmaskable"
    TOOL_POISONED = "tool_poisoned"
    PIN_CHANGED = "pin_changed"
    PIN_ADDED = "pin_added"
    PIN_LOOKALIKE = "pin_lookalike"
    PIN_REMOVED = "pin_removed"
    PIN_NOT_APPROVED = "pin_not_approved"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_CONCURRENT = "too_many_concurrent"
    RESULT_TOO_LARGE = "result_too_large"
    RATE_STORE_UNAVAILABLE = "rate_store_unavailable"

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

    # Configuration from the control plane.
    NO_CONFIGURATION = "no_configuration"
    CONFIGURATION_INVALID = "configuration_invalid"

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
    CONTROL_ROOTS_UNKNOWN = "control_roots_unknown"
    SECRET_EXPOSED = "secret_exposed"  # noqa: S105 - a code, not a secret
    SHARED_PROCESSES = "shared_processes"
    NODE_REACHED = "node_reached"
    PROXY_CONFLICT = "proxy_conflict"
    ANNOTATION_INVALID = "annotation_invalid"
    NOT_PERMITTED = "not_permitted"
    CAPTURE_IMPOSSIBLE = "capture_impossible"
    CAPTURE_UNDONE = "capture_undone"
    SIDECAR_GROUP = "sidecar_group"
    PROBE_REFUSED = "probe_refused"
    HOOK_REFUSED = "hook_refused"
    SIDECAR_JOINED = "sidecar_joined"
    SIDECAR_IMAGE = "sidecar_image"
    CONTAINERS_ADDED = "containers_added"

    # Validation: documents of our own at the API server.
    DOCUMENTS_VALID = "documents_valid"
    DOCUMENTS_INVALID = "documents_invalid"
    NOT_VALIDATED = "not_validated"

    # The ValidatingAdmissionPolicy alone: pods whose sidecar is not as admission made it.
    SIDECAR_MISSING = "sidecar_missing"
    SIDECAR_DISPLACED = "sidecar_displaced"
    SIDECAR_CHANGED = "sidecar_changed"
    INJECTED_LABEL = "injected_label"

    @property
    def sentence(self) -> str:
        """What happened and, where something can be done, what to do."""
        return SENTENCES[self]


SENTENCES: dict[Reason, str] = {Reason(code): sentence for code, sentence in _BY_CODE.items()}
