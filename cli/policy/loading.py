"""From options to a world: the documents and agents of files, or of a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from cli.cluster import connect
from cli.cluster.connect import BAD_INPUT
from cli.manifests import ManifestInvalid
from cli.platform_settings import read_settings
from cli.policy.agents import Agent, chosen, found_in
from cli.policy.live_tools import ServerFailed
from cli.policy.naming import NoSuchAgent
from cli.policy.questions import NoSuchBackend
from cli.policy.reading import Read, read, warn
from cli.policy.world import World
from mesh.policy import Documents, PolicyInvalid, load_texts
from webhook.admission.settings_file import SettingsFile, SettingsInvalid

FINE, REFUSED = 0, 1


class Misused(Exception):
    """Whoever typed the command is at fault: options that do not go together, or arguments that are no such."""


def guarded(work: Callable[[], int]) -> int:
    """Run a command; what its input is at fault for is told on standard error, and the code is 2."""
    try:
        return work()
    except PolicyInvalid as invalid:
        for error in invalid.errors:
            warn(str(error))
        warn("`outrider policy validate` shows all of this, and what is allowed")
    except (ManifestInvalid, SettingsInvalid, NoSuchAgent, NoSuchBackend, ServerFailed, Misused) as error:
        warn(str(error))
    return BAD_INPUT


def configure_settings(parser: argparse.ArgumentParser) -> None:
    """Add the option that says whose settings hold for annotations."""
    parser.add_argument(
        "--settings",
        metavar="FILE",
        help="the platform's settings, as the webhook's (default: built-in ones)",
    )


def documents_of(paths: list[str]) -> tuple[Read, Documents]:
    """What files hold. Raises ManifestInvalid and PolicyInvalid."""
    if not paths:
        raise Misused("name files with policies, a folder, - for standard input, or --live-cluster")
    found = read(paths)
    if not found.texts:
        raise Misused(
            f"there is no policy in {', '.join(paths)}; "
            "it takes AgentPolicy and Backend documents (outrider.dev/v1alpha1)"
        )
    return found, load_texts(found.texts)


def world_of(paths: list[str], arguments: argparse.Namespace) -> World:
    """The documents and agents of files."""
    found, documents = documents_of(paths)
    agents = agents_in(found, arguments)
    return laid_out(found, documents, agents, chosen(agents, documents, arguments), arguments)


def laid_out(
    found: Read, documents: Documents, known: list[Agent], asked: list[Agent], arguments: argparse.Namespace
) -> World:
    """A world of files. Access policies and XBackends mean something in a cluster only: its control plane's
    compilation is asked then, with `known` as its pods."""
    trust = arguments.trust_domain
    if not documents.access_policies and not documents.xbackends:
        return World(documents, asked, trust_domain=trust)
    from cli.policy.plane import Plane  # half a second, which plain policies need not pay

    agents = {one.title: one for one in (*known, *asked)}
    plane = Plane((*found.policies, *found.others), agents.values(), trust, arguments.namespace)
    remarks = list(plane.remarks())
    for remark in remarks:
        warn(remark)
    return World(plane.documents, asked, plane, trust, unaccepted=bool(remarks))


def agents_in(found: Read, arguments: argparse.Namespace) -> list[Agent]:
    """The workloads among what was read."""
    settings = settings_of(arguments)
    namespaces = {**(settings.namespaces or {}), **found.namespaces}
    agents = found_in(
        found.others, namespaces, settings.injection, arguments.namespace, arguments.trust_domain
    )
    for agent in agents:
        for problem in agent.problems:
            warn(f"{agent.title} would not be admitted, so that it is judged without annotations: {problem}")
    return agents


def settings_of(arguments: argparse.Namespace) -> SettingsFile:
    """The platform's settings that were named, or the built-in ones."""
    return read_settings(Path(arguments.settings) if arguments.settings else None)


def with_cluster(arguments: argparse.Namespace, work: Callable[[World], int]) -> int:
    """Run `work` on what is in the cluster of the kubeconfig, with the files laid over it."""
    from cli.policy.cluster import world_in

    return connect.asking(arguments, lambda connection: work(world_in(connection, arguments)))
