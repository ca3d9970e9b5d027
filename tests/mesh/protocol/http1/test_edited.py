"""Heads with other fields."""

from __future__ import annotations

from mesh.protocol.http1.edited import with_only, without
from tests.support.fakes import request_head

TOKEN = (b"authorization", b"Bearer callers-secret")


def test_a_head_without_fields_is_the_same_request() -> None:
    head = request_head(
        "POST /x",
        host="x",
        authorization="Bearer callers-secret",
        connection="close, x-hop",
        **{"x-api-key": "kept"},
    )
    left = without(head, [TOKEN])
    assert TOKEN in head.headers
    assert TOKEN not in left.headers
    assert left.fields == {name: value for name, value in head.fields.items() if name != b"authorization"}
    assert left.memo == {}
    assert (left.method, left.target, left.body_length) == (head.method, head.target, head.body_length)


def test_a_field_that_is_set_stands_once() -> None:
    head = request_head("POST /x", host="x", authorization="Bearer callers-secret")
    changed = with_only(head, b"authorization", b"Bearer another")
    assert [value for name, value in changed.headers if name == b"authorization"] == [b"Bearer another"]
    assert changed.fields[b"authorization"] == b"Bearer another"
    gone = with_only(changed, b"authorization", None)
    assert b"authorization" not in gone.fields
    assert b"authorization" not in dict(gone.headers)
