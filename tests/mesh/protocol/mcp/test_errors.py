from __future__ import annotations

from mesh.protocol.mcp.errors import header_mismatch, malformed
from mesh.reasons import Reason


def test_a_malformed_message_is_answered_like_bad_params() -> None:
    refused = malformed("name is missing")
    assert (refused.reason, refused.code, refused.http_status) == (Reason.MCP_MALFORMED, -32602, 200)
    assert refused.data is None
    assert str(refused) == "mcp_malformed: name is missing"


def test_a_header_mismatch_has_the_status_and_code_of_the_specification() -> None:
    refused = header_mismatch("Mcp-Name is missing")
    assert (refused.reason, refused.code, refused.http_status) == (Reason.MCP_HEADER_MISMATCH, -32020, 400)
    assert refused.detail == "Header mismatch: Mcp-Name is missing"
