"""Making the application trust the sidecar's interception CA: a volume to read, and the variables that name it.

The sidecar alone may write there. A container that names roots of its own keeps them, because nobody can add to a
file inside an image; what reads that variable then does not trust the CA, and its HTTPS to Backends fails. That is
told in a warning.
"""

from __future__ import annotations

from mesh.reasons import Reason
from mesh.settings.table import TRUST_VOLUME
from mesh.settings.trust import TRUST_DIRECTORY, TRUST_VARIABLES, TrustVariable, merged
from webhook.admission.documents import Container, EnvVar, Pod, VolumeMount
from webhook.admission.outcome import Problem

MOUNT: VolumeMount = {"name": TRUST_VOLUME, "mountPath": TRUST_DIRECTORY, "readOnly": True}


def application_containers(pod: Pod) -> tuple[Container, ...]:
    """Every container of the author's that runs before or beside the application."""
    return (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])


def trust(pod: Pod) -> tuple[list[Problem], list[str]]:
    """Add mount and variables to every container of `pod`, in place; returns what prevents it, and warnings."""
    problems, said = [], []
    for container in application_containers(pod):
        mounts = container.get("volumeMounts") or []
        if any(_in_the_way(mount) for mount in mounts):
            where = f"container {container['name']}, mount at {TRUST_DIRECTORY}"
            problems.append(Problem(Reason.RESERVED_VOLUME, where))
        if not any(is_ours(mount) for mount in mounts):
            container["volumeMounts"] = [*mounts, {**MOUNT}]
        env = list(container.get("env") or ())
        kept = [variable.name for variable in TRUST_VARIABLES if not _set(variable, env)]
        container["env"] = env
        if kept:
            said.append(
                f"container {container['name']}: own roots in {', '.join(kept)}, HTTPS to Backends fails"
            )
    return problems, said


def _set(variable: TrustVariable, env: list[EnvVar]) -> bool:
    """Set `variable` in `env`; False where the container's own stays."""
    place = max((place for place, one in enumerate(env) if one["name"] == variable.name), default=None)
    if place is None:
        env.append({"name": variable.name, "value": variable.value()})
        return True
    present = env[place]
    value = None if present.get("valueFrom") else merged(variable, present.get("value") or "")
    if value is None:
        return False
    if present.get("value") != value:
        env[place] = {**present, "value": value}
    return True


def without_trust(container: Container) -> None:
    """Take out of `container`, in place, what `trust` added."""
    mounts = container.get("volumeMounts")
    if mounts and any(is_ours(mount) for mount in mounts):
        left = [mount for mount in mounts if not is_ours(mount)]
        if left:
            container["volumeMounts"] = left
        else:
            del container["volumeMounts"]
        keep_environment(container, _own(container.get("env") or []))


def keep_environment(container: Container, env: list[EnvVar]) -> None:
    """Set what is left of the environment of `container`, or take it away where nothing is."""
    if env:
        container["env"] = env
    else:
        container.pop("env", None)


def is_ours(mount: VolumeMount) -> bool:
    """Exactly the mount that `trust` adds; any other of that volume is refused."""
    return mount == MOUNT


def _in_the_way(mount: VolumeMount) -> bool:
    return not is_ours(mount) and (mount.get("mountPath") or "").rstrip("/") == TRUST_DIRECTORY


def _own(env: list[EnvVar]) -> list[EnvVar]:
    """The environment without our values; of a list of options, what stood before ours stays."""
    ours = {variable.name: variable for variable in TRUST_VARIABLES}
    left: list[EnvVar] = []
    for one in env:
        variable, value = ours.get(one["name"]), one.get("value") or ""
        if variable is None or one.get("valueFrom") or not value.endswith(variable.value()):
            left.append(one)
        elif variable.is_list and value != variable.value():
            left.append({**one, "value": value.removesuffix(variable.value()).rstrip(" ")})
    return left
