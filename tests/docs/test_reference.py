"""What the documentation says is what the code does."""

from __future__ import annotations

import importlib.util
import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.identity.ca import make_authority
from mesh.policy.load import load_texts
from mesh.reasons import SENTENCES, Reason, admission, connections, messages, policy
from mesh.settings.table import CONFIG_MAP_POLICIES
from sidecar.config import load_config
from sidecar.limits import Limits
from sidecar.telemetry.names import METRICS
from webhook.admission.judge_documents import judge
from webhook.admission.outcome import Refusal
from webhook.admission.settings import InjectionSettings

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
    rooms = (policy, messages, connections, admission)
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


def test_the_readme_puts_its_policy_where_sidecars_read_it() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    section = page.partition("\n## A policy\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(\w*)\n(.*?)```", section, re.DOTALL)
    (documents,) = [block for kind, block in blocks if kind == "yaml"]
    (commands,) = [block for kind, block in blocks if not kind]
    assert documents.startswith("# policies.yaml\n")
    assert f"configmap {InjectionSettings().policy_config_map} --from-file=policies.yaml" in commands
    assert f"{CONFIG_MAP_POLICIES.name}=true" in commands
    config_map = {
        "metadata": {"name": "outrider-policies", "labels": {CONFIG_MAP_POLICIES.name: "true"}},
        "data": {"policies.yaml": documents},
    }
    kind = {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert not isinstance(judge({"operation": "CREATE", "kind": kind, "object": config_map}), Refusal)
