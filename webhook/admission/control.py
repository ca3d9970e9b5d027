"""How the sidecar reaches the control plane: a token that it alone mounts, a folder for what it was told last, and
the roots, which stand in its container and come from nowhere in the pod's namespace.

The token is projected and bound to an audience of its own, so that it is of use to nobody else; it does not depend
on `automountServiceAccountToken`. Host aliases or a resolver of the pod's can only lead to somebody whose
certificate the roots do not vouch for.
"""

from __future__ import annotations

from mesh.settings import table
from mesh.settings.kinds import Setting
from webhook.admission.control_settings import ControlPlane
from webhook.admission.documents import Volume

TOKEN_PATH = "/run/outrider/token"  # noqa: S105 - a path
TOKEN_FILE = "token"  # noqa: S105 - the name of a file
STATE_PATH = "/run/outrider/state"
STATE_SIZE = "32Mi"
"""Room for the largest configuration and for the one that replaces it."""


def control_volumes(control: ControlPlane) -> list[Volume]:
    """The volumes that this takes, none without a control plane."""
    if not control.present:
        return []
    token = {"audience": control.audience, "expirationSeconds": control.token_seconds, "path": TOKEN_FILE}
    return [
        {"name": table.TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}},
        # In memory: a volume on the node's disk would keep the autoscaler from removing the node.
        {"name": table.STATE_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": STATE_SIZE}},
    ]


def control_variables(control: ControlPlane) -> dict[Setting, str]:
    """The variables of the sidecar that tell it."""
    if not control.present:
        return {}
    return {
        table.ENV_CONTROL_URL: control.url,
        table.ENV_CONTROL_ROOTS: control.roots,
        table.ENV_CONTROL_TOKEN: f"{TOKEN_PATH}/{TOKEN_FILE}",
        table.ENV_CONTROL_STATE: STATE_PATH,
    }
