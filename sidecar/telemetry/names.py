"""Every metric of the sidecar: name, kind, labels and help in one table.

Names follow the Prometheus conventions (base units, `_total` for counters). Labels hold only values from a
bounded set: reason codes, directions, Backend names, known MCP methods. Tool names, peers and paths never
become labels, because a caller could then grow the sidecar's memory at will.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric family. Compared by identity, because it is half of the key of every count."""

    name: str
    kind: str
    """`counter`, `gauge` or `histogram`."""
    labels: tuple[str, ...]
    help: str


REQUESTS = Metric(
    "outrider_requests_total",
    "counter",
    ("direction", "backend", "method", "reason"),
    "Requests that were decided, by the reason of the decision.",
)
REQUEST_SECONDS = Metric(
    "outrider_request_duration_seconds",
    "histogram",
    ("direction",),
    "Time from the end of the request to the end of its answer, in seconds.",
)
HIDDEN_ITEMS = Metric(
    "outrider_hidden_items_total",
    "counter",
    ("direction", "backend", "kind"),
    "Tools, prompts, resources and templates taken out of lists.",
)
OBSERVED = Metric(
    "outrider_observed_refusals_total",
    "counter",
    ("direction", "backend", "reason"),
    "Refusals that mode observe turned into passes.",
)
REFUSED_MESSAGES = Metric(
    "outrider_refused_messages_total",
    "counter",
    ("side", "reason"),
    "Messages that could not be read safely, by the side that sent them.",
)
UPSTREAM_FAILURES = Metric(
    "outrider_upstream_failures_total",
    "counter",
    ("backend", "reason"),
    "Requests that a backend failed to answer.",
)
FINDINGS = Metric(
    "outrider_guard_findings_total",
    "counter",
    ("direction", "backend", "detector", "kind", "action"),
    "What content checks found, by what was done about it; observed findings have the action `observe`.",
)
DETECTOR_FAILURES = Metric(
    "outrider_guard_failures_total",
    "counter",
    ("backend", "detector", "reason"),
    "Detectors that failed or were late.",
)
GUARD_EXTERNAL = Metric(
    "outrider_guard_external_total",
    "counter",
    ("detector", "outcome"),
    "Questions to external detectors: clean, found, cached, or why there was no answer (late, unreachable, "
    "refused, unusable, open).",
)
GUARD_EXTERNAL_SECONDS = Metric(
    "outrider_guard_external_seconds",
    "histogram",
    ("detector",),
    "Time from a question to an external detector to its answer, waiting for a place included, in seconds.",
)
PIN_FINDINGS = Metric(
    "outrider_pin_findings_total",
    "counter",
    ("backend", "reason"),
    "Tools that are not as they were pinned or approved, each time they were listed or called.",
)
PIN_SAVE_FAILURES = Metric(
    "outrider_pin_save_failures_total",
    "counter",
    (),
    "Times that pinned tools could not be written to control.state.",
)
RATE_LIMITED = Metric(
    "outrider_rate_limited_total",
    "counter",
    ("direction", "backend", "reason"),
    "Requests and answers that limits refused: how often, how many at a time, how large, or no store to ask.",
)
RATE_STORE_ANSWERS = Metric(
    "outrider_rate_store_answers",
    "gauge",
    (),
    "1 while the store of shared limits answers; absent where there is none.",
)
EXTERNAL_AUTH = Metric(
    "outrider_external_auth_total",
    "counter",
    ("policy", "outcome"),
    "Questions to external authorization services, by their outcome: allowed, or the reason of the refusal.",
)
EXTERNAL_AUTH_SECONDS = Metric(
    "outrider_external_auth_duration_seconds",
    "histogram",
    ("policy",),
    "Time from a question to an external authorization service to its answer, in seconds.",
)
CALLER_TOKENS_STRIPPED = Metric(
    "outrider_caller_tokens_stripped_total",
    "counter",
    ("backend",),
    "Headers of the agent's requests that were removed, because they carried a caller's token elsewhere.",
)
CREDENTIALS = Metric(
    "outrider_credentials_total",
    "counter",
    ("backend", "kind", "outcome"),
    "Credentials of Backends that were asked for, by outcome: issued, or the reason of the refusal.",
)
CREDENTIAL_SECONDS = Metric(
    "outrider_credential_seconds",
    "histogram",
    ("backend",),
    "Time that it took to get a credential from those who issue it, in seconds.",
)
CREDENTIAL_CACHE = Metric(
    "outrider_credential_cache_total",
    "counter",
    ("backend", "outcome"),
    "Credentials that were not simply there: miss, refresh (ahead of the end), negative (refused a moment ago).",
)
USER_KEYS = Metric(
    "outrider_user_keys_total",
    "counter",
    ("outcome",),
    "Times that the keys of an issuer of users' tokens were asked for: had, or failed.",
)
HANDLES_STRIPPED = Metric(
    "outrider_handles_stripped_total",
    "counter",
    ("backend",),
    "Headers of the agent's requests that were removed, because they carried a handle to who cannot use it.",
)
PLACEHOLDERS_STOPPED = Metric(
    "outrider_placeholders_stopped_total",
    "counter",
    ("backend",),
    "Requests that were refused, because they held the placeholder of a hidden secret of another Backend.",
)
HANDSHAKES = Metric(
    "outrider_tls_handshakes_total",
    "counter",
    ("side", "reason"),
    "Mutual TLS handshakes, by outcome.",
)
CONNECTIONS = Metric(
    "outrider_connections",
    "gauge",
    ("listener",),
    "Connections that are open now.",
)
UPSTREAM_CONNECTIONS = Metric(
    "outrider_upstream_connections",
    "gauge",
    ("state",),
    "Connections to backends: idle in the pool, or busy.",
)
IDENTITY_READY = Metric(
    "outrider_identity_ready",
    "gauge",
    (),
    "1 while this sidecar holds an SVID that has not expired.",
)
IDENTITY_EXPIRY_SECONDS = Metric(
    "outrider_identity_expiry_seconds",
    "gauge",
    (),
    "Seconds until this sidecar's SVID expires; negative once it has.",
)
IDENTITY_ROTATIONS = Metric(
    "outrider_identity_rotations_total",
    "counter",
    (),
    "Times the identity provider gave a new SVID or bundle.",
)
CONTROL_CONNECTED = Metric(
    "outrider_control_connected",
    "gauge",
    (),
    "1 while this sidecar is connected to the control plane; absent where there is none.",
)
CONTROL_FAILURES = Metric(
    "outrider_control_failures_total",
    "counter",
    ("cause",),
    "Connections to the control plane that failed or were lost, by cause.",
)
CONFIGURATION_AGE_SECONDS = Metric(
    "outrider_configuration_age_seconds",
    "gauge",
    (),
    "For how long the configuration in force may be out of date: 0 while connected and nothing was refused.",
)
CONFIGURATIONS = Metric(
    "outrider_configurations_total",
    "counter",
    ("outcome",),
    "Configurations that the control plane sent: applied, or the reason why not.",
)
CONFIGURATION_SAVE_FAILURES = Metric(
    "outrider_configuration_save_failures_total",
    "counter",
    (),
    "Times that the last good configuration could not be written to control.state.",
)
REVOKED_CONNECTIONS = Metric(
    "outrider_revoked_connections_total",
    "counter",
    ("direction",),
    "Connections that were cut because a new policy does not allow them any more.",
)
LOG_LINES_DROPPED = Metric(
    "outrider_log_lines_dropped_total",
    "counter",
    (),
    "Log lines lost because their sink was full or gone.",
)

