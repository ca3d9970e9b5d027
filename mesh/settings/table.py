"""The settings table itself. Each name is written here once and nowhere else."""

from __future__ import annotations

from typing import Final

from mesh.settings.kinds import ANY, Kind, Owner, Setting
from mesh.settings.lists import CidrList, PortList, SecretList, VariableList
from mesh.settings.narrow_values import GuardrailFloors, PolicyNames, RateEntries, ToolGlobs
from mesh.settings.values import Choice, Port, Quantity, Text, ValueType

VERSION: Final = "0.1.0"
PREFIX: Final = "outrider.dev/"
SIDECAR_UID: Final = 1774

# Containers and volumes that admission adds. These names are reserved: what a pod brings under them is replaced.
SIDECAR_CONTAINER: Final = "outrider-sidecar"
REDIRECT_CONTAINER: Final = "outrider-redirect"
RESERVED_CONTAINERS: Final = frozenset({SIDECAR_CONTAINER, REDIRECT_CONTAINER})
IDENTITY_VOLUME: Final = "outrider-identity"
POLICY_VOLUME: Final = "outrider-policy"
TMP_VOLUME: Final = "outrider-tmp"
TRUST_VOLUME: Final = "outrider-trust"
TOKEN_VOLUME: Final = "outrider-token"  # noqa: S105 - the name of a volume
HIDDEN_VOLUME: Final = "outrider-hidden-secrets"
STATE_VOLUME: Final = "outrider-state"
MOST_CREDENTIAL_SECRETS: Final = 16
CREDENTIAL_VOLUMES: Final = tuple(f"outrider-credentials-{place}" for place in range(MOST_CREDENTIAL_SECRETS))
"""One for each Secret of `credential-secrets`: a name of a Secret may be longer than that of a volume."""
RESERVED_VOLUMES: Final = frozenset(
    {
        IDENTITY_VOLUME,
        POLICY_VOLUME,
        TMP_VOLUME,
        TRUST_VOLUME,
        TOKEN_VOLUME,
        HIDDEN_VOLUME,
        STATE_VOLUME,
        *CREDENTIAL_VOLUMES,
    }
)

APP_HEALTH_PATH: Final = "/app-health/"
"""On the telemetry port, below it CONTAINER/PROBE: what a probe of the application says, asked by the sidecar."""


def _annotation(
    name: str,
    values: ValueType,
    default: str,
    doc: str,
    *,
    supported: bool = True,
    lowers: tuple[str, ...] = (),
) -> Setting:
    return Setting(
        Kind.ANNOTATION, PREFIX + name, values, default, Owner.POD, doc, supported=supported, lowers=lowers
    )


def _port(name: str, number: int, doc: str) -> Setting:
    return Setting(Kind.PORT, name, Port(), str(number), Owner.PLATFORM, doc)


def _env(name: str, key: str, values: ValueType, default: str, doc: str) -> Setting:
    return Setting(Kind.SIDECAR_ENV, "OUTRIDER_" + name, values, default, Owner.SIDECAR, doc, key=key)


def _redirect_env(name: str, values: ValueType, default: str, doc: str) -> Setting:
    return Setting(Kind.REDIRECT_ENV, "OUTRIDER_REDIRECT_" + name, values, default, Owner.SIDECAR, doc)


def _app_env(name: str, default: str, doc: str) -> Setting:
    return Setting(Kind.APP_ENV, name, Text(doc), default, Owner.SIDECAR, doc)


# Labels: the API server selects on them, so they decide whether a pod is injected at all.
NAMESPACE_INJECTION = Setting(
    Kind.NAMESPACE_LABEL,
    PREFIX + "injection",
    Choice(("enabled", "required", "disabled")),
    "",
    Owner.PLATFORM,
    "Whether pods of the namespace get a sidecar; `required` refuses pods that opt out.",
)
POD_INJECT = Setting(
    Kind.POD_LABEL,
    PREFIX + "inject",
    Choice(("true", "false")),
    "",
    Owner.POD,
    "Opts one pod in or out, where its namespace allows that.",
)
ROSSOCTL_INJECT = Setting(
    Kind.POD_LABEL,
    "rossoctl.io/inject",
    Text("`disabled` counts as opting out; other values say nothing"),
    "",
    Owner.POD,
    "Another platform's opt-out, honoured where `outrider.dev/inject` is absent.",
)
KAGENTI_INJECT = Setting(
    Kind.POD_LABEL,
    "kagenti.io/inject",
    Text("`disabled` counts as opting out; other values say nothing"),
    "",
    Owner.POD,
    "Another platform's opt-out, honoured where `outrider.dev/inject` is absent.",
)
POD_INJECTED = Setting(
    Kind.POD_LABEL,
    PREFIX + "injected",
    Choice(("true",)),
    "",
    Owner.SIDECAR,
    "Written on every injected pod, for selectors of NetworkPolicies and for `kubectl get -l`.",
)

