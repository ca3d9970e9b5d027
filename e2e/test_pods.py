"""Capture between real programs: unmodified SDK clients and servers, with mutual TLS where they see plain HTTP."""

from __future__ import annotations

import pytest

from e2e.meshed_pods import VERSIONS, MeshedPods, marker

ERAS = ["v1", "legacy", "auto"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("era", ERAS)
def test_a_client_that_knows_nothing_is_filtered_by_both_sides(
    pods: MeshedPods, version: str, era: str
) -> None:
    words = marker("granted")
    found = pods.agent(era=era).calls(
        f"http://server.{version}.test:9000/mcp",
        ("granted", words),
        ("forbidden", words),
        ("forbidden_here", words),
        ("forbidden_there", words),
        mode=era,
    )
    assert "error" not in found, found
    assert found["tools"] == ["granted"]
    assert found["calls"][0] == {"text": words[::-1], "isError": False}
    assert [call.get("code") for call in found["calls"][1:]] == [-32602] * 3
    assert [line for line in pods.application.executed() if words in line] == [f"granted {words}"]
