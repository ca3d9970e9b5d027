"""Which event loops a module's tests run on: stock asyncio, and those of `LOOPS` where the module names them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

_FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Sidecars run on uvloop, whose transports pause, close and lose connections in turns of their own."""
    module = item.getparent(pytest.Module)
    loops = getattr(module.obj, "LOOPS", ("asyncio",)) if module is not None else ("asyncio",)
    return {name: _FACTORIES[name] for name in loops}