CONFIG_MAP_POLICIES = Setting(
    Kind.CONFIG_MAP_LABEL,
    PREFIX + "policies",
    Choice(("true",)),
    "",
    Owner.PLATFORM,
    "The ConfigMap holds policies in its keys that end in .yaml or .yml, and is refused while anything is wrong.",
)

# Annotations: they say how.
POLICY = _annotation(
    "policy",
    PolicyNames(),
    "",
    "Of the AgentPolicies that select the pod, only these grant; what the others deny stays denied.",
)
TOOLS_ALLOW = _annotation(
    "tools-allow",
    ToolGlobs(),
    "",
    "Of the tools that policies grant, only these.",
)
TOOLS_DENY = _annotation(
    "tools-deny",
    ToolGlobs(),
    "",
    "Of the tools that policies grant, not these.",
)
GUARDRAILS = _annotation(
    "guardrails",
    GuardrailFloors(),
    "",
    "The least that happens to what content checks find, whatever policies say; of several layers the strictest.",
)
MODE = _annotation(
    "mode",
    Choice(("enforce", "observe")),
    "",
    "`enforce`: refusals block, also those of policies in mode observe; `observe` takes back an `enforce` of the "
    "namespace or the platform, and leaves policies as they are.",
    lowers=("observe",),
)
MTLS = _annotation(
    "mtls",
    Choice(("strict", "permissive")),
    "strict",
    "Whether captured ports take other traffic than mutual TLS of the mesh.",
    lowers=("permissive",),
)
CAPTURE = _annotation(
    "capture",
    Choice(("auto", "transparent", "explicit")),
    "explicit",
    "How traffic reaches the sidecar: `explicit` by proxy variables and without privileges, `transparent` by "
    "the kernel; `auto` is transparent wherever it can be.",
    lowers=("explicit",),
)
INTERCEPTION = _annotation(
    "interception",
    Choice(("on", "off")),
    "off",
    "Whether the application is made to trust a CA of the sidecar, which can then look into HTTPS to Backends.",
    lowers=("off",),
)
RATE_LIMIT = _annotation(
    "rate-limit",
    RateEntries(),
    "",
    "How often the agent may ask each Backend, or a tool of it, besides the limits of policies; all layers count.",
)
HIDE_SECRETS = _annotation(
    "hide-secrets",
    VariableList(),
    "",
    "Variables whose secret the agent must never hold: it gets placeholders. What the pod, its namespace and the "
    "platform name adds up.",
)
CREDENTIAL_SECRETS = _annotation(
    "credential-secrets",
    SecretList(MOST_CREDENTIAL_SECRETS),
    "",
    "Secrets of the pod's namespace that only the sidecar mounts: what credentials of Backends are read from.",
)
EXCLUDE_INBOUND_PORTS = _annotation(
    "exclude-inbound-ports",
    PortList(),
    "",
    "Ports that transparent capture leaves alone.",
    lowers=(ANY,),
)
EXCLUDE_OUTBOUND_PORTS = _annotation(
    "exclude-outbound-ports",
    PortList(),
    "",
    "Destination ports that transparent capture leaves alone.",
    lowers=(ANY,),
)
EXCLUDE_OUTBOUND_CIDRS = _annotation(
    "exclude-outbound-cidrs",
    CidrList(),
    "",
    "Destinations that transparent capture leaves alone.",
    lowers=(ANY,),
)
CPU = _annotation("cpu", Quantity("cpu"), "50m", "CPU that the sidecar requests.")
MEMORY = _annotation("memory", Quantity("memory"), "96Mi", "Memory that the sidecar requests.")
CPU_LIMIT = _annotation("cpu-limit", Quantity("cpu"), "1", "The most CPU it gets.")
MEMORY_LIMIT = _annotation("memory-limit", Quantity("memory"), "256Mi", "The most memory it gets.")
LOG_LEVEL = _annotation(
    "log-level",
    Choice(("info", "warning")),
    "info",
    "Which decisions the sidecar logs: `info` every one, `warning` refusals only.",
)
STATUS = Setting(
    Kind.ANNOTATION,
    PREFIX + "status",
    Text("JSON"),
    "",
    Owner.SIDECAR,
    "Written on every injected pod: the version, and each setting with its value and who set it.",
)

