"""Writes into the chart's values.schema.json what the tables in the code say: limits, annotations, allowances.

`python -m charts.build_schema` writes it; a test checks that what is written is what the code says. The rest of
the schema is written by hand. A name that is refused here would otherwise be refused by a control plane that does
not start, or by every sidecar.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mesh.settings.table import PREFIX
from mesh.settings.values import Choice
from sidecar.limits import LIMIT_NAMES
from webhook.admission.parameters import PARAMETERS
from webhook.admission.permission import PERMISSIONS

TARGET = Path(__file__).parent / "outrider" / "values.schema.json"
Schema = dict[str, Any]


def sections() -> dict[str, Schema]:
    """The sections of `settings` that tables tell, by name."""
    limit = {"type": "number", "minimum": 0}
    return {
        "allow": {"type": "array", "items": {"type": "string", "enum": sorted(PERMISSIONS)}},
        "defaults": _closed(
            {setting.name.removeprefix(PREFIX): _value(setting.values) for setting in PARAMETERS}
        ),
        "limits": _closed(dict.fromkeys(LIMIT_NAMES, limit)),
    }


def _value(values: object) -> Schema:
    return {"type": "string", "enum": [*values.values]} if isinstance(values, Choice) else {"type": "string"}


def _closed(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def updated(text: str) -> str:
    """The schema with those sections as the code says."""
    schema = json.loads(text)
    schema["properties"]["settings"]["properties"].update(sections())
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(updated(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
