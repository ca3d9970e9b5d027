"""`hide-secrets`: the agent gets a placeholder where it took a secret, and the sidecar alone gets the secret.

A variable that comes from `secretKeyRef` changes in its place. One that comes from `envFrom` cannot be seen here,
since admission does not read Secrets: an entry of that name is added behind the others, which wins over `envFrom`.
The key of the Secret becomes a file that the sidecar alone mounts; what stood in the container is kept beside it,
to be given back before the next injection. The placeholder is the same each time for one variable of one container.

A secret that the application still gets in another way is not hidden, so that is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

from mesh.reasons import Reason
from mesh.settings.table import ENV_HIDDEN_SECRETS, HIDDEN_VOLUME, HIDE_SECRETS
from webhook.admission.documents import Container, EnvVar, Pod, Volume
from webhook.admission.outcome import Problem
from webhook.admission.secret_sources import collective, exposures, from_secrets, secret_key
from webhook.admission.stored import encoded, stored
from webhook.admission.trust import application_containers

HIDDEN_PATH = "/run/outrider/hidden-secrets"
PLACEHOLDER = "outrider-hidden-"
"""How every placeholder begins; 32 hexadecimal digits follow."""


class Kept(TypedDict):
    """One placeholder in the sidecar's environment. `originals` is empty where it came from `envFrom`."""

    container: str
    variable: str
    file: str
    originals: list[EnvVar]


@dataclass(frozen=True, slots=True)
class Hidden:
    """A variable of a container that holds a placeholder now, and the key of the Secret that it stands for.

    `optional`: the Secret, or the key in it, may be missing. `originals` as in `Kept`.
    """

    container: str
    variable: str
    secret: str
    key: str
    optional: bool
    originals: tuple[EnvVar, ...]

    @property
    def placeholder(self) -> str:
        """What the application sees; the name of the file, too."""
        return placeholder(self.container, self.variable)


def placeholder(container: str, variable: str) -> str:
    """The placeholder of one variable in one container."""
    return PLACEHOLDER + hashlib.sha256(f"{container}\0{variable}".encode()).hexdigest()[:32]


def hide(pod: Pod, variables: Iterable[str], asked: frozenset[str]) -> tuple[list[Hidden], list[Problem]]:
    """Put placeholders into `pod`, in place; returns what is hidden, and what prevents it.

    `asked` are those of `variables` that the pod itself names: each must be there.
    """
    hidden: list[Hidden] = []
    problems: list[Problem] = []
    containers = application_containers(pod)
    present = list(dict.fromkeys(name for one in containers for name in from_secrets(one)))
    for variable in variables:
        found = [one for container in containers for one in _hide(container, variable)]
        if not found and variable in asked:
            problems.append(_nowhere(variable, present))
        hidden += [one for one in found if isinstance(one, Hidden)]
        problems += [one for one in found if isinstance(one, Problem)]
    return hidden, [*problems, *exposed(containers, pod["spec"].get("volumes") or (), hidden)]


def _hide(container: Container, variable: str) -> Iterator[Hidden | Problem]:
    name, env = container["name"], list(container.get("env") or ())
    fake = EnvVar(name=variable, value=placeholder(name, variable))
    places = [place for place, one in enumerate(env) if one["name"] == variable]
    direct = [(place, found) for place in places if (found := secret_key(env[place])) is not None]
    if direct:
        originals = tuple(env[place] for place, _ in direct)
        for place, _ in direct:
            env[place] = fake.copy()
        container["env"] = env
        secret, key, optional = direct[-1][1]  # the last one counts, as for the kubelet
        yield Hidden(name, variable, secret, key, optional, originals)
        return
    candidates = [] if places else list(dict.fromkeys(collective(container, variable)))
    if len(candidates) > 1:
        secrets = " or ".join(secret for secret, _ in candidates)
        detail = f"container {name}, variable {variable} may come from {secrets} by envFrom"
        yield Problem(
            Reason.ANNOTATION_INVALID, f"annotation {HIDE_SECRETS.name}: {detail}; allowed: one of them"
        )
    elif candidates:
        container["env"] = [*env, fake]
        yield Hidden(name, variable, *candidates[0], optional=True, originals=())