# Ports. The sidecar's own: an application container that declares one of them is refused.
OUTBOUND_REDIRECT_PORT = _port("outbound-redirect", 15001, "Redirected outbound connections.")
FORWARD_PORT = _port("forward", 15002, "The forward proxy that the application uses; loopback only.")
INBOUND_REDIRECT_PORT = _port("inbound-redirect", 15006, "Redirected inbound connections.")
INBOUND_PORT = _port("inbound", 15443, "Inbound mutual TLS from other workloads of the mesh.")
TELEMETRY_PORT = _port("telemetry", 15020, "Health and metrics.")

# The sidecar's own environment: every key of its configuration file, and the file itself.
ENV_CONFIG = _env("CONFIG", "", Text("a path"), "", "Configuration file; the variables below win over it.")
ENV_AGENT_NAMESPACE = _env("AGENT_NAMESPACE", "agent.namespace", Text("a name"), "", "The pod's namespace.")
ENV_AGENT_NAME = _env("AGENT_NAME", "agent.name", Text("a name"), "", "The pod's name.")
ENV_AGENT_LABELS = _env(
    "AGENT_LABELS",
    "agent.labels",
    Text("a JSON object"),
    "{}",
    "The pod's labels at admission, which selectors of policies match; later changes do not count.",
)
ENV_AGENT_SERVICE_ACCOUNT = _env(
    "AGENT_SERVICE_ACCOUNT",
    "agent.serviceAccount",
    Text("a name"),
    "",
    "The service account, for logs.",
)
ENV_AGENT_UID = _env(
    "AGENT_UID",
    "agent.uid",
    Text("a UID"),
    "",
    "The pod's UID, by which the control plane tells it from another of its name.",
)
ENV_POD_IP = _env("POD_IP", "agent.podIp", Text("an IP address"), "", "The pod's address, for logs.")
ENV_IDENTITY_PROVIDER = _env(
    "IDENTITY_PROVIDER",
    "identity.provider",
    Choice(("none", "workload-api", "files", "builtin")),
    "workload-api",
    "Where the SVID comes from.",
)
ENV_IDENTITY_SOCKET = _env(
    "IDENTITY_SOCKET",
    "identity.socket",
    Text("unix:///path"),
    "",
    "The SPIFFE Workload API.",
)
ENV_IDENTITY_SPIFFE_ID = _env(
    "IDENTITY_SPIFFE_ID",
    "identity.spiffeId",
    Text("a SPIFFE ID"),
    "",
    "Which SVID to take where there are several.",
)
ENV_IDENTITY_FILES_CERTIFICATE = _env(
    "IDENTITY_FILES_CERTIFICATE",
    "identity.files.certificate",
    Text("a path"),
    "",
    "The SVID's chain as PEM; with its key in front where no key file is named.",
)
ENV_IDENTITY_FILES_KEY = _env(
    "IDENTITY_FILES_KEY", "identity.files.key", Text("a path"), "", "The SVID's key as PEM."
)
ENV_IDENTITY_FILES_BUNDLE = _env(
    "IDENTITY_FILES_BUNDLE",
    "identity.files.bundle",
    Text("a path"),
    "",
    "Authorities of the trust domain: PEM, or a SPIFFE bundle document.",
)
ENV_IDENTITY_FILES_FEDERATED = _env(
    "IDENTITY_FILES_FEDERATED",
    "identity.files.federated",
    Text("a JSON object"),
    "{}",
    "Bundle files of other trust domains, by name.",
)
ENV_IDENTITY_FILES_JWT_SVIDS = _env(
    "IDENTITY_FILES_JWT_SVIDS",
    "identity.files.jwtSvids",
    Text("a JSON object"),
    "{}",
    "Files that hold JWT-SVIDs, by audience.",
)
ENV_HIDDEN_SECRETS = _env(
    "HIDDEN_SECRETS",
    "hiddenSecrets",
    Text("a JSON object"),
    "{}",
    "By placeholder: the container and the variable that hold it, the files with the secret (of those that are "
    "there the last one counts), and what stood there before.",
)
ENV_CREDENTIALS = _env(
    "CREDENTIALS",
    "credentials.directory",
    Text("a path"),
    "",
    "Folder with one folder for each Secret that credentials of Backends name, and in it a file for each key.",
)
ENV_LISTEN_FORWARD = _env(
    "LISTEN_FORWARD", "listen.forward", Text("host:port, or off"), "127.0.0.1:15002", "The forward proxy."
)
ENV_LISTEN_INBOUND = _env(
    "LISTEN_INBOUND",
    "listen.inbound",
    Text("host:port, *:port, or off"),
    "*:15443",
    "Inbound mutual TLS; off in a pod that declares no port.",
)
ENV_LISTEN_TELEMETRY = _env(
    "LISTEN_TELEMETRY",
    "listen.telemetry",
    Text("host:port, *:port, or off"),
    "*:15020",
    "Health and metrics.",
)
ENV_LISTEN_REDIRECT_OUTBOUND = _env(
    "LISTEN_REDIRECT_OUTBOUND",
    "listen.redirectOutbound",
    Text("host:port, *:port, or off"),
    "off",
    "Where the kernel brings what the agent dials, under transparent capture.",
)
ENV_LISTEN_REDIRECT_INBOUND = _env(
    "LISTEN_REDIRECT_INBOUND",
    "listen.redirectInbound",
    Text("host:port, *:port, or off"),
    "off",
    "Where the kernel brings what others dial in this pod, under transparent capture.",
)
ENV_INBOUND_MODE = _env(
    "INBOUND_MODE",
    "inbound.mode",
    Choice(("strict", "permissive")),
    "strict",
    "Whether the application's ports take other traffic than mutual TLS of the mesh.",
)
ENV_INBOUND_PORTS = _env(
    "INBOUND_PORTS",
    "inbound.ports",
    Text("a JSON object of ports and modes"),
    "{}",
    "Ports with another mode than the rest.",
)
ENV_EGRESS_PRIVATE_ADDRESSES = _env(
    "EGRESS_PRIVATE_ADDRESSES",
    "egress.privateAddresses",
    Choice(("refuse", "allow")),
    "refuse",
    "Whether `egress: allow` means addresses that are not public, too.",
)
ENV_INTERCEPTION_DIRECTORY = _env(
    "INTERCEPTION_DIRECTORY",
    "interception.directory",
    Text("a path"),
    "",
    "Folder for the files by which the application trusts the interception CA; none: no interception.",
)
ENV_APPLICATION_HOST = _env(
    "APPLICATION_HOST",
    "application.host",
    Text("an IP address"),
    "127.0.0.1",
    "Where the agent listens.",
)
ENV_APPLICATION_PORTS = _env(
    "APPLICATION_PORTS",
    "application.ports",
    Text("port numbers, comma separated"),
    "",
    "The TCP ports that the application's containers declare.",
)
ENV_APPLICATION_PROBES = _env(
    "APPLICATION_PROBES",
    "application.probes",
    Text("a JSON object"),
    "{}",
    "Probes that the sidecar asks on the kubelet's behalf, by container/probe, as Kubernetes writes them.",
)
ENV_POLICIES = _env(
    "POLICIES", "policies", Text("paths, comma separated"), "", "Policy files, or folders of them."
)
ENV_CONTROL_URL = _env(
    "CONTROL_URL",
    "control.url",
    Text("an https:// URL"),
    "",
    "The control plane, which gives the configuration and, with provider builtin, the identity.",
)
ENV_CONTROL_ROOTS = _env(
    "CONTROL_ROOTS",
    "control.roots",
    Text("PEM certificates"),
    "",
    "The roots that vouch for the control plane's own certificate.",
)
ENV_CONTROL_TOKEN = _env(
    "CONTROL_TOKEN",
    "control.token",
    Text("a path"),
    "",
    "The projected ServiceAccount token, for the control plane's audience.",
)
ENV_CONTROL_STATE = _env(
    "CONTROL_STATE",
    "control.state",
    Text("a path"),
    "",
    "Folder for the last configuration, so that a sidecar that starts anew does not wait for the control plane.",
)
ENV_DENIALS = _env(
    "DENIALS",
    "denials",
    Choice(("hidden", "forbidden")),
    "hidden",
    "How a refused tool, prompt or resource looks: like one that does not exist, or as forbidden.",
)
ENV_NARROW_POLICIES = _env(
    "NARROW_POLICIES",
    "narrow.policies",
    Text("a JSON list"),
    "",
    "Names of the AgentPolicies that may grant; none: all that select the agent.",
)
ENV_NARROW_TOOLS_ALLOW = _env(
    "NARROW_TOOLS_ALLOW",
    "narrow.toolsAllow",
    Text("a JSON list of lists"),
    "",
    "Globs `backend/tool`; a tool has to match one of each list.",
)
ENV_NARROW_TOOLS_DENY = _env(
    "NARROW_TOOLS_DENY",
    "narrow.toolsDeny",
    Text("a JSON list"),
    "[]",
    "Globs `backend/tool` that are refused.",
)
ENV_NARROW_MODE = _env(
    "NARROW_MODE", "narrow.mode", Choice(("enforce",)), "", "Whether policies in mode observe block too."
)
ENV_NARROW_GUARDRAILS = _env(
    "NARROW_GUARDRAILS",
    "narrow.guardrails",
    Text("a JSON object"),
    "{}",
    "By detector, the least that happens to what it finds: flag, mask or block.",
)
ENV_NARROW_RATES = _env(
    "NARROW_RATES",
    "narrow.rates",
    Text("a JSON list"),
    "[]",
    "How often the agent may ask: `60/m` each Backend, `backend/tool=5/m` a tool.",
)
ENV_CONNECT = _env(
    "CONNECT", "connect", Text("a JSON object"), "{}", "Addresses to dial in place of resolving a name."
)
ENV_LIMITS = _env("LIMITS", "limits", Text("a JSON object"), "{}", "Limits by name.")
ENV_LOG_DECISIONS = _env(
    "LOG_DECISIONS", "log.decisions", Choice(("all", "refused", "none")), "all", "Which decisions are logged."
)
ENV_AUTHORITIES = _env(
    "AUTHORITIES",
    "authorities",
    Text("a path"),
    "",
    "PEM file in place of the system's roots, for Backends with tls mode Public, issuers and token endpoints.",
)
ENV_MORE_AUTHORITIES = _env(
    "MORE_AUTHORITIES",
    "moreAuthorities",
    Text("PEM certificates"),
    "",
    "Authorities that are trusted besides those, or besides the system's roots.",
)
ENV_RATE_STORE = _env(
    "RATE_STORE",
    "rateStore.url",
    Text("redis://host:port/db, or rediss:// for TLS"),
    "",
    "Redis or Valkey, which counts the rate limits that sidecars share (`shared: true`).",
)
ENV_RATE_STORE_PASSWORD_FILE = _env(
    "RATE_STORE_PASSWORD_FILE",
    "rateStore.passwordFile",
    Text("a path"),
    "",
    "The file with its password, read for each connection.",
)

