from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mesh.reasons import Reason
from tests.support.access_policies import (
    allow,
    inline,
)

Asking = Callable[..., Any]


def test_x(asked: Asking) -> None:
    one = asked(allow("a", inline(("tools/call", ["echo"]), base=True)))
    assert one.call("echo")
    assert not one.call("get-sum")
    assert one.decide("initialize").reason == Reason.ALLOWED_BASE_PROTOCOL
