from __future__ import annotations

import pytest

from mesh.protocol.mcp.methods import (
    METHODS,
    Sender,
    SubjectKind,
    removed_from_modern,
    sent_by_client,
    sent_by_server,
)
from mesh.protocol.mcp.versions import Era


def test_each_method_has_one_row_of_its_own_name() -> None:
    assert all(name == row.name for name, row in METHODS.items())
    assert len(METHODS) == 38


def test_a_mirrored_member_is_where_the_subject_is() -> None:
    for row in METHODS.values():
        if row.mirrored is not None and row.naming is not None:
            assert row.naming.path == (row.mirrored,)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("tools/call", SubjectKind.TOOL),
        ("prompts/get", SubjectKind.PROMPT),
        ("resources/read", SubjectKind.RESOURCE),
        ("resources/subscribe", SubjectKind.RESOURCE),
        ("resources/unsubscribe", SubjectKind.RESOURCE),
        ("skills/get", SubjectKind.RESOURCE),
    ],
)
def test_what_is_named_has_its_kind(method: str, kind: SubjectKind) -> None:
    naming = METHODS[method].naming
    assert naming is not None
    assert naming.kind is kind


def test_subjects_are_decided_under_methods_of_the_table() -> None:
    assert {row.naming.ask for row in METHODS.values() if row.naming} <= METHODS.keys()


def test_sessions_are_of_the_handshake_era() -> None:
    for method in ("initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/list"):
        assert METHODS[method].eras == {Era.LEGACY}
    assert METHODS["server/discover"].eras == {Era.MODERN}
    assert METHODS["tools/call"].eras == {Era.LEGACY, Era.MODERN}


def test_who_sends_a_method_is_known() -> None:
    assert sent_by_client("tools/call")
    assert not sent_by_server("tools/call")
    assert sent_by_server("sampling/createMessage")
    assert not sent_by_client("sampling/createMessage")
    assert METHODS["tasks/get"].sender is Sender.BOTH
    assert sent_by_client("ping")
    assert sent_by_server("ping")
    assert not sent_by_client("x/y")
    assert not sent_by_server("x/y")


def test_what_2026_07_28_removed_is_known() -> None:
    assert removed_from_modern("resources/subscribe")
    assert removed_from_modern("initialize")
    assert not removed_from_modern("tools/call")
    assert not removed_from_modern("acme/unknown")
