"""The pages of the telemetry port."""

from __future__ import annotations

import pytest

from sidecar.telemetry.health import Health


def health(*unready: str) -> Health:
    return Health(lambda: "metric 1\n", lambda: unready)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", b"/healthz", 200, b"alive\n"),
        ("GET", b"/readyz", 200, b"ready\n"),
        ("HEAD", b"/readyz", 200, b"ready\n"),
        ("GET", b"/metrics", 200, b"metric 1\n"),
        ("GET", b"/", 404, b"paths: /metrics /healthz /readyz\n"),
        ("POST", b"/healthz", 405, b"only GET and HEAD\n"),
    ],
)
def test_each_page_answers(method: str, path: bytes, status: int, body: bytes) -> None:
    found, _, said = health().page(method, path)
    assert (found, said) == (status, body)


def test_what_is_missing_stands_on_a_line_of_its_own() -> None:
    status, _, body = health("no_svid", "listener inbound is not bound").page("GET", b"/readyz")
    assert (status, body) == (503, b"no_svid\nlistener inbound is not bound\n")


def test_a_sidecar_that_is_not_ready_is_alive() -> None:
    assert health("no_svid").page("GET", b"/healthz")[0] == 200
