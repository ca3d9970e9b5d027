"""`outrider pin`: digests to paste, and what differs from what was approved."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import main
from mesh.pins.digest import set_digest, tool_digest
from mesh.policy.load import load_texts
from tests.cli.policy.test_live_tools import legacy, modern, serving

TOOLS: list[dict[str, Any]] = [
    {"name": "get_issue", "description": "Reads an issue.", "inputSchema": {"type": "object"}},
    {"name": "pay", "description": "Pays.", "inputSchema": {"type": "object"}},
]
BACKEND = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec: {{protocol: MCP, host: {name}.tools.svc, port: 1, tls: {{mode: None}}, pin: {pin}}}
---
"""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps({"tools": TOOLS}, indent=2), encoding="utf-8")
    return path


def other(path: Path, *tools: dict[str, Any]) -> str:
    target = path.with_name("other.json")
    target.write_text(json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}), encoding="utf-8")
    return str(target)


def backend(path: Path, *pins: tuple[str, object]) -> str:
    target = path.with_name("backends.yaml")
    target.write_text("".join(BACKEND.format(name=n, pin=json.dumps(p)) for n, p in pins), encoding="utf-8")
    return str(target)


def pin(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["pin", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[tuple[str, str, str]]]:
    code, out, _ = pin(capsys, *arguments, "-o", "json")
    return code, [(one["kind"], one["tool"], one["what"]) for one in json.loads(out)["differences"]]


def test_what_is_printed_can_be_pasted(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = pin(capsys, str(saved))
    assert (code, err) == (0, "")
    assert out.startswith(f"# 2 tools of {saved}\n")
    printed = yaml.safe_load(out)["spec"]["pin"]
    assert printed["tools"] == {one["name"]: tool_digest(one) for one in TOOLS}
    assert printed["digest"] == set_digest(map(tool_digest, TOOLS))
    document = BACKEND.format(name="a", pin=json.dumps(printed))
    (loaded,) = load_texts([("a.yaml", document)]).backends
    assert loaded.pin is not None
    assert dict(loaded.pin.tools) == printed["tools"]


@pytest.mark.parametrize("server", [modern, legacy])
def test_a_running_server_is_asked_for_every_page(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(server) as url:
        code, out, _ = pin(capsys, url)
        assert code == 0
        assert list(yaml.safe_load(out)["spec"]["pin"]["tools"]) == ["get_issue", "list_issues"]
        assert pin(capsys, url, "--against", url)[0] == 0


@pytest.mark.parametrize("shape", ["result", "answer", "pages", "tools"])
def test_saved_lists_have_several_shapes(
    shape: str, tmp_path: Path, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value: Any = {
        "result": {"tools": TOOLS},
        "answer": {"jsonrpc": "2.0", "id": 1, "result": {"tools": TOOLS}},
        "pages": [{"tools": TOOLS[:1], "nextCursor": "1"}, {"tools": TOOLS[1:]}],
        "tools": TOOLS,
    }[shape]
    path = tmp_path / "shape.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    assert found(capsys, str(path), "--against", str(saved)) == (0, [])


def test_nothing_differs(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = pin(capsys, str(saved), "--against", str(saved))
    assert code == 0
    assert out.startswith("nothing differs: 2 tools,")


def test_differences_are_told_for_each_tool(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = other(
        saved,
        {**TOOLS[0], "description": "Reads\u00a0an issue."},
        {**TOOLS[1], "name": "transfer"},
        {**TOOLS[0], "name": "get_\u0456ssue", "description": "Sends."},
        {"name": "refund"},
    )
    code, told = found(capsys, now, "--against", str(saved))
    assert code == 1
    assert sorted(told) == [
        ("added", "refund", tool_digest({"name": "refund"})),
        ("changed", "get_issue", 'description: "Reads an issue." -> "Reads\\u{a0}an issue."'),
        ("look-alike", "get_\u0456ssue", "like get_issue, but for letters that look like others"),
        ("renamed", "transfer", "was pay; all but the name is the same"),
    ]
    code, out, err = pin(capsys, now, "--against", str(saved))
    assert "get_\\u{456}ssue" in out.replace("\n", "")
    assert 'tool "get_\\u{456}ssue" is like "get_issue", but for letters that look like others' in err


def test_what_is_gone_is_told(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = other(saved, TOOLS[0])
    assert found(capsys, now, "--against", str(saved)) == (1, [("removed", "pay", "no longer offered")])


def test_a_backend_is_compared_by_its_digests(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digests = {one["name"]: tool_digest(one) for one in TOOLS}
    whole = set_digest(digests.values())
    several = backend(
        saved,
        ("tools", {"mode": "Approved", "tools": {**digests, "pay": digests["get_issue"]}}),
        ("set", {"mode": "Approved", "digest": whole}),
        ("another", {"mode": "Approved", "digest": digests["pay"]}),
        ("first", {"mode": "FirstUse"}),
    )
    ask = (str(saved), "--against", several, "--backend")
    assert found(capsys, *ask, "tools") == (
        1,
        [("changed", "pay", f"{digests['get_issue']} -> {digests['pay']}")],
    )
    assert found(capsys, *ask, "set") == (0, [])
    assert found(capsys, *ask, "another") == (1, [("set", "", f"{digests['pay']} -> {whole}")])


def test_two_tools_of_one_name_are_nothing_to_approve(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = pin(capsys, other(saved, TOOLS[0], {**TOOLS[0], "description": "Other."}))
    assert code == 1
    assert 'two tools are called "get_issue"; a sidecar hides both' in err


def test_standard_input_is_read(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(saved.read_bytes())))
    assert pin(capsys, "-", "--against", str(saved))[0] == 0


def test_a_set_without_tools_has_only_a_digest_and_would_hide_everything(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = pin(capsys, other(saved))
    assert code == 1
    assert "offers no tools; approved like this, every tool would be hidden" in err
    assert yaml.safe_load(out)["spec"]["pin"] == {"mode": "Approved", "digest": set_digest([])}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"tools": [{"name": "a", "name": "b"}]}', "is no JSON that a sidecar takes"),
        ('{"tools": 1}', "expected a tools/list result"),
        ("[1]", "expected a tools/list result"),
        ('{"tools": [{"name": 1}]}', "a tool has no name"),
    ],
)
def test_what_is_no_list_is_told(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    code, _, err = pin(capsys, str(path))
    assert code == 2
    assert told in err


def test_other_mistakes_are_told(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = backend(saved, ("a", {"mode": "FirstUse"}), ("b", {"mode": "FirstUse"}))
    for arguments, told in (
        (("-", "--against", "-"), "only one of both"),
        ((str(saved), "--against", two), "has several (a, b); choose one with --backend"),
        ((str(saved), "--against", two, "--backend", "c"), "has no Backend c with a pin"),
        ((str(saved), "--against", two, "--backend", "a"), "Backend a approves nothing (mode FirstUse)"),
        ((str(saved) + "x",), "cannot be read"),
        ((str(saved), "--header", "x"), "is not --header NAME=VALUE"),
    ):
        code, _, err = pin(capsys, *arguments)
        assert code == 2
        assert told in err
