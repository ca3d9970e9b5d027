"""The platform's settings, and whose they are: of a file, of an installation, or built in.

What a command says of ports and images holds for these settings only, so that each says which it took. Nothing is
assumed silently: an installation whose settings cannot be read is an error where they were asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from cli.check.installed import judging, published_roots, settings_of
from cli.check.objects import annotations_of, inner, labels_of
from cli.cluster.answers import Denied, Obj, Reading
from cli.cluster.connect import Connection
from cli.cluster.failures import ClusterUnavailable
from cli.cluster.parts import Part, read_list, read_one
from cli.manifests import ManifestInvalid
from mesh.settings import installation
from webhook.admission.outcome import Namespace
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import SettingsFile, parse_settings

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
BUILT_IN = "the built-in settings"


@dataclass(frozen=True, slots=True)
class Installed:
    """The settings of an installation. `unknown` says why these are the built-in ones in their place; `absent`,
    that the cluster has no injector; `rootless`, why nobody knows what roots vouch for the control plane.

    Roots that may not be read have a stand-in, good enough to judge pods by. Roots that are not there yet have
    none, and the webhook refuses pods for the lack of them just as well."""

    settings: InjectionSettings
    namespace: str
    unknown: str = ""
    absent: bool = False
    rootless: str = ""


@dataclass(frozen=True, slots=True)
class Platform:
    """Settings, and whose they are, as it is told: `the built-in settings`."""

    file: SettingsFile
    whose: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options that say whose settings hold."""
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="the platform's settings, as the webhook's (default: built-in ones, or with --live the cluster's)",
    )


def read_file(path: Path | None) -> Platform:
    """Those of a file, or the built-in ones without. Raises as `read_settings`."""
    return Platform(read_settings(path), BUILT_IN if path is None else f"the settings of {path}")


def read_live(
    connection: Connection, path: Path | None, namespaces: Iterable[str] = (), *, making: bool = False
) -> Platform:
    """Those of the installation, unless a file names others, and namespaces as they are labelled there.

    `making`: pods are made, which takes the roots of the control plane; what a file says of them wins.

    Raises:
        ClusterUnavailable: also where the settings, a namespace or the roots that are needed cannot be read.
        ManifestInvalid, SettingsInvalid: as `read_settings`.
    """
    platform = read_file(path)
    if path is None:
        installed = read_installed(connection.api)
        if installed.unknown:
            raise ClusterUnavailable(
                f"The settings of the installation are not known: {installed.unknown}.",
                "`outrider check` says more; --settings FILE takes those of a file.",
            )
        whose = f"the settings of the installation in {installed.namespace}"
        platform = Platform(SettingsFile(installed.settings), whose)
    elif making:
        space = webhook_namespace(read_list(lambda: connection.api.items(CONFIGURATIONS)))
        installed = _rooted(connection.api, platform.file.injection, space)
        platform = replace(platform, file=replace(platform.file, injection=installed.settings))
    if making and installed.rootless:
        raise ClusterUnavailable(
            f"The roots that vouch for the control plane are not known: {installed.rootless}.",
            "`outrider check` says more; controlPlane.roots of --settings FILE takes those of a file.",
        )
    known = {**(platform.file.namespaces or {}), **_labelled(connection.api, namespaces)}
    return replace(platform, file=replace(platform.file, namespaces=known))


def read_settings(path: Path | None) -> SettingsFile:
    """The platform's settings, or their defaults without a file.

    Raises:
        SettingsInvalid: with every fault.
        ManifestInvalid: the file cannot be read.
    """
    if path is None:
        return parse_settings("", "")
    try:
        return parse_settings(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ManifestInvalid(str(path), 1, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ManifestInvalid(str(path), 1, "is not UTF-8 text") from error


def read_installed(api: Reading, configurations: Part | None = None) -> Installed:
    """The settings that the cluster's webhook runs with. Raises ClusterUnavailable."""
    part = configurations or read_list(lambda: api.items(CONFIGURATIONS))
    space = webhook_namespace(part)
    name = installation.WEBHOOK_SETTINGS
    found = read_one(lambda: api.get(f"/api/v1/namespaces/{space}/configmaps/{name}"))
    settings = settings_of(found.one)
    if settings is not None:
        return _rooted(api, settings, space)
    absent = not part.unread and part.named(installation.INJECTOR) is None
    if absent and found.one is None:
        why = f"Outrider is not installed: there is no MutatingWebhookConfiguration {installation.INJECTOR}"
    elif found.one is not None:
        why = f"ConfigMap {space}/{name} holds none that this version of the command understands"
    else:
        why = found.unread or f"there is no ConfigMap {name} in namespace {space}"
    return Installed(InjectionSettings(), space, why, absent)


def _rooted(api: Reading, settings: InjectionSettings, space: str) -> Installed:
    """Settings with the roots that vouch for the control plane in `space`, as its ConfigMap has them."""
    if not settings.control_plane.present or settings.control_plane.roots:
        return Installed(settings, space)
    part = read_one(lambda: api.get(f"/api/v1/namespaces/{space}/configmaps/{installation.ROOTS}"))
    roots = published_roots(part.one)
    if roots:
        return Installed(settings.with_roots(roots), space)
    what = f"ConfigMap {space}/{installation.ROOTS}"
    if part.unread:
        return Installed(judging(settings), space, rootless=f"{what} cannot be read: {part.unread}")
    return Installed(settings, space, rootless=f"{what} has none yet")


def webhook_namespace(configurations: Part) -> str:
    """Where the injector's entries lead to; the documentation's namespace where there are none."""
    injector = configurations.named(installation.INJECTOR)
    services = [
        inner(one, "clientConfig", "service", "namespace") for one in (injector or {}).get("webhooks") or ()
    ]
    return next((str(one) for one in services if one), installation.NAMESPACE)


def _labelled(api: Reading, names: Iterable[str]) -> dict[str, Namespace]:
    found: dict[str, Namespace] = {}
    for name in sorted(set(names)):
        item = _namespace(api, name)
        if item is not None:
            found[name] = Namespace(name, labels_of(item), annotations_of(item))
    return found


def _namespace(api: Reading, name: str) -> Obj | None:
    """None where it does not exist yet."""
    try:
        return api.get(f"/api/v1/namespaces/{name}")
    except Denied as denied:
        if denied.status == 404:
            return None
        raise ClusterUnavailable(
            f"Namespace {name} cannot be read, and its labels decide: {denied.message.rstrip('.')}.",
            "Give its labels with --namespace-labels and leave --live, or ask for the right to read it.",
        ) from denied
