"""Documents that are refused: by the schema of their CRD, without any webhook, or by the loader alone."""

from __future__ import annotations

from typing import Any, Final

_TLS: Final = {"mode": "None"}
_BACKEND: Final = {"protocol": "MCP", "host": "a.example", "port": 80, "tls": _TLS}
_TOOLS: Final = {"allow": ["*"]}


def _backend(**changes: Any) -> dict[str, Any]:
    return {**_BACKEND, **changes}


def _without(field: str) -> dict[str, Any]:
    return {key: value for key, value in _BACKEND.items() if key != field}


def _outbound(**rule: Any) -> dict[str, Any]:
    return {"outbound": [{"backend": "a", **rule}]}


def _inbound(**rule: Any) -> dict[str, Any]:
    return {"inbound": [{"from": ["*"], "mcp": {}, **rule}]}


def _processor(**changes: Any) -> dict[str, Any]:
    processor = {"name": "one", "detector": "pii", "action": "flag", **changes}
    kept = {key: value for key, value in processor.items() if value is not None}
    return _outbound(guardrails={"processors": [kept]})


REFUSED: Final[tuple[tuple[str, str, dict[str, Any], str], ...]] = (
    ("Backend", "port", _backend(port=70000), "port"),
    ("Backend", "port as text", _backend(port="80"), "port"),
    ("Backend", "protocol", _backend(protocol="GOPHER"), "protocol"),
    ("Backend", "no host", _without("host"), "host"),
    ("Backend", "no tls", _without("tls"), "tls"),
    ("Backend", "no protocol", _without("protocol"), "protocol"),
    ("Backend", "empty host", _backend(host=""), "host"),
    ("Backend", "host with a path", _backend(host="a.example/x"), "host"),
    ("Backend", "long host", _backend(host="a." * 200 + "example"), "host"),
    ("Backend", "wildcard for MCP", _backend(host="*.example.com"), "one exact host"),
    ("Backend", "path without slash", _backend(path="mcp"), "path"),
    ("Backend", "path with a query", _backend(path="/mcp?x"), "path"),
    ("Backend", "path with dots", _backend(path="/mcp/../x"), "path"),
    ("Backend", "path with two slashes", _backend(path="/mcp//x"), "path"),
    ("Backend", "TCP with a path", _backend(protocol="TCP", path="/x"), "no paths"),
    ("Backend", "tls mode", _backend(tls={"mode": "Maybe"}), "tls"),
    (
        "Backend",
        "Public with identity",
        _backend(tls={"mode": "Public", "identity": "spiffe://a/b"}),
        "only mode Mesh",
    ),
    ("Backend", "identity of a trust domain", _backend(tls={"identity": "spiffe://a"}), "identity"),
    ("Backend", "identity in capitals", _backend(tls={"identity": "spiffe://A/b"}), "identity"),
    ("AgentPolicy", "mode", {"mode": "dream"}, "mode"),
    ("AgentPolicy", "egress", {"egress": True}, "egress"),
    ("AgentPolicy", "no backend", {"outbound": [{"tools": _TOOLS}]}, "backend"),
    ("AgentPolicy", "backend in capitals", {"outbound": [{"backend": "GitHub"}]}, "backend"),
    ("AgentPolicy", "empty entry", _outbound(tools={"allow": [""]}), "allow"),
    ("AgentPolicy", "two stars", _outbound(tools={"allow": ["a**"]}), "allow"),
    ("AgentPolicy", "nine stars", _outbound(tools={"allow": ["*a" * 9]}), "allow"),
    ("AgentPolicy", "pattern of spaces", _outbound(prompts={"allow": ["a b*"]}), "allow"),
    ("AgentPolicy", "long entry", _outbound(resources={"allow": ["a" * 513]}), "allow"),
    ("AgentPolicy", "two stars in a URI", _outbound(resources={"allow": ["a://**"]}), "allow"),
    ("AgentPolicy", "too many entries", _outbound(tools={"allow": ["a"] * 1001}), "allow"),
    ("AgentPolicy", "allow as text", _outbound(tools={"allow": "*"}), "allow"),
    ("AgentPolicy", "unknownMethods", _outbound(unknownMethods="maybe"), "unknownMethods"),
    ("AgentPolicy", "server request", _outbound(serverRequests=["root"]), "serverRequests"),
    ("AgentPolicy", "nobody in from", {"inbound": [{"from": [], "mcp": {}}]}, "from"),
    ("AgentPolicy", "no from", {"inbound": [{"mcp": {}}]}, "from"),
    ("AgentPolicy", "from is no ID", _inbound(**{"from": ["triage"]}), "from"),
    ("AgentPolicy", "pattern in a trust domain", _inbound(**{"from": ["spiffe://*/x"]}), "from"),
    ("AgentPolicy", "inbound path", _inbound(mcp={"path": "mcp"}), "path"),
    ("AgentPolicy", "http without allow", _inbound(http={}), "allow"),
    ("AgentPolicy", "http as text", _inbound(http={"allow": "yes"}), "allow"),
    ("AgentPolicy", "label value", {"selector": {"matchLabels": {"app": "a b"}}}, "matchLabels"),
    ("AgentPolicy", "selector", {"selector": ["app"]}, "selector"),
    ("Backend", "pin for HTTP", _backend(protocol="HTTP", pin={"mode": "Off"}), "only MCP"),
    ("Backend", "pin mode", _backend(pin={"mode": "first"}), "mode"),
    ("Backend", "digest", _backend(pin={"mode": "Approved", "digest": "sha256:1"}), "digest"),
    ("Backend", "digest of a tool", _backend(pin={"mode": "Approved", "tools": {"a": "b"}}), "tools"),
    ("AgentPolicy", "requests", _outbound(rateLimit={"requests": 0, "per": "second"}), "requests"),
    ("AgentPolicy", "per", _outbound(rateLimit={"requests": 1, "per": "day"}), "per"),
    ("AgentPolicy", "per of nothing", _outbound(rateLimit={"concurrent": 1, "per": "hour"}), "per and burst"),
    ("AgentPolicy", "rate of a tool", _outbound(rateLimit={"tools": {"a": {"requests": 1}}}), "per"),
    ("AgentPolicy", "failureMode", _outbound(rateLimit={"concurrent": 1, "failureMode": "open"}), "shared"),
    (
        "AgentPolicy",
        "guardrails of HTTP",
        {"inbound": [{"from": ["*"], "http": {"allow": True}, "guardrails": {}}]},
        "about MCP",
    ),
    ("AgentPolicy", "budget", _outbound(guardrails={"budget": "long"}), "budget"),
    ("AgentPolicy", "detector", _processor(detector="virus"), "detector"),
    ("AgentPolicy", "action", _processor(action="hide"), "action"),
    ("AgentPolicy", "no name", _processor(name=None), "name"),
    ("AgentPolicy", "another's option", _processor(words=["a"]), "only the detector terms"),
    ("AgentPolicy", "threshold", _processor(detector="injection", threshold=2), "threshold"),
    ("AgentPolicy", "kind of data", _processor(kinds=["e-mail"]), "kinds"),
    (
        "AgentPolicy",
        "wire format",
        _processor(detector="external", external={"kind": "x", "url": "https://a"}),
        "kind",
    ),
)
"""Kind, what is wrong with it, its spec, and what the refusal speaks of."""

