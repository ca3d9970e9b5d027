"""One field of a secret of Vault or OpenBao, after a login with our JWT-SVID.

The token of the login stays here. It is kept for as long as Vault says, so that several secrets cost one login;
when Vault takes it back sooner, we log in anew, once.
"""

from __future__ import annotations

from collections import OrderedDict

from mesh.policy.credentials import Vault
from mesh.protocol.oauth.token_refusal import NoToken
from mesh.protocol.vault import (
    Login,
    LoginEnded,
    Secret,
    login_call,
    read_login,
    read_secret,
    secret_call,
)
from mesh.reasons import Reason
from sidecar.credentials.issued import Issued
from sidecar.credentials.mint.calling import asking, own_svid, send
from sidecar.credentials.mint.fields import fields_of
from sidecar.credentials.mint.token_endpoint import Parts
from sidecar.credentials.verified import Verified

MARGIN_SECONDS = 10.0
"""A login that ends so soon is not used any more."""
MOST_LOGINS = 256

_Where = tuple[str, str, str, str, str | None]


class Vaults:
    """Mints from all Vaults, with the logins that are still good."""

    def __init__(self) -> None:
        self._logins: OrderedDict[_Where, Login] = OrderedDict()

    async def mint(
        self, config: Vault, subject: Verified | None, extra_scopes: frozenset[str], *, parts: Parts
    ) -> Issued:
        """What the field holds, whoever the request belongs to. Raises CredentialRefused."""
        with asking(config.url, parts):
            asked = parts.now()
            login, secret = await self._read(config, parts)
        ends = asked + secret.seconds
        expires = min(ends, login.expires) if secret.leased else ends
        return fields_of(config.header, config.scheme, secret.value.encode("ascii"), expires=expires)

    async def _read(self, config: Vault, parts: Parts) -> tuple[Login, Secret]:
        kept = self._kept(config, parts.now())
        if kept is not None:
            try:
                return kept, await self._secret(config, kept, parts)
            except LoginEnded:
                self._logins.pop(_where(config), None)
        login = await self._login(config, parts)
        return login, await self._secret(config, login, parts)

    def _kept(self, config: Vault, now: float) -> Login | None:
        login = self._logins.get(_where(config))
        return login if login is not None and now < login.expires - MARGIN_SECONDS else None

    async def _login(self, config: Vault, parts: Parts) -> Login:
        svid = await own_svid(config.audience, parts)
        call = login_call(config.url, config.mount, config.role, svid.token, config.namespace)
        asked = parts.now()
        answer = await send(call, parts)
        try:
            login = read_login(answer.status, answer.headers, answer.body, call, asked)
        except NoToken as no:
            if no.reason is Reason.CREDENTIAL_REFUSED:
                parts.proof.forget(config.audience)
            raise
        self._logins[_where(config)] = login
        self._logins.move_to_end(_where(config))
        if len(self._logins) > MOST_LOGINS:
            self._logins.popitem(last=False)
        return login

    async def _secret(self, config: Vault, login: Login, parts: Parts) -> Secret:
        call = secret_call(config.url, config.path, login, config.namespace)
        answer = await send(call, parts)
        return read_secret(answer.status, answer.headers, answer.body, call, config.field)


def _where(config: Vault) -> _Where:
    return config.url, config.mount, config.role, config.audience, config.namespace
