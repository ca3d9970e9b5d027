"""Memory that only the start needed goes back where the C library can give it."""

from __future__ import annotations

import ctypes

import pytest

from sidecar import memory


def test_where_the_c_library_cannot_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert memory.give_back() is False


def test_it_can_be_asked_twice() -> None:
    memory.give_back()
    assert memory.give_back() in (True, False)
