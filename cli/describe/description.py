"""One pod, described: who it is, how it is captured and set, what it may do, and what is not well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cli.check.catalogue import RUNS, checks
from cli.check.data_plane import status_of
from cli.check.objects import containers_of, counted, inner, name_of, sidecar_of, sidecar_status
from cli.check.policies import selects
from cli.check.result import State
from cli.check.snapshot import DataPlane, Snapshot
from cli.check.table import Phase
from cli.cluster.parts import Part
from cli.describe.facts import Facts, space_of
from cli.describe.given import given
from cli.describe.journal import Journal, read_journal
from cli.describe.policies import Rights, rights, rights_given
from cli.describe.settings import Value, environment, settings
from mesh.settings import table

UNKNOWN: Final = "?"
"""In place of a trust domain: an identity that was never had does not tell it."""
_ISSUERS: Final = {
    "builtin": "the control plane",
    "workload-api": "the SPIFFE Workload API, mostly SPIRE",
    "files": "files of a volume",
    "none": "nobody: it has no mutual TLS",
}
# Of the namespace's checks, those that are about one pod and need no more than it.
_ABOUT_PODS = frozenset(
    {
        "pods-injected",
        "sidecar-versions",
        "sidecar-settings",
        "sidecars-ready",
        "sidecars-connected",
        "sidecar-roots",
        "sidecar-restarts",
        "termination-grace",
        "ephemeral-containers",
        "policies-current",
        "policy-labels",
    }
)


@dataclass(frozen=True, slots=True)
class Description:
    """All of it. `sidecar`, `ports` and `configuration` are pairs of name and value."""

    name: str
    namespace: str
    injected: bool
    expected_id: str
    issuer: str
    journal: Journal
    log_unread: str
    sidecar: tuple[tuple[str, str], ...]
    ports: tuple[tuple[str, str], ...]
    configuration: tuple[tuple[str, str], ...]
    settings: tuple[Value, ...]
    rights: Rights | None
    policies_unread: str
    warnings: tuple[tuple[str, str, str], ...]


def describe(facts: Facts, now: datetime, trust_domain: str | None = None) -> Description:
    """What is known of a pod, put together. `trust_domain` None: its SVID's, else that of the control plane."""
    pod, space = facts.pod, space_of(facts)
    journal = read_journal(facts.log)
    injected = sidecar_of(pod) is not None
    domain = trust_domain or _domain(journal) or facts.trust_domain or UNKNOWN
    account = inner(pod, "spec", "serviceAccountName") or "default"
    return Description(
        name_of(pod),
        space,
        injected,
        f"spiffe://{domain}/ns/{space}/sa/{account}",
        _ISSUERS.get(environment(pod).get(table.ENV_IDENTITY_PROVIDER.name, ""), ""),
        journal,
        facts.log_unread,
        _sidecar(facts),
        _ports(facts),
        _configuration(facts, journal),
        settings(pod),
        _rights(facts, domain) if injected else None,
        _unread(facts),
        tuple(_warnings(facts, journal, now, f"/ns/{space}/sa/{account}")),
    )


def _streamed(facts: Facts) -> bool:
    """Does this sidecar get its policies from the control plane? One from before has them from a ConfigMap."""
    if sidecar_of(facts.pod) is None:
        return facts.settings.control_plane.present
    return bool(environment(facts.pod).get(table.ENV_CONTROL_URL.name))


def _rights(facts: Facts, domain: str) -> Rights | None:
    space = space_of(facts)
    if not _streamed(facts):
        return None if facts.policies.one is None else rights(facts.pod, facts.policies.one, space)
    if facts.resources.unread:
        return None
    known = given(facts.pod, facts.around, domain, facts.settings.cluster_domain)
    return rights_given(facts.pod, known, space, facts.resources.items)


def _configuration(facts: Facts, journal: Journal) -> tuple[tuple[str, str], ...]:
    """What is in force, as the sidecar says it now, or else as its log has it."""
    if not _streamed(facts) or sidecar_of(facts.pod) is None:
        return ()
    state = facts.states.by_pod.get(name_of(facts.pod))
    if state is None:
        version, refused = journal.configuration, journal.refused
        connected = f"not connected: {journal.lost}" if journal.lost else "connected, as far as its log says"
        connected = connected if journal.configuration or journal.lost else "nothing in its log"
    else:
        version, refused = state.version, state.refused
        away = f"not connected: {state.problem}".removesuffix(": ")
        connected = "connected" if state.connected else away
    source = " (saved, from before its last start)" if state is not None and state.source == "saved" else ""
    told = (
        (f"{version}{source}" if version else "none yet: nothing is let through")
        if state or version
        else "unknown"
    )
    shown = [("in force", told), ("control plane", connected)]
    return (*shown, ("refused", refused)) if refused else tuple(shown)


