"""A request's head with other fields. Nothing that was derived from the old one is kept."""

from __future__ import annotations

from msgspec import structs

from mesh.protocol.http1.heads import Headers, RequestHead


def without(head: RequestHead, removed: Headers) -> RequestHead:
    """The head without these fields."""
    return with_headers(head, [field for field in head.headers if field not in removed])


def with_only(head: RequestHead, name: bytes, value: bytes | None) -> RequestHead:
    """The head with this one field of the name (lower case), or with none."""
    headers = [field for field in head.headers if field[0] != name]
    if value is not None:
        headers.append((name, value))
    return with_headers(head, headers)


def with_headers(head: RequestHead, headers: Headers) -> RequestHead:
    """The head with these fields."""
    fields = dict(headers)
    if b"connection" in fields:
        # Connection is joined where it is repeated.
        fields[b"connection"] = head.fields[b"connection"]
    return structs.replace(head, headers=headers, fields=fields, memo={})
