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
from pathlib import Path
from typing import Any

from cli.kubernetes_yaml import dump
from cli.manifests import Manifest, ManifestInvalid, read_manifests, sources
from cli.workloads import Workload, transform
from webhook.admission.settings_file import SettingsFile, SettingsInvalid, parse_settings

REFUSED = 1
BAD_INPUT = 2


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
        default="default",
        help="the namespace of objects that do not name one (default: %(default)s)",
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="the platform's settings, as the webhook's"
    )
    parser.add_argument("--diff", action="store_true", help="print what changes in place of the manifests")


def read_settings(path: Path | None) -> SettingsFile:
    """The platform's settings, or their defaults without a file.

    Raises:
        SettingsInvalid: with every fault.
        ManifestInvalid: the file cannot be read.
    """
    if path is None:
        return parse_settings("", "")
    try:
        return parse_settings(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ManifestInvalid(str(path), 1, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ManifestInvalid(str(path), 1, "is not UTF-8 text") from error


def run(
    arguments: argparse.Namespace,
    prepare: Callable[[SettingsFile, list[Manifest]], Callable[[Workload, str], Verdict]],
) -> int:
    """Read everything, then rewrite, report and write. Returns the exit code."""
    try:
        settings = read_settings(arguments.settings)
        manifests = [
            manifest
            for source, text in sources(arguments.filename)
            for manifest in read_manifests(text, source)
        ]
    except (ManifestInvalid, SettingsInvalid) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    rewriting = rewrite(manifests, arguments.namespace, prepare(settings, manifests))
    for line in (*rewriting.report, _summary(rewriting)):
        print(line, file=sys.stderr)
    refused = bool(rewriting.results["refused"])
    if arguments.diff:
        sys.stdout.write(rewriting.diff())
    elif not refused:
        sys.stdout.write(rewriting.text())
    return REFUSED if refused else 0


def _summary(rewriting: Rewriting) -> str:
    counts = [f"{count} {result}" for result, count in sorted(rewriting.results.items())]
    return ", ".join(counts) if counts else "no pods found"
