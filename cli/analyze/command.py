"""`outrider analyze`: what is wrong with manifests before they are applied, or with a cluster as it is."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from cli import platform_settings
from cli.analyze.analyzers import analyze
from cli.analyze.finding import Finding
from cli.analyze.inventory import Inventory, items_of, laid_over
from cli.analyze.live import read_items
from cli.analyze.table import Level
from cli.check.installed import judging
from cli.check.objects import counted
from cli.cluster import connect
from cli.cluster.connect import BAD_INPUT, Connection
from cli.inject import label_list
from cli.manifests import Manifest, ManifestInvalid, read_manifests, sources
from cli.output import write
from cli.output.blocks import Block, Heading, Line, Row, Table
from cli.platform_settings import read_installed, read_settings
from mesh.reasons import Reason
from mesh.settings.table import NAMESPACE_INJECTION
from webhook.admission.settings_file import SettingsFile, SettingsInvalid

FINE, FINDINGS = 0, 1
_UNASKED = (
    "outrider: no pod asks for a sidecar as far as these files say, so that little of them was judged\n"
    f"  Add their Namespace, or --namespace-labels {NAMESPACE_INJECTION.name}=enabled."
)
_RANK = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="a file, a folder of YAML and JSON files, or -"
    )
    parser.add_argument(
        "--live", action="store_true", help="analyse the cluster, with the files laid over it"
    )
    parser.add_argument(
        "-n", "--namespace", metavar="NAME", help="of objects that do not name one; with --live only it"
    )
    parser.add_argument(
        "--namespace-labels",
        type=label_list,
        default={},
        metavar="KEY=VALUE,…",
        help="to assume on every namespace",
    )
    platform_settings.configure(parser)
    parser.add_argument(
        "--fail-on",
        choices=[str(level) for level in Level],
        default=str(Level.ERROR),
        help="the least level that makes the exit code 1 (default: %(default)s)",
    )
    write.configure(parser)
    connect.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Analyse; 0, 1 with findings of the level that counts, 2 when something cannot be read."""
    if not arguments.files and not arguments.live:
        print("outrider: name files to analyse, or --live for the cluster", file=sys.stderr)
        return BAD_INPUT
    try:
        manifests = [one for source, text in sources(arguments.files) for one in read_manifests(text, source)]
        settings = read_settings(arguments.settings)
        if arguments.live:
            return connect.asking(
                arguments, lambda connection: _live(connection, arguments, manifests, settings)
            )
        inventory = Inventory(
            tuple(items_of(manifests)),
            judging(settings.injection),
            arguments.namespace or "default",
            known=dict(settings.namespaces or {}),
            assumed=arguments.namespace_labels,
        )
    except (ManifestInvalid, SettingsInvalid) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    if arguments.settings is None:
        print("outrider: judged with the built-in settings (--live takes the cluster's)", file=sys.stderr)
    return _tell(analyze(inventory), arguments, unasked=_unasked(inventory))


def _unasked(inventory: Inventory) -> bool:
    """There are pods, and none of them asks for a sidecar as far as the files say: little of them was judged."""
    reasons = {agent.outcome.reason for agent in inventory.agents}
    return reasons == {Reason.NOT_OPTED_IN}


def _live(
    connection: Connection, arguments: argparse.Namespace, manifests: list[Manifest], settings: SettingsFile
) -> int:
    api, default = connection.api, arguments.namespace or connection.namespace
    injection = judging(settings.injection)
    installed = read_installed(api)
    if arguments.settings is None:
        injection = judging(installed.settings)
        if installed.unknown:
            print(f"outrider: judged with the built-in settings: {installed.unknown}", file=sys.stderr)
    read = read_items(api, arguments.namespace, injection)
    for told in read.unread:
        print(f"outrider: {told}", file=sys.stderr)
    inventory = Inventory(
        laid_over(list(read.items), items_of(manifests), default),
        injection,
        default,
        live=True,
        running=read.running,
        absent=installed.absent,
        partly=bool(read.unread),
        assumed=arguments.namespace_labels,
    )
    return _tell(analyze(inventory), arguments, partly=bool(read.unread))


def _tell(
    found: list[Finding], arguments: argparse.Namespace, *, partly: bool = False, unasked: bool = False
) -> int:
    if unasked:
        print(_UNASKED, file=sys.stderr)
    write.write(blocks(found, partly=partly), [as_json(one) for one in found], arguments.output)
    counted = _RANK[Level(arguments.fail_on)]
    return FINDINGS if any(_RANK[one.row.level] <= counted for one in found) else FINE


def blocks(found: list[Finding], *, partly: bool = False) -> Iterator[Block]:
    """For people: by place, and at the end what to do about each code. `partly`: not everything could be read."""
    if not found:
        said = "Nothing found, but not everything could be read." if partly else "Nothing found."
        yield Line(said, state="warning" if partly else "ok")
        return
    rows = [Row((one.row.level, one.code, one.place), (f"{one.subject}: {one.message}",)) for one in found]
    yield Table(("level", "code", "place and finding"), tuple(rows))
    yield Heading("What to do")
    codes = sorted({one.code: one.row for one in found}.items())
    yield Table(("", ""), tuple(Row((code, f"{row.title}: {row.todo}")) for code, row in codes))
    counts = Counter(one.row.level for one in found)
    yield Heading(", ".join(_counted(counts[level], level) for level in Level if counts[level]))


def _counted(number: int, level: Level) -> str:
    return f"{number} {level}" if level is Level.INFO else counted(number, str(level), f"{level}s")


def as_json(finding: Finding) -> dict[str, Any]:
    """For programs."""
    return {
        "code": finding.code,
        "level": str(finding.row.level),
        "title": finding.row.title,
        "object": finding.subject,
        "file": finding.source,
        "line": finding.line or None,
        "message": finding.message,
        "todo": finding.row.todo,
    }
