"""The table of limits: names for files, safe defaults."""

from __future__ import annotations

from dataclasses import fields

import pytest

from sidecar.limits import LIMIT_NAMES, Limits, setting_name


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("headers", "headers"),
        ("head_bytes", "headBytes"),
        ("upstream_keep_alive_seconds", "upstreamKeepAliveSeconds"),
    ],
)
def test_names_in_files_are_in_camel_case(field: str, name: str) -> None:
    assert setting_name(field) == name
    assert LIMIT_NAMES[name] == field


def test_every_limit_has_a_name_of_its_own_and_a_default_above_zero() -> None:
    assert sorted(LIMIT_NAMES.values()) == sorted(field.name for field in fields(Limits))
    assert len(LIMIT_NAMES) == len(fields(Limits))
    assert all(getattr(Limits(), field.name) > 0 for field in fields(Limits))


def test_defaults_fit_what_stands_around_them() -> None:
    limits = Limits()
    assert limits.upstream_keep_alive_seconds < 5, "common servers close idle connections after 5 s"
    assert limits.drain_seconds < 30, "Kubernetes kills after 30 s"
    assert limits.body_bytes == limits.event_bytes == 4 * 1024 * 1024