_KEY: Final = {"name": "s", "key": "k"}
_ISSUER: Final = {"issuer": "https://i.example"}


def _exchange(**more: Any) -> dict[str, Any]:
    return _backend(credential={"exchange": {**_ISSUER, **more}})


def _users(**more: Any) -> dict[str, Any]:
    return {"users": {"issuers": [{**_ISSUER, "audiences": ["a"], **more}]}}


REFUSED_CREDENTIALS: Final[tuple[tuple[str, str, dict[str, Any], str], ...]] = (
    (
        "Backend",
        "two credentials",
        _backend(credential={"secret": _KEY, "svid": {"audience": "a"}}),
        "one credential",
    ),
    (
        "Backend",
        "credential of TCP",
        {**_backend(protocol="TCP", credential={"secret": _KEY}), "path": "/"},
        "one exact host",
    ),
    ("Backend", "key that is a path", _backend(credential={"secret": {**_KEY, "key": "../k"}}), "key"),
    ("Backend", "name that is a path", _backend(credential={"secret": {**_KEY, "name": "a/b"}}), "name"),
    ("Backend", "issuer with a query", _exchange(issuer="https://i?x"), "issuer"),
    ("Backend", "scope with a space", _exchange(scopes=["a b"]), "scopes"),
    ("Backend", "unknown preset", _exchange(preset="okta"), "preset"),
    ("Backend", "actor for Keycloak", _exchange(preset="keycloak", actor=True), "neither resource nor actor"),
    ("Backend", "secret without use", _exchange(client={"secret": _KEY}), "remove it"),
    (
        "Backend",
        "audience of another's assertion",
        _backend(
            credential={"jwtBearer": {"issuer": "https://i", "assertion": _KEY, "assertionAudience": "a"}}
        ),
        "assertionAudience",
    ),
    ("Backend", "no variables", _backend(credential={"hidden": {"variables": []}}), "variables"),
    ("AgentPolicy", "symmetric algorithm", _users(algorithms=["HS256"]), "algorithms"),
    ("AgentPolicy", "skew that is none", _users(clockSkew="soon"), "clockSkew"),
    ("AgentPolicy", "no issuers", {"users": {"issuers": []}}, "issuers"),
    ("AgentPolicy", "user without issuer", _outbound(users=["alice"]), "users"),
    ("AgentPolicy", "no users", _outbound(users=[]), "users"),
)
LEFT_CREDENTIALS: Final[tuple[tuple[str, str, dict[str, Any], str], ...]] = (
    ("Backend", "typo in credential", _backend(credential={"exchnge": {}}), "exchnge"),
    ("Backend", "empty credential", _backend(credential={}), "write one of"),
    ("Backend", "typo in issuer", _backend(credential={"exchange": {"isuer": "https://i"}}), "isuer"),
    ("Backend", "typo in client", _exchange(client={"method": "secret-post", "idd": "x"}), "idd"),
    ("Backend", "plain text", _backend(tls={"mode": "None"}, credential={"secret": _KEY}), "plain text"),
)

