"""The CRDs are what the loader's tables say, and take every policy that the documentation shows."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from charts.build_crds import KINDS, crd, files, schema
from charts.crd_schemas import KEPT, OBJECTS, RULES, SHORT, object_of, schema_of
from charts.crd_status import CONDITIONS, STATUS
from charts.field_words import WORDS
from mesh.policy import PolicyInvalid, load_objects, read_object_alone
from tests.support.crd_checks import faults
from tests.support.refused_documents import (
    LEFT,
    LEFT_CREDENTIALS,
    REFUSED,
    REFUSED_CREDENTIALS,
    refused_document,
)

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FILES = sorted(ROOT.glob("cli/**/*.yaml"))
EXAMPLES = list(yaml.safe_load_all((ROOT / "charts" / "examples.yaml").read_text(encoding="utf-8")))


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
def test_the_crd_takes_what_the_documentation_shows(document: dict[str, Any]) -> None:
    try:
        read_object_alone(document)
    except PolicyInvalid:
        return  # A page shows mistakes too.
    assert faults(document) == []


def named(schema_: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field below a schema, like `.outbound[].tools.allow`."""
    for key, below in schema_.get("properties", {}).items():
        yield f"{path}.{key}", below
        yield from named(below.get(SHORT, below), f"{path}.{key}")
    if isinstance(schema_.get("items"), dict):
        yield from named(schema_["items"], f"{path}[]")


def written(value: Any, path: str = "") -> Iterator[str]:
    """Every field that a document uses."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield f"{path}.{key}"
            yield from written(below, f"{path}.{key}")
    elif isinstance(value, list):
        for one in value:
            yield from written(one, f"{path}[]")


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_has_a_type_words_and_an_example(kind: str) -> None:
    used = {path for one in EXAMPLES if one["kind"] == kind for path in written(one["spec"])}
    for path, field in named(object_of(kind)):
        several = SHORT in field or "enum" in field or path.endswith(".statements")
        assert field.get("type") or several, f"no table tells what {path} takes"
        assert field.get("description", "").endswith((".", "…")), f"{path} is not described"
        assert path in used, f"{path} is in none of charts/examples.yaml"


def test_no_words_are_about_fields_that_there_are_not() -> None:
    assert {name: set(words) for name, words in WORDS.items()} == {
        name: set(fields) for name, fields in OBJECTS.items()
    }


def test_the_examples_are_valid_together_and_alone() -> None:
    assert len(load_objects(EXAMPLES).backends) + len(load_objects(EXAMPLES).policies) == len(EXAMPLES)
    for document in EXAMPLES:
        assert faults(document) == []


def sizeless(schema_: Any, path: str = "") -> Iterator[str]:
    if not isinstance(schema_, dict):
        return
    match schema_.get("type"):
        case "array" if "maxItems" not in schema_:
            yield path
        case "string" if not {"maxLength", "enum", "format"} & schema_.keys():
            yield path
    for key, below in schema_.items():
        yield from sizeless(below, f"{path}.{key}")


@pytest.mark.parametrize("kind", KINDS)
def test_everything_has_a_size_so_that_the_cost_of_rules_is_bounded(kind: str) -> None:
    assert not [*sizeless(schema(kind)["properties"]["spec"])]
    assert not [*sizeless(STATUS)]


@pytest.mark.parametrize(
    ("kind", "wrong", "spec", "word"),
    [*REFUSED, *REFUSED_CREDENTIALS],
    ids=[f"{k}: {n}" for k, n, *_ in (*REFUSED, *REFUSED_CREDENTIALS)],
)
def test_what_the_crd_refuses_the_loader_refuses_too(kind: str, wrong: str, spec: Any, word: str) -> None:
    document = refused_document(kind, spec)
    assert any(word in fault for fault in faults(document)), wrong
    with pytest.raises(PolicyInvalid):
        read_object_alone(document)


@pytest.mark.parametrize(
    ("kind", "wrong", "spec", "word"),
    [*LEFT, *LEFT_CREDENTIALS],
    ids=[f"{k}: {n}" for k, n, *_ in (*LEFT, *LEFT_CREDENTIALS)],
)
def test_what_may_be_misspelt_is_left_to_the_loader_which_says_everything(
    kind: str, wrong: str, spec: Any, word: str
) -> None:
    document = refused_document(kind, spec)
    assert faults(document) == [], wrong
    with pytest.raises(PolicyInvalid) as invalid:
        read_object_alone(document)
    assert word in str(invalid.value)


# fmt: off
ODD = st.sampled_from([
    None, True, 0, 1, 65536, 1.5, "", "*", "a", "A", "**", "a*b?", "/", "/a//b", "/./", "/...", "allow", "deny",
    "Mesh", "None", "TCP", "*.a.b", "a.", "::1", "1.2.3.4", "K", "é", "a\n", "a\x7f*", "[]", "{}", [], {}, [1],
    "spiffe://a/b", "spiffe://a", "spiffe://a/*", "unauthenticated", "tools/github", "args.x == 1",
]) | st.text(alphabet="aA0*?./-_: \n\x01é", max_size=12)
# fmt: on


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a document: what holds it, and its key or index."""
    for key, below in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(below, dict | list):
            yield from spots(below)