# The environment of the step that installs redirection, before anything else in the pod starts. Each variable is
# a flag of `python -m sidecar.redirect` too.
REDIRECT_UID = _redirect_env(
    "UID", Text("a number, not 0"), str(SIDECAR_UID), "The sidecar's user: exempt together with its group."
)
REDIRECT_GID = _redirect_env("GID", Text("a number, not 0"), str(SIDECAR_UID), "The sidecar's group.")
REDIRECT_OUTBOUND_PORT = _redirect_env(
    "OUTBOUND_PORT", Port(), OUTBOUND_REDIRECT_PORT.default, "Where outbound TCP goes."
)
REDIRECT_INBOUND_PORT = _redirect_env(
    "INBOUND_PORT", Port(), INBOUND_REDIRECT_PORT.default, "Where inbound TCP goes."
)
REDIRECT_MTLS_PORT = _redirect_env(
    "MTLS_PORT", Port(), INBOUND_PORT.default, "Inbound mutual TLS, open to other workloads."
)
REDIRECT_FORWARD_PORT = _redirect_env(
    "FORWARD_PORT", Port(), FORWARD_PORT.default, "The forward proxy, closed to other workloads."
)
REDIRECT_TELEMETRY_PORT = _redirect_env(
    "TELEMETRY_PORT", Port(), TELEMETRY_PORT.default, "Health and metrics, open to other workloads."
)
REDIRECT_EXCLUDE_INBOUND_PORTS = _redirect_env(
    "EXCLUDE_INBOUND_PORTS",
    Text("port numbers, comma separated"),
    "",
    "Ports that others reach without the sidecar, over TCP and UDP.",
)
REDIRECT_EXCLUDE_OUTBOUND_PORTS = _redirect_env(
    "EXCLUDE_OUTBOUND_PORTS",
    Text("port numbers, comma separated"),
    "",
    "Destination ports that the application reaches without the sidecar, over TCP and UDP.",
)
REDIRECT_EXCLUDE_OUTBOUND_CIDRS = _redirect_env(
    "EXCLUDE_OUTBOUND_CIDRS",
    Text("CIDR blocks, comma separated"),
    "",
    "Destinations that the application reaches without the sidecar, over any protocol.",
)
REDIRECT_NAMESERVERS = _redirect_env(
    "NAMESERVERS",
    Text("IP addresses, comma separated"),
    "",
    "Resolvers that port 53 is open to; else those of /etc/resolv.conf.",
)
REDIRECT_UDP = _redirect_env(
    "UDP",
    Choice(("quic", "closed")),
    "quic",
    "Which outbound UDP is refused: `quic` port 443, `closed` all but DNS to the resolvers.",
)
REDIRECT_IPV6 = _redirect_env(
    "IPV6",
    Choice(("auto", "on", "off")),
    "auto",
    "Whether IPv6 is captured: `auto` wherever the kernel has it.",
)
REDIRECT_BACKEND = _redirect_env(
    "BACKEND",
    Choice(("auto", "nft", "iptables-nft", "iptables-legacy")),
    "auto",
    "What installs the rules: `auto` the first of these that works.",
)

