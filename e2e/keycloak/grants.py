"""The requests of OAuth clients that hold a JWT-SVID, in plain HTTP, and what is in the tokens they get."""

from __future__ import annotations

from typing import Any, Final

from e2e.keycloak.server import Answer, Keycloak
from mesh.identity.jws import read_jws

JWT_SPIFFE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"
JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"


def proof(svid: str, kind: str = JWT_SPIFFE) -> dict[str, str]:
    """The parameters by which a client proves itself. `client_id` need not be among them."""
    return {"client_assertion_type": kind, "client_assertion": svid}


def client_credentials(server: Keycloak, svid: str, kind: str = JWT_SPIFFE, **more: str) -> Answer:
    """A token for the client itself."""
    return server.ask({"grant_type": "client_credentials", **proof(svid, kind), **more})


def exchange(server: Keycloak, svid: str, subject: str, kind: str = JWT_SPIFFE, **more: str) -> Answer:
    """The token of a user for another audience (RFC 8693)."""
    about = {"grant_type": TOKEN_EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS_TOKEN}
    return server.ask({**about, **proof(svid, kind), **more})


def granted(answer: Answer) -> str:
    """The token of an answer that must be a success."""
    assert answer.status == 200, answer
    return str(answer.json()["access_token"])


def refused(answer: Answer) -> tuple[int, str, str]:
    """Status, error and description of an answer that must be a refusal."""
    assert answer.status >= 400, answer
    document = answer.json()
    return answer.status, document["error"], document["error_description"]


def claims(token: str) -> dict[str, Any]:
    """What a token says; its signature is not looked at."""
    return dict(read_jws(token).claims)
