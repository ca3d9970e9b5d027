"""Names of objects as people type them: `triage`, `deploy/triage`, `statefulset.apps/triage`."""

from __future__ import annotations

_KINDS = {
    "pods": ("/api/v1", ("pod", "po", "pods")),
    "replicationcontrollers": ("/api/v1", ("replicationcontroller", "rc", "replicationcontrollers")),
    "deployments": ("/apis/apps/v1", ("deployment", "deploy", "deployments")),
    "statefulsets": ("/apis/apps/v1", ("statefulset", "sts", "statefulsets")),
    "daemonsets": ("/apis/apps/v1", ("daemonset", "ds", "daemonsets")),
    "replicasets": ("/apis/apps/v1", ("replicaset", "rs", "replicasets")),
    "jobs": ("/apis/batch/v1", ("job", "jobs")),
    "cronjobs": ("/apis/batch/v1", ("cronjob", "cj", "cronjobs")),
}
_BY_WORD = {word: (prefix, resource) for resource, (prefix, words) in _KINDS.items() for word in words}
KINDS = ", ".join(words[0] for _, words in _KINDS.values())


def path_of(text: str, namespace: str) -> str | None:
    """The path at the API server; None where the kind is none of `KINDS`. Without a kind it is a pod."""
    kind, slash, name = text.rpartition("/")
    found = _BY_WORD.get(kind.partition(".")[0].lower() if slash else "pod")
    if found is None or not name:
        return None
    prefix, resource = found
    return f"{prefix}/namespaces/{namespace}/{resource}/{name}"
