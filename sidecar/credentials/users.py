"""Who calls: the tokens of users, verified once and then known.

A token that counts is remembered until it expires, one that does not for a few seconds, in places of their own so
that garbage cannot push out what is good. What was remembered ends early where its reasons do: another policy, or
an issuer that withdrew the key which the token was signed by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

from mesh.identity.jws import MAX_TOKEN_BYTES
from mesh.policy.user_auth import Introspection, Issuer, UserAuth
from mesh.protocol.oauth.claims import TokenInvalid, malformed, quoted
from mesh.protocol.oauth.jwks import KeySet
from mesh.protocol.oauth.jwt import (
    ProvenToken,
    UnverifiedToken,
    check_algorithm,
    read_token,
    verify_token,
)
from mesh.reasons import Reason
from sidecar.credentials.fetch import Fetcher
from sidecar.credentials.introspector import Introspector, Proofs
from sidecar.credentials.key_sets import KeySets, Metadata, Place, Tells, place_of
from sidecar.credentials.known_tokens import KnownToken, KnownTokens
from sidecar.credentials.questions import BURST, PER_SECOND, Questions
from sidecar.credentials.refreshed import Unavailable
from sidecar.credentials.verified import TokenRefused, Verified

LOOK_SECONDS = 30.0
"""How often it is seen to that keys are renewed."""


class _Bypass(NamedTuple):
    exact: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()


class Users:
    """Verifies tokens by the `auth` in force.

    `now`: seconds since 1970. Issuers are asked about tokens of one caller `per_second` times, and `burst` times
    at once; what is known costs nothing. `withdrawn` is told the `key` of tokens that count no longer, for who
    remembers more about them: remembered ones whose signing key their issuer no longer publishes, all at once, and
    what an issuer calls inactive.
    """

    def __init__(
        self,
        fetch: Fetcher,
        issuers: Metadata,
        client_proof: Proofs,
        *,
        now: Callable[[], float],
        tell: Tells,
        withdrawn: Callable[[Collection[bytes]], None] = lambda keys: None,
        per_second: float = PER_SECOND,
        burst: float = BURST,
    ) -> None:
        self.auth: UserAuth | None = None
        self._now = now
        self._withdrawn = withdrawn
        self._tokens = KnownTokens()
        self._bypass = _Bypass()
        self._look = 0.0
        self._key_sets = KeySets(fetch, issuers, now, tell, self._keys_changed)
        self._questions = Questions(now, per_second=per_second, burst=burst)
        self._introspector = Introspector(fetch, issuers, client_proof, now, tell, self._questions)

    def use(self, auth: UserAuth | None) -> None:
        """This is in force from now on; what was verified by anything else is forgotten."""
        if auth == self.auth:
            return
        self.auth = auth
        self._tokens = KnownTokens()
        self._key_sets.use(() if auth is None else auth.issuers)
        paths = () if auth is None else auth.bypass
        self._bypass = _Bypass(
            frozenset(path for path in paths if not path.endswith("/*")),
            tuple(path[:-1] for path in paths if path.endswith("/*")),
        )

    def bypasses(self, plain_path: str) -> bool:
        """Whether nobody needs a token for this path, which is plain and without query."""
        exact, prefixes = self._bypass
        return plain_path in exact or plain_path.startswith(prefixes)

    def missing_scopes(self, verified: Verified) -> frozenset[str]:
        """What `auth` wants each token to hold and this one does not."""
        return frozenset() if self.auth is None else self.auth.scopes - verified.user.scopes

    def known(self, token: bytes) -> Verified | TokenRefused | None:
        """What is remembered of a token; None: it has to be verified."""
        now = self._now()
        if now >= self._look:
            # Here, because nobody else comes by while all tokens are known.
            self._look = now + LOOK_SECONDS
            self._key_sets.refresh()
        return self._tokens.find(hashlib.sha256(token).digest(), now)

    async def verify(self, token: bytes, caller: str = "") -> Verified:
        """Who is behind a token that `caller` (a SPIFFE ID) brought; raises TokenRefused."""
        auth = self.auth
        key = hashlib.sha256(token).digest()
        try:
            if auth is None:
                raise TokenInvalid(Reason.TOKEN_ISSUER, "there are no issuers")
            known = await self._verified(token, key, auth, caller)
        except TokenInvalid as invalid:
            if self.auth is auth:
                self._tokens.refuse(key, invalid.reason, invalid.detail, self._now(), invalid.accepted)
                if invalid.reason is Reason.TOKEN_INACTIVE:
                    self._withdrawn((key,))
            raise TokenRefused(invalid.reason, invalid.detail, invalid.accepted) from invalid
        except Unavailable as unavailable:
            raise TokenRefused(Reason.ISSUER_UNAVAILABLE, unavailable.detail) from unavailable
        if self.auth is not auth:
            # Another policy came into force meanwhile, and what was found is of the old one.
            return await self.verify(token, caller)
        self._tokens.keep(known, self._now())
        return known.verified

    async def _verified(self, token: bytes, key: bytes, auth: UserAuth, caller: str) -> KnownToken:
        """Raises TokenInvalid, Unavailable, and TokenRefused for a caller that has asked too much."""
        text = _text(token)
        if not _is_signed_jwt(text):
            return await self._opaque(text, key, auth, caller)
        unverified = read_token(text)
        entries = [issuer for issuer in auth.issuers if issuer.issuer == unverified.issuer]
        if not entries:
            detail = f"iss is {quoted(unverified.issuer)}, which is none of the issuers"
            accepted = ", ".join(dict.fromkeys(issuer.issuer for issuer in auth.issuers))
            raise TokenInvalid(Reason.TOKEN_ISSUER, detail, accepted)
        refused: Exception | None = None
        for issuer in entries:
            try:
                if issuer.introspection is not None:
                    return await self._introspected(text, key, issuer, issuer.introspection, caller)
                return await self._signed(text, key, unverified, issuer, caller)
            except (TokenInvalid, Unavailable) as failed:
                refused = refused or failed
        assert refused is not None  # noqa: S101 - there is an entry, and it did not return
        raise refused

    async def _signed(
        self, text: str, key: bytes, token: UnverifiedToken, issuer: Issuer, caller: str
    ) -> KnownToken:
        """By the issuer's keys, and by newer ones where a token that names no key is signed by none of them."""
        check_algorithm(token, issuer)
        may_look = partial(self._questions.take, caller)
        keys = await self._key_sets.candidates(issuer, token.key_id, token.algorithm, may_look)
        try:
            proven = verify_token(token, issuer, keys, self._now())
        except TokenInvalid as invalid:
            if token.key_id is not None or invalid.reason is not Reason.TOKEN_SIGNATURE:
                raise
            may_look()
            newer = await self._key_sets.newer(issuer, None, token.algorithm)
            if newer == keys:
                raise
            proven = verify_token(token, issuer, newer, self._now())
        return _known(text, key, proven, issuer)

    async def _opaque(self, text: str, key: bytes, auth: UserAuth, caller: str) -> KnownToken:
        """A token that names no issuer: it is shown to the one that is asked about tokens, and to no other's."""
        entries = [issuer for issuer in auth.issuers if issuer.introspection is not None]
        if not entries:
            raise malformed("the token is no signed JWT (RFC 7515)")
        if len(entries) > 1:
            detail = (
                f"the token names no issuer, and {len(entries)} of them are asked about tokens; send a JWT"
            )
            raise TokenInvalid(Reason.TOKEN_ISSUER, detail)
        return await self._introspected(text, key, entries[0], entries[0].introspection, caller)

    async def _introspected(
        self, text: str, key: bytes, issuer: Issuer, introspection: Introspection | None, caller: str
    ) -> KnownToken:
        seconds = 0.0 if introspection is None else introspection.seconds
        active = await self._introspector.ask(text, issuer, caller)
        ends = self._now() + seconds
        expires = ends if active.expires is None else active.expires + issuer.skew_seconds
        verified = Verified(active.user, text, expires, key)
        return KnownToken(verified, min(ends, expires), place_of(issuer), None)

    def _keys_changed(self, place: Place, keys: KeySet) -> None:
        """A token whose key was withdrawn is worth nothing from now on."""
        gone = self._tokens.forget_signed_by_others(place, keys.thumbprints)
        if gone:
            self._withdrawn(gone)


def _is_signed_jwt(text: str) -> bool:
    """Three parts, the first of which begins as the base64 of `{` does; five would be an encrypted one."""
    return text.startswith("e") and text.count(".") == 2


def _text(token: bytes) -> str:
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenInvalid(Reason.TOKEN_TOO_LARGE, f"{len(token)} bytes, at most {MAX_TOKEN_BYTES} are read")
    try:
        return token.decode("ascii")
    except UnicodeDecodeError:
        raise malformed("the token is not ASCII") from None


def _known(text: str, key: bytes, proven: ProvenToken, issuer: Issuer) -> KnownToken:
    expires = proven.expires + issuer.skew_seconds
    return KnownToken(Verified(proven.user, text, expires, key), expires, place_of(issuer), proven.thumbprint)
