"""AdmissionReview v1 in, AdmissionReview v1 out: what the API server asks, and what it is told.

There are two ways of saying no. A request that is no AdmissionReview is the caller's fault and gets an HTTP
error (`ReviewMalformed`). A pod that must not run is a proper answer, with `allowed: false` and a sentence that
reaches whoever created it, directly or as the event of a ReplicaSet.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

import msgspec

from mesh.protocol import strict_json
from mesh.reasons import Reason
from mesh.settings.table import VERSION
from webhook.admission.bounds import excessive
from webhook.admission.changed import admit_update
from webhook.admission.documents import AdmissionReply, AdmissionRequest, AdmissionResponse, AdmissionReview
from webhook.admission.ephemeral import admit_ephemeral
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Outcome, Problem, Refusal, Skipped
from webhook.admission.parameters import Layer
from webhook.admission.settings import InjectionSettings

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
_EPHEMERAL = "ephemeralcontainers"


class ReviewMalformed(Exception):
    """Whoever called sent no AdmissionReview v1; the text says why, for them to read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome with the reply that tells it. `result` and `reason` are the labels of the counter."""

    reply: AdmissionReply
    result: str
    reason: Reason


def read_review(body: bytes) -> AdmissionRequest:
    """The request inside an AdmissionReview v1.

    Raises:
        ReviewMalformed: the body is not JSON, or no AdmissionReview of a version that is understood here.
    """
    try:
        document = strict_json.parse(body).value
    except strict_json.JsonRefused as error:
        raise ReviewMalformed(f"The body is not JSON: {error.detail}.") from error
    try:
        review = msgspec.convert(document, AdmissionReview)
    except msgspec.ValidationError as error:
        raise ReviewMalformed(f"The body is no AdmissionReview: {error}.") from error
    named = (review.get("apiVersion"), review.get("kind"))
    if named != (API_VERSION, KIND):
        raise ReviewMalformed(f"The body must be {KIND} of {API_VERSION}, not {named[1]} of {named[0]}.")
    request = review.get("request")
    if request is None or not request.get("uid"):
        raise ReviewMalformed("The AdmissionReview has no request with a uid.")
    return request


def is_pod_creation(request: AdmissionRequest) -> bool:
    """Does the request create a pod?"""
    return _asks(request) == (*_POD, "CREATE", "")


def is_joining(request: AdmissionRequest) -> bool:
    """Does the request add ephemeral containers to a pod?"""
    return _asks(request) == (*_POD, "UPDATE", _EPHEMERAL)


def is_update(request: AdmissionRequest) -> bool:
    """Does the request change a running pod?"""
    return _asks(request) == (*_POD, "UPDATE", "")


def concerns(request: AdmissionRequest) -> bool:
    """Does the request create a pod, or add containers to one? All else is let through without a look."""
    return is_pod_creation(request) or is_joining(request)


_POD = ("", "v1", "Pod")


def _asks(request: AdmissionRequest) -> tuple[str | None, ...]:
    kind = request.get("kind") or {}
    return (
        kind.get("group", ""),
        kind.get("version"),
        kind.get("kind"),
        request.get("operation"),
        request.get("subResource") or "",
    )


def admit(request: AdmissionRequest, namespace: Namespace, settings: InjectionSettings) -> Outcome:
    """What becomes of the pod that a request creates or changes, or of the containers that it adds to one."""
    too_much = excessive(request.get("object") or {})
    if too_much:
        return Refusal.of(too_much)
    new, old = request.get("object") or {}, request.get("oldObject") or {}
    if is_update(request):
        return admit_update(new, old, settings)
    if request.get("subResource") == _EPHEMERAL:
        return admit_ephemeral(new, old, namespace, settings)
    return inject(new, namespace, settings)


def untouched() -> Skipped:
    """The outcome for a request that `concerns` does not pick."""
    reason = Reason.NOT_A_POD_CREATION
    return Skipped(reason, reason.sentence)


def not_validated() -> Skipped:
    """The outcome for an object that nothing is validated of."""
    reason = Reason.NOT_VALIDATED
    return Skipped(reason, reason.sentence)


def unconfirmed(outcome: Outcome, name: str) -> Outcome:
    """What `outcome` comes to where the namespace `name` is only remembered and could not be asked for.

    A sidecar, or a refusal, stays. But it may have become `required` since, so that nothing passes without one.
    """
    if not isinstance(outcome, Skipped) or outcome.reason is Reason.CONTAINERS_ADDED:
        return outcome
    return unknown_namespace(f"namespace {name}: the API server did not confirm that it needs no sidecar")


def unknown_namespace(detail: str) -> Refusal:
    """The outcome where the namespace cannot be looked up: closed, because it may require a sidecar."""
    return Refusal.of([Problem(Reason.NAMESPACE_UNKNOWN, detail)])


def answer(request: AdmissionRequest, outcome: Outcome, config: str = "", subject: str = "pod") -> Answer:
    """The reply that tells `outcome` to the API server.

    A dry run gets the same reply, but is counted apart: nothing was injected. `config` is the hash of the settings
    that decided, `subject` what is refused.
    """
    result = _result(outcome)
    response: AdmissionResponse = {
        "uid": request["uid"],
        "allowed": not isinstance(outcome, Refusal),
        "auditAnnotations": _provenance(outcome, result, config),
    }
    if isinstance(outcome, Injection):
        if outcome.patch:
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(msgspec.json.encode(outcome.patch)).decode()
    elif isinstance(outcome, Refusal):
        message = f"outrider refuses this {subject} ({outcome.reason}): {outcome.sentence}"
        response["status"] = {"code": 403, "reason": "Forbidden", "message": _bounded(message)}
    elif outcome.reason in _SKIPS_WORTH_A_WARNING:
        response["warnings"] = [f"outrider: no sidecar ({outcome.reason})"]
    if not isinstance(outcome, Refusal) and outcome.warnings:
        response["warnings"] = [_fitting(f"outrider: {warning}") for warning in outcome.warnings]
    counted = "dry_run" if request.get("dryRun") else result
    return Answer({"apiVersion": API_VERSION, "kind": KIND, "response": response}, counted, outcome.reason)


def fingerprint(settings: InjectionSettings) -> str:
    """Tells settings apart in the audit log: equal for every replica that has the same."""
    return hashlib.sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()[:12]


def _provenance(outcome: Outcome, result: str, config: str) -> dict[str, str]:
    """Audit annotations: what was decided, why, by what, and which layer set what differs from the defaults."""
    said = {"decision": result, "reason": str(outcome.reason), "version": VERSION}
    if config:
        said["config-hash"] = config
    if isinstance(outcome, Injection):
        settings: dict[str, dict[str, str]] = outcome.status.get("settings", {})
        layers = [f"{name}={one['layer']}" for name, one in settings.items() if one["layer"] != Layer.DEFAULT]
        if layers:
            said["layers"] = ",".join(sorted(layers))
    return said


_WARNING_CHARACTERS = 120  # what the API documents for one warning
_MESSAGE_CHARACTERS = 16_384


def _fitting(warning: str) -> str:
    if len(warning) <= _WARNING_CHARACTERS:
        return warning
    return warning[: _WARNING_CHARACTERS - 1] + "…"


def _bounded(message: str) -> str:
    """It becomes an event, a log line and an audit entry, each with limits of its own."""
    if len(message) <= _MESSAGE_CHARACTERS:
        return message
    return f"{message[:_MESSAGE_CHARACTERS]}… ({len(message) - _MESSAGE_CHARACTERS} more characters)"


# Skipped although the namespace enables injection: silence would look like protection.
_SKIPS_WORTH_A_WARNING = frozenset({Reason.HOST_NETWORK, Reason.MIRROR_POD, Reason.WINDOWS_POD})


def _result(outcome: Outcome) -> str:
    if isinstance(outcome, Injection):
        return "injected"
    if isinstance(outcome, Refusal):
        return "refused"
    return "allowed" if outcome.reason in _LOOKED_AT else "skipped"


_LOOKED_AT = frozenset({Reason.CONTAINERS_ADDED, Reason.DOCUMENTS_VALID})
