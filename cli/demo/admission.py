"""What admission makes of the agent's pod: the code that the webhook runs, called here with the same arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cli.demo.control import SERVICE
from cli.demo.findings import Finding, equal
from mesh.settings.installation import CONTROL_PORT
from mesh.settings.kinds import Kind
from mesh.settings.table import NAMESPACE_INJECTION, SIDECAR_CONTAINER, of_kind
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Outcome
from webhook.admission.settings import ControlPlane, InjectionSettings

_PROXY_VARIABLES = frozenset(setting.name for setting in of_kind(Kind.APP_ENV))


@dataclass(frozen=True, slots=True)
class Admitted:
    """A pod as it came, and as it left admission."""

    before: dict[str, Any]
    after: dict[str, Any]
    findings: tuple[Finding, ...]


def admit(pod: dict[str, Any], roots: str) -> Admitted:
    """Create `pod` in a namespace that is labelled for injection. `roots` (PEM) vouch for the control plane."""
    settings = InjectionSettings(control_plane=ControlPlane(f"https://{SERVICE}:{CONTROL_PORT}", roots=roots))
    outcome = _inject(pod, settings)
    after: dict[str, Any] = dict(outcome.pod) if isinstance(outcome, Injection) else pod
    return Admitted(pod, after, tuple(_findings(pod, outcome, after, settings)))


def _inject(pod: dict[str, Any], settings: InjectionSettings) -> Outcome:
    namespace = Namespace(pod["metadata"]["namespace"], {NAMESPACE_INJECTION.name: "enabled"})
    return inject(pod, namespace, settings)


def _findings(
    before: dict[str, Any], outcome: Outcome, after: dict[str, Any], settings: InjectionSettings
) -> Iterator[Finding]:
    yield equal("Admission takes the pod", expected="injected", seen=outcome.reason)
    yield equal(
        "One container is new, the sidecar; it starts before the agent and stops after it",
        expected=(SIDECAR_CONTAINER,),
        seen=tuple(one["name"] for one in after["spec"].get("initContainers", ())),
    )
    changed = tuple(changes(before["spec"]["containers"][0], after["spec"]["containers"][0]))
    yield equal("In the agent's own container only proxy variables are new", expected=(), seen=changed)
    again = _inject(after, settings)
    patch = again.patch if isinstance(again, Injection) else again.reason
    yield equal("A second admission of the same pod changes nothing", expected=[], seen=patch)


def changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """What differs between two states of a container, besides proxy variables that were added."""
    for key in {**before, **after}:
        if key != "env" and before.get(key) != after.get(key):
            yield key
    own = before.get("env", [])
    kept = [variable for variable in after.get("env", []) if variable["name"] not in _PROXY_VARIABLES]
    if own != kept:
        yield "env"
