"""`credential-secrets`: Secrets that the sidecar alone mounts, for the credentials that it puts into requests.

Each becomes a folder with a file for every key. They are volumes of their own: admission does not read Secrets,
and a projected volume would need the names of their keys. A Secret that is not there yet keeps no pod from
starting; the kubelet fills its folder when it comes, and the sidecar refuses what needs it until then.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh.settings.kinds import Setting
from mesh.settings.lists import items
from mesh.settings.table import CREDENTIAL_SECRETS, CREDENTIAL_VOLUMES, ENV_CREDENTIALS
from webhook.admission.documents import Pod, Volume
from webhook.admission.secret_sources import exposures
from webhook.admission.shape import every_container

CREDENTIALS_PATH = "/run/outrider/credentials"


def credential_secrets(text: str) -> tuple[str, ...]:
    """The Secrets that the annotation names, each once; none where it has faults, which are told elsewhere."""
    return () if CREDENTIAL_SECRETS.values.problem(text) else tuple(dict.fromkeys(items(text)))


def credential_volumes(secrets: tuple[str, ...]) -> list[Volume]:
    """One volume for each Secret."""
    return [
        {"name": volume, "secret": {"secretName": secret, "optional": True}}
        for volume, secret in zip(CREDENTIAL_VOLUMES, secrets, strict=False)
    ]


def credential_paths(secrets: tuple[str, ...]) -> dict[str, str]:
    """Where the sidecar mounts each volume."""
    return {
        volume: f"{CREDENTIALS_PATH}/{secret}"
        for volume, secret in zip(CREDENTIAL_VOLUMES, secrets, strict=False)
    }


def credential_variables(secrets: tuple[str, ...]) -> dict[Setting, str]:
    """The variable of the sidecar that tells it."""
    return {ENV_CREDENTIALS: CREDENTIALS_PATH} if secrets else {}


def credentials_shared(pod: Pod, secrets: tuple[str, ...]) -> Iterator[str]:
    """Containers of the author's that get one of `secrets` too, in words: then the agent holds it all the same."""
    volumes = pod["spec"].get("volumes") or ()
    for container in every_container(pod):
        for found in exposures(container, volumes, secrets):
            yield f"container {container['name']}, {found}: the agent holds that credential too"
