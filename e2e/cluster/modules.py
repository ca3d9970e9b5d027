"""Writes the Go module that a version of Kubernetes is built from: `python -m e2e.cluster.modules 1.37.2`.

Kubernetes replaces its staging modules with folders of its own tree, and a module's `replace` lines count for
nothing where it is required. So each of them is replaced here by what was released beside it: v0.37.2 for
v1.37.2. `go mod tidy` writes the rest; `go.sum` is the lock.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULE = "k8s.io/kubernetes"
STAGED = re.compile(r"=> \./staging/src/(k8s\.io/[\w.-]+)|(?:^|\s)(k8s\.io/[\w.-]+) v0\.0\.0", re.MULTILINE)
PROGRAMS = ("kube-apiserver", "kube-controller-manager")
TOOLS = """//go:build tools

// Package kubernetes keeps the two programs in go.mod, which would otherwise lose them as unused.
package kubernetes

import (
{imports}
)
"""


def released(version: str) -> str:
    """Kubernetes's own go.mod of `version`, from the module proxy."""
    said = subprocess.run(
        ["go", "mod", "download", "-json", f"{MODULE}@v{version}"],
        cwd=HERE,
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(json.loads(said.stdout)["GoMod"]).read_text(encoding="utf-8")


def write(version: str) -> Path:
    """Write and tidy the module of `version`; returns its folder."""
    minor = ".".join(version.split(".")[:2])
    folder = HERE / f"kubernetes-{minor}"
    folder.mkdir(exist_ok=True)
    names = sorted({name for pair in STAGED.findall(released(version)) for name in pair if name})
    beside = f"v0.{version.split('.', 1)[1]}"
    replaced = "".join(f"\t{name} => {name} {beside}\n" for name in names)
    module = f"module outrider.dev/e2e/kubernetes-{minor}\n\ngo 1.26.0\n\nrequire {MODULE} v{version}\n"
    (folder / "go.mod").write_text(f"{module}\nreplace (\n{replaced})\n", encoding="utf-8")
    imports = "\n".join(f'\t_ "{MODULE}/cmd/{program}"' for program in PROGRAMS)
    (folder / "tools.go").write_text(TOOLS.format(imports=imports), encoding="utf-8")
    subprocess.run(["go", "mod", "tidy"], cwd=folder, check=True)
    return folder


if __name__ == "__main__":
    print(write(sys.argv[1]))
