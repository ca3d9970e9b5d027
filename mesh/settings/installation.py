"""What the objects of an installation are called: the chart makes them, the control plane and the CLI find them.

One installation per cluster: webhook configurations are cluster-wide, and two that match one pod would both
inject. So the names do not depend on the release.
"""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "outrider-system"
"""Where the documentation installs; the chart takes any namespace."""

PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
PART_OF: Final = "outrider"
"""Value of `PART_OF_LABEL` on every object of the chart, by which they are found in any namespace."""

WEBHOOK: Final = "outrider-webhook"
"""Deployment, Service, ServiceAccount, Lease and PodDisruptionBudget of the control plane."""

VIEW_ROLE: Final = "outrider-view"
"""ClusterRole that adds reading our kinds to the cluster's roles view, edit and admin."""

EDIT_ROLE: Final = "outrider-edit"
"""ClusterRole that adds writing them to edit and admin."""

WEBHOOK_SECRET: Final = "outrider-webhook-tls"  # noqa: S105 - the name of a Secret
"""CA and serving certificate in mode `self`, or what cert-manager issues."""

WEBHOOK_SETTINGS: Final = "outrider-webhook-settings"
"""ConfigMap with the platform's settings, key `SETTINGS_KEY`."""

SETTINGS_KEY: Final = "settings.yaml"

CONTROL: Final = "outrider-control"
"""Service by which sidecars reach the control plane, for identity and configuration."""

CONTROL_PORT: Final = 15012
"""Its port, and that of the control plane's pods."""

CONTROL_AUDIENCE: Final = "outrider-control"
"""Audience of the ServiceAccount tokens that prove sidecars to the control plane, and of no others."""

CA_SECRET: Final = "outrider-ca"  # noqa: S105 - the name of a Secret
"""Root, issuing keys and token keys of the mesh's own CA."""

ROOTS: Final = "outrider-roots"
"""ConfigMap with the CA's roots as PEM, key `ROOTS_KEY`: no secret, for whoever verifies."""

ROOTS_KEY: Final = "roots.pem"

APPLIED: Final = "outrider-applied"
"""ConfigMap in which each replica of the control plane says what its sidecars run; key: the pod's name."""

INJECTOR: Final = "outrider-injector"
"""The MutatingWebhookConfiguration."""

VALIDATOR: Final = "outrider-validator"
"""The ValidatingWebhookConfiguration."""

FINAL_STATE_POLICY: Final = "outrider-final-state"
"""The ValidatingAdmissionPolicy on injected pods, and its first binding."""

FINAL_STATE_BINDINGS: Final = (
    FINAL_STATE_POLICY,
    f"{FINAL_STATE_POLICY}-asking-pods",
    f"{FINAL_STATE_POLICY}-injected-pods",
)
"""Its bindings: labelled namespaces, elsewhere pods that ask, elsewhere pods that claim to be injected."""

ENABLED_ENTRY: Final = "enabled.injector.outrider.dev"
"""Namespaces that enable injection, but for pods that opt out."""

REQUIRED_ENTRY: Final = "required.injector.outrider.dev"
"""Every pod of namespaces that require injection, or whose label nobody understands."""

POD_ENTRY: Final = "pod.injector.outrider.dev"
"""Pods that ask by themselves, where the namespace says nothing."""

DISABLED_ENTRY: Final = "disabled.injector.outrider.dev"
"""Pods that ask by themselves, where the namespace says no: they are told so."""

NOT_A_MIRROR: Final = "not-a-mirror"
"""The match condition of every injector entry that drops mirrors of static pods."""

NOT_OPTED_OUT_ELSEWHERE: Final = "not-opted-out-elsewhere"
"""The match condition of `ENABLED_ENTRY` that drops pods which another platform's label opts out."""

HAS_A_SIDECAR: Final = "has-a-sidecar"
"""The match condition of `EPHEMERAL_ENTRY`: without a sidecar there is nothing to protect."""

EPHEMERAL_ENTRY: Final = "ephemeral.validator.outrider.dev"
"""Ephemeral containers that join an injected pod."""

SIDECAR_IMAGE_CHANGED: Final = "sidecar-image-changed"
"""The match condition of `IMAGES_ENTRY`: a sidecar's image becomes one that is not of the chart's repositories."""

IMAGES_ENTRY: Final = "images.validator.outrider.dev"
"""Running pods whose sidecar gets another image; only where there is no `FINAL_STATE_POLICY`, which sees to it."""

DOCUMENTS_ENTRY: Final = "documents.validator.outrider.dev"
"""AgentPolicies and Backends as resources."""

CONFIG_MAPS_ENTRY: Final = "configmaps.validator.outrider.dev"
"""ConfigMaps that hold policies, known by the label `outrider.dev/policies`."""

MUTATE_PATH: Final = "/mutate"
VALIDATE_PATH: Final = "/validate"