def _domain(journal: Journal) -> str:
    return journal.spiffe_id.removeprefix("spiffe://").partition("/")[0]


def _unread(facts: Facts) -> str:
    if _streamed(facts):
        unread = facts.resources.unread
        return f"AgentPolicies cannot be listed: {unread}" if unread else "; ".join(facts.around.unread)
    if facts.policies.one is not None:
        return ""
    name = facts.settings.mounted_policies
    if not name:
        return "policies are in the sidecar's image"
    return facts.policies.unread or f"there is no ConfigMap {name}, and the pod waits for it"


def _sidecar(facts: Facts) -> tuple[tuple[str, str], ...]:
    container, status = sidecar_of(facts.pod), status_of(facts.pod) or {}
    if container is None:
        return ()
    state = sidecar_status(facts.pod)
    ready = "not reported yet" if state is None else "ready" if state.get("ready") else "not ready"
    native = container.get("restartPolicy") == "Always"
    return (
        ("version", str(status.get("version", "unknown"))),
        ("image", str(container.get("image"))),
        ("state", f"{ready}, restarted {counted((state or {}).get('restartCount', 0), 'time', 'times')}"),
        ("kind", "native sidecar (init container)" if native else "ordinary container"),
        ("capture", str(status.get("capture", "unknown"))),
    )


def _ports(facts: Facts) -> tuple[tuple[str, str], ...]:
    variables = environment(facts.pod)
    declared = [
        f"{port.get('containerPort')} ({container.get('name')})"
        for container in containers_of(facts.pod)
        if container.get("name") not in table.RESERVED_CONTAINERS
        for port in container.get("ports") or ()
    ]
    shown = [("application", ", ".join(declared) or "none declared")]
    for row, title in (
        (table.ENV_LISTEN_INBOUND, "inbound mutual TLS"),
        (table.ENV_LISTEN_FORWARD, "forward proxy"),
        (table.ENV_LISTEN_TELEMETRY, "health and metrics"),
        (table.ENV_LISTEN_REDIRECT_OUTBOUND, "redirected outbound"),
        (table.ENV_LISTEN_REDIRECT_INBOUND, "redirected inbound"),
    ):
        if row.name in variables:
            shown.append((title, variables[row.name]))
    return tuple(shown)


def _warnings(facts: Facts, journal: Journal, now: datetime, path: str) -> list[tuple[str, str, str]]:
    """Pairs of what is not well and what to do, after the id of the check that says so."""
    found = []
    for check in checks(before=False, namespace=True):
        if check.phase is Phase.NAMESPACE and check.id in _ABOUT_PODS:
            result = RUNS[check.id](_snapshot(facts), now)
            if result.state in (State.WARNING, State.FAILED):
                hint = (result.hint or check.hint).replace("NAMESPACE", space_of(facts))
                found += [(check.id, seen, hint) for seen in result.seen]
    if journal.trouble:
        builtin = environment(facts.pod).get(table.ENV_IDENTITY_PROVIDER.name) == "builtin"
        hint = (
            "The control plane issues it: `outrider check` says how that is."
            if builtin
            else "Look at SPIRE's agent and at the registration entry of this ServiceAccount."
        )
        found.insert(0, ("sidecars-ready", f"identity: {journal.trouble}", hint))
    if journal.spiffe_id and not journal.spiffe_id.endswith(path):
        hint = "Its registration entry gives another identity than policies expect; correct it."
        found.append(("identity", f"it has the identity {journal.spiffe_id}", hint))
    if facts.resources.items and not facts.settings.control_plane.present:
        count = len(facts.resources.items)
        seen = f"{count} AgentPolicies are resources, which sidecars without a control plane do not read"
        hint = f"Put them into the ConfigMap {facts.settings.mounted_policies or 'that sidecars read'}."
        found.append(("policies-present", seen, hint))
    for value in settings(facts.pod):
        if value.really:
            hint = "Somebody edited the annotation outrider.dev/status; the container is right."
            seen = f"{value.name}: the annotation says {value.value}, the container {value.really}"
            found.append(("status", seen, hint))
    return found


def _snapshot(facts: Facts) -> Snapshot:
    """A cluster that holds this pod alone. The settings are handed on as they were read."""
    return Snapshot(
        namespaces=Part((facts.namespace,)),
        known_settings=facts.settings,
        data=DataPlane(
            space_of(facts),
            pods=Part((facts.pod,)),
            policies=facts.policies,
            agent_policies=Part(
                tuple(one for one in facts.resources.items if selects(one, facts.pod)), facts.resources.unread
            ),
            backends=Part(),
            states=facts.states,
        ),
    )
