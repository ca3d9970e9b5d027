"""Asking an issuer about a token (RFC 7662), and what its answer has to say.

The issuer's word replaces the signature and nothing else: for whom the token is, until when, and whether it is
bound to a key is looked at as in a JWT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.policy.principal import User
from mesh.policy.user_auth import Issuer
from mesh.protocol.oauth.claims import (
    TokenInvalid,
    check_audience,
    check_binding,
    check_kind,
    check_start,
    expiry_of,
    quoted,
    user_of,
)
from mesh.protocol.oauth.form import encode_form
from mesh.protocol.strict_json import JsonRefused, parse
from mesh.reasons import Reason


class IntrospectionInvalid(ValueError):
    """The answer is none to this question; the issuer is at fault."""


@dataclass(frozen=True, slots=True)
class ActiveToken:
    """What an issuer says of a token. `expires`: seconds since 1970, None where it does not say."""

    user: User
    expires: float | None


def introspection_request(token: str, params: Sequence[tuple[str, str]]) -> bytes:
    """The body of the question; `params` are those that prove who asks."""
    return encode_form((("token", token), ("token_type_hint", "access_token"), *params))


def read_introspection(body: bytes, issuer: Issuer, now: float) -> ActiveToken:
    """Read the answer of `issuer` at `now` (seconds since 1970).

    Raises IntrospectionInvalid, and TokenInvalid where the token is not one to accept.
    """
    try:
        answer = parse(body).value
    except JsonRefused as refused:
        raise IntrospectionInvalid(f"the answer is no JSON ({refused.reason})") from refused
    if not isinstance(answer, dict) or not isinstance(answer.get("active"), bool):
        raise IntrospectionInvalid("the answer does not say whether the token is active")
    if not answer["active"]:
        raise TokenInvalid(Reason.TOKEN_INACTIVE, "the issuer says that it is not active")
    if answer.get("iss", issuer.issuer) != issuer.issuer:
        said = quoted(str(answer["iss"]))
        detail = f"iss is {said}, and not the issuer that was asked"
        raise TokenInvalid(Reason.TOKEN_ISSUER, detail, issuer.issuer)
    if answer.get("exp") is None:
        check_start(answer, now, issuer.skew_seconds)
        expires = None
    else:
        expires = expiry_of(answer, now, issuer.skew_seconds)
    check_audience(answer, issuer)
    check_binding(answer)
    check_kind(answer)
    return ActiveToken(user_of(answer, issuer.issuer), expires)
