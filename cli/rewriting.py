"""What `inject` and `uninject` have in common: manifests in, manifests and a report out.

The report goes to standard error, one line per workload; the manifests to standard output. When something is
refused nothing is written there, so that `outrider inject … | kubectl apply -f -` applies all or nothing.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cli import platform_settings
from cli.cluster import connect
from cli.cluster.connect import BAD_INPUT, Connection
from cli.kubernetes_yaml import dump
from cli.manifests import Manifest, ManifestInvalid, read_manifests, sources
from cli.platform_settings import BUILT_IN, Platform, read_file, read_live
from cli.workloads import Workload, transform, workloads_in
from webhook.admission.settings_file import SettingsFile, SettingsInvalid

REFUSED = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one workload. `pod` is None where it stays as it is; `told` holds why, once per reason."""

    result: str
    pod: Any = None
    told: tuple[str, ...] = ("",)
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Rewriting:
    """All manifests of one run, as they were and as they became."""

    documents: list[tuple[Manifest, Any]] = field(default_factory=list)
    report: list[str] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """All documents in their order; those that did not change in their own words."""
        return "---\n".join(
            manifest.text if new is manifest.value else dump(new) for manifest, new in self.documents
        )

    def diff(self) -> str:
        """What changed, as a unified diff of normalised YAML."""
        lines: list[str] = []
        for manifest, new in self.documents:
            if new is not manifest.value:
                where = f"{manifest.source}:{manifest.line}"
                before, after = dump(manifest.value).splitlines(), dump(new).splitlines()
                lines += difflib.unified_diff(before, after, f"{where} before", f"{where} after", lineterm="")
        return "".join(f"{line}\n" for line in lines)


def rewrite(
    manifests: list[Manifest], namespace: str, decide: Callable[[Workload, str], Verdict]
) -> Rewriting:
    """Ask `decide` about every workload; `namespace` is where objects go that do not say."""
    rewriting = Rewriting()
    for manifest in manifests:

        def change(workload: Workload, manifest: Manifest = manifest) -> Any:
            where = workload.namespace or namespace
            verdict = decide(workload, where)
            place = f"{manifest.source}:{manifest.line}: {workload.kind} {where}/{workload.name}"
            rewriting.results[verdict.result] += 1
            rewriting.report += [f"{place}: {verdict.result}{told}" for told in verdict.told]
            rewriting.report += [f"{place}: warning: {warning}" for warning in verdict.warnings]
            return verdict.pod

        rewriting.documents.append((manifest, transform(manifest.value, change)))
    return rewriting


Prepare = Callable[[SettingsFile, list[Manifest]], Callable[[Workload, str], Verdict]]


def configure(parser: argparse.ArgumentParser) -> None:
    """The options that both commands take."""
    parser.add_argument(
        "-f",
        "--filename",
        action="append",
        required=True,
        metavar="PATH",
        help="a file, a folder of YAML and JSON files, or - for standard input; may be repeated",
    )
    parser.add_argument(
        "-n",
        "--namespace",
        help="the namespace of objects that do not name one (default: default, or with --live the context's)",
    )
    parser.add_argument(
        "--live", action="store_true", help="take the settings, and labels of namespaces, from the cluster"
    )
    platform_settings.configure(parser)
    connect.configure(parser)
    parser.add_argument("--diff", action="store_true", help="print what changes in place of the manifests")


def run(
    arguments: argparse.Namespace,
    prepare: Prepare,
    *,
    making: bool = False,
) -> int:
    """Read everything, then rewrite, report and write. Returns the exit code. `making`: see `read_live`."""
    try:
        manifests = [
            manifest
            for source, text in sources(arguments.filename)
            for manifest in read_manifests(text, source)
        ]
        if arguments.live:
            return connect.asking(
                arguments, lambda connection: _live(connection, arguments, manifests, prepare, making=making)
            )
        platform = read_file(arguments.settings)
    except (ManifestInvalid, SettingsInvalid) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return _write(arguments, manifests, platform, arguments.namespace or "default", prepare)


def _live(
    connection: Connection,
    arguments: argparse.Namespace,
    manifests: list[Manifest],
    prepare: Prepare,
    *,
    making: bool,
) -> int:
    default = arguments.namespace or connection.namespace
    spaces = {one.namespace or default for manifest in manifests for one in workloads_in(manifest.value)}
    platform = read_live(connection, arguments.settings, spaces, making=making)
    return _write(arguments, manifests, platform, default, prepare)


def _write(
    arguments: argparse.Namespace,
    manifests: list[Manifest],
    platform: Platform,
    namespace: str,
    prepare: Prepare,
) -> int:
    rewriting = rewrite(manifests, namespace, prepare(platform.file, manifests))
    for line in (*rewriting.report, _summary(rewriting, platform)):
        print(line, file=sys.stderr)
    refused = bool(rewriting.results["refused"])
    if arguments.diff:
        sys.stdout.write(rewriting.diff())
    elif not refused:
        sys.stdout.write(rewriting.text())
    return REFUSED if refused else 0


def _summary(rewriting: Rewriting, platform: Platform) -> str:
    counts = [f"{count} {result}" for result, count in sorted(rewriting.results.items())]
    if not counts:
        return "no pods found"
    other = " (--live takes the cluster's)" if platform.whose == BUILT_IN else ""
    return f"{', '.join(counts)}, with {platform.whose}{other}"
