"""Where a workload says who issues its tokens."""

from __future__ import annotations

import json

import pytest

from mesh.protocol.oauth.protected_resource import (
    is_metadata_path,
    metadata_url,
    resource_document,
    resource_path,
)

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://a.example.com", f"https://a.example.com{WELL_KNOWN}"),
        ("https://a.example.com/", f"https://a.example.com{WELL_KNOWN}"),
        ("https://a.example.com:8443/mcp", f"https://a.example.com:8443{WELL_KNOWN}/mcp"),
        ("http://a/x/y/?k=1", f"http://a{WELL_KNOWN}/x/y?k=1"),
    ],
)
def test_the_well_known_part_goes_before_the_path(resource: str, url: str) -> None:
    assert metadata_url(resource) == url


@pytest.mark.parametrize(
    ("path", "resource"),
    [(WELL_KNOWN, ""), (WELL_KNOWN + "/", ""), (WELL_KNOWN + "/mcp", "/mcp"), (WELL_KNOWN + "/a/b", "/a/b")],
)
def test_a_path_says_whose_document_is_asked_for(path: str, resource: str) -> None:
    assert is_metadata_path(path)
    assert resource_path(path) == resource


@pytest.mark.parametrize("path", ["/", "/mcp", WELL_KNOWN + "x", "/x" + WELL_KNOWN])
def test_other_paths_are_no_document(path: str) -> None:
    assert not is_metadata_path(path)


def test_the_document_names_issuers_and_scopes_once() -> None:
    document = json.loads(
        resource_document("https://a/mcp", ["https://i", "https://j", "https://i"], ["b", "a", "b"])
    )
    assert document == {
        "resource": "https://a/mcp",
        "authorization_servers": ["https://i", "https://j"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["a", "b"],
    }


def test_without_scopes_nothing_is_said_of_them() -> None:
    assert "scopes_supported" not in json.loads(resource_document("https://a", ["https://i"], []))
