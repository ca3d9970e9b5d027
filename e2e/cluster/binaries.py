"""kube-apiserver and kube-controller-manager, built from the Go module proxy; etcd as the machine has it.

The modules beside this file say which versions, down to every checksum. From nothing a version takes about seven
minutes on two busy cores and 4 GB of Go's own caches; after that it is a folder named by the version.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from e2e.environments import Unavailable, built, run

HERE = Path(__file__).resolve().parent
NEWEST = "1.37"
CHOICE = "OUTRIDER_KUBERNETES"
BUILD_SECONDS = 2400
VERSION_PACKAGE = "k8s.io/component-base/version"
PROGRAMS = ("kube-apiserver", "kube-controller-manager")


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of a control plane, and the version of Kubernetes without its `v`."""

    version: str
    api_server: Path
    controller_manager: Path
    etcd: Path


def chosen() -> str:
    """The minor version that a run is about: `OUTRIDER_KUBERNETES`, else the newest."""
    return os.environ.get(CHOICE, NEWEST)


@functools.cache
def binaries(minor: str) -> Binaries:
    """The programs of `minor`, such as "1.37", built at most once for each release. Raises Unavailable."""
    etcd = shutil.which("etcd")
    if etcd is None:
        raise Unavailable("there is no etcd: install etcd-server")
    source = HERE / f"kubernetes-{minor}"
    if not source.is_dir():
        raise Unavailable(f"no module for Kubernetes {minor}: python -m e2e.cluster.modules {minor}.PATCH")
    version = _version(source)

    def build(folder: Path) -> None:
        _build(source, version, folder)

    folder = built(f"kubernetes-{version}", build)
    return Binaries(version, folder / PROGRAMS[0], folder / PROGRAMS[1], Path(etcd))


def _version(source: Path) -> str:
    found = re.search(r"k8s\.io/kubernetes v(\S+)", (source / "go.mod").read_text(encoding="utf-8"))
    assert found is not None, f"{source} requires no Kubernetes"
    return found[1]


def _build(source: Path, version: str, folder: Path) -> None:
    if shutil.which("go") is None:
        raise Unavailable(f"Kubernetes {version} is built here, and there is no go")
    folder.mkdir()
    # Other people use this machine too: two compilers at once, at a low priority.
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-p=2", "GOWORK": "off"}
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags={_link_flags(version)}"]
    programs = [f"k8s.io/kubernetes/cmd/{program}" for program in PROGRAMS]
    command = ["nice", "-n", "15", "go", "build", *flags, "-o", f"{folder}{os.sep}", *programs]
    run(command, cwd=source, env=env, seconds=BUILD_SECONDS)


def _link_flags(version: str) -> str:
    """What the programs say of themselves; without it they are v0.0.0, which features are decided by."""
    major, minor, _ = version.split(".", 2)
    said = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "0" * 40,
        "buildDate": "2026-01-01T00:00:00Z",
    }
    return " ".join(["-s", "-w", *(f"-X {VERSION_PACKAGE}.{name}={value}" for name, value in said.items())])


if __name__ == "__main__":
    print(binaries(chosen()))
