"""Readings of an installation that several checks need: the platform's settings, and how certificates are had."""

from __future__ import annotations

from typing import Final

from cli.check.objects import inner
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Obj
from mesh.settings import installation
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import SettingsInvalid, parse_settings

UNREAD_ROOTS: Final = "(roots that were not read)"
"""In their place where pods are judged and none is made."""


def settings_of(config_map: Obj | None) -> InjectionSettings | None:
    """The settings that the webhook runs with; None where they cannot be read.

    A webhook of another version may know keys that this one does not: then nothing is guessed.
    """
    text = inner(config_map, "data", installation.SETTINGS_KEY)
    if not isinstance(text, str):
        return None
    try:
        return parse_settings(text, installation.SETTINGS_KEY).injection
    except SettingsInvalid:
        return None


def settings_in(snapshot: Snapshot) -> InjectionSettings | None:
    """The settings that hold in a snapshot; None where they cannot be read."""
    settings = snapshot.known_settings or settings_of(snapshot.settings.one)
    return None if settings is None else judging(settings, published_roots(snapshot.roots.one))


def judging(settings: InjectionSettings, roots: str = "") -> InjectionSettings:
    """The settings to judge pods by: `roots` vouch for the control plane, as far as they are known.

    What is missing for a new pod only because nobody may read it here is no fault of the pod.
    """
    control = settings.control_plane
    if not control.present or control.roots:
        return settings
    return settings.with_roots(roots or UNREAD_ROOTS)


def published_roots(config_map: Obj | None) -> str:
    """The roots in their ConfigMap, as PEM; "" where there are none."""
    text = inner(config_map, "data", installation.ROOTS_KEY)
    return text if isinstance(text, str) else ""


def not_installed(snapshot: Snapshot) -> bool:
    """There is neither a control plane nor a configuration that would lead to one, as far as anybody may see."""
    if snapshot.deployment.unread or snapshot.mutating.unread:
        return False
    return snapshot.deployment.one is None and snapshot.mutating.named(installation.INJECTOR) is None


def certificates_mode(snapshot: Snapshot) -> str:
    """`self` or `files`: what the control plane's container is told by `--certificates`."""
    return argument(snapshot.deployment.one, "--certificates") or "self"


def argument(deployment: Obj | None, name: str) -> str:
    """What the control plane's container is told by an argument; "" where it is not."""
    for container in inner(deployment, "spec", "template", "spec", "containers") or ():
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        for index, word in enumerate(words):
            if word == name and index + 1 < len(words):
                return str(words[index + 1])
            if str(word).startswith(f"{name}="):
                return str(word).partition("=")[2]
    return ""
