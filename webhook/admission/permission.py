"""What pods and namespaces may weaken: only what the platform's settings name under `allow`.

Whoever writes a pod is not whoever runs the mesh. A value that weakens protection is held against what would be
in force without it: saying once more what holds anyway needs no leave, and neither does less of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mesh.reasons import Reason
from mesh.settings.kinds import Setting
from mesh.settings.lists import CidrList, PortList, beyond
from mesh.settings.table import CAPTURE, PREFIX
from webhook.admission.documents import Labels, Pod
from webhook.admission.outcome import Namespace, Problem
from webhook.admission.parameters import PARAMETERS
from webhook.admission.plan import effective
from webhook.admission.settings import InjectionSettings

NAMESERVERS: Final = "nameservers"
HOST_ALIASES: Final = "host-aliases"
PRIVILEGED_CONTAINERS: Final = "privileged-containers"
HOST_PATHS: Final = "host-paths"
PERMISSIONS = frozenset(word for setting in PARAMETERS for word in setting.permissions) | {
    NAMESERVERS,
    HOST_ALIASES,
    PRIVILEGED_CONTAINERS,
    HOST_PATHS,
}
"""Everything that may stand under `allow`."""


def weakened(
    annotations: Labels, namespace: Namespace, settings: InjectionSettings, hindered: list[str]
) -> Iterator[Problem]:
    """Annotations of the pod and of its namespace that weaken protection without leave.

    `hindered` is why transparent capture is impossible here, if it is: explicit capture weakens nothing then.
    """
    for setting in PARAMETERS:
        if not setting.lowers:
            continue
        holds = settings.defaults.get(setting.name, setting.default)
        for where, written in (("the namespace", namespace.annotations), ("the pod", annotations)):
            value = written.get(setting.name)
            if value is None or setting.values.problem(value) or (holds and setting.values.problem(holds)):
                continue
            for word, what in _weaker(setting, value, holds, hindered):
                if word not in settings.allow:
                    written_there = f"annotation {setting.name}={value!r} of {where}"
                    detail = f"{written_there} {what}; allow: [{word}] would permit it"
                    yield Problem(Reason.NOT_PERMITTED, detail)
            holds = value


def own_resolvers(pod: Pod, settings: InjectionSettings) -> Iterator[Problem]:
    """What a pod under transparent capture decides about names without leave.

    Port 53 of a pod's resolvers is left alone, so that whoever chooses them opens a way past the sidecar, unless
    the platform names them itself. And the sidecar resolves names with what the pod has, while policies go by
    names: whoever says where a name leads decides where a grant leads.
    """
    dns = pod["spec"].get("dnsConfig") or {}
    resolvers, domains = dns.get("nameservers") or (), dns.get("searches") or ()
    names = [name for alias in pod["spec"].get("hostAliases") or () for name in alias.get("hostnames") or ()]
    found = []
    if resolvers:
        opens = (
            ""
            if settings.redirect.nameservers
            else f"opens port 53 of {', '.join(resolvers)} past the sidecar and "
        )
        found.append((NAMESERVERS, f"spec.dnsConfig.nameservers {opens}decides where names lead"))
    if domains:
        found.append(
            (NAMESERVERS, f"spec.dnsConfig.searches decides by {', '.join(domains)} where names lead")
        )
    if names:
        found.append((HOST_ALIASES, f"spec.hostAliases decides where {', '.join(names)} lead"))
    for word, what in found:
        if word not in settings.allow:
            yield Problem(Reason.NOT_PERMITTED, f"{what}; allow: [{word}] would permit it")


def _weaker(setting: Setting, value: str, holds: str, hindered: list[str]) -> Iterator[tuple[str, str]]:
    """The permission that `value` needs where `holds` is in force, and what it would do."""
    name = setting.name.removeprefix(PREFIX)
    if isinstance(setting.values, PortList | CidrList):
        more = beyond(setting.values, value, holds)
        if more:
            yield name, f"would leave {', '.join(more)} alone"
        return
    if setting is CAPTURE:
        value, holds = effective(value, hindered), effective(holds, hindered)
    if value in setting.lowers and value != holds:
        yield f"{name}={value}", f"is weaker than {f'{holds}, which' if holds else 'what'} holds without it"
