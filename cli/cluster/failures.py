"""Why a cluster cannot be asked: one sentence with the cause, one with the next step.

Clients report the same causes in many wordings, several layers deep. What people can do is a short list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class ClusterUnavailable(Exception):
    """The cluster, or the way to it, is at fault: `cause` says how, `hint` what to do next. Both are sentences."""

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__(f"{cause} {hint}")
        self.cause = cause
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Known:
    """Words of an error, and what they mean."""

    words: tuple[str, ...]
    cause: str
    hint: str


# The first that matches counts. `{server}` is the API server's URL.
_KNOWN = (
    _Known(
        ("certificate has expired", "certificate is expired"),
        "The certificate of {server} has expired.",
        "Renew it, or look whether the clock of this machine is right.",
    ),
    _Known(
        ("certificate expired", "expired certificate"),
        "{server} refuses this machine's client certificate, which has expired.",
        "Get a new kubeconfig from whoever runs the cluster.",
    ),
    _Known(
        ("unknown ca", "certificate required", "bad certificate", "certificate_unknown"),
        "{server} refuses this machine's client certificate.",
        "Get a new kubeconfig from whoever runs the cluster.",
    ),
    _Known(
        ("hostname mismatch", "ip address mismatch", "doesn't match", "is not valid for"),
        "The certificate of {server} is for another name.",
        "Look at server and tls-server-name in the kubeconfig.",
    ),
    _Known(
        ("certificate verify failed", "unable to get local issuer", "self-signed", "self signed"),
        "The certificate of {server} is not vouched for by the kubeconfig's certificate-authority.",
        "Look whether the kubeconfig belongs to this cluster.",
    ),
    _Known(
        ("wrong version number", "record layer failure", "http request to an https"),
        "{server} does not speak TLS.",
        "Look whether the address in the kubeconfig is the API server's.",
    ),
    _Known(
        ("name or service not known", "failed to resolve", "nodename nor servname", "name resolution"),
        "The name in {server} cannot be resolved.",
        "Look at the address in the kubeconfig, and whether the VPN to the cluster is up.",
    ),
    _Known(
        ("connection refused",),
        "{server} refuses connections.",
        "Look whether the cluster runs; `kubectl config current-context` says which one is meant.",
    ),
    _Known(
        ("timed out", "timeout"),
        "{server} did not answer in time.",
        "Look whether this machine can reach it (VPN, firewall), or try again.",
    ),
    _Known(
        ("no route to host", "network is unreachable"),
        "There is no route to {server}.",
        "Look whether the VPN to the cluster is up.",
    ),
)


def unavailable(server: str, error: BaseException) -> ClusterUnavailable:
    """What an error of the connection means."""
    said = " ".join(map(str, _chain(error)))
    lower = said.lower()
    for known in _KNOWN:
        if any(word in lower for word in known.words):
            return ClusterUnavailable(known.cause.format(server=server), known.hint)
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ClusterUnavailable(f"{server} cannot be asked: {first}.", "Look whether `kubectl version` works.")


def refused(server: str, status: int, message: str) -> ClusterUnavailable:
    """What an answer of the API server means that stops everything."""
    if status == 401:
        return ClusterUnavailable(
            f"{server} does not know who asks (401).",
            "The credential in the kubeconfig is missing, wrong or expired; log in again.",
        )
    if status == 403:
        return ClusterUnavailable(
            f"{server} does not let this user ask (403): {message.rstrip('.')}.",
            "Ask whoever runs the cluster for the right to read it; the ClusterRole view has most of it.",
        )
    return ClusterUnavailable(
        f"{server} answers {status}: {message.rstrip('.')}.", "Look at the API server's own health and log."
    )


def _chain(error: BaseException) -> Iterator[object]:
    """An error, what it wraps, and what that came from."""
    pending: list[object] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseException):
            pending += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
