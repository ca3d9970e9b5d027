"""The CRDs are what the loader's tables say, and take every policy that the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from charts.build_crds import KEPT, KINDS, crd, files, schema_of
from webhook.admission.settings import InjectionSettings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FILES = sorted(ROOT.glob("cli/**/*.yaml"))


def schema(kind: str) -> dict[str, Any]:
    (version,) = crd(kind)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def documents() -> list[Any]:
    found = []
    blocks = [
        (page.name, block)
        for page in PAGES
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    blocks += [(path.name, path.read_text(encoding="utf-8")) for path in FILES]
    for name, block in blocks:
        for document in yaml.safe_load_all(block):
            if isinstance(document, dict) and document.get("kind") in KINDS:
                found.append(pytest.param(document, id=f"{name}-{document['metadata']['name']}"))
    return found


def test_the_files_are_what_the_tables_say() -> None:
    for path, content in files().items():
        assert path.read_text(encoding="utf-8") == content, "run python -m charts.build_crds"
    assert set(files()) == set(next(iter(files())).parent.iterdir())


@pytest.mark.parametrize("document", documents())
def test_the_schema_takes_what_the_documentation_shows(document) -> None:
    jsonschema.Draft202012Validator(schema(document["kind"])).validate(document)


@pytest.mark.parametrize(
    ("kind", "spec", "place"),
    [
        ("Backend", {"protocol": "MCP", "host": "a", "port": 70000, "tls": {}}, "port"),
        ("Backend", {"protocol": "GOPHER", "host": "a", "port": 1, "tls": {}}, "protocol"),
        ("Backend", {"protocol": "MCP", "port": 1, "tls": {}}, "host"),
        ("Backend", {"protocol": "MCP", "host": "a", "port": 1, "tls": {"mode": "Maybe"}}, "tls"),
        ("AgentPolicy", {"mode": "dream"}, "mode"),
        ("AgentPolicy", {"outbound": [{"tools": {"allow": ["*"]}}]}, "backend"),
        ("AgentPolicy", {"outbound": [{"backend": "a", "tools": {"deny": ["x"]}}]}, "allow"),
        ("AgentPolicy", {"inbound": [{"from": []}]}, "from"),
    ],
)
def test_the_schema_refuses_what_the_tables_refuse(kind, spec, place) -> None:
    with pytest.raises(jsonschema.ValidationError, match=place):
        jsonschema.Draft202012Validator(schema(kind)).validate({"spec": spec})


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_later_version_says_is_kept_for_the_loader_to_refuse(kind) -> None:
    """Dropped in silence, a `deny` of a later version would leave its policy with more than it grants."""

    def look(part: object) -> None:
        if isinstance(part, dict):
            if part.get("type") == "object" and "properties" in part and part is not whole:
                assert part.get(KEPT) is True
            for below in part.values():
                look(below)

    whole = schema(kind)
    look(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_the_kinds_say_that_sidecars_read_a_config_map_instead(kind) -> None:
    """`kubectl explain` shows it, where a warning at creation reached a pipeline that nobody reads."""
    description = schema(kind)["description"]
    assert InjectionSettings().policy_config_map in description
    assert "no effect yet" in description


def test_a_reader_that_no_table_tells_takes_anything() -> None:
    assert schema_of(lambda node, place: None) == {KEPT: True}


def test_crds_outlive_the_release_unless_told_otherwise(manifests) -> None:
    for values, expected in (({}, "keep"), ({"crds": {"keep": False}}, None)):
        crds = [one for one in manifests(values) if one["kind"] == "CustomResourceDefinition"]
        assert len(crds) == len(KINDS)
        for one in crds:
            assert one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == expected
    assert "CustomResourceDefinition" not in {one["kind"] for one in manifests({"crds": {"install": False}})}
