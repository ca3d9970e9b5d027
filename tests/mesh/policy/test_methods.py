from __future__ import annotations

import pytest

from mesh.policy.methods import (
    BASE_METHODS,
    KIND_SECTIONS,
    SERVER_REQUESTS,
    SUBJECT_METHODS,
    Section,
    is_base,
)


@pytest.mark.parametrize(
    "method", [*sorted(BASE_METHODS), "notifications/initialized", "notifications/cancelled"]
)
def test_the_base_protocol_is_known(method: str) -> None:
    assert is_base(method)


@pytest.mark.parametrize(
    "method",
    [
        "tools/call",
        "prompts/get",
        "resources/read",
        "skills/get",
        "Tools/list",
        "tools/list ",
        "roots/list",
        "",
    ],
)
def test_other_methods_are_not_of_the_base_protocol(method: str) -> None:
    assert not is_base(method)


def test_every_subject_has_a_section() -> None:
    assert set(SUBJECT_METHODS.values()) == set(KIND_SECTIONS.values()) == set(Section)


def test_server_requests_go_by_method_and_by_the_word_of_policies() -> None:
    assert SERVER_REQUESTS["sampling/createMessage"] is SERVER_REQUESTS["sampling"]
    assert len(SERVER_REQUESTS) == 6
