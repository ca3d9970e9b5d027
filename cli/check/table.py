"""Every check there is: the one table of ids, titles and hints.

An id is stable: scripts and the troubleshooting page name it. The hint says what to do where the check does not
pass. Documentation is written from this table; `catalogue` has the function of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DOCS: Final = "docs/troubleshooting.md"


class Phase(StrEnum):
    """When a check makes sense."""

    BEFORE = "before"  # --pre
    BOTH = "both"  # --pre, and after
    AFTER = "after"
    NAMESPACE = "namespace"  # with --namespace


@dataclass(frozen=True, slots=True)
class Check:
    """What is said of one check."""

    id: str
    category: str
    title: str
    phase: Phase
    hint: str

    @property
    def docs(self) -> str:
        """Where the troubleshooting page says more."""
        return f"{DOCS}#{self.id}"


_API, _PLANE, _CERTS = "API server", "control plane", "certificates"
_HOOKS, _POLICY, _CRDS = "webhook configurations", "validating policy", "resource kinds"
_IDENTITY, _RIGHTS, _INSTALL = "identity", "permissions", "installation"
_DATA, _DOCUMENTS, _CREDENTIALS = "data plane", "namespace", "credentials"
_UPGRADE = "Run `helm upgrade` with the chart of this version; it puts every object back as it should be."
_RESTART = "Restart what they belong to, such as `kubectl rollout restart deployment NAME`."


def _section(category: str, phase: Phase, *rows: tuple[str, str, str]) -> tuple[Check, ...]:
    """Checks of one category: id, title, hint."""
    return tuple(Check(one, category, title, phase, hint) for one, title, hint in rows)


TABLE: Final = (
    *_section(
        _API,
        Phase.BOTH,
        (
            "api-server-version",
            "the API server is 1.29 or later",
            "Upgrade the cluster; before 1.29 there are no native sidecars.",
        ),
        (
            "kubelet-versions",
            "every kubelet is 1.29 or later",
            "Upgrade these nodes, or install with nativeSidecars: never, at a cost in start and stop order.",
        ),
    ),
    *_section(
        _INSTALL,
        Phase.BEFORE,
        (
            "install-permissions",
            "you may create what the chart holds",
            "Install with an account that may, such as one bound to the ClusterRole cluster-admin.",
        ),
        (
            "names-free",
            "no object of others has our names",
            "Look whose they are (`kubectl get KIND NAME -o yaml`); of an earlier installation, use `helm"
            " upgrade` or uninstall it first.",
        ),
        (
            "kept-crds",
            "no CRDs of an earlier release are kept",
            "Install under that release's name and in its namespace, or with `--take-ownership` (Helm 3.17 or "
            "later, once the earlier release is uninstalled).",
        ),
        (
            "install-namespace",
            "the control plane may run in its namespace",
            "Choose a namespace of its own for the control plane, without a label outrider.dev/injection.",
        ),
        (
            "validating-admission-policy",
            "final state can be checked by the API server",
            "Upgrade to Kubernetes 1.30 or later; nothing else checks pods while the control plane is away.",
        ),
        (
            "csi-driver-available",
            "what provider spire needs is there",
            "Install SPIRE with its CSI driver, or choose identity.provider builtin in the chart's values.",
        ),
    ),
    *_section(
        _PLANE,
        Phase.AFTER,
        (
            "control-plane-installed",
            "the control plane is installed",
            "Install the chart, or name its namespace with --install-namespace.",
        ),
        (
            "control-plane-available",
            "its replicas are ready",
            "Look at `kubectl describe pods` and the logs of Deployment outrider-webhook in the install "
            "namespace.",
        ),
        (
            "control-plane-replicas",
            "there are two replicas",
            "Set replicas: 2 in the chart's values: while the only one is away, opted-in pods cannot be "
            "created.",
        ),
        ("disruption-budget", "draining nodes leaves a replica", _UPGRADE),
        (
            "control-plane-version",
            "it is of this command's version",
            "Use the command line of the control plane's version: what this one says of pods may differ "
            "otherwise.",
        ),
        (
            "control-service",
            "sidecars can reach it",
            "`helm upgrade` restores the Service; where no pod is ready behind it, see control-plane-available.",
        ),
        (
            "platform-settings",
            "the platform's settings are valid",
            "Correct `settings` in the chart's values and run `helm upgrade`.",
        ),
    ),
    *_section(
        _CERTS,
        Phase.AFTER,
        (
            "serving-secret",
            "the Secret holds a certificate",
            "In mode self the leader fills it: look at the control plane's log. In mode cert-manager look"
            " at its Certificate.",
        ),
        (
            "ca-certificate",
            "the CA is valid",
            "The leader renews it: look at the control plane's log and at leader-lease.",
        ),
        (
            "serving-certificate",
            "the serving certificate is valid",
            "The leader renews it: look at the control plane's log and at leader-lease.",
        ),
        (
            "serving-certificate-chain",
            "the API server trusts it",
            "Restart the control plane (`kubectl rollout restart deployment outrider-webhook`); its "
            "leader patches every caBundle. A tool that resets caBundle, such as Argo CD, must be told to"
            " ignore the field.",
        ),
        (
            "serving-certificate-names",
            "it is for the Service's name",
            "In mode self the leader issues another one within seconds: look at leader-lease and at the "
            "control plane's log. In mode cert-manager correct dnsNames of its Certificate.",
        ),
        (
            "ca-bundles",
            "every webhook entry has a caBundle",
            "The leader writes it: look at the control plane's log and at control-plane-permissions. A "
            "tool that resets the field must be told to ignore it.",
        ),
        (
            "leader-lease",
            "somebody renews certificates",
            "Look at the control plane's log: no replica holds the Lease, so that nothing is renewed.",
        ),
    ),
    *_section(
        _HOOKS,
        Phase.AFTER,
        ("injector-entries", "the injector's entries are there", _UPGRADE),
        ("validator-entries", "the validator's entries are there", _UPGRADE),
        (
            "entries-disjoint",
            "no pod matches two entries",
            f"Delete what was added by hand, or by another installation. {_UPGRADE}",
        ),
        (
            "entries-complete",
            "every pod that asks matches one",
            f"A selector was edited: such pods come up without a sidecar. {_UPGRADE}",
        ),
        (
            "failure-policy",
            "failurePolicy is Fail",
            f"With Ignore, pods come up without a sidecar whenever the control plane does not answer. {_UPGRADE}",
        ),
        (
            "own-namespace-exempt",
            "the cluster can heal without us",
            f"Otherwise the control plane's own pods wait for the control plane. {_UPGRADE}",
        ),
        (
            "webhook-timeouts",
            "a dead control plane is noticed soon",
            "Set timeoutSeconds: 5 in the chart's values.",
        ),
        ("reinvocation", "later changes to pods are seen", _UPGRADE),
        ("webhook-destination", "entries lead to our Service", _UPGRADE),
        (
            "webhook-endpoints",
            "somebody answers there",
            "Look at control-plane-available; where replicas are ready, at the Service's selector.",
        ),
    ),
    *_section(
        _HOOKS,
        Phase.BOTH,
        (
            "other-webhooks",
            "webhooks of others see the sidecar",
            "Where theirs must know every container (quotas, image policies), set its reinvocationPolicy "
            "to IfNeeded.",
        ),
    ),
    *_section(
        _POLICY,
        Phase.AFTER,
        ("final-state-policy", "the policy on final state is there", _UPGRADE),
        ("final-state-binding", "it is bound, and denies", _UPGRADE),
        (
            "final-state-image",
            "it lets the sidecar's image pass",
            "Give the chart the same image for the sidecar and for the policy, or every injected pod is "
            "refused.",
        ),
    ),
    *_section(
        _CRDS,
        Phase.AFTER,
        (
            "resource-kinds",
            "AgentPolicy and Backend are served",
            f"{_UPGRADE} With crds.install: false, whoever keeps the CRDs has to bring them up to date.",
        ),
    ),
    *_section(
        _IDENTITY,
        Phase.AFTER,
        (
            "mesh-ca",
            "the mesh's own CA has its keys",
            "The leader makes them: look at leader-lease and at the control plane's log. With "
            "identity.ownAuthority they are yours to bring: ca.crt, tls.crt and tls.key.",
        ),
        (
            "identity-root",
            "the roots of the control plane are published",
            "The leader writes them: look at leader-lease and at the control plane's log.",
        ),
        (
            "identity-driver",
            "sidecars can get an identity",
            "Install SPIRE with its CSI driver, or choose identity.provider builtin in the chart's values.",
        ),
        (
            "identity-exclusive",
            "only sidecars reach the Workload API",
            "Remove the volume from these containers, or select on k8s:container-name in SPIRE's entries.",
        ),
    ),
    *_section(
        _RIGHTS,
        Phase.AFTER,
        ("control-plane-permissions", "the control plane may do its work", _UPGRADE),
    ),
    *_section(
        _DATA,
        Phase.NAMESPACE,
        (
            "namespace-label",
            "the namespace asks for sidecars",
            "Run `kubectl label namespace NAME outrider.dev/injection=enabled` (or required), then "
            "restart its pods.",
        ),
        (
            "pods-created",
            "workloads can create their pods",
            "Mend what the message names; `outrider check-inject KIND/NAME -n NAMESPACE` says what admission "
            "makes of the pod.",
        ),
        (
            "pods-injected",
            "pods that should have a sidecar do",
            f"{_RESTART} `outrider check-inject POD` says why one has none.",
        ),
        ("sidecar-versions", "sidecars are of the control plane's version", _RESTART),
        ("sidecar-settings", "sidecars have today's settings", _RESTART),
        (
            "sidecars-ready",
            "sidecars are ready",
            "Look at `kubectl logs POD -c outrider-sidecar`: mostly it has no identity or no configuration, "
            "because the control plane cannot be reached.",
        ),
        (
            "sidecars-connected",
            "sidecars hear of changes",
            "Look at control-service, and whether NetworkPolicies let pods reach port 15012 of the control plane; "
            "what is in force stays in force meanwhile.",
        ),
        (
            "sidecar-roots",
            "sidecars could come back after a restart",
            f"Roots were replaced since these pods were made. {_RESTART}",
        ),
        (
            "sidecar-restarts",
            "sidecars stay up",
            "Look at `kubectl logs POD -c outrider-sidecar --previous`; OOMKilled asks for "
            "outrider.dev/memory-limit.",
        ),
        (
            "termination-grace",
            "pods have time to drain",
            "Raise terminationGracePeriodSeconds of the pod above limits.drainSeconds, or lower that limit.",
        ),
        (
            "ephemeral-containers",
            "added containers respect the sidecar",
            "Delete the pod: an ephemeral container stays as long as it does.",
        ),
    ),
    *_section(
        _DOCUMENTS,
        Phase.NAMESPACE,
        (
            "policies-present",
            "the namespace has policies",
            "Write an AgentPolicy that selects these pods and `kubectl apply` it; until then nothing is allowed.",
        ),
        (
            "policies-valid",
            "policies can be loaded",
            "Correct them with `outrider policy validate FILE`; what was in force stays in force meanwhile.",
        ),
        (
            "policies-current",
            "sidecars run the policies of today",
            "Wait ten seconds and check again; after that look at sidecars-connected, and at what `outrider "
            "describe pod POD` says of the configuration.",
        ),
        (
            "access-policies",
            "XAccessPolicies are in force",
            "`kubectl -n NAMESPACE describe xaccesspolicy` has the reason; until it is mended they grant nothing, "
            "and what they are about stays closed.",
        ),
        (
            "policy-labels",
            "policies select by the labels of today",
            f"Policies still select by the old labels. {_RESTART}",
        ),
        (
            "workload-labels",
            "labels stand on pod templates",
            "Move them to spec.template.metadata; on the workload itself they have no effect.",
        ),
        (
            "service-ports",
            "Services lead to ports that pods have",
            "Correct targetPort: the sidecar's port for mutual TLS, or one of the application. Where the "
            "sidecar's ports were changed, restart pods that still have the old ones.",
        ),
        (
            "network-policy",
            "nobody reaches agents past their sidecar",
            "Run `outrider networkpolicy -n NAMESPACE --live | kubectl apply -f -`.",
        ),
    ),
    *_section(
        _CREDENTIALS,
        Phase.NAMESPACE,
        (
            "credential-secrets",
            "sidecars have the Secrets that credentials name",
            "Name each in the annotation outrider.dev/credential-secrets of the pod template, and create what is "
            "missing; a Secret that comes later is used without a restart, an annotation needs one.",
        ),
        (
            "credential-users",
            "there are users to exchange credentials for",
            "Write `users` into an AgentPolicy that selects these pods, or `withoutUser: client-credentials` into "
            "the exchange.",
        ),
        (
            "credential-urls",
            "nobody is asked for credentials in plain text",
            "Write https, or declare the host and port as a Backend, whose tls then says how it is reached.",
        ),
        (
            "hidden-variables",
            "Backends get the secrets that pods hide",
            "Name the variables in the annotation outrider.dev/hide-secrets of the pod template, or correct them "
            "in the Backend's credential.",
        ),
    ),
)
