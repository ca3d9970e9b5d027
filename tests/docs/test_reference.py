"""What the documentation says is what the code does."""

from __future__ import annotations

import importlib.util
import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from mesh.identity.ca import make_authority
from mesh.policy.load import load_texts
from mesh.reasons import SENTENCES, Reason, admission, connections, credentials, guardrails, messages, policy
from sidecar.config import load_config
from sidecar.limits import Limits
from sidecar.telemetry.names import METRICS
from webhook.admission.judge_documents import judge
from webhook.admission.outcome import Refusal

ROOT = Path(__file__).parents[2]
ROOTS = ssl.DER_cert_to_PEM_cert(make_authority("test.mesh", datetime.now(UTC), timedelta(days=1)).der)


def test_the_reference_page_is_what_the_tables_say() -> None:
    spec = importlib.util.spec_from_file_location("build_reference", ROOT / "docs" / "build_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == module.reference(), "run python docs/build_reference.py"


def test_every_reason_has_a_sentence() -> None:
    assert SENTENCES.keys() == set(Reason)
    rooms = (policy, credentials, guardrails, messages, connections, admission)
    assert sum(len(room.SENTENCES) for room in rooms) == len(Reason)
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


def test_metric_names_are_distinct_and_follow_the_conventions() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith("outrider_")
        assert metric.name.endswith("_total") is (metric.kind == "counter")


@pytest.mark.parametrize("page", ["README.md", "docs/sidecar.md"])
def test_the_examples_of_a_page_are_valid(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for number, block in enumerate(blocks):
        if "apiVersion:" in block:
            load_texts([(f"{page}[{number}]", block)])
            continue
        path = tmp_path / "sidecar.yaml"
        path.write_text(block, encoding="utf-8")
        (tmp_path / "roots.pem").write_text(ROOTS, encoding="ascii")
        config = load_config(path, {})
        assert config.limits == Limits()


def test_the_readmes_policy_is_taken_as_resources_of_the_cluster() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    section = page.partition("\n## A policy\n")[2].partition("\n## ")[0]
    (documents,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert documents.startswith("# policies.yaml\n")
    assert "kubectl -n agents apply -f policies.yaml" in section
    for one in yaml.safe_load_all(documents):
        kind = {"group": "outrider.dev", "version": "v1alpha1", "kind": one["kind"]}
        assert not isinstance(judge({"operation": "CREATE", "kind": kind, "object": one}), Refusal)