@settings(max_examples=600, deadline=None)
@given(which=st.sampled_from(EXAMPLES), data=st.data())
def test_the_crd_never_refuses_what_the_loader_accepts(which: dict[str, Any], data: st.DataObject) -> None:
    document = copy.deepcopy(which)
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from([*spots(document["spec"])] or [(document["spec"], "path")]))
        match data.draw(st.sampled_from(["change", "remove", "swap"])):
            case "remove" if not isinstance(holder, list):
                holder.pop(key, None)
            case "swap":
                other = data.draw(
                    st.sampled_from([value[at] for one in EXAMPLES for value, at in spots(one["spec"])])
                )
                holder[key] = copy.deepcopy(other)
            case _:
                holder[key] = copy.deepcopy(data.draw(ODD))
    refused = faults(document)
    if refused:
        with pytest.raises(PolicyInvalid):
            read_object_alone(document)


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
    look({"properties": {"spec": whole["properties"]["spec"]}})


def test_rules_between_fields_say_what_is_wrong() -> None:
    parts = [
        part for kind in KINDS for _, field in named(schema(kind)) for part in (field, field.get("items", {}))
    ]
    rules = [rule for part in parts for rule in part.get(RULES, ())]
    assert rules
    assert all(rule["message"] and len(rule["message"]) < 200 for rule in rules)


@pytest.mark.parametrize("kind", KINDS)
def test_the_status_has_conditions_and_counts(kind: str) -> None:
    (version,) = crd(kind)["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    status = {
        "observedGeneration": 3,
        "applied": {"current": 3, "total": 3},
        "appliedTo": "3/3",
        "conditions": [
            {
                "type": name,
                "status": "True",
                "reason": "Accepted",
                "message": "",
                "observedGeneration": 3,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            for name in CONDITIONS
        ],
    }
    document = next(one for one in EXAMPLES if one["kind"] == kind)
    assert faults({**document, "status": status}) == []
    assert faults({**document, "status": {**status, "applied": {"current": -1, "total": 3}}})
    assert faults({**document, "status": {"conditions": [{"type": "Accepted"}]}})


def test_short_names_are_nobody_elses() -> None:
    """Those of Kubernetes, Gateway API, and Envoy Gateway, whose Backend is `be`."""
    taken = (
        "be bc btls csr cm cs crd ds deploy ep eg ev gc gtw hpa ing limits netpol no ns pdb po pv pvc quota"
    )
    short = [name for kind in KINDS for name in crd(kind)["spec"]["names"]["shortNames"]]
    assert not set(short) & set(f"{taken} rc rs sa sc sts svc va cj ip pc vac vap xbackend".split())
    assert len(set(short)) == len(short)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_default_says_is_what_an_absent_field_means(kind: str) -> None:
    for document in (one for one in EXAMPLES if one["kind"] == kind):
        filled = copy.deepcopy(document)
        fill(schema(kind)["properties"]["spec"], filled["spec"])
        one, other = load_objects([document]), load_objects([filled])
        assert repr(one) == repr(other)


def fill(schema_: dict[str, Any], value: Any) -> None:
    """Set defaults, as the API server does."""
    if isinstance(value, list):
        for one in value:
            fill(schema_.get("items", {}), one)
    elif isinstance(value, dict):
        for key, below in schema_.get("properties", {}).items():
            if "default" in below:
                value.setdefault(key, below["default"])
            if key in value:
                fill(below, value[key])


def test_a_reader_that_no_table_tells_takes_anything() -> None:
    assert schema_of(lambda node, place: None) == {KEPT: True}


def test_helm_renders_them_as_they_are(manifests) -> None:
    rendered = {
        one["metadata"]["name"]: one["spec"] for one in manifests() if one["kind"].startswith("CustomRes")
    }
    assert rendered == {crd(kind)["metadata"]["name"]: crd(kind)["spec"] for kind in KINDS}


def test_crds_outlive_the_release_unless_told_otherwise(manifests) -> None:
    for values, expected in (({}, "keep"), ({"crds": {"keep": False}}, None)):
        crds = [one for one in manifests(values) if one["kind"] == "CustomResourceDefinition"]
        assert len(crds) == len(KINDS)
        for one in crds:
            assert one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == expected
    assert "CustomResourceDefinition" not in {one["kind"] for one in manifests({"crds": {"install": False}})}
