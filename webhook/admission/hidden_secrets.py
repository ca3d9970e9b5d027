"""`hide-secrets`: the agent gets a placeholder where it took a secret, and the sidecar alone gets the secret.

A variable that comes from `secretKeyRef` changes in its place. One that comes from `envFrom` cannot be seen here,
since admission does not read Secrets: an entry of that name is added behind the others, which wins over `envFrom`.
The key of the Secret becomes a file that the sidecar alone mounts; what stood in the container is kept beside it,
to be given back before the next injection. The placeholder of one variable in one container is the same each time.

A secret that the application still gets in another way is not hidden, so that is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec

from mesh.reasons import Reason
from mesh.settings.placeholders import placeholder
from mesh.settings.table import ENV_HIDDEN_SECRETS, HIDDEN_VOLUME, HIDE_SECRETS
from webhook.admission.documents import Container, EnvVar, Pod, Volume
from webhook.admission.outcome import Problem
from webhook.admission.secret_sources import collective, exposures, from_secrets, secret_key
from webhook.admission.stored import encoded, stored
from webhook.admission.trust import application_containers, keep_environment

HIDDEN_PATH = "/run/outrider/hidden-secrets"


class Kept(TypedDict):
    """One placeholder in the sidecar's environment. `originals` is empty where it came from `envFrom`."""

    container: str
    variable: str
    files: list[str]
    originals: list[EnvVar]


@dataclass(frozen=True, slots=True)
class Hidden:
    """A variable of a container that holds a placeholder now, and the keys of Secrets that it stands for.

    There are several `keys` where `envFrom` names several Secrets: of those that are there the last one counts.
    `optional`: the Secret, or the key in it, may be missing. `originals` as in `Kept`.
    """

    container: str
    variable: str
    keys: tuple[tuple[str, str], ...]
    optional: bool
    originals: tuple[EnvVar, ...]

    @property
    def placeholder(self) -> str:
        """What the application sees; the name of the first file, too."""
        return placeholder(self.container, self.variable)

    @property
    def files(self) -> tuple[str, ...]:
        """The name of the file for each of `keys`."""
        first = self.placeholder
        return tuple(f"{first}.{place}" if place else first for place in range(len(self.keys)))


def hide(pod: Pod, variables: Iterable[str], asked: frozenset[str]) -> tuple[list[Hidden], list[Problem]]:
    """Put placeholders into `pod`, in place; returns what is hidden, and what prevents it.

    `asked` are those of `variables` that the pod itself names: each must be there.
    """
    hidden: list[Hidden] = []
    problems: list[Problem] = []
    containers = application_containers(pod)
    present = list(dict.fromkeys(name for one in containers for name in from_secrets(one)))
    environments = [_Environment(container) for container in containers]
    for variable in variables:
        found = [one for environment in environments if (one := environment.hide(variable)) is not None]
        if not found and variable in asked:
            problems.append(_nowhere(variable, present))
        hidden += found
    return hidden, [*problems, *exposed(containers, pod["spec"].get("volumes") or (), hidden)]


class _Environment:
    """The variables of one container, each found by its name: a pod may have thousands, and hide as many."""

    __slots__ = ("_container", "_env", "_places")

    def __init__(self, container: Container) -> None:
        self._container = container
        self._env = list(container.get("env") or ())
        self._places: dict[str, list[int]] = {}
        for place, one in enumerate(self._env):
            self._places.setdefault(one["name"], []).append(place)

    def hide(self, variable: str) -> Hidden | None:
        """Put the placeholder in; None where the variable does not come from a Secret."""
        name, env, places = self._container["name"], self._env, self._places.get(variable, ())
        fake = EnvVar(name=variable, value=placeholder(name, variable))
        direct = [found for place in places if (found := secret_key(env[place])) is not None]
        if direct:
            # Also what is written like the placeholder already, or it could not be told from those that we make.
            ours = [place for place in places if secret_key(env[place]) is not None or env[place] == fake]
            originals = tuple(env[place] for place in ours)
            for place in ours:
                env[place] = fake.copy()
            self._container["env"] = env
            secret, key, optional = direct[-1]  # the last one counts, as for the kubelet
            return Hidden(name, variable, ((secret, key),), optional, originals)
        keys = () if places else tuple(dict.fromkeys(collective(self._container, variable)))
        if not keys:
            return None
        self._places[variable] = [len(env)]
        env.append(fake)
        self._container["env"] = env
        return Hidden(name, variable, keys, optional=True, originals=())


