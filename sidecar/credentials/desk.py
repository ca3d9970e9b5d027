"""What requests ask about credentials, in one place: whose they are, and what is put into them.

The parts know nothing of each other; the stages of the pipeline ask them in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.policy.compile import Policy
from mesh.policy.credentials import Hidden
from mesh.policy.user_auth import DEFAULT_CORRELATION, UserAuth
from sidecar.credentials.correlation import Belongings
from sidecar.credentials.handles import Handles
from sidecar.credentials.sources import Sources
from sidecar.credentials.user_sessions import UserSessions
from sidecar.credentials.users import Users

if TYPE_CHECKING:
    from sidecar.credentials.session_calls import Calls
    from sidecar.hidden.secrets import HiddenSecrets
    from sidecar.proxy.pool import Destination


@dataclass(slots=True)
class Desk:
    """`hidden` is None in pods that hide nothing. `calls` makes calls of our own to one destination."""

    users: Users
    handles: Handles
    belongings: Belongings
    sessions: UserSessions
    sources: Sources
    calls: Callable[[Destination], Calls]
    hidden: HiddenSecrets | None = None

    def use(self, policy: Policy) -> None:
        """Another policy is in force."""
        auth = policy.users
        if auth != self.users.auth:
            # Whose token counts is another question now, also for what was brought before.
            self.handles.clear()
            self.belongings.clear()
        self.users.use(auth)
        self.belongings.use(DEFAULT_CORRELATION if auth is None else auth.correlation)
        self.sources.use(policy)
        if self.hidden is not None:
            credentials = (backend.credential for backend in policy.backends)
            self.hidden.use(one.variables for one in credentials if isinstance(one, Hidden))

    @property
    def auth(self) -> UserAuth | None:
        """How users prove themselves; None where the policy says nothing of users."""
        return self.users.auth
