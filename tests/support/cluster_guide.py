"""The files of docs/use-on-a-cluster.md, and what injection makes of its workloads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace
from webhook.admission.settings import InjectionSettings

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "use-on-a-cluster.md"
PAGE = GUIDE.read_text(encoding="utf-8")
FILES: dict[str, str] = dict(re.findall(r"<!-- file: (\S+) -->\n```yaml\n(.*?)```", PAGE, re.DOTALL))
VALUES = sorted(name for name in FILES if name.startswith("values"))
MANIFESTS = sorted(name for name in FILES if name not in VALUES)


def documents(name: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(FILES[name]) if document]


def objects() -> list[dict[str, Any]]:
    return [document for name in MANIFESTS for document in documents(name)]


def the(kind: str, namespace: str, name: str | None = None) -> dict[str, Any]:
    (found,) = (
        one
        for one in objects()
        if one["kind"] == kind
        and one["metadata"].get("namespace") == namespace
        and name in (None, one["metadata"]["name"])
    )
    return found


def injected(namespace: str, settings: InjectionSettings | None = None) -> Injection:
    labels = the_namespace(namespace)["metadata"]["labels"]
    template = the("Deployment", namespace)["spec"]["template"]
    became = inject(template, Namespace(namespace, labels), settings or InjectionSettings())
    assert isinstance(became, Injection), became
    return became


def the_namespace(name: str) -> dict[str, Any]:
    return next(one for one in objects() if one["kind"] == "Namespace" and one["metadata"]["name"] == name)


def changed_policies() -> str:
    """`agent-policies.yaml` with the change that the page tells of: another last line."""
    written = FILES["agent-policies.yaml"].rstrip().splitlines()
    told = re.search(r"make the last line\s+`(tools: .*?)`", PAGE)
    assert told is not None
    *lines, last = written
    assert last.strip().startswith("tools: ")
    return "\n".join([*lines, last[: len(last) - len(last.lstrip())] + told[1], ""])


def shown(command: str) -> list[str]:
    """What the page shows after a command, line by line."""
    found = re.search(rf"\$ {re.escape(command)}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1].splitlines()
