"""Why a pod is injected or not: which webhook entries match it, what admission decides, and what it really has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cli.analyze.labels import suggested
from cli.check.objects import inner, moment, name_of, sidecar_of
from cli.check.webhook_configurations import ready_addresses
from cli.check_inject.question import Question
from cli.cluster.answers import Obj
from cli.selecting.entries import Asked, ask, creating_pods, entries
from cli.workloads import misplaced
from mesh.settings import installation
from mesh.settings.table import NAMESPACE_INJECTION
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Refusal


@dataclass(frozen=True, slots=True)
class Explanation:
    """`verdict` is `injected`, `skipped` or `refused`. `facts` are about pods that run; `problems` about what does
    not fit together, and each of them says what to do."""

    name: str
    asked: tuple[Asked, ...] | None
    verdict: str
    reason: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def fine(self) -> bool:
        """Nothing is refused, and nothing contradicts."""
        return self.verdict != "refused" and not self.problems


def explain(question: Question) -> Explanation:
    """The whole answer."""
    pod, namespace = question.workload.pod, question.namespace
    outcome = inject(pod, namespace, question.settings)
    asked = _asked(question)
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    if isinstance(outcome, Injection):
        verdict, warnings = "injected", outcome.warnings
        sentences = (f"{outcome.reason}: {outcome.reason.sentence}",)
        if _contradictions(asked, verdict):
            sentences = (f"{outcome.reason}: Admission would give it a sidecar, if it were asked.",)
    elif isinstance(outcome, Refusal):
        verdict, sentences, warnings = (
            "refused",
            tuple(f"{one.reason}: {one}" for one in outcome.problems),
            (),
        )
    else:
        verdict, sentences, warnings = "skipped", (f"{outcome.reason}: {outcome.sentence}",), ()
    facts, lacking = _live(question, verdict)
    return Explanation(
        question.name,
        asked,
        verdict,
        str(outcome.reason),
        sentences,
        (*warnings, *suggested(pod), *_assumed(question)),
        facts,
        (
            *(_contradictions(asked, verdict) or lacking),
            *_unanswered(question, asked),
            *(f"{one}." for one in question.stuck),
            *_misplaced(question),
        ),
    )


def _asked(question: Question) -> tuple[Asked, ...] | None:
    if question.configurations is None:
        return None
    pod, namespace = question.workload.pod, question.namespace
    found = creating_pods(entries(question.configurations))
    return tuple(
        ask(entry, pod if isinstance(pod, dict) else {}, namespace.name, namespace.labels) for entry in found
    )


def ours(asked: tuple[Asked, ...]) -> tuple[Asked, ...]:
    """The entries that call the control plane."""
    return tuple(
        one for one in asked if one.entry.service is not None and one.entry.service[1] == installation.WEBHOOK
    )


def _contradictions(asked: tuple[Asked, ...] | None, verdict: str) -> tuple[str, ...]:
    """Where the selectors of the cluster and the decision do not agree."""
    if asked is None:
        return ()
    own = ours(asked)
    matching = [one.entry.name for one in own if one.matches]
    if not own:
        return (
            "No webhook entry of Outrider is installed, so that nothing is injected; run `outrider check`.",
        )
    if len(matching) > 1:
        return (f"{' and '.join(matching)} both match; run `outrider check`, entries-disjoint.",)
    if not matching and verdict != "skipped":
        return ("No entry matches, so that admission is not asked; run `outrider check`, entries-complete.",)
    return ()


def _misplaced(question: Question) -> tuple[str, ...]:
    """The commonest slip: on the workload itself."""
    kind = question.workload.kind
    return tuple(
        f"{name} stands on the {kind} itself, where it has no effect: move it to the metadata of the pod template."
        for name in misplaced(question.workload)
    )


def _assumed(question: Question) -> tuple[str, ...]:
    if not question.assumed:
        return ()
    return (f"judged with the built-in settings, for those of the cluster are not known: {question.assumed}",)


def _unanswered(question: Question, asked: tuple[Asked, ...] | None) -> tuple[str, ...]:
    """Where an entry matches, and nobody is there to be asked."""
    matching = [one.entry for one in ours(asked or ()) if one.matches]
    slices = question.endpoints
    if not matching or slices.unread or ready_addresses(slices.items):
        return ()
    ignored = matching[0].value.get("failurePolicy") == "Ignore"
    follows = "come up without a sidecar" if ignored else "are refused"
    return (
        f"No replica of the control plane is ready to be asked, so that new pods {follows}; "
        "run `outrider check`, control-plane-available.",
    )


def _live(question: Question, verdict: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if question.live is None:
        return (), ()
    if not question.live:
        return ("no pod of it runs",), ()
    facts, problems = [], []
    for pod in question.live:
        has = sidecar_of(pod) is not None
        facts.append(f"pod {name_of(pod)} has {'a' if has else 'no'} sidecar")
        if has and verdict != "injected":
            facts.append(f"pod {name_of(pod)} would not get it now, unless its manifest holds it")
        elif not has and verdict == "injected":
            problems.append(f"Pod {name_of(pod)} {_since(question, pod)}: restart it.")
    return tuple(facts), tuple(problems)


def _since(question: Question, pod: Obj) -> str:
    """Why a pod that would be injected now was not."""
    created = moment(inner(pod, "metadata", "creationTimestamp"))
    if created is None:
        return "was created without a sidecar"
    labelled = labelled_at(question.namespace_object)
    if labelled is not None and created < labelled:
        return "was created before the namespace was labelled"
    installed = [
        moment(inner(one, "metadata", "creationTimestamp"))
        for one in question.configurations or ()
        if name_of(one) == installation.INJECTOR
    ]
    if installed and installed[0] is not None and created < installed[0]:
        return "was created before Outrider was installed"
    return "was created when it, or its namespace, did not ask for a sidecar, or while an entry was missing"


def labelled_at(namespace: Obj | None) -> datetime | None:
    """When the namespace got its label, as far as its managed fields tell."""
    times = [
        moment(one.get("time"))
        for one in inner(namespace, "metadata", "managedFields") or ()
        if f"f:{NAMESPACE_INJECTION.name}" in (inner(one, "fieldsV1", "f:metadata", "f:labels") or {})
    ]
    return max((time for time in times if time is not None), default=None)
