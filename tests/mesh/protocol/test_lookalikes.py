from __future__ import annotations

import pytest

from mesh.protocol.lookalikes import KnownNames

KNOWN = KnownNames("name", "inputRequests", harmless=["title"])


@pytest.mark.parametrize("member", ["Name", "NAME", "inputrequests", "INPUTREQUESTS", "inputReque\u017fts"])
def test_a_name_that_folds_into_a_known_one_is_found(member: str) -> None:
    assert KNOWN.lookalike({"x": 1, "name": 1, member: 2}) == member


@pytest.mark.parametrize(
    "member", ["name", "inputRequests", "title", "Title", "names", "n\u0430me", "name ", ""]
)
def test_other_names_are_none(member: str) -> None:
    assert KNOWN.lookalike({member: 1}) is None
    assert KNOWN.lookalike({"x": 1, member: 1}) is None
