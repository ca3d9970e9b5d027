"""The agents that policies are tried on.

Workloads of manifests, pods of a cluster, agents that options describe, or, where none of these is given, one for
each way in which the selectors of the policies can meet.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from cli.analyze.inventory import Item
from cli.cluster.answers import Obj
from cli.describe.policies import narrowing_of
from cli.inject import label_list
from cli.policy.naming import agent_named
from cli.workloads import texts, workloads_in
from mesh.policy import Documents, Narrowing, Principal
from mesh.settings.table import NAMESPACE_INJECTION, POD_INJECT, PREFIX
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Refusal
from webhook.admission.settings import InjectionSettings

TRUST_DOMAIN = "cluster.local"
_EVERY_SUBSET = 6
_UNNARROWED = Narrowing()


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. `narrowing` is what annotations take away; `problems` say why it would not be admitted.

    Of a pod in a cluster `made_by` is what makes it anew, like `deployment/triage`, and `meshed` whether it has a
    sidecar; elsewhere they are "" and None.
    """

    namespace: str
    name: str
    labels: dict[str, str]
    service_account: str = "default"
    trust_domain: str = TRUST_DOMAIN
    narrowing: Narrowing = _UNNARROWED
    pod: Obj | None = None
    problems: tuple[str, ...] = ()
    made_by: str = ""
    meshed: bool | None = None

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def spiffe_id(self) -> str:
        """The identity that it has in the mesh."""
        return f"spiffe://{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    @property
    def principal(self) -> Principal:
        return Principal(self.spiffe_id)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe an agent."""
    group = parser.add_argument_group("agents")
    group.add_argument(
        "--agent",
        action="append",
        default=[],
        metavar="NAMESPACE/NAME",
        help="only this agent; may be repeated (default: the workloads of the files)",
    )
    group.add_argument(
        "--labels",
        type=label_list,
        metavar="KEY=VALUE,…",
        help="the labels of --agent, where the files have no such workload",
    )
    group.add_argument("--service-account", metavar="NAME", help="its ServiceAccount (default: default)")
    group.add_argument("--trust-domain", default=TRUST_DOMAIN, metavar="NAME", help="(default: %(default)s)")
    group.add_argument(
        "-n", "--namespace", default="default", metavar="NAME", help="of objects that do not name one"
    )


def chosen(found: list[Agent], documents: Documents, arguments: argparse.Namespace) -> list[Agent]:
    """The agents to look at: those that `--agent` names, all that were found, or those that selectors describe.

    Raises:
        NoSuchAgent: one that is named is not known.
    """
    if arguments.agent:
        return [_named(name, found, arguments) for name in arguments.agent]
    return found or described(documents, arguments.namespace, arguments.trust_domain)


def _named(text: str, found: list[Agent], arguments: argparse.Namespace) -> Agent:
    if arguments.labels is None and arguments.service_account is None:
        return agent_named(text, found, arguments.namespace)
    space, _, name = text.rpartition("/")
    space = space or arguments.namespace
    account = arguments.service_account or "default"
    return Agent(space, name, dict(arguments.labels or {}), account, arguments.trust_domain)


def found_in(
    items: Iterable[Item],
    namespaces: dict[str, Namespace],
    settings: InjectionSettings,
    default: str,
    trust: str,
) -> list[Agent]:
    """An agent for each workload among objects."""
    agents = []
    for item in items:
        for workload in workloads_in(item.value):
            where = item.namespace(default)
            known = namespaces.get(where, Namespace(where))
            agents.append(agent_of(workload.name, workload.pod, known, settings, trust))
    return agents


def agent_of(name: str, pod: Any, namespace: Namespace, settings: InjectionSettings, trust: str) -> Agent:
    """The agent that a pod, or the template of one, makes."""
    pod = pod if isinstance(pod, dict) else {}
    metadata = pod.get("metadata") if isinstance(pod.get("metadata"), dict) else {}
    spec = pod.get("spec") if isinstance(pod.get("spec"), dict) else {}
    account = spec.get("serviceAccountName")
    narrowing, problems = _narrowing(pod, namespace, settings)
    return Agent(
        namespace.name,
        name,
        texts(metadata.get("labels")),
        account if isinstance(account, str) and account else "default",
        trust,
        narrowing,
        pod,
        problems,
    )


def _narrowing(
    pod: Obj, namespace: Namespace, settings: InjectionSettings
) -> tuple[Narrowing, tuple[str, ...]]:
    """What annotations take away: as in the pod if it has its sidecar, else as admission would write it."""
    already = narrowing_of(pod)
    if already != Narrowing():
        return already, ()
    annotations = {**namespace.annotations, **texts((pod.get("metadata") or {}).get("annotations"))}
    if not any(key.startswith(PREFIX) for key in annotations) and not settings.defaults:
        return Narrowing(), ()
    labels = {**namespace.labels, NAMESPACE_INJECTION.name: "enabled"}
    metadata = pod.get("metadata") or {}
    own = {key: value for key, value in texts(metadata.get("labels")).items() if key != POD_INJECT.name}
    outcome = inject(
        {**pod, "metadata": {**metadata, "labels": own}},
        Namespace(namespace.name, labels, namespace.annotations),
        settings,
    )
    if isinstance(outcome, Injection):
        return narrowing_of(dict(outcome.pod)), ()
    problems = outcome.problems if isinstance(outcome, Refusal) else ()
    return Narrowing(), tuple(f"{problem.reason}: {problem}" for problem in problems)


def described(documents: Documents, default: str, trust: str) -> list[Agent]:
    """An agent for each set of selectors that one pod can match, and one that matches none but the empty one."""
    agents: list[Agent] = []
    named = {one.namespace for one in documents.policies} | {one.namespace for one in documents.backends}
    for space in sorted({name or default for name in named}):
        selectors = {one.match_labels for one in documents.policies if one.namespace in (None, space)}
        for labels in _meetings(sorted(selectors - {()})):
            name = ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "any"
            agents.append(Agent(space, name, labels, "default", trust))
    return agents


def _meetings(selectors: list[tuple[tuple[str, str], ...]]) -> Iterator[dict[str, str]]:
    """The label sets of pods: none, then each consistent set of selectors. Of many, only small sets and the
    whole.
    """
    seen: list[dict[str, str]] = []
    sizes = range(len(selectors) + 1) if len(selectors) <= _EVERY_SUBSET else (0, 1, 2, len(selectors))
    for size in sizes:
        for some in combinations(selectors, size):
            labels: dict[str, str] = {}
            consistent = all(
                labels.setdefault(key, value) == value for selector in some for key, value in selector
            )
            if consistent and labels not in seen:
                seen.append(labels)
                yield labels
