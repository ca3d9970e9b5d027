"""`outrider inject`: the webhook's own injection, on manifests.

The same pure function decides, so that what this prints is what the cluster would make of the manifest. Labels of
namespaces come from Namespace objects in the input, then from the settings file, and `--namespace-labels` is laid
over both.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from cli import rewriting
from cli.manifests import Manifest
from cli.rewriting import Verdict
from cli.workloads import Workload, misplaced, objects, texts
from mesh.settings.table import PREFIX
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Skipped
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import SettingsFile


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    rewriting.configure(parser)
    parser.add_argument(
        "--namespace-labels",
        type=label_list,
        default={},
        metavar="KEY=VALUE,…",
        help=f"labels to assume on every namespace, such as {PREFIX}injection=enabled",
    )


def run(arguments: argparse.Namespace) -> int:
    """Inject; 0, 1 when something was refused, 2 when the input cannot be read."""

    def prepare(settings: SettingsFile, manifests: list[Manifest]) -> Callable[[Workload, str], Verdict]:
        namespaces = {**(settings.namespaces or {}), **namespaces_in(manifests)}

        def decide(workload: Workload, where: str) -> Verdict:
            known = namespaces.get(where, Namespace(where))
            labels = {**known.labels, **arguments.namespace_labels}
            return verdict(workload, Namespace(where, labels, known.annotations), settings.injection)

        return decide

    return rewriting.run(arguments, prepare)


def verdict(workload: Workload, namespace: Namespace, settings: InjectionSettings) -> Verdict:
    """What injection makes of one workload, in the words of the report."""
    outcome = inject(workload.pod, namespace, settings)
    misplaced = tuple(_misplaced(workload))
    if isinstance(outcome, Injection):
        pod = outcome.pod if outcome.patch else None
        return Verdict("injected", pod, warnings=(*misplaced, *outcome.warnings))
    if isinstance(outcome, Skipped):
        return Verdict("skipped", None, (f" ({outcome.reason}): {outcome.sentence}",), misplaced)
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
