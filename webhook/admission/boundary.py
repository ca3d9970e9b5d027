"""Containers that could get around transparent capture, which the kernel upholds by user, group and rules.

Refused is what asks for the means: a capability that changes rules, writes frames past them or lets a process
become the sidecar's user; or the sidecar's group. What a container merely does not give up is told in a warning,
since most images run as root for no reason but habit, and a mesh that turns them all away protects nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh.reasons import Reason
from webhook.admission.documents import Container, Pod, SecurityContext
from webhook.admission.outcome import Problem
from webhook.admission.settings import InjectionSettings
from webhook.admission.shape import every_container
from webhook.admission.structure import capabilities, may_be_root

# Not CHOWN, FOWNER and FSETID: with them a program is made that runs as the sidecar's user, but only where
# privileges may be escalated, which `slack` tells. Nor SYS_PTRACE: `conflicts` looks at shared processes.
UNDOING = frozenset(
    {
        "ALL",
        *("NET_ADMIN", "NET_RAW"),  # remove rules; write packets past them
        *("SETUID", "SETGID", "SETPCAP", "SETFCAP"),  # become the sidecar's user, or give others the means
        *("SYS_ADMIN", "SYS_MODULE", "BPF", "PERFMON"),  # enter other namespaces; load code into the kernel
        *("SYS_RAWIO", "DAC_READ_SEARCH"),  # reach memory, and files of the node
    }
)


def undoing(pod: Pod, settings: InjectionSettings) -> list[Problem]:
    """What in a pod (from which our own additions have been removed) could undo transparent capture."""
    outer = pod["spec"].get("securityContext") or SecurityContext()
    problems = [
        Problem(Reason.SIDECAR_GROUP, f"the pod, {name}") for name in _pod_groups(outer, settings.uid)
    ]
    for container in every_container(pod):
        where = f"container {container['name']}"
        context = container.get("securityContext") or SecurityContext()
        group = context.get("runAsGroup")
        if (group if group is not None else outer.get("runAsGroup")) == settings.uid:
            problems.append(Problem(Reason.SIDECAR_GROUP, f"{where} (GID {settings.uid})"))
        if context.get("privileged"):
            problems.append(Problem(Reason.CAPTURE_UNDONE, f"{where}, privileged"))
        added = sorted(UNDOING & capabilities(context, "add"))
        if added:
            problems.append(Problem(Reason.CAPTURE_UNDONE, f"{where}, capabilities {', '.join(added)}"))
    return problems


def slack(pod: Pod) -> list[str]:
    """What containers do not give up, as warnings."""
    outer = pod["spec"].get("securityContext") or SecurityContext()
    return [
        f"container {container['name']} could undo capture; set {' and '.join(missing)}"
        for container in every_container(pod)
        if (missing := list(_missing(container, outer)))
    ]


def _missing(container: Container, outer: SecurityContext) -> Iterator[str]:
    context = container.get("securityContext") or SecurityContext()
    if may_be_root(context, outer) and "ALL" not in capabilities(context, "drop"):
        yield "capabilities.drop: [ALL]"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation: false"


def _pod_groups(outer: SecurityContext, group: int) -> Iterator[str]:
    if outer.get("fsGroup") == group:
        yield f"fsGroup {group}"
    if group in (outer.get("supplementalGroups") or ()):
        yield f"supplementalGroups {group}"
