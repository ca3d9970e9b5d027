"""The API reference is what the tables say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from charts.build_crds import KINDS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def build_api() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_api", ROOT / "docs" / "build_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_tables_say(build_api: ModuleType) -> None:
    written = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert written == build_api.page(), "run PYTHONPATH=. python docs/build_api.py"


def test_each_scalar_field_has_an_example(build_api: ModuleType) -> None:
    rows = [
        line for line in build_api.page().splitlines() if line.startswith("| `") and line.count(" | ") == 4
    ]
    assert len(rows) > 30
    for row in rows:
        _, kind, _, _, example = (
            row.strip("| ").split(" | ") if not row.endswith("|  |") else (*row.split(" | ")[:4], "")
        )
        assert example or kind.startswith(("object", "map", "list"))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_section(build_api: ModuleType, kind: str) -> None:
    assert f"\n## {kind}\n" in build_api.page()
