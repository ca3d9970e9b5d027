"""Checks of how the API server asks the control plane: entries, selectors, and where they lead to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from cli.check.certificates import our_entries
from cli.check.objects import inner, name_of
from cli.check.result import Result, failed, judged, ok, skipped, warning
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Obj
from cli.selecting.entries import Entry, creating_pods, entries
from cli.selecting.labels import NAMESPACE_NAME, matches
from cli.selecting.truth_table import differences, overlaps
from mesh.settings import installation
from mesh.settings.table import NAMESPACE_INJECTION

INJECTOR_ENTRIES = (
    installation.ENABLED_ENTRY,
    installation.REQUIRED_ENTRY,
    installation.POD_ENTRY,
    installation.DISABLED_ENTRY,
)
VALIDATOR_ENTRIES = (
    installation.EPHEMERAL_ENTRY,
    installation.DOCUMENTS_ENTRY,
    installation.CONFIG_MAPS_ENTRY,
)
LONGEST_TIMEOUT = 10
_DEFAULT_TIMEOUT = 10
_ALWAYS_IGNORED = ("kube-system",)


def injector(snapshot: Snapshot, now: datetime) -> Result:
    """The API server has every entry of the injector."""
    return _present(snapshot, installation.INJECTOR, INJECTOR_ENTRIES)


def validator(snapshot: Snapshot, now: datetime) -> Result:
    """The API server has every entry of the validator."""
    # Where there are no policies that could look at images of running pods, an entry does.
    images = (installation.IMAGES_ENTRY,) if snapshot.admission_policies.absent else ()
    return _present(snapshot, installation.VALIDATOR, (*VALIDATOR_ENTRIES, *images))


def disjoint(snapshot: Snapshot, now: datetime) -> Result:
    """No pod is asked about twice, whatever labels it and its namespace have."""
    found = asking_us(snapshot)
    if not found:
        return skipped("there is no entry that asks us about pods")
    return judged(list(overlaps(found)), f"{len(found)} entries, no two match one pod")


def complete(snapshot: Snapshot, now: datetime) -> Result:
    """The entries draw the truth table: whoever asks for a sidecar is asked about."""
    found = asking_us(snapshot)
    if not found:
        return skipped("there is no entry that asks us about pods")
    return judged(list(differences(found)), "the selectors draw the truth table")


def failure_policy(snapshot: Snapshot, now: datetime) -> Result:
    """With Ignore pods come up without a sidecar whenever the control plane is slow."""
    found = list(our_entries(snapshot))
    wrong = [
        f"failurePolicy of {entry.name} is {policy}"
        for entry in found
        if (policy := entry.value.get("failurePolicy", "Fail")) != "Fail"
    ]
    return judged(wrong, "Fail everywhere") if found else skipped("there are no entries")


def own_namespace(snapshot: Snapshot, now: datetime) -> Result:
    """Neither the control plane's own pods nor the cluster's may wait for the control plane."""
    found = asking_us(snapshot)
    if not found:
        return skipped("there is no entry that asks us about pods")
    exempt = (snapshot.namespace, *_ALWAYS_IGNORED)
    problems = [
        f"{entry.name} matches namespace {name}"
        for name in exempt
        for entry in found
        if any(matches(entry.value.get("namespaceSelector"), labels) for labels in _labellings(name))
    ]
    return judged(problems, f"{' and '.join(exempt)} are left alone")


def timeouts(snapshot: Snapshot, now: datetime) -> Result:
    """A dead control plane must not hold up every creation for half a minute."""
    found = list(our_entries(snapshot))
    long = [
        f"timeoutSeconds of {entry.name} is {seconds}"
        for entry in found
        if (seconds := int(entry.value.get("timeoutSeconds", _DEFAULT_TIMEOUT))) >= LONGEST_TIMEOUT
    ]
    if not found:
        return skipped("there are no entries")
    return warning(*long) if long else ok(f"below {LONGEST_TIMEOUT} seconds everywhere")


def reinvocation(snapshot: Snapshot, now: datetime) -> Result:
    """Containers that other webhooks add after us are seen, and dry runs are answered."""
    found = asking_us(snapshot)
    if not found:
        return skipped("there is no entry that asks us about pods, or none that can be read")
    problems = []
    for entry in found:
        if entry.value.get("reinvocationPolicy", "Never") != "IfNeeded":
            problems.append(f"reinvocationPolicy of {entry.name} is not IfNeeded")
        if entry.value.get("sideEffects") != "None":
            problems.append(f"sideEffects of {entry.name} is not None")
    return judged(problems, "IfNeeded everywhere")


def destination(snapshot: Snapshot, now: datetime) -> Result:
    """Every entry leads to a port that the Service has."""
    if snapshot.service.unread:
        return skipped(f"the Service cannot be read: {snapshot.service.unread}")
    found = list(our_entries(snapshot))
    if not found:
        return skipped("there are no entries")
    service = snapshot.service.one
    if service is None:
        return failed(f"there is no Service {installation.WEBHOOK} in namespace {snapshot.namespace}")
    ports = {port.get("port") for port in inner(service, "spec", "ports") or ()}
    problems = []
    for entry in found:
        if entry.service != (snapshot.namespace, installation.WEBHOOK):
            leads = "a URL" if entry.service is None else "Service {}/{}".format(*entry.service)
            problems.append(f"{entry.name} leads to {leads}")
        elif inner(entry.value, "clientConfig", "service", "port") not in (None, *ports):
            problems.append(f"{entry.name} leads to a port that Service {installation.WEBHOOK} does not have")
    return judged(problems, f"Service {installation.WEBHOOK}")


def endpoints(snapshot: Snapshot, now: datetime) -> Result:
    """Somebody answers behind the Service."""
    if snapshot.endpoint_slices.unread:
        return skipped(f"EndpointSlices cannot be read: {snapshot.endpoint_slices.unread}")
    ready = ready_addresses(snapshot.endpoint_slices.items)
    if not ready:
        return failed(f"Service {installation.WEBHOOK} has no endpoint that is ready")
    return ok(f"{len(ready)} ready")


def ready_addresses(slices: Iterable[Obj]) -> list[str]:
    """The addresses of EndpointSlices that answer."""
    return [
        address
        for one in slices
        for endpoint in one.get("endpoints") or ()
        if inner(endpoint, "conditions", "ready") is not False
        for address in endpoint.get("addresses") or ()
    ]


def foreign(snapshot: Snapshot, now: datetime) -> Result:
    """Webhooks of others that look at pods before us, and are not asked again, never see the sidecar."""
    if snapshot.mutating.unread:
        return skipped(f"webhook configurations cannot be listed: {snapshot.mutating.unread}")
    others = [
        entry
        for entry in creating_pods(entries(snapshot.mutating.items))
        if entry.configuration < installation.INJECTOR
        and entry.value.get("reinvocationPolicy", "Never") == "Never"
    ]
    if not others:
        return ok("none looks at pods before us only")
    return warning(*(f"{entry.name} ({entry.configuration}) does not see the sidecar" for entry in others))


def asking_us(snapshot: Snapshot) -> list[Entry]:
    """Entries of any mutating configuration that ask a Service of our name about pods."""
    return [
        entry
        for entry in creating_pods(entries(snapshot.mutating.items))
        if entry.service is not None and entry.service[1] == installation.WEBHOOK
    ]


def _present(snapshot: Snapshot, name: str, wanted: tuple[str, ...]) -> Result:
    part = snapshot.mutating if name == installation.INJECTOR else snapshot.validating
    if part.unread:
        return skipped(f"webhook configurations cannot be listed: {part.unread}")
    configuration = part.named(name)
    if configuration is None:
        return failed(f"there is no configuration {name}")
    has = {entry.name for entry in entries([configuration])}
    missing = [f"{name} has no entry {entry}" for entry in wanted if entry not in has]
    return judged(missing, f"{name_of(configuration)} has {len(has)} entries")


def _labellings(name: str) -> Iterator[dict[str, str]]:
    for value in (None, "enabled", "required"):
        label = {} if value is None else {NAMESPACE_INJECTION.name: value}
        yield {NAMESPACE_NAME: name, **label}
