"""For every test: property tests draw the same examples each time, so that a red suite means a change."""

from __future__ import annotations

from hypothesis import settings

from tests.support.fuzzing import FACTOR

settings.register_profile("suite", derandomize=FACTOR == 1, deadline=None)
settings.load_profile("suite")
