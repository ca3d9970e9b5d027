"""What admission has decided about a pod before it builds anything: its settings, and how it is captured.

Transparent capture needs an init step with NET_ADMIN, an identity for what comes in, and a user that no
application container shares. Where one of these cannot be had, `auto` is explicit and `transparent` is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mesh.reasons import Reason
from mesh.settings import table
from webhook.admission.credential_secrets import credential_secrets
from webhook.admission.hidden_secrets import Hidden
from webhook.admission.outcome import Namespace, Problem
from webhook.admission.parameters import Parameters
from webhook.admission.settings import IdentityProvider, InjectionSettings

# OpenShift gives every namespace a range of UIDs and refuses containers that ask for another one.
UID_RANGE_ANNOTATION = "openshift.io/sa.scc.uid-range"
# The levels of PodSecurity are privileged, baseline and restricted; only the first admits NET_ADMIN, and a level
# that does not exist counts as restricted to the API server.
POD_SECURITY_LABEL = "pod-security.kubernetes.io/enforce"
_PRIVILEGED = "privileged"


class Capture(StrEnum):
    """How traffic reaches the sidecar."""

    TRANSPARENT = "transparent"
    EXPLICIT = "explicit"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that building a pod depends on beside the pod and the platform's settings.

    `own_uid` is False where the cluster gives all containers of a namespace one UID. `probes` is the JSON of the
    application's probes that the sidecar asks, or empty; `hidden` are secrets that the application must not hold.
    """

    parameters: Parameters
    capture: Capture
    own_uid: bool
    probes: str = ""
    hidden: tuple[Hidden, ...] = ()

    @property
    def transparent(self) -> bool:
        return self.capture is Capture.TRANSPARENT

    @property
    def interception(self) -> bool:
        """Whether the application is to trust the sidecar's CA."""
        return self[table.INTERCEPTION.name] == "on"

    @property
    def credential_secrets(self) -> tuple[str, ...]:
        """The Secrets that only the sidecar mounts."""
        return credential_secrets(self[table.CREDENTIAL_SECRETS.name])

    def __getitem__(self, name: str) -> str:
        """The value of an annotation, by its full name."""
        return self.parameters[name].value


def own_uid(namespace: Namespace) -> bool:
    """May the sidecar choose its user?"""
    return UID_RANGE_ANNOTATION not in namespace.annotations


def hindrances(namespace: Namespace, settings: InjectionSettings) -> list[str]:
    """Why no pod of `namespace` can be captured transparently, in words; empty when it can."""
    found = []
    level = namespace.labels.get(POD_SECURITY_LABEL, _PRIVILEGED)
    if level != _PRIVILEGED:
        found.append(
            f"namespace {namespace.name} enforces PodSecurity {level}, which forbids the capability NET_ADMIN "
            f"that redirection needs (only {POD_SECURITY_LABEL}={_PRIVILEGED} admits it)"
        )
    if not own_uid(namespace):
        found.append(
            f"namespace {namespace.name} gives all its containers one UID ({UID_RANGE_ANNOTATION}), so that the "
            "kernel could not tell the sidecar from the application"
        )
    if settings.identity.chosen is IdentityProvider.NONE:
        found.append(
            "the platform's settings give sidecars no identity (identity.provider: none), so that nothing that "
            "comes in could be let through"
        )
    return found


def effective(value: str, hindered: list[str]) -> Capture:
    """What a value of the annotation comes to."""
    if value == Capture.TRANSPARENT or (value == "auto" and not hindered):
        return Capture.TRANSPARENT
    return Capture.EXPLICIT


def capture_problems(value: str, hindered: list[str]) -> list[Problem]:
    """`transparent` means that nothing less will do."""
    if value != Capture.TRANSPARENT or not hindered:
        return []
    return [Problem(Reason.CAPTURE_IMPOSSIBLE, "; ".join(hindered))]