def _nowhere(variable: str, present: list[str]) -> Problem:
    told = ", ".join(present) if present else "nothing, since no container takes anything from a Secret"
    detail = f"annotation {HIDE_SECRETS.name}={variable!r} of the pod is no variable that comes from a Secret"
    return Problem(Reason.ANNOTATION_INVALID, f"{detail}; allowed: {told}")


def exposed(
    containers: Iterable[Container], volumes: Collection[Volume], hidden: list[Hidden]
) -> list[Problem]:
    """Where `containers` get a hidden secret all the same."""
    keys = list(dict.fromkeys(key for one in hidden for key in one.keys))
    told = dict.fromkeys(
        f"container {container['name']}, {found}"
        for container in containers
        for found in exposures(container, volumes, keys)
    )
    return [Problem(Reason.SECRET_EXPOSED, detail) for detail in told]


def hidden_volume(hidden: Iterable[Hidden]) -> Volume:
    """The volume with one file for each placeholder, and nothing else of the Secrets."""
    sources = [source for one in hidden for source in _sources(one)]
    return {"name": HIDDEN_VOLUME, "projected": {"sources": sources}}


def _sources(one: Hidden) -> Iterator[dict[str, Any]]:
    for (secret, key), file in zip(one.keys, one.files, strict=True):
        source: dict[str, Any] = {"name": secret, "items": [{"key": key, "path": file}]}
        if one.optional:
            source["optional"] = True
        yield {"secret": source}


def told_to_sidecar(hidden: Iterable[Hidden]) -> str:
    """The value of OUTRIDER_HIDDEN_SECRETS."""
    return encoded(
        {
            one.placeholder: Kept(
                container=one.container,
                variable=one.variable,
                files=[f"{HIDDEN_PATH}/{file}" for file in one.files],
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
    keep_environment(container, env)


def _is_fake(one: EnvVar, variable: str, fake: str) -> bool:
    return one["name"] == variable and one.get("value") == fake and not one.get("valueFrom")


def hidden_in(pod: Pod, sidecar: Container | None) -> list[Hidden]:
    """What a running pod hides: for containers that are added to it later."""
    keys = dict(_items(pod["spec"].get("volumes") or ()))
    return [
        Hidden(
            one["container"],
            one["variable"],
            tuple(keys[file] for path in one["files"] if (file := path.rpartition("/")[2]) in keys),
            optional=True,
            originals=(),
        )
        for one in stored(sidecar, ENV_HIDDEN_SECRETS, Kept).values()
    ]


def _items(volumes: Iterable[Volume]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Every file of the volume with hidden secrets, and the key of the Secret that it is.

    The pod may have been made without us, with anything in a volume of that name.
    """
    for one in volumes:
        try:
            sources = msgspec.convert(one.get("projected") or {}, _Projected).sources
        except msgspec.ValidationError:
            continue
        secrets = [source.secret for source in sources if source.secret and one["name"] == HIDDEN_VOLUME]
        for secret in secrets:
            for item in secret.items:
                yield item.path, (secret.name, item.key)


class _Item(msgspec.Struct):
    key: str
    path: str


class _Secret(msgspec.Struct):
    name: str = ""
    items: list[_Item] = []


class _Source(msgspec.Struct):
    secret: _Secret | None = None


class _Projected(msgspec.Struct):
    sources: list[_Source] = []
