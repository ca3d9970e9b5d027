from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mesh.protocol.http1.heads import Headers
from mesh.protocol.jsonrpc import Message, classify
from mesh.protocol.mcp.versions import KNOWN_VERSIONS, Era, body_version, era

Make = Callable[..., Message]
Mirrors = Callable[..., Headers]


def test_the_body_makes_a_request_modern(modern: Make) -> None:
    assert era([], modern("tools/list")) is Era.MODERN


def test_the_header_makes_a_request_modern(legacy: Make, mirrors: Mirrors) -> None:
    assert era(mirrors(None), legacy("tools/list")) is Era.MODERN


@pytest.mark.parametrize("version", [None, "2025-11-25", "2025-06-18", "2024-10-07"])
def test_all_else_is_legacy(legacy: Make, mirrors: Mirrors, version: str | None) -> None:
    assert era(mirrors(None, version=version), legacy("tools/list")) is Era.LEGACY


@pytest.mark.parametrize("version", [None, 1, ["2026-07-28"], {}, "2025-11-25"])
def test_a_version_that_is_no_modern_string_is_not_modern(modern: Make, version: Any) -> None:
    assert era([], modern("tools/list", version=version)) is Era.LEGACY


@pytest.mark.parametrize("params", [None, [], {}, {"_meta": None}, {"_meta": []}, {"_meta": {}}])
def test_a_body_may_say_no_version(params: Any) -> None:
    message = classify({"jsonrpc": "2.0", "id": 1, "method": "x", "params": params})
    assert body_version(message) is None


def test_all_five_revisions_are_known() -> None:
    for version in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"):
        assert version in KNOWN_VERSIONS
