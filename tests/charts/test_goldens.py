"""What the chart renders, recorded: values/NAME.yaml becomes goldens/NAME.yaml; `ha` is the chart's own file.

With OUTRIDER_REGENERATE=1 in the environment the expected files are written anew; read the difference before you
commit it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

HERE = Path(__file__).parent
GOLDENS = HERE / "goldens"
VALUES = {path.stem: path for path in (HERE / "values").glob("*.yaml")}
VALUES["ha"] = HERE.parents[1] / "charts" / "outrider" / "values-ha.yaml"
CASES = sorted(VALUES)

# Kinds of others, whose schemas nobody has here; that of a CRD is checked in test_crds.
FOREIGN = {"Certificate", "Issuer", "PodMonitor"}
# Kinds that Kubernetes 1.29 does not have in this version; the chart leaves them out there.
SINCE_1_30 = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def values_of(case: str) -> dict[str, Any]:
    return yaml.safe_load(VALUES[case].read_text(encoding="utf-8"))


def expect(path: Path, actual: str) -> None:
    if os.environ.get("OUTRIDER_REGENERATE"):
        path.write_text(actual, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == actual


@pytest.mark.parametrize("case", CASES)
def test_manifests_come_out_as_recorded(case, render) -> None:
    files = sorted(render(values_of(case)).items())
    texts = [f"# Source: {name}\n{text.strip()}\n" for name, text in files if text.strip()]
    # The CRDs depend on two values only; once is enough.
    shown = [text for text in texts if "/crds/" not in text or case == "default"]
    expect(GOLDENS / f"{case}.yaml", "---\n".join(shown))


def test_every_golden_belongs_to_values() -> None:
    assert {path.stem for path in GOLDENS.iterdir()} == set(CASES)


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("case", CASES)
def test_every_object_is_what_kubernetes_takes(case, version, manifests) -> None:
    for one in manifests(values_of(case)):
        if one["kind"] in FOREIGN or (version == "1.29" and one["kind"] in SINCE_1_30):
            continue
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("case", CASES)
def test_every_object_can_be_found_by_its_label(case, manifests) -> None:
    for one in manifests(values_of(case)):
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "outrider", one["metadata"]["name"]


@pytest.mark.parametrize("case", CASES)
def test_no_object_holds_a_certificate_or_a_secret(case, manifests) -> None:
    for one in manifests(values_of(case)):
        assert "caBundle" not in str(one)
        if one["kind"] == "Secret":
            assert not one.keys() & {"data", "stringData"}
        if one["kind"] == "Lease":
            assert "spec" not in one
