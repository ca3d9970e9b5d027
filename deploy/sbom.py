"""Writes what an image consists of as CycloneDX 1.6 (JSON): from a lock file, and from Debian's list of packages.

    python -m deploy.sbom --name outrider-sidecar --lock requirements/sidecar-spire.lock
    python -m deploy.sbom --name outrider-sidecar --lock … --debian /var/lib/dpkg/status --installed /opt/outrider

With `--installed` only those of the lock that are there, which markers decide. The same input gives the same
bytes: the time is SOURCE_DATE_EPOCH, and the serial number is made from the content.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.lockfile import Pinned, read_lock
from mesh.settings.table import VERSION

Component = dict[str, Any]
_NAMESPACE = uuid.UUID("6f1a4a0e-6c0c-4d0f-9f55-8f6c2d1f7a10")


def python_components(pinned: Iterable[Pinned]) -> list[Component]:
    """One component for each distribution of a lock file."""
    return [
        {
            "type": "library",
            "bom-ref": _purl(one),
            "name": one.name,
            "version": one.version,
            "purl": _purl(one),
            **({"properties": [{"name": "outrider:marker", "value": one.marker}]} if one.marker else {}),
        }
        for one in pinned
    ]


def debian_components(status: str) -> list[Component]:
    """One component for each package that dpkg says is installed (the format of /var/lib/dpkg/status)."""
    found = []
    for paragraph in status.split("\n\n"):
        fields = dict(
            line.split(": ", 1)
            for line in paragraph.splitlines()
            if ": " in line and not line.startswith(" ")
        )
        if fields.get("Status") != "install ok installed":
            continue
        name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}"
        component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        found.append(component)
    return found


def bom(name: str, pinned: list[Pinned], debian: list[Component], epoch: int) -> dict[str, Any]:
    """The whole document for the image `name`."""
    image = {"type": "container", "bom-ref": name, "name": name, "version": VERSION}
    components = sorted([*python_components(pinned), *debian], key=lambda one: one["purl"])
    content = json.dumps([image, components], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": image,
        },
        "components": components,
        "dependencies": _dependencies(name, pinned, debian),
    }


def _dependencies(name: str, pinned: list[Pinned], debian: list[Component]) -> list[dict[str, Any]]:
    references = {"outrider": name} | {one.name: _purl(one) for one in pinned}
    needs: dict[str, list[str]] = {reference: [] for reference in references.values()}
    needs[name] += [one["bom-ref"] for one in debian]
    for one in pinned:
        for parent in one.wanted_by:
            if parent in references:
                needs[references[parent]].append(_purl(one))
    return [{"ref": reference, "dependsOn": sorted(below)} for reference, below in sorted(needs.items())]


def _purl(one: Pinned) -> str:
    return f"pkg:pypi/{one.name}@{one.version}"


def installed(pinned: list[Pinned], folder: Path) -> list[Pinned]:
    """Those that are in `folder` (as `pip install --target` leaves them). Raises ValueError for one too many."""
    there = {_plain(path.name.removesuffix(".dist-info")) for path in folder.glob("*.dist-info")}
    known = {_plain(f"{one.name}-{one.version}"): one for one in pinned}
    if strangers := there - known.keys():
        raise ValueError(f"installed, but not in the lock file: {', '.join(sorted(strangers))}")
    return [one for name, one in known.items() if name in there]


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def main(arguments: list[str] | None = None) -> int:
    """Write the document to standard output."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", required=True, help="the image")
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--installed", type=Path, help="what was installed of it")
    parser.add_argument("--debian", type=Path, help="dpkg's status file")
    given = parser.parse_args(arguments)
    pinned = read_lock(given.lock.read_text(encoding="utf-8"))
    if given.installed:
        pinned = installed(pinned, given.installed)
    debian = debian_components(given.debian.read_text(encoding="utf-8")) if given.debian else []
    document = bom(given.name, pinned, debian, int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    json.dump(document, sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