# The application's environment. HTTP clients disagree on the case of these names, so both are set.
HTTP_PROXY = _app_env("HTTP_PROXY", "http://127.0.0.1:15002", "Plain HTTP goes to the forward proxy.")
HTTP_PROXY_LOWER = _app_env("http_proxy", "http://127.0.0.1:15002", "The same; curl reads only this one.")
HTTPS_PROXY = _app_env("HTTPS_PROXY", "http://127.0.0.1:15002", "TLS too, so that egress is decided.")
HTTPS_PROXY_LOWER = _app_env("https_proxy", "http://127.0.0.1:15002", "The same.")
NO_PROXY = _app_env(
    "NO_PROXY",
    "localhost,127.0.0.1,::1,kubernetes,kubernetes.default,kubernetes.default.svc,"
    "kubernetes.default.svc.cluster.local,$(KUBERNETES_SERVICE_HOST)",
    "Loopback and the cluster's API go direct; entries that the pod brings are kept.",
)
NO_PROXY_LOWER = _app_env("no_proxy", NO_PROXY.default, "The same.")
NODE_USE_ENV_PROXY = _app_env("NODE_USE_ENV_PROXY", "1", "Makes Node.js 24 and later read these.")

TABLE: Final[tuple[Setting, ...]] = tuple(
    value for value in list(globals().values()) if isinstance(value, Setting)
)


def of_kind(kind: Kind) -> tuple[Setting, ...]:
    """The rows of one kind, in the order of the table."""
    return tuple(setting for setting in TABLE if setting.kind is kind)


ANNOTATIONS: Final = {setting.name: setting for setting in of_kind(Kind.ANNOTATION)}
SIDECAR_ENV: Final = {setting.name: setting for setting in of_kind(Kind.SIDECAR_ENV)}
SIDECAR_PORTS: Final = frozenset(int(setting.default) for setting in of_kind(Kind.PORT))