def _nowhere(variable: str, present: list[str]) -> Problem:
    told = ", ".join(present) if present else "nothing, since no container takes anything from a Secret"
    detail = f"annotation {HIDE_SECRETS.name}={variable!r} of the pod is no variable that comes from a Secret"
    return Problem(Reason.ANNOTATION_INVALID, f"{detail}; allowed: {told}")


def exposed(
    containers: Iterable[Container], volumes: Collection[Volume], hidden: list[Hidden]
) -> list[Problem]:
    """Where `containers` get a hidden secret all the same."""
    keys = list(dict.fromkeys((one.secret, one.key) for one in hidden))
    told = dict.fromkeys(
        f"container {container['name']}, {found}"
        for container in containers
        for found in exposures(container, volumes, keys)
    )
    return [Problem(Reason.SECRET_EXPOSED, detail) for detail in told]


def hidden_volume(hidden: Iterable[Hidden]) -> Volume:
    """The volume with one file for each placeholder, and nothing else of the Secrets."""
    return {"name": HIDDEN_VOLUME, "projected": {"sources": [_source(one) for one in hidden]}}


def _source(one: Hidden) -> dict[str, Any]:
    source: dict[str, Any] = {"name": one.secret, "items": [{"key": one.key, "path": one.placeholder}]}
    if one.optional:
        source["optional"] = True
    return {"secret": source}


def told_to_sidecar(hidden: Iterable[Hidden]) -> str:
    """The value of OUTRIDER_HIDDEN_SECRETS."""
    return encoded(
        {
            one.placeholder: Kept(
                container=one.container,
                variable=one.variable,
                file=f"{HIDDEN_PATH}/{one.placeholder}",
                originals=list(one.originals),
            )
            for one in hidden
        }
    )


def restore_secrets(pod: Pod, sidecar: Container | None) -> None:
    """Give the containers of `pod`, in place, what `hide` replaced, as the environment of `sidecar` tells it."""
    kept = stored(sidecar, ENV_HIDDEN_SECRETS, Kept)
    for container in application_containers(pod):
        for fake, one in kept.items():
            if one["container"] == container["name"] and fake == placeholder(
                one["container"], one["variable"]
            ):
                _give_back(container, fake, one)


def _give_back(container: Container, fake: str, kept: Kept) -> None:
    if not any(_is_fake(one, kept["variable"], fake) for one in container.get("env") or ()):
        return
    waiting = (one for one in kept["originals"] if one.get("name") == kept["variable"])
    env: list[EnvVar] = []
    for one in container.get("env") or ():
        if not _is_fake(one, kept["variable"], fake):
            env.append(one)
        elif (original := next(waiting, None)) is not None:
            env.append(original)
    if env:
        container["env"] = env
    else:
        del container["env"]


def _is_fake(one: EnvVar, variable: str, fake: str) -> bool:
    return one["name"] == variable and one.get("value") == fake and not one.get("valueFrom")


def hidden_keys(sidecar: Container | None, volumes: Iterable[Volume]) -> list[Hidden]:
    """What a running pod hides: for containers that are added to it later."""
    files = {
        item.get("path"): (source["secret"].get("name"), item.get("key"))
        for one in volumes
        if one["name"] == HIDDEN_VOLUME
        for source in (one.get("projected") or {}).get("sources") or ()
        if isinstance(source, dict) and isinstance(source.get("secret"), dict)
        for item in source["secret"].get("items") or ()
        if isinstance(item, dict)
    }
    return [
        Hidden(one["container"], one["variable"], str(files[fake][0]), str(files[fake][1]), True, ())
        for fake, one in stored(sidecar, ENV_HIDDEN_SECRETS, Kept).items()
        if fake in files
    ]
