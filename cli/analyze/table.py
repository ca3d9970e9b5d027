"""Every finding that `outrider analyze` can report: the one table of codes, levels, titles and what to do.

A code is stable: pipelines and the documentation name it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    """How bad it is."""

    ERROR = "error"  # it will not work, or not protect
    WARNING = "warning"  # it works, and hardly as it was meant
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Code:
    """What is said of one kind of finding."""

    code: str
    level: Level
    title: str
    todo: str


TABLE: Final = (
    # Labels and annotations.
    Code(
        "OUT0101",
        Level.WARNING,
        "label or annotation outside the pod template",
        "Move it to the metadata of the pod template; on the workload itself it has no effect.",
    ),
    Code(
        "OUT0102",
        Level.ERROR,
        "unknown label or annotation",
        "Correct the name; admission refuses names under outrider.dev/ that it does not know.",
    ),
    Code(
        "OUT0103",
        Level.ERROR,
        "label where an annotation is meant, or the reverse",
        "Move it: labels decide whether a pod is injected, annotations say how.",
    ),
    Code(
        "OUT0104",
        Level.ERROR,
        "unknown value of the namespace's label",
        "Write enabled, required or disabled; until then every pod of the namespace is refused.",
    ),
    Code(
        "OUT0105",
        Level.ERROR,
        "pod asks for a sidecar in a disabled namespace",
        "Change the label of the namespace, or remove outrider.dev/inject from the pod.",
    ),
    Code(
        "OUT0106",
        Level.ERROR,
        "pod opts out in a namespace that requires a sidecar",
        "Remove the opt-out, or run the pod in another namespace.",
    ),
    # Policies.
    Code(
        "OUT0201",
        Level.ERROR,
        "invalid policy document",
        "Correct it; until then what was in force stays, and of a ConfigMap nothing takes effect.",
    ),
    Code(
        "OUT0202",
        Level.WARNING,
        "policy that selects nothing",
        "Compare its selector with the labels of the pod templates in its namespace.",
    ),
    Code(
        "OUT0203",
        Level.WARNING,
        "Backend that no policy names",
        "Name it under outbound of a policy, or delete it.",
    ),
    Code(
        "OUT0204",
        Level.ERROR,
        "rule that names an unknown Backend",
        "Correct the name, or add the Backend; until then the rule has no effect, nor the whole of a ConfigMap.",
    ),
    Code(
        "OUT0205",
        Level.WARNING,
        "rule that grants every tool",
        "Name the tools that the agent needs, or deny those that it must not have.",
    ),
    Code(
        "OUT0206",
        Level.WARNING,
        "namespace without policies",
        "Write an AgentPolicy; without one nothing is allowed to its agents, nor to anybody who calls them.",
    ),
    Code(
        "OUT0207",
        Level.INFO,
        "policy that only observes",
        "Write mode: enforce once what it would refuse is what should be refused.",
    ),
    Code(
        "OUT0208",
        Level.ERROR,
        "Backend that claims what another has",
        "Keep one of the two; the younger is given to nobody.",
    ),
    Code(
        "OUT0209",
        Level.ERROR,
        "XAccessPolicy that is not accepted",
        "Correct what the message names; meanwhile it grants nothing, and what it is about stays closed.",
    ),
    Code(
        "OUT0210",
        Level.WARNING,
        "XAccessPolicy about what is not there",
        "Correct the name; targets are looked for in the namespace of the policy.",
    ),
    Code(
        "OUT0211",
        Level.WARNING,
        "XAccessPolicy about a kind that sidecars do not serve",
        "Name a Service, Backend or XBackend, or a Gateway of class outrider; nobody enforces it here.",
    ),
    Code(
        "OUT0212",
        Level.INFO,
        "XAccessPolicy about a Gateway of others",
        "Nothing, if that is meant; sidecars enforce those about Gateways of class outrider.",
    ),
    Code(
        "OUT0213",
        Level.WARNING,
        "Backend that needs users where there are none",
        "Write users into an AgentPolicy that selects these pods, or withoutUser: client-credentials.",
    ),
    Code(
        "OUT0214",
        Level.WARNING,
        "credential that would be asked for in plain text",
        "Write https, or declare the host and port as a Backend, whose tls then says how it is reached.",
    ),
    # Pods.
    Code(
        "OUT0301",
        Level.ERROR,
        "pod that admission refuses",
        "Mend what the message names; all of it is listed.",
    ),
    Code(
        "OUT0302",
        Level.WARNING,
        "pod without a sidecar although its namespace enables them",
        "Opt it out by label if that is meant; else mend what the message names.",
    ),
    Code(
        "OUT0303",
        Level.WARNING,
        "agents that share the service account default",
        "Give each its own serviceAccountName: the account is the identity, and policies tell agents by it.",
    ),
    Code(
        "OUT0304",
        Level.WARNING,
        "too little time to end",
        "Raise terminationGracePeriodSeconds above limits.drainSeconds of the sidecar.",
    ),
    Code(
        "OUT0305", Level.WARNING, "pod that admission warns of", "Mend it, or accept what the message says."
    ),
    Code(
        "OUT0306",
        Level.ERROR,
        "running pod without the sidecar that it should have",
        "Restart it; `outrider check-inject POD -n NAMESPACE` says why it has none.",
    ),
    Code(
        "OUT0307",
        Level.ERROR,
        "pod whose sidecar lacks a Secret of a credential",
        "Name the Secret in the annotation outrider.dev/credential-secrets of the pod template.",
    ),
    Code(
        "OUT0308",
        Level.INFO,
        "pod that hides nothing of what a Backend would get",
        "Name the variables in outrider.dev/hide-secrets of the pod template, if the agent sends one of them.",
    ),
    # Webhooks and Services.
    Code(
        "OUT0401",
        Level.ERROR,
        "two webhook entries that match one pod",
        "Delete one; both would inject. `helm upgrade` restores the entries of the chart.",
    ),
    Code(
        "OUT0402",
        Level.ERROR,
        "pods that no webhook entry matches",
        "`helm upgrade` restores the entries of the chart; such pods come up without a sidecar.",
    ),
    Code(
        "OUT0403",
        Level.ERROR,
        "Service that leads to a port of the sidecar's own",
        "Let it lead to a port of the application, or to the sidecar's port for mutual TLS.",
    ),
    Code(
        "OUT0404",
        Level.WARNING,
        "Service that leads to a port that nobody has",
        "Correct targetPort, or declare the port in the container; the sidecar's ports are in the settings.",
    ),
    Code(
        "OUT0405",
        Level.ERROR,
        "namespace that asks for sidecars where Outrider is not",
        "Install Outrider, or take the label away; `outrider check` says more.",
    ),
)

CODES: Final = {code.code: code for code in TABLE}
