"""What the page on external detectors says can be used as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from mesh.policy.external_schema import ExternalKind
from mesh.policy.load import load_texts
from sidecar.guardrails.external.breaker import FAILURES, SECONDS
from sidecar.guardrails.external.formats import FORMATS
from sidecar.telemetry import names

PAGE = (Path(__file__).parents[4] / "docs" / "external-detectors.md").read_text(encoding="utf-8")


def test_the_example_is_sound() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    documents = load_texts([("page", example)])
    (processor,) = documents.policies[0].outbound[0].guardrails.processors
    assert processor.name == "judge"


def test_every_format_is_there_and_on_the_page() -> None:
    assert FORMATS.keys() == {one.value for one in ExternalKind}
    for kind in FORMATS:
        assert f"`{kind}`" in PAGE


def test_figures_and_names_are_those_of_the_code() -> None:
    assert (FAILURES, SECONDS) == (5, 10.0)
    assert names.GUARD_EXTERNAL.name in PAGE
    assert names.GUARD_EXTERNAL_SECONDS.name in PAGE
