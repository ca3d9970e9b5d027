"""Writes docs/reference.md from the tables in the code: limits, metrics, reason codes.

`python docs/build_reference.py` writes it; a test checks that what is written is what the code says.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from pathlib import Path

from mesh.reasons import Reason
from sidecar import limits
from sidecar.limits import Limits, setting_name
from sidecar.telemetry.names import METRICS
from webhook.admission.metrics import TABLE as CONTROL_PLANE

TARGET = Path(__file__).with_name("reference.md")


def reference() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# Reference",
            "",
            "Written by `docs/build_reference.py` from the tables in the code.",
            "",
            "## Limits",
            "",
            "Under `limits:` in the sidecar's file. Sizes are bytes, times are seconds.",
            "",
            *_table(("name", "default", "meaning"), _limits()),
            "",
            "## Metrics",
            "",
            "Prometheus text at `/metrics` of the telemetry port.",
            "",
            "### Of the sidecar",
            "",
            *_table(("name", "kind", "labels", "meaning"), _metrics()),
            "",
            "### Of the control plane",
            "",
            *_table(("name", "kind", "labels", "meaning"), _control_plane_metrics()),
            "",
            "## Reason codes",
            "",
            "In decision logs, in the `reason` label of metrics, and in the `data` of JSON-RPC errors.",
            "",
            *_table(("code", "meaning"), [(f"`{reason}`", reason.sentence) for reason in Reason]),
            "",
        ]
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return [f"| {' | '.join(cells)} |" for cells in escaped]


def _limits() -> list[tuple[str, ...]]:
    docs = _field_docs()
    defaults = Limits()
    return [
        (f"`{setting_name(f.name)}`", f"{getattr(defaults, f.name)}".removesuffix(".0"), docs[f.name])
        for f in fields(Limits)
    ]


def _field_docs() -> dict[str, str]:
    """The text that stands below each field of Limits."""
    body = ast.parse(inspect.getsource(limits)).body
    (cls,) = [node for node in body if isinstance(node, ast.ClassDef)]
    docs: dict[str, str] = {}
    for field, text in zip(cls.body, cls.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(text, ast.Expr)  # noqa: S101 - every limit is documented
            docs[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return docs


def _metrics() -> list[tuple[str, ...]]:
    return [(f"`{m.name}`", m.kind, ", ".join(m.labels), m.help) for m in METRICS]


def _control_plane_metrics() -> list[tuple[str, ...]]:
    return [(f"`{row.name}`", row.type, ", ".join(row.labels), row.help) for row in CONTROL_PLANE]


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
