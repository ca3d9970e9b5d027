"""Sentences of identities, TLS, and the other side of a forwarded request."""

from __future__ import annotations

from typing import Final

SENTENCES: Final = {
    "no_svid": ("This sidecar has no SVID yet; look at identity_ready in its metrics and at the provider."),
    "svid_expired": "This sidecar's own SVID has expired and the provider has not renewed it.",
    "peer_no_certificate": "The peer presented no certificate: it is not a workload of the mesh.",
    "peer_bad_leaf": "The peer's certificate is no X509-SVID (SPIFFE X509-SVID, section 5).",
    "peer_untrusted": "The peer's certificate does not chain to the bundle of its own trust domain.",
    "peer_expired": "The peer's certificate is expired or not yet valid.",
    "peer_unknown_trust_domain": "There is no bundle for the peer's trust domain; federate with it.",
    "peer_wrong_identity": "The server proved an identity other than the Backend's tls.identity.",
    "tls_handshake": (
        "The TLS handshake failed: the other side speaks no TLS 1.3 or refused our certificate."
    ),
    "not_tls": "The first bytes on a connection that should be TLS are no TLS handshake.",
    "client_hello_malformed": "The ClientHello breaks the grammar of RFC 8446, or is too large.",
    "server_name_invalid": "The ClientHello's server_name is not exactly one legal host name.",
    "server_name_missing": (
        "The ClientHello names no server, so no policy can be applied; let the client send SNI, which it does "
        "for URLs with a host name in place of an IP address."
    ),
    "server_name_mismatch": (
        "The ClientHello names another server than the one that the connection was opened to."
    ),
    "interception_unavailable": (
        "The interception CA of this pod must not issue for this host: its name constraints were fixed when the "
        "sidecar started, from the Backends of that time; restart the pod if the Backend is newer."
    ),
    "interception_not_trusted": (
        "The application does not trust the interception CA: it pins certificates, or takes its roots from "
        "elsewhere than SSL_CERT_FILE and its like; make it read the bundle, or do not intercept this host."
    ),
    "upstream_unreachable": "The backend's address cannot be resolved or refuses connections.",
    "upstream_connect_timeout": ("The backend did not accept the connection within limits.connectSeconds."),
    "upstream_reset": "The backend closed the connection before its answer was complete.",
    "upstream_idle_timeout": "The backend sent nothing for limits.upstreamIdleSeconds.",
    "upstream_malformed": "The backend's answer is malformed or ambiguous and was not passed on.",
    "upstream_encoded": (
        "The backend compressed its answer although identity was asked for; it cannot be inspected."
    ),
    "upstream_content_type": "The backend's answer is neither JSON nor an event stream.",
    "client_gone": "The caller closed its connection before the answer was complete.",
    "client_stalled": "The caller took nothing of its answer for limits.stallSeconds.",
    "draining": "The sidecar is shutting down.",
    "listener_not_bound": (
        "The sidecar does not accept connections on this listener yet; it does once it has an SVID."
    ),
    "no_configuration": (
        "The control plane has not given this sidecar a configuration yet, and none was saved: nothing is let "
        "through; look at what it says of the control plane."
    ),
    "configuration_invalid": (
        "The configuration that the control plane sent cannot be compiled; the one before stays in force."
    ),
}
