"""What users write: the YAML files of the demo, one per workload and one pod."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from cli.demo.cast import WORKLOADS, Workload


def policies() -> dict[str, str]:
    """The text of each workload's policy file, by workload name."""
    return {workload.name: _text(f"{workload.name}.yaml") for workload in WORKLOADS}


def pod() -> dict[str, Any]:
    """The agent's pod as its developer wrote it: not a word of Outrider."""
    found: dict[str, Any] = yaml.safe_load(_text("pod.yaml"))
    return found


def policy_file(folder: Path, workload: Workload) -> Path:
    """Where the policy file of `workload` lies in the demo's folder."""
    return folder / "policies" / f"{workload.name}.yaml"


def write_policies(folder: Path, texts: Mapping[str, str]) -> None:
    """Write each workload's policy file below `folder`."""
    for workload in WORKLOADS:
        path = policy_file(folder, workload)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[workload.name], encoding="utf-8")


def write_pods(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Write the pod as its developer wrote it and as it left admission."""
    for name, document in (("pod.yaml", before), ("pod-injected.yaml", after)):
        (folder / name).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _text(name: str) -> str:
    return files("cli.demo").joinpath("yaml", name).read_text(encoding="utf-8")