METRICS: tuple[Metric, ...] = (
    REQUESTS,
    REQUEST_SECONDS,
    HIDDEN_ITEMS,
    OBSERVED,
    REFUSED_MESSAGES,
    UPSTREAM_FAILURES,
    FINDINGS,
    DETECTOR_FAILURES,
    GUARD_EXTERNAL,
    GUARD_EXTERNAL_SECONDS,
    PIN_FINDINGS,
    PIN_SAVE_FAILURES,
    RATE_LIMITED,
    RATE_STORE_ANSWERS,
    EXTERNAL_AUTH,
    EXTERNAL_AUTH_SECONDS,
    CALLER_TOKENS_STRIPPED,
    HANDLES_STRIPPED,
    PLACEHOLDERS_STOPPED,
    USER_KEYS,
    CREDENTIALS,
    CREDENTIAL_SECONDS,
    CREDENTIAL_CACHE,
    HANDSHAKES,
    CONNECTIONS,
    UPSTREAM_CONNECTIONS,
    IDENTITY_READY,
    IDENTITY_EXPIRY_SECONDS,
    IDENTITY_ROTATIONS,
    CONTROL_CONNECTED,
    CONTROL_FAILURES,
    CONFIGURATION_AGE_SECONDS,
    CONFIGURATIONS,
    CONFIGURATION_SAVE_FAILURES,
    REVOKED_CONNECTIONS,
    LOG_LINES_DROPPED,
)

DURATION_BUCKETS: tuple[float, ...] = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    60.0,
    300.0,
)
"""Upper bounds in seconds. The upper end is wide because a tool call may take minutes."""