LEFT: Final[tuple[tuple[str, str, dict[str, Any], str], ...]] = (
    ("Backend", "empty tls", _backend(tls={}), "plain text"),
    ("Backend", "typo in tls", _backend(tls={"mod": "None"}), "spec.tls.mod: unknown field"),
    ("Backend", "Mesh without identity", _backend(tls={"mode": "Mesh"}), "SPIFFE ID"),
    ("Backend", "typo in identity", _backend(tls={"mode": "Mesh", "identiy": "x"}), "identiy"),
    ("AgentPolicy", "typo in allow", _outbound(tools={"alow": ["x"]}), "alow"),
    ("AgentPolicy", "deny alone", _outbound(tools={"deny": ["x"]}), "allow"),
    ("AgentPolicy", "tools without allow", _outbound(tools={}), "allow"),
    ("AgentPolicy", "typo in mcp", {"inbound": [{"from": ["*"], "mpc": {}}]}, "mpc"),
    ("AgentPolicy", "grants nothing", {"inbound": [{"from": ["*"]}]}, "grants nothing"),
    (
        "AgentPolicy",
        "grants no HTTP",
        {"inbound": [{"from": ["*"], "http": {"allow": False}}]},
        "grants nothing",
    ),
)
"""The same of documents that only the loader refuses, because what is missing may stand there misspelt, which no
schema can tell."""


def refused_document(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The whole object."""
    return {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "refused"},
        "spec": spec,
    }
