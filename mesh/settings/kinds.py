"""The shape of one row of the settings table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mesh.settings.values import ValueType

ANY: Final = "*"
"""In `Setting.lowers`: every value but the empty one."""


class Kind(StrEnum):
    """Where a setting is written."""

    NAMESPACE_LABEL = "namespace label"
    POD_LABEL = "pod label"
    CONFIG_MAP_LABEL = "config map label"
    ANNOTATION = "annotation"
    PORT = "port"
    SIDECAR_ENV = "sidecar environment"
    REDIRECT_ENV = "redirect environment"
    APP_ENV = "application environment"


class Owner(StrEnum):
    """Who may set it. What a pod sets can only narrow what the platform grants."""

    PLATFORM = "platform"  # whoever installs Outrider and labels namespaces
    POD = "pod"  # whoever writes the pod
    SIDECAR = "sidecar"  # Outrider itself; anything else found there is replaced


@dataclass(frozen=True, slots=True)
class Setting:
    """One name that Outrider reads or writes.

    `default` is the text that holds when nobody says anything; "" means that nothing does. `key` is, for an
    environment variable of the sidecar, the key of the configuration file that it stands for. `supported` is
    False for a name that is reserved: using it is refused, never ignored. `lowers` holds the values that weaken
    protection, or ANY: pods and namespaces may use them only where the platform's settings allow it.
    """

    kind: Kind
    name: str
    values: ValueType
    default: str
    owner: Owner
    doc: str
    key: str = ""
    supported: bool = True
    lowers: tuple[str, ...] = ()

    @property
    def permissions(self) -> tuple[str, ...]:
        """What the platform may put on its list of allowances on this setting's account."""
        name = self.name.rpartition("/")[2]
        return tuple(name if value == ANY else f"{name}={value}" for value in self.lowers)
