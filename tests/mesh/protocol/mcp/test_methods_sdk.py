"""The table of methods against the schemas of the reference SDK, revision by revision."""

from __future__ import annotations

import pytest
from mcp_types import methods as sdk

from mesh.protocol.mcp.methods import METHODS, sent_by_client, sent_by_server
from mesh.protocol.mcp.versions import KNOWN_VERSIONS, MODERN_VERSIONS, Era

CLIENT = sorted({*sdk.CLIENT_REQUESTS, *sdk.CLIENT_NOTIFICATIONS})
SERVER = sorted({*sdk.SERVER_REQUESTS, *sdk.SERVER_NOTIFICATIONS})


def era(version: str) -> Era:
    return Era.MODERN if version in MODERN_VERSIONS else Era.LEGACY


@pytest.mark.parametrize(("method", "version"), CLIENT)
def test_what_clients_send_is_in_the_table(method: str, version: str) -> None:
    assert version in KNOWN_VERSIONS
    assert sent_by_client(method)
    assert era(version) in METHODS[method].eras


@pytest.mark.parametrize(("method", "version"), SERVER)
def test_what_servers_send_is_in_the_table(method: str, version: str) -> None:
    assert sent_by_server(method)
    assert era(version) in METHODS[method].eras


def test_the_table_holds_nothing_of_the_core_protocol_that_the_schemas_lack() -> None:
    known = {(method, era(version)) for method, version in CLIENT + SERVER}
    ours = {(row.name, one) for row in METHODS.values() if row.extension is None for one in row.eras}
    # Inside inputRequests since 2026-07-28, so no longer requests of their own.
    asked = {
        (method, Era.MODERN) for method in ("sampling/createMessage", "elicitation/create", "roots/list")
    }
    assert ours - known <= asked
