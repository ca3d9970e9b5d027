from __future__ import annotations

import pytest

from mesh.policy.methods import (
    BASE_METHODS,
    KIND_SECTIONS,
    SERVER_BASE_METHODS,
    SERVER_REQUESTS,
    SUBJECT_METHODS,
    Section,
    is_base,
)
from mesh.protocol.mcp.methods import METHODS, Method, sent_by_client, sent_by_server


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


@pytest.mark.parametrize(
    "row", [row for row in METHODS.values() if sent_by_client(row.name)], ids=lambda row: row.name
)
def test_every_method_that_clients_send_is_decided_as_the_protocol_table_names_it(row: Method) -> None:
    if row.name in SUBJECT_METHODS and row.naming is not None:
        assert KIND_SECTIONS[row.naming.kind] is SUBJECT_METHODS[row.name] is SUBJECT_METHODS[row.naming.ask]
    else:
        assert is_base(row.name)


@pytest.mark.parametrize(
    "method", sorted(SERVER_BASE_METHODS | {name for name in SERVER_REQUESTS if "/" in name})
)
def test_what_servers_may_ask_is_in_the_protocol_table(method: str) -> None:
    assert sent_by_server(method)
