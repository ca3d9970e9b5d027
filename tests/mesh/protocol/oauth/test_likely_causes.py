"""What real servers say, and what they mean by it."""

from __future__ import annotations

import pytest

from mesh.protocol.oauth.likely_causes import likely_cause


@pytest.mark.parametrize(
    ("error", "description", "advice"),
    [
        # Keycloak 26.
        ("invalid_request", "Standard token exchange is not enabled for the requested client", "turn on"),
        ("access_denied", "Client not allowed to exchange", "Standard token exchange"),
        (
            "access_denied",
            "Client is not within the token audience",
            "audience mapper to the client it was given",
        ),
        ("invalid_request", "Requested audience not available: crm", "link a client scope"),
        ("invalid_client", "Audience not found", "link a client scope"),
        ("invalid_request", "Parameter 'subject_token' supports access tokens only", "subjectToken"),
        ("invalid_request", "requested_token_type unsupported", "another preset"),
        ("invalid_client", "Token reuse detected", "takes each assertion once"),
        ("invalid_client", "Invalid token audience", "client.audience"),
        ("invalid_client", "Multiple audiences not allowed", "client.audience"),
        ("invalid_request", "Invalid token", "session there has ended"),
        ("invalid_client", "client_id parameter does not match authenticated client", "remove it"),
        ("invalid_client", "Token is not active", "clocks"),
        ("invalid_client", "Token was issued too far in the past to be used now", "clocks"),
        ("invalid_scope", "Invalid scopes: crm.write", "scope is unknown"),
        # Entra.
        ("invalid_grant", "AADSTS50013: Assertion failed signature validation.", "its aud has to be"),
        ("invalid_grant", "AADSTS65001: The user or administrator has not consented", "administrator"),
        (
            "invalid_client",
            "AADSTS700212: No matching federated identity record found",
            "AzureADTokenExchange",
        ),
        ("invalid_client", "AADSTS70021: No matching federated identity record found", "issuer, subject"),
        ("invalid_client", "AADSTS7000215: Invalid client secret provided.", "not its id"),
        ("interaction_required", "AADSTS50076: multi-factor authentication", "log in anew"),
        # Codes alone.
        ("invalid_grant", "", "expired, was revoked"),
        ("unauthorized_client", "", "may not use this grant"),
        ("unsupported_grant_type", "", "another preset"),
        ("invalid_target", "", "audience or resource"),
        ("insufficient_scope", "", "too few scopes"),
        ("invalid_client", "Invalid client credentials", "client.id"),
    ],
)
def test_advice(error: str, description: str, advice: str) -> None:
    assert advice in (likely_cause(error, description) or "")


def test_a_proof_by_jwt_svid_that_is_not_believed() -> None:
    spiffe = likely_cause("invalid_client", "Invalid client or Invalid client credentials", spiffe=True) or ""
    assert "federated client authentication" in spiffe
    assert "26.4" in spiffe
    other = likely_cause("invalid_client", "", assertion=True) or ""
    assert "issuer, subject and audience" in other


def test_nothing_is_made_up_for_an_unknown_error() -> None:
    assert likely_cause("something_else", "of no kind") is None
