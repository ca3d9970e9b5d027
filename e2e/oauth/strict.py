"""What a request to a token endpoint may look like, read from the RFCs and stricter than any server in the field.

Authlib reads requests as a server has to, which is leniently in places. Here nothing is forgiven, because the
question is not whether somebody understands what we send, but whether it is what the RFCs say. Nothing but the
standard library is needed, so both environments can run it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes, urlsplit

FORM = "application/x-www-form-urlencoded"
CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"
ACCESS_TOKEN, ID_TOKEN, JWT, ID_JAG = (
    TOKEN_TYPE + name for name in ("access_token", "id_token", "jwt", "id-jag")
)
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:"
JWT_BEARER_ASSERTION = ASSERTION_TYPE + "jwt-bearer"
JWT_SPIFFE_ASSERTION = ASSERTION_TYPE + "jwt-spiffe"

OF_CLIENTS = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})
OF_GRANTS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    CLIENT_CREDENTIALS: (frozenset(), frozenset({"scope", "resource"})),
    TOKEN_EXCHANGE: (
        frozenset({"subject_token", "subject_token_type"}),
        frozenset(
            {"resource", "audience", "scope", "requested_token_type", "actor_token", "actor_token_type"}
        ),
    ),
    JWT_BEARER: (frozenset({"assertion"}), frozenset({"scope", "resource"})),
}
"""Per grant: what has to be there, what may be."""
REPEATABLE = {
    TOKEN_EXCHANGE: {"resource", "audience"},
    CLIENT_CREDENTIALS: {"resource"},
    JWT_BEARER: {"resource"},
}
PAIR = re.compile(rb"((?:[A-Za-z0-9*._~+-]|%[0-9A-Fa-f]{2})+)=((?:[A-Za-z0-9*._~+-]|%[0-9A-Fa-f]{2})*)")
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
BASIC = re.compile(r"Basic [A-Za-z0-9+/]+={0,2}")


class Violation(Exception):
    """The request is not what an RFC says, which its sentence names. Whoever wrote the request is at fault."""


@dataclass(frozen=True, slots=True)
class Form:
    """The parameters of a request, each name once with all of its values."""

    values: dict[str, list[str]] = field(repr=False)

    def one(self, name: str) -> str | None:
        """The first value."""
        found = self.values.get(name)
        return found[0] if found else None


def read_form(content_types: Sequence[str], body: bytes) -> Form:
    """Read a body; raises Violation."""
    if len(content_types) != 1 or content_types[0] != FORM:
        raise Violation(f"RFC 6749 3.2: the content type is {list(content_types)}, not {FORM}")
    values: dict[str, list[str]] = {}
    for pair in body.split(b"&"):
        match = PAIR.fullmatch(pair)
        if match is None:
            raise Violation(f"the body is not {FORM}: a pair of {len(pair)} bytes")
        name, value = (_decoded(part) for part in match.groups())
        if not value:
            raise Violation(f"RFC 6749 3.2: {name} is sent without a value")
        values.setdefault(name, []).append(value)
    return Form(values)


def _decoded(part: bytes) -> str:
    try:
        return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise Violation("RFC 6749 appendix B: a value is not UTF-8") from None


def check_token_request(form: Form, authorization: Sequence[str], extensions: frozenset[str]) -> str:
    """Check what a token request holds; the grant type. Raises Violation.

    `authorization`: every field of that name. `extensions`: further parameters that this server publishes.
    """
    grant = form.one("grant_type")
    if grant is None:
        raise Violation("RFC 6749 4: there is no grant_type")
    if grant not in OF_GRANTS:
        raise Violation(f"no RFC that this server knows has the grant type {grant}")
    needed, allowed = OF_GRANTS[grant]
    _check_names(form, needed, allowed | needed | {"grant_type"} | extensions, REPEATABLE[grant])
    _check_scope(form)
    _check_resources(form)
    _check_client(form, authorization, public=grant == JWT_BEARER)
    if grant == TOKEN_EXCHANGE:
        _check_exchange(form)
    return grant


def check_introspection(form: Form, authorization: Sequence[str]) -> None:
    """Check what an introspection request holds (RFC 7662 2.1); raises Violation."""
    _check_names(form, frozenset({"token"}), frozenset({"token", "token_type_hint"}), set())
    _check_client(form, authorization, public=False)


def _check_names(form: Form, needed: frozenset[str], allowed: frozenset[str], repeatable: set[str]) -> None:
    if missing := needed - form.values.keys():
        raise Violation(f"missing: {', '.join(sorted(missing))}")
    if unknown := form.values.keys() - allowed - OF_CLIENTS:
        raise Violation(f"not for this grant: {', '.join(sorted(unknown))}")
    for name, values in form.values.items():
        if len(values) > 1 and name not in repeatable:
            raise Violation(f"RFC 6749 3.2: {name} is sent {len(values)} times")
        if max(Counter(values).values()) > 1:
            raise Violation(f"{name} has the same value twice")


def _check_scope(form: Form) -> None:
    scope = form.one("scope")
    if scope is None:
        return
    if not SCOPE.fullmatch(scope):
        raise Violation(f"RFC 6749 3.3: the scope {scope!r} is not of its grammar")
    if len(set(scope.split())) != len(scope.split()):
        raise Violation(f"the scope {scope!r} says something twice")


def _check_resources(form: Form) -> None:
    for resource in form.values.get("resource", ()):
        place = urlsplit(resource)
        if not place.scheme or not (place.netloc or place.path) or "#" in resource:
            raise Violation(f"RFC 8707 2: the resource {resource!r} is no absolute URI without fragment")


def _check_client(form: Form, authorization: Sequence[str], *, public: bool) -> None:
    assertion, kind = form.one("client_assertion"), form.one("client_assertion_type")
    if (assertion is None) != (kind is None):
        raise Violation("RFC 7521 4.2: client_assertion and client_assertion_type belong together")
    if kind not in (None, JWT_BEARER_ASSERTION, JWT_SPIFFE_ASSERTION):
        raise Violation(f"client_assertion_type is {kind}")
    if len(authorization) > 1:
        raise Violation("there are several Authorization fields")
    if authorization and not BASIC.fullmatch(authorization[0]):
        raise Violation("RFC 7617: the Authorization field holds no Basic credentials")
    ways = [bool(authorization), assertion is not None, form.one("client_secret") is not None]
    if sum(ways) > 1:
        raise Violation("RFC 6749 2.3: the client proves itself in more than one way")
    if form.one("client_secret") is not None and form.one("client_id") is None:
        raise Violation("RFC 6749 2.3.1: client_secret is sent without client_id")
    if not any(ways) and not public:
        raise Violation("RFC 6749 3.2.1: the client does not prove itself")


def _check_exchange(form: Form) -> None:
    kind, actor, actor_kind = (
        form.one(name) for name in ("subject_token_type", "actor_token", "actor_token_type")
    )
    wanted = form.one("requested_token_type")
    if kind not in (ACCESS_TOKEN, ID_TOKEN, JWT):
        raise Violation(f"RFC 8693 3: subject_token_type is {kind}")
    if (actor is None) != (actor_kind is None):
        raise Violation("RFC 8693 2.1: actor_token and actor_token_type belong together")
    if actor_kind not in (None, ACCESS_TOKEN, ID_TOKEN, JWT):
        raise Violation(f"RFC 8693 3: actor_token_type is {actor_kind}")
    if wanted not in (None, ACCESS_TOKEN, JWT, ID_JAG):
        raise Violation(f"RFC 8693 3: requested_token_type is {wanted}")
    if wanted == ID_JAG:
        _check_id_jag(form, kind, actor)


def _check_id_jag(form: Form, kind: str | None, actor: str | None) -> None:
    if actor is not None:
        raise Violation("draft-ietf-oauth-identity-assertion-authz-grant: there is an actor_token")
    if kind != ID_TOKEN:
        raise Violation(f"an ID-JAG is asked for with a subject token of type {kind}")
    for name in ("audience", "resource"):
        if len(form.values.get(name, ())) != 1:
            raise Violation(f"an ID-JAG is asked for with {len(form.values.get(name, ()))} values of {name}")
