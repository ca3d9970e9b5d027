"""Acting as somebody else, as a kubeconfig's `as` or `--as` wants it: the client that we use passes over it.

What cannot be carried out is refused: whoever acts as a developer must not be an administrator without knowing it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from cli.cluster.failures import ClusterUnavailable

USER, UID, GROUP = "Impersonate-User", "Impersonate-Uid", "Impersonate-Group"


def headers(paths: Iterable[str], name: str, wanted: str | None) -> dict[str, str]:
    """The header fields for the kubeconfigs' user of that name; `wanted` goes before what it says.

    Raises:
        ClusterUnavailable: several groups or extra fields, which the client cannot send.
    """
    if wanted:
        return {USER: wanted}
    user = _user(paths, name)
    groups = user.get("as-groups") or []
    if user.get("as-user-extra") or len(groups) > 1:
        raise ClusterUnavailable(
            f"User {name} of the kubeconfig acts with several groups or with extra fields, which cannot be sent.",
            "Name another context with --context, or a user to act as with --as.",
        )
    said = {USER: user.get("as"), UID: user.get("as-uid"), GROUP: groups[0] if groups else None}
    return {field: str(value) for field, value in said.items() if value}


def _user(paths: Iterable[str], name: str) -> dict[str, Any]:
    """The first of that name counts, as for everybody who reads several kubeconfigs."""
    for path in paths:
        config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        for one in (config or {}).get("users") or ():
            if one.get("name") == name:
                return one.get("user") or {}
    return {}
