"""The world of a cluster: its policies and the pods that they are about, with files laid over them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace

from cli.analyze.inventory import Item, laid_over
from cli.check.objects import containers_of, ended, inner
from cli.check.restart import maker_of
from cli.cluster.answers import Obj, Reading
from cli.cluster.connect import Connection
from cli.cluster.failures import ClusterUnavailable
from cli.cluster.parts import read_list, read_one
from cli.inject import namespaces_in
from cli.manifests import Manifest
from cli.platform_settings import Installed, read_installed
from cli.policy.agents import TRUST_DOMAIN, Agent, agent_of, chosen
from cli.policy.plane import Plane
from cli.policy.reading import SIG_GROUP, read, warn
from cli.policy.world import World
from mesh.policy.documents import API_VERSION
from mesh.settings.installation import WEBHOOK
from mesh.settings.table import POD_INJECTED
from webhook.admission.outcome import Namespace
from webhook.admission.settings import InjectionSettings

_OPTION = "--trust-domain"
_TIMED = re.compile(r"(.+)-[0-9]{7,}")
_KINDS = (
    ("/api/v1", "namespaces"),
    ("/api/v1", "pods"),
    ("/api/v1", "services"),
    (f"/apis/{API_VERSION}", "agentpolicies"),
    (f"/apis/{API_VERSION}", "backends"),
    (f"/apis/{SIG_GROUP}/v1alpha1", "xaccesspolicies"),
    (f"/apis/{SIG_GROUP}/v0alpha0", "xbackends"),
    ("/apis/gateway.networking.x-k8s.io/v1alpha1", "xbackends"),
    ("/apis/gateway.networking.k8s.io/v1", "gateways"),
)


def world_in(connection: Connection, arguments: argparse.Namespace) -> World:
    """What the cluster holds.

    Raises:
        ClusterUnavailable: it cannot be asked, or not about policies and pods.
        ManifestInvalid: the files that are laid over it cannot be read.
    """
    arguments.namespace = connection.namespace if arguments.namespace == "default" else arguments.namespace
    files = read(arguments.files)
    live = [Item(value) for value in _objects(connection.api)]
    items = laid_over(live, [*files.policies, *files.others], arguments.namespace)
    installed = read_installed(connection.api)
    namespaces = namespaces_in([Manifest("", 0, "", item.value) for item in items])
    trust = arguments.trust_domain = _trust_domain(connection.api, installed, arguments.trust_domain)
    agents = list(_agents(items, namespaces, installed.settings, arguments))
    everything = Plane(items, (), trust, arguments.namespace).documents
    asked = chosen(agents, everything, arguments)
    plane = Plane(items, {one.title: one for one in (*agents, *asked)}.values(), trust, arguments.namespace)
    for remark in plane.remarks():
        warn(remark)
    return World(plane.documents, asked, plane, trust)


def _trust_domain(api: Reading, installed: Installed, given: str) -> str:
    """That of the control plane, unless another one was asked for."""
    path = f"/apis/apps/v1/namespaces/{installed.namespace}/deployments/{WEBHOOK}"
    found = read_one(lambda: api.get(path)).one
    spec = inner(found or {}, "spec", "template", "spec")
    words = [
        word
        for one in containers_of({"spec": spec or {}})
        for word in one.get("args") or ()
        if isinstance(word, str)
    ]
    if given == TRUST_DOMAIN and _OPTION in words[:-1]:
        return words[words.index(_OPTION) + 1]
    return given


def _objects(api: Reading) -> Iterator[dict[str, object]]:
    for prefix, kind in _KINDS:
        part = read_list(lambda path=f"{prefix}/{kind}": api.items(path))  # type: ignore[misc]
        if part.unread and kind in ("pods", "agentpolicies", "backends"):
            raise ClusterUnavailable(
                f"{kind} cannot be listed: {part.unread}.",
                "Ask for the right to read pods and the resources of outrider.dev, or name files.",
            )
        if part.unread:
            warn(f"{kind} cannot be listed, and are not looked at: {part.unread}")
        yield from part.items


def _agents(
    items: tuple[Item, ...],
    namespaces: dict[str, Namespace],
    settings: InjectionSettings,
    arguments: argparse.Namespace,
) -> Iterator[Agent]:
    for item in items:
        if item.kind == "Pod":
            space = item.namespace(arguments.namespace)
            known = namespaces.get(space, Namespace(space))
            agent = agent_of(item.name, item.value, known, settings, arguments.trust_domain)
            yield agent if item.manifest is not None else _live(agent, item.value)


def _live(agent: Agent, pod: Obj) -> Agent:
    kind, name = maker_of(pod)
    if kind == "Job" and (timed := _TIMED.fullmatch(name)):
        kind, name = "CronJob", timed[1]
    injected = agent.labels.get(POD_INJECTED.name) == "true"
    return replace(agent, made_by=f"{kind.lower()}/{name}", meshed=injected and not ended(pod))
