"""Sentences of admission: what happened to a pod, to a document, and to a pod whose sidecar was changed."""

from __future__ import annotations

from typing import Final

SENTENCES: Final = {
    "injected": "The pod gets a sidecar.",
    "not_opted_in": (
        "Neither the namespace nor the pod asks for a sidecar; label the namespace "
        "outrider.dev/injection=enabled or the pod outrider.dev/inject=true."
    ),
    "pod_opted_out": "The pod opts out by its own label.",
    "opt_out_refused": (
        "The namespace is labelled outrider.dev/injection=required, so no pod in it may opt out; "
        "remove the pod's opt-out label."
    ),
    "inject_label_invalid": 'The label outrider.dev/inject must be "true" or "false".',
    "namespace_label_invalid": (
        "The namespace's label outrider.dev/injection must be enabled, required or disabled."
    ),
    "namespace_disabled": (
        "The namespace is labelled outrider.dev/injection=disabled; "
        "change that label, or remove outrider.dev/inject from the pod."
    ),
    "namespace_ignored": (
        "Pods of this namespace never get a sidecar; run the agent in a namespace of its own."
    ),
    "namespace_unknown": (
        "The labels of the pod's namespace cannot be read, so nothing says whether it needs a sidecar; "
        "it is refused until they can."
    ),
    "not_a_pod_creation": "Only the creation of pods, and the adding of containers to them, is looked at.",
    "pod_malformed": "The object does not have the shape of a pod.",
    "pod_too_large": "The pod has more of it than can be looked at in time; split it up.",
    "host_network": (
        "The pod uses the node's network (hostNetwork: true), where a sidecar's ports would be the node's; "
        "remove hostNetwork."
    ),
    "mirror_pod": "The pod mirrors a static pod of a node, which admission cannot change.",
    "windows_pod": "The sidecar runs on Linux only.",
    "sidecar_uid": "A container runs as the sidecar's user; give it another runAsUser.",
    "sidecar_port": "A container declares a port that the sidecar listens on; use another one.",
    "reserved_name": "A container has the sidecar's name; rename it.",
    "reserved_volume": "A container mounts a volume reserved for the sidecar; rename the volume.",
    "identity_exposed": (
        "A container has what the sidecar gets its identity by, and could act without its sidecar; take that "
        "volume or variable away."
    ),
    "control_roots_unknown": (
        "The roots that vouch for the control plane are not known yet, and a sidecar without them would trust "
        "nobody; try again in a moment. For the command line: `--live` takes them from the cluster."
    ),
    "secret_exposed": (
        "The pod hides a secret from its agent and gives it the same secret in another way; name that variable in "
        "outrider.dev/hide-secrets as well, or take away what gives it."
    ),
    "shared_processes": (
        "The containers share their processes, and one that may be root, trace others or escalate privileges "
        "could read the sidecar's keys; set shareProcessNamespace and hostPID to false, or runAsNonRoot: true and "
        "allowPrivilegeEscalation: false without such capabilities."
    ),
    "node_reached": (
        "A container reaches the node, where it could read the keys of its sidecar and of others; take the "
        "privilege or the volume away, opt an agent of the node out by the pod label outrider.dev/inject=false, "
        "or have whoever runs the mesh add that word to allow."
    ),
    "proxy_conflict": (
        "A container sets a proxy variable that would lead its traffic past the sidecar; remove the variable."
    ),
    "annotation_invalid": (
        "Labels and annotations of Outrider are honoured or refused, never ignored; correct it or remove it."
    ),
    "not_permitted": (
        "Pods and namespaces may weaken only what the platform's settings allow; remove it, or have "
        "whoever runs the mesh add it to allow."
    ),
    "capture_impossible": (
        "Transparent capture cannot be had here; write outrider.dev/capture: explicit, or auto, which is "
        "explicit where transparent is impossible."
    ),
    "capture_undone": (
        "A container could undo transparent capture; take the privilege away, or write "
        "outrider.dev/capture: explicit."
    ),
    "sidecar_group": (
        "A container would have the sidecar's group, which transparent capture exempts; use another one."
    ),
    "probe_refused": (
        "The sidecar asks probes in the kubelet's place under transparent capture, and cannot ask this one; "
        "correct it."
    ),
    "hook_refused": (
        "Under transparent capture the kubelet reaches no port of the application, and a hook that the sidecar "
        "called in its place could be called by anybody; use exec, or sleep."
    ),
    "sidecar_joined": (
        "An ephemeral container would join the processes of the sidecar, which holds keys; name another "
        "targetContainerName, or none."
    ),
    "sidecar_image": (
        "The image of the sidecar is from a repository that the chart does not name; whoever runs Outrider may "
        "add it to finalState.images."
    ),
    "containers_added": "Nothing speaks against the containers that are added to the pod.",
    "documents_valid": "Every sidecar can read it.",
    "documents_invalid": "No sidecar would use it as it is; correct every line below.",
    "not_validated": (
        "Only ephemeral containers, the images of sidecars, AgentPolicies, Backends and ConfigMaps labelled "
        "outrider.dev/policies are validated."
    ),
    "sidecar_missing": (
        "The pod must have a sidecar and came without one, so the webhook was not called; look at outrider check, "
        "then create the pod again."
    ),
    "sidecar_displaced": (
        "The sidecar is not where the webhook put it: another webhook put a container before it or changed it; "
        "have that one add containers at the end."
    ),
    "sidecar_changed": (
        "The sidecar has a command, a hook, variables from elsewhere or privileges, so something changed it after "
        "it was added; see which webhook with kubectl get mutatingwebhookconfigurations."
    ),
    "injected_label": (
        "The label outrider.dev/injected is for the webhook to write, true on pods with a sidecar and on no "
        "others; remove it from what you apply."
    ),
}
