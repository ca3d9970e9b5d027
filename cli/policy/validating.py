"""`outrider policy validate`: everything that is wrong with policy files at once, and what is likely not meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from cli.output import write
from cli.output.blocks import Block, Heading, Row, Table
from cli.policy.agents import TRUST_DOMAIN, found_in
from cli.policy.loading import FINE, REFUSED
from cli.policy.reading import Read, read
from cli.policy.suspicion import Suspicion
from cli.policy.suspicions import suspicions
from mesh.policy import Documents, PolicyError, PolicyInvalid, load_texts
from webhook.admission.settings import InjectionSettings

_UNREADABLE = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="policies and manifests; folders; - for stdin"
    )
    parser.add_argument(
        "-n", "--namespace", default="default", metavar="NAME", help="of objects that do not name one"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings, too")
    write.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Validate; 0, 1 with errors, 2 when a file cannot be read."""
    found = read(arguments.files, lenient=True)
    errors, documents = validated(found)
    if documents is not None:
        errors = tuple(unaccepted(found, documents, arguments.namespace))
    warnings = [] if documents is None else list(suspicions(documents, found, arguments.namespace))
    if arguments.output == "text":
        # Not folded, as everything else is: editors look for file and line at the beginning of whole lines.
        sys.stdout.writelines(f"{one}\n" for one in (*found.problems, *errors))
    write.write(blocks(found, errors, warnings), as_json(found, errors, warnings), arguments.output)
    if found.problems:
        return _UNREADABLE
    if not found.texts:
        print("outrider: there is no policy in these files", file=sys.stderr)
        return _UNREADABLE
    return REFUSED if errors or (warnings and arguments.strict) else FINE


def validated(found: Read) -> tuple[tuple[PolicyError, ...], Documents | None]:
    """Every error of the documents, or what they say."""
    try:
        return (), load_texts(found.texts)
    except PolicyInvalid as invalid:
        return invalid.errors, None


def unaccepted(found: Read, documents: Documents, namespace: str) -> Iterator[PolicyError]:
    """What a control plane would not take as it is written: limits, expressions, clashes between objects."""
    if documents.access_policies or documents.xbackends:
        from cli.policy.plane import Plane  # half a second, which plain policies need not pay

        agents = found_in(found.others, found.namespaces, InjectionSettings(), namespace, TRUST_DOMAIN)
        for remark in Plane((*found.policies, *found.others), agents, TRUST_DOMAIN, namespace).remarks():
            yield located(remark, found, namespace)


def located(remark: str, found: Read, namespace: str) -> PolicyError:
    """A remark, which begins with `KIND NAMESPACE/NAME: `, at the lines of the files that it is about."""
    where, _, message = remark.partition(": ")
    for item in found.policies:
        if item.described(namespace) == where:
            path = ("spec", "rules") if "rules" in item.section("spec") else ("spec",)
            return PolicyError(item.source, item.line(*path), ".".join(path), remark)
    return PolicyError(where, 0, "", message)


def blocks(found: Read, errors: tuple[PolicyError, ...], warnings: list[Suspicion]) -> Iterator[Block]:
    """For people, after the errors themselves."""
    wrong = len(found.problems) + len(errors)
    if warnings:
        yield Heading("Warnings")
        yield Table(("", ""), tuple(Row((one.where, one.message)) for one in warnings))
    documents = f"{found.count} {'document' if found.count == 1 else 'documents'}"
    said = f"{documents}, {wrong} {'error' if wrong == 1 else 'errors'}"
    yield Heading(f"{said}, {len(warnings)} {'warning' if len(warnings) == 1 else 'warnings'}")


def as_json(found: Read, errors: tuple[PolicyError, ...], warnings: list[Suspicion]) -> dict[str, Any]:
    """For programs."""
    return {
        "documents": found.count,
        "unreadable": list(found.problems),
        "errors": [
            {"file": one.file, "line": one.line, "path": one.path, "message": one.message} for one in errors
        ],
        "warnings": [{"where": one.where, "message": one.message} for one in warnings],
    }
