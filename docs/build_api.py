"""Writes docs/api.md, the reference of our kinds, from the tables that the CRDs are made of.

`PYTHONPATH=. python docs/build_api.py` writes it; a test checks that what is written is what the code says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from charts import field_words
from charts.build_crds import KINDS, crd
from charts.crd_schemas import LEFT, RULES, SHORT, object_of
from charts.crd_status import CONDITIONS, STATUS
from mesh.cel.access_policy import VARIABLES
from mesh.cel.cost import MAX_ROUNDS
from mesh.cel.expression import MAX_EXPRESSION, MAX_LOOPS, MAX_STEPS
from mesh.cel.functions import MAX_PROGRAM
from mesh.cel.values import MAX_CHARS, MAX_LEAVES
from mesh.policy.documents import API_VERSION

TARGET = Path(__file__).with_name("api.md")
EXAMPLES = Path(__file__).parents[1] / "charts" / "examples.yaml"
_HEAD = f"""# API reference

Written by `docs/build_api.py` from the tables that the CRDs are made of. What the fields mean together is in
[policy.md](policy.md). Every kind is of `{API_VERSION}`, namespaced, and in the category `outrider`:
`kubectl get outrider` shows them all.
"""
_STATUS_HEAD = """## Status

Both kinds have it; the control plane writes it. A client that knows the convention waits with
`kubectl wait --for=condition=Applied`.
"""
_STATUS_TYPES = {"array": "list"}
_VARIABLES_HEAD = """## Variables of expressions

CEL, with its strings extension and optional values (`args.?owner.orValue("")`). An expression of `arguments` has
one variable, `args`, the arguments of the call. Expressions of an XAccessPolicy have these:
"""
_BOUNDS = f"""What has no answer (a key that is not there, a comparison of unlike types) refuses, and so does
what could take long:

- an expression has at most {MAX_EXPRESSION} characters; `matches()` takes its pattern as a literal, of at most
  {MAX_PROGRAM} instructions of RE2; loops (`all`, `exists`, `map`, `filter`) stand at most {MAX_LOOPS} deep
  and run at most {MAX_ROUNDS:,} rounds;
- the variables that an expression reads have at most {MAX_LEAVES:,} members and {MAX_CHARS >> 20} MiB of text, no
  U+0000 and no integer beyond 64 bits;
- the steps that it may take for these values, bounded before it is asked, are at most {MAX_STEPS:,}: some 20 ms.
"""


def page() -> str:
    """The whole page."""
    examples = list(yaml.safe_load_all(EXAMPLES.read_text(encoding="utf-8")))
    lines = [_HEAD]
    for kind in KINDS:
        lines += _kind(kind, [one for one in examples if one["kind"] == kind])
    lines += [_STATUS_HEAD, *_table(("field", "type", "meaning"), _status()), ""]
    lines += [
        *_table(("condition", "meaning"), [(f"`{name}`", says) for name, says in CONDITIONS.items()]),
        "",
    ]
    rows = [(f"`{v.name}`", v.type.value, v.doc, f"`{v.example}`") for v in VARIABLES]
    lines += [
        _VARIABLES_HEAD,
        *_table(("variable", "type", "meaning", "example"), rows),
        "",
        _BOUNDS.rstrip(),
        "",
    ]
    return "\n".join(lines)


def _kind(kind: str, examples: list[dict[str, Any]]) -> list[str]:
    names = crd(kind)["spec"]["names"]
    spec = object_of(kind)
    rows = [
        (f"`{path}`", _type(field), _default(field, required), _said(field), _example(path, examples))
        for path, field, required in _fields(spec)
    ]
    return [
        f"## {kind}",
        "",
        f"{field_words.KINDS[kind]} `kubectl get {names['plural']}`, or `{names['shortNames'][0]}`.",
        "",
        *_table(("field of spec", "type", "default", "meaning", "example"), rows),
        "",
        "Between fields:",
        "",
        *_rules(spec),
        "",
        "```yaml",
        *yaml.safe_dump(examples[0], sort_keys=False, width=110).splitlines(),
        "```",
        "",
    ]


_AS_OUTBOUND = frozenset({"inbound[].guardrails", "inbound[].rateLimit"})
"""What is told once, of outbound rules."""


def _fields(spec: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Every field with its path, like `outbound[].tools.allow`, and whether it must be there."""
    for key, field in spec.get("properties", {}).items():
        below = f"{path}{key}"
        yield below, field, key in spec.get("required", ()) or _needed(spec, key)
        if below in _AS_OUTBOUND:
            continue
        if SHORT in field:
            yield from _fields(field[SHORT], f"{below}.")
        elif field.get("type") == "array":
            yield from _fields(field["items"], f"{below}[].")
        elif isinstance(field.get("additionalProperties"), dict):
            yield from _fields(field["additionalProperties"], f"{below}.*.")
        else:
            yield from _fields(field, f"{below}.")


