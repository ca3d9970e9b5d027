"""`outrider describe pod`: one pod, its identity, its settings, its policies, and what was refused last."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from cli.cluster import connect
from cli.cluster.connect import Connection
from cli.describe.description import describe
from cli.describe.facts import read_facts
from cli.describe.report import as_json, blocks
from cli.output import write


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("kind", choices=("pod",), help="what to describe")
    parser.add_argument("name", metavar="NAME", help="its name")
    parser.add_argument("-n", "--namespace", metavar="NAME", help="its namespace (default: the context's)")
    parser.add_argument("--trust-domain", metavar="NAME", help="of the identity it should have")
    write.configure(parser)
    connect.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Describe; 0, 2 when the pod cannot be read."""
    return connect.asking(arguments, lambda connection: _describe(connection, arguments))


def _describe(connection: Connection, arguments: argparse.Namespace) -> int:
    space = arguments.namespace or connection.namespace
    facts = read_facts(connection.api, connection.api.server, arguments.name, space)
    found = describe(facts, datetime.now(UTC), arguments.trust_domain)
    write.write(blocks(found), as_json(found), arguments.output)
    return 0
