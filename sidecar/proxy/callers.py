"""Who calls, on whose behalf: the user's token of an inbound request.

The token is verified before anything else is decided, and goes no further: the application gets a handle in its
place, or nothing, or the token itself where its policy says so.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from mesh.policy.principal import Principal
from mesh.policy.user_auth import Correlation, Given, UserAuth
from mesh.protocol import traceparent
from mesh.protocol.http1.edited import with_only
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.target import absolute_form, plain_path
from mesh.protocol.oauth.protected_resource import is_metadata_path
from mesh.protocol.signs import names_two_traces
from mesh.reasons import Reason
from sidecar.credentials.bearer import bearer_of
from sidecar.credentials.challenges import metadata_reply, unauthorized
from sidecar.credentials.desk import Desk
from sidecar.credentials.verified import TokenRefused, Verified
from sidecar.proxy.channel import Channel
from sidecar.proxy.plan import Reply, Unverified
from sidecar.proxy.repeated_token import replaced
from sidecar.telemetry.record import Recorder

_SCHEME = "http"
"""By which callers of the mesh reach us: TLS is their sidecar's. Where a gateway is in between, `users.resource`
says how callers call this workload."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by the head that goes on to the application."""

    head: RequestHead
    principal: Principal
    verified: Verified | None = None


class Callers:
    """Settles who calls. Does nothing where the policy says nothing of users."""

    def __init__(self, desk: Desk, recorder: Recorder) -> None:
        self._desk = desk
        self._recorder = recorder

    def settle(
        self, head: RequestHead, channel: Channel, verified: Verified | TokenRefused | None = None
    ) -> Caller | Unverified | Reply:
        """Who asks, what is to be verified first, or why nobody is heard.

        `verified`: what became of an Unverified that was given before. Raises HttpRefused for a path that could be
        read as another, for which no token might be needed, and for a trace that could be.
        """
        auth = self._desk.auth
        if auth is None:
            return Caller(head, channel.principal)
        if names_two_traces(head.headers, head.fields):
            raise HttpRefused(Reason.HTTP_BAD_HEADER, "traceparent is repeated")
        if not auth.enforced:
            return self._observe(head, channel, auth, verified)
        path = _path(head.target)
        if is_metadata_path(path) and head.method == "GET":
            return metadata_reply(auth, head, path, scheme=_SCHEME)
        try:
            token = bearer_of(head)
            if token is None:
                return self._without(head, channel, auth, path)
            known = verified or self._desk.users.known(token)
            if known is None:
                return Unverified(token, channel.principal.id)
            if isinstance(known, TokenRefused):
                raise known
        except TokenRefused as refused:
            if self._desk.users.bypasses(path):
                return Caller(with_only(head, b"authorization", None), channel.principal)
            return self._refuse(refused, channel, auth, head, path)
        missing = self._desk.users.missing_scopes(known)
        if missing and not self._desk.users.bypasses(path):
            lacking = TokenRefused(Reason.SCOPE_MISSING, " ".join(sorted(missing)))
            return self._refuse(lacking, channel, auth, head, path)
        return Caller(self._given(head, auth, known), Principal(channel.principal.id, known.user), known)

    def _observe(
        self, head: RequestHead, channel: Channel, auth: UserAuth, verified: Verified | TokenRefused | None
    ) -> Caller | Unverified:
        """The same where nobody is refused: the application gets the request as it came, whatever it brings."""
        principal, known = channel.principal, verified
        try:
            token = bearer_of(head)
            if token is not None:
                known = verified or self._desk.users.known(token)
                if known is None:
                    return Unverified(token, principal.id)
            if isinstance(known, TokenRefused):
                raise known
            if known is None and auth.required:
                raise TokenRefused(Reason.TOKEN_MISSING, "")
            if known is not None:
                principal = Principal(principal.id, known.user)
                if missing := self._desk.users.missing_scopes(known):
                    raise TokenRefused(Reason.SCOPE_MISSING, " ".join(sorted(missing)))
        except TokenRefused as refused:
            if not self._passes_by(head):
                self._recorder.observed_token(channel.peer, refused.reason, refused.logged)
        return Caller(head, principal, known if isinstance(known, Verified) else None)

    def _passes_by(self, head: RequestHead) -> bool:
        try:
            return self._desk.users.bypasses(_path(head.target))
        except HttpRefused:
            return False

    async def outcome(self, unverified: Unverified) -> Verified | TokenRefused:
        """What becomes of a token that was not seen before."""
        try:
            return await self._desk.users.verify(unverified.token, unverified.caller)
        except TokenRefused as refused:
            return refused

    def _without(self, head: RequestHead, channel: Channel, auth: UserAuth, path: str) -> Caller | Reply:
        """A request without a token. What stands in Authorization all the same is none of ours to judge."""
        if not auth.required or self._desk.users.bypasses(path):
            return Caller(head, channel.principal)
        return self._refuse(TokenRefused(Reason.TOKEN_MISSING, ""), channel, auth, head, path)

    def _refuse(
        self, refused: TokenRefused, channel: Channel, auth: UserAuth, head: RequestHead, path: str
    ) -> Reply:
        self._recorder.refused_message("client", channel.peer, refused.reason, refused.logged)
        return unauthorized(refused, auth, head, path, scheme=_SCHEME)

    def _given(self, head: RequestHead, auth: UserAuth, known: Verified) -> RequestHead:
        """The head for the application: a handle in the token's place, and a trace to be recognised by."""
        if auth.given is Given.HANDLE:
            handle = self._desk.handles.give(known)
            head = with_only(head, b"authorization", b"Bearer " + handle)
            head = replaced(head, known.token.encode(), handle)
        elif auth.given is Given.NOTHING:
            head = with_only(head, b"authorization", None)
            head = replaced(head, known.token.encode(), b"")
        if Correlation.TRACE in auth.correlation and b"traceparent" not in head.fields:
            # Who passes traces on can then be followed, although nobody traces.
            made = traceparent.make(secrets.token_bytes(traceparent.RANDOM_BYTES))
            head = with_only(head, b"traceparent", made)
        return head


def _path(target: bytes) -> str:
    if target == b"*":
        return "*"
    return plain_path(target if target[:1] == b"/" else absolute_form(target).path)
