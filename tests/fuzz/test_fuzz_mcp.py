"""MCP under arbitrary params, results and headers: only McpRefused escapes, and nothing named stays unseen."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.protocol.http1.heads import Headers
from mesh.protocol.jsonrpc import classify
from mesh.protocol.mcp.errors import McpRefused
from mesh.protocol.mcp.headers import check_headers, decode_value, mirror_headers
from mesh.protocol.mcp.lists import filter_result
from mesh.protocol.mcp.methods import METHODS
from mesh.protocol.mcp.server_requests import input_requests
from mesh.protocol.mcp.subjects import Subject, subjects
from mesh.protocol.mcp.tasks import created_task, task_ids
from mesh.protocol.mcp.versions import body_version, era
from tests.support.fuzzing import examples

words = st.sampled_from(
    ["a", "secret", "tools/call", "ref/prompt", "ref/resource", "x:{y}", "2026-07-28", "2099-01-01", ""]
)
leaves = st.none() | st.booleans() | st.integers() | words | st.text(max_size=3)
keys = st.sampled_from(
    [
        *(
            "name",
            "Name",
            "uri",
            "uriTemplate",
            "ref",
            "type",
            "arguments",
            "notifications",
            "resourceSubscriptions",
        ),
        *(
            "taskId",
            "taskIds",
            "task",
            "tools",
            "Tools",
            "prompts",
            "resources",
            "resourceTemplates",
            "skills",
        ),
        *(
            "inputRequests",
            "method",
            "params",
            "result",
            "resultType",
            "ttlMs",
            "cacheScope",
            "nextCursor",
            "_meta",
        ),
        "io.modelcontextprotocol/protocolVersion",
    ]
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(keys, values, max_size=6)
methods = st.sampled_from([*METHODS, "acme/unknown"])


@settings(max_examples=examples(500), deadline=None)
@given(methods, objects | st.lists(values, max_size=2) | st.none())
def test_params_are_read_or_refused(method: str, params: Any) -> None:
    naming = METHODS[method].naming if method in METHODS else None
    with suppress(McpRefused):
        named = subjects(method, params)
        assert all(type(subject.name) is str for subject in named)
        assert naming is None or len(naming.path) > 1 or len(named) == 1
    with suppress(McpRefused):
        assert all(type(task) is str for task in task_ids(method, params))


@settings(max_examples=examples(500), deadline=None)
@given(objects, st.sets(words))
def test_results_are_filtered_or_refused(result: dict[str, Any], allowed: set[str]) -> None:
    def may(subject: Subject) -> bool:
        return subject.name in allowed

    with suppress(McpRefused):
        assert all(type(asked.method) is str for asked in input_requests(result))
    created_task(result)
    try:
        filtered = filter_result(result, may, total=lambda kind: False)
    except McpRefused:
        return
    for key, member in (
        ("tools", "name"),
        ("prompts", "name"),
        ("resources", "uri"),
        ("resourceTemplates", "uriTemplate"),
    ):
        assert all(item[member] in allowed for item in filtered.result.get(key, []))
    assert filtered.changed or filtered.result is result
    assert not filter_result(filtered.result, may, total=lambda kind: False).changed


header_values = words.map(str.encode) | st.binary(max_size=6) | st.just(b"=?base64?c2VjcmV0?=")
header_names = st.sampled_from([b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"mcp-param-x", b"host"])


@settings(max_examples=examples(500), deadline=None)
@given(methods, objects, words, st.lists(st.tuples(header_names, header_values), max_size=5))
def test_headers_that_pass_agree_with_the_body(
    method: str, params: dict[str, Any], version: str, headers: Headers
) -> None:
    params = {**params, "_meta": {"io.modelcontextprotocol/protocolVersion": version}}
    message = classify({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    era(headers, message)
    repaired = mirror_headers(message, headers)
    with suppress(McpRefused):
        check_headers(headers, message)
        fields = dict(headers)
        assert fields[b"mcp-protocol-version"] == body_version(message).encode()
        assert fields.get(b"mcp-method", method.encode()) == method.encode()
        row = METHODS.get(method)
        if row is not None and row.mirrored is not None and params.get(row.mirrored) is not None:
            assert decode_value(fields.get(b"mcp-name", b"")) in (params[row.mirrored], "")
    if version == "2026-07-28":
        assert dict(repaired)[b"mcp-method"] == method.encode()
