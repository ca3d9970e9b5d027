"""The status that a refusal is answered with."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.errors import HttpRefused
from mesh.reasons import Reason


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.HTTP_MALFORMED, 400),
        (Reason.HTTP_AMBIGUOUS_LENGTH, 400),
        (Reason.HTTP_BAD_HOST, 400),
        (Reason.HTTP_BODY_TOO_LARGE, 413),
        (Reason.HTTP_EXPECTATION, 417),
        (Reason.HTTP_HEAD_TOO_LARGE, 431),
        (Reason.HTTP_UPGRADE, 501),
        (Reason.HTTP_VERSION, 505),
    ],
)
def test_status_follows_from_the_reason(reason: Reason, status: int) -> None:
    assert HttpRefused(reason, "x").status == status


def test_status_may_be_given() -> None:
    refused = HttpRefused(Reason.HTTP_MALFORMED, "why", 502)
    assert (refused.status, refused.detail, str(refused)) == (502, "why", "http_malformed: why")
