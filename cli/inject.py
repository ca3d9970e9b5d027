"""`outrider inject`: the webhook's own injection, on manifests.

The same pure function decides, so that what this prints is what the cluster would make of the manifest. Labels of
namespaces come from Namespace objects in the input, then from the settings file, and `--namespace-labels` is laid
over both.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from cli import rewriting
from cli.manifests import Manifest
from cli.rewriting import Verdict
from cli.workloads import Workload, misplaced, objects, texts
from mesh.reasons import Reason
from mesh.settings.table import NAMESPACE_INJECTION, POD_INJECT
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Skipped
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import SettingsFile
from webhook.admission.shape import PodMalformed, as_pod
from webhook.admission.strip import is_injected

KEPT, SKIPPED = "kept", "skipped"
_UNASKED = "unasked"
_ENABLED = f"{NAMESPACE_INJECTION.name}=enabled"
_NOTHING = f"""outrider: WARNING: NOTHING WAS INJECTED, for no pod here asks for a sidecar. What is written is
  what was read: applied over a workload that was injected before, it takes the sidecar away. For a namespace
  that is to inject add --namespace-labels {_ENABLED}, or write the label
  {POD_INJECT.name}: "true" on the pod templates."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    rewriting.configure(parser)
    parser.add_argument(
        "--namespace-labels",
        type=label_list,
        default={},
        metavar="KEY=VALUE,…",
        help=f"labels to assume on every namespace, such as {_ENABLED}",
    )


def run(arguments: argparse.Namespace) -> int:
    """Inject; 0, 1 when something was refused, 2 when the input cannot be read."""
    results: Counter[str] = Counter()

    def prepare(settings: SettingsFile, manifests: list[Manifest]) -> Callable[[Workload, str], Verdict]:
        namespaces = {**(settings.namespaces or {}), **namespaces_in(manifests)}

        def decide(workload: Workload, where: str) -> Verdict:
            known = namespaces.get(where, Namespace(where))
            labels = {**known.labels, **arguments.namespace_labels}
            found = verdict(workload, Namespace(where, labels, known.annotations), settings.injection)
            results[found.result] += 1
            unasked = found.result == SKIPPED and str(Reason.NOT_OPTED_IN) in found.told[0]
            results[_UNASKED] += unasked
            return found

        return decide

    code = rewriting.run(arguments, prepare, making=True)
    if results[_UNASKED] and not results["injected"]:
        print(_NOTHING, file=sys.stderr)
    return code


def verdict(workload: Workload, namespace: Namespace, settings: InjectionSettings) -> Verdict:
    """What injection makes of one workload, in the words of the report."""
    outcome = inject(workload.pod, namespace, settings)
    misplaced = tuple(_misplaced(workload))
    if isinstance(outcome, Injection):
        pod = outcome.pod if outcome.patch else None
        return Verdict("injected", pod, warnings=(*misplaced, *outcome.warnings))
    if isinstance(outcome, Skipped):
        if _has_sidecar(workload.pod):
            kept = f" ({outcome.reason}): it has a sidecar, which stays as it is; `outrider uninject` takes it out"
            return Verdict(KEPT, None, (kept,), misplaced)
        return Verdict(SKIPPED, None, (f" ({outcome.reason}): {outcome.sentence}",), misplaced)
    told = tuple(f" ({problem.reason}): {problem}" for problem in outcome.problems)
    return Verdict("refused", None, told, misplaced)


def namespaces_in(manifests: list[Manifest]) -> dict[str, Namespace]:
    """The Namespace objects among the manifests, by name."""
    found: dict[str, Namespace] = {}
    for manifest in manifests:
        for item in objects(manifest.value):
            metadata = item.get("metadata")
            if (
                item.get("kind") != "Namespace"
                or item.get("apiVersion") != "v1"
                or not isinstance(metadata, dict)
            ):
                continue
            name = metadata.get("name")
            if isinstance(name, str):
                labels, annotations = texts(metadata.get("labels")), texts(metadata.get("annotations"))
                found[name] = Namespace(name, labels, annotations)
    return found


def _has_sidecar(pod: Any) -> bool:
    try:
        return is_injected(as_pod(pod))
    except PodMalformed:
        return False


def _misplaced(workload: Workload) -> list[str]:
    return [
        f"{name} stands on the {workload.kind} and not on its pod template, where it would count"
        for name in misplaced(workload)
    ]


def label_list(text: str) -> dict[str, str]:
    """`KEY=VALUE,…` as an argument; raises ArgumentTypeError."""
    labels: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise argparse.ArgumentTypeError(f"{item!r} is not KEY=VALUE")
        labels[key] = value
    return labels
