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


def policy_folder(folder: Path) -> Path:
    """What the control plane serves: in a cluster, what the API server holds."""
    return folder / "policies"


def policy_file(folder: Path, workload: Workload) -> Path:
    """Where the policy file of `workload` lies in the demo's folder."""
    return policy_folder(folder) / f"{workload.name}.yaml"


def write_policies(folder: Path, texts: Mapping[str, str]) -> None:
    """Write each workload's policy file below `folder`."""
    policy_folder(folder).mkdir(parents=True, exist_ok=True)
    for workload in WORKLOADS:
        replace_policy(folder, workload, texts[workload.name])


def replace_policy(folder: Path, workload: Workload, text: str) -> None:
    """Have the policy file of `workload` hold `text`, so that nobody ever reads half of it."""
    path = policy_file(folder, workload)
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def without(text: str, tool: str) -> str:
    """A policy file in which the first list of tools does not hold `tool` any more."""
    return text.replace(f", {tool}", "", 1)


def misspelt(text: str) -> str:
    """A policy file with a slip of the pen in it."""
    return text.replace("tools:", MISSPELT, 1)


MISSPELT = "tolls:"


def write_pods(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Write the pod as its developer wrote it and as it left admission."""
    for name, document in (("pod.yaml", before), ("pod-injected.yaml", after)):
        (folder / name).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _text(name: str) -> str:
    return files("cli.demo").joinpath("yaml", name).read_text(encoding="utf-8")