def _needed(spec: dict[str, Any], key: str) -> bool:
    return any(rule["rule"] == f"has(self.{key})" for rule in spec.get(LEFT, ()))


def _type(field: dict[str, Any]) -> str:
    if SHORT in field:
        return f"{_type(field[SHORT]['properties']['action'])}, or object"
    match field.get("type"):
        case None if "enum" in field:
            return " or ".join(f"`{value}`" for value in field["enum"] if value is not False)
        case None:
            return "list of strings, or map of such lists"
        case "array":
            return f"list, at most {field['maxItems']}: {_type(field['items'])}"
        case "string" if "enum" in field:
            return " or ".join(f"`{value}`" for value in field["enum"])
        case "string" if "maxLength" in field:
            return f"string, up to {field['maxLength']} characters"
        case "integer" if "maximum" in field:
            return f"integer, {field['minimum']} to {field['maximum']}"
        case "number" if "maximum" in field:
            return f"number, {field['minimum']} to {field['maximum']}"
        case "object" if "additionalProperties" in field:
            return f"map of {'objects' if 'properties' in field['additionalProperties'] else 'strings'}"
        case other:
            return str(other)


def _said(field: dict[str, Any]) -> str:
    """The description as Markdown, to which stars mean something."""
    return str(field["description"]).replace("*", "\\*")


def _default(field: dict[str, Any], required: bool) -> str:
    return "required" if required else f"`{field['default']}`" if "default" in field else ""


def _example(path: str, examples: list[dict[str, Any]]) -> str:
    """The first value that the examples have there, where it is short."""
    found = (value for one in examples for value in _values(one["spec"], path.split(".")))
    value = min(found, key=lambda one: isinstance(one, dict), default=None)
    said = json.dumps(value, ensure_ascii=False)
    return f"`{said}`" if not isinstance(value, dict) and not _nested(value) else ""


def _nested(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict | list) for one in value)


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield value
        return
    key = path[0].removesuffix("[]")
    if isinstance(value, dict) and key == "*":
        for one in value.values():
            yield from _values(one, path[1:])
    elif isinstance(value, dict) and key in value:
        below = value[key]
        for one in below if path[0].endswith("[]") else [below]:
            yield from _values(one, path[1:])


def _rules(spec: dict[str, Any], path: str = "") -> list[str]:
    rules = [*spec.get(LEFT, ()), *spec.get(RULES, ())]
    found = [f"- {f'`{path}`: ' if path else ''}{rule['message']}" for rule in rules]
    for key, field in spec.get("properties", {}).items():
        below = f"{path}.{key}" if path else key
        if below in _AS_OUTBOUND:
            continue
        found += _rules(field, below)
        found += _rules(field["items"], f"{below}[]") if field.get("type") == "array" else []
    return found


def _status(status: dict[str, Any] = STATUS, path: str = "") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for key, field in status["properties"].items():
        rows.append((f"`{path}{key}`", _STATUS_TYPES.get(field["type"], field["type"]), field["description"]))
        if "properties" in field:
            rows += _status(field, f"{path}{key}.")
        elif "items" in field:
            rows += _status(field["items"], f"{path}{key}[].")
    return rows


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return [f"| {' | '.join(cells)} |" for cells in escaped]


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
