"""Readings of an installation that several checks need: the platform's settings, and how certificates are had."""

from __future__ import annotations

from cli.check.objects import inner
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Obj
from mesh.settings import installation
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import SettingsInvalid, parse_settings


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
    return snapshot.known_settings or settings_of(snapshot.settings.one)


def not_installed(snapshot: Snapshot) -> bool:
    """There is neither a control plane nor a configuration that would lead to one, as far as anybody may see."""
    if snapshot.deployment.unread or snapshot.mutating.unread:
        return False
    return snapshot.deployment.one is None and snapshot.mutating.named(installation.INJECTOR) is None


def certificates_mode(snapshot: Snapshot) -> str:
    """`self` or `files`: what the control plane's container is told by `--certificates`."""
    for container in inner(snapshot.deployment.one, "spec", "template", "spec", "containers") or ():
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        for index, word in enumerate(words):
            if word == "--certificates" and index + 1 < len(words):
                return str(words[index + 1])
            if str(word).startswith("--certificates="):
                return str(word).partition("=")[2]
    return "self"
