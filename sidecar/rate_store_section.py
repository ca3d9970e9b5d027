"""The section `rateStore` of the sidecar's file: where limits are counted that several sidecars share.

How it is spelled is what the injector's settings are checked by as well (`mesh.settings.store_address`).
"""

from __future__ import annotations

from pathlib import Path

from mesh.policy.fields import Field, text
from mesh.settings.store_address import store_fault
from sidecar.readers import section
from sidecar.settings import RateStoreSettings


def _anything(_: str) -> str | None:
    return None


def _settings(url: str, passwordFile: str | None) -> RateStoreSettings:
    """The arguments are spelled as in the file."""
    return RateStoreSettings(url, None if passwordFile is None else Path(passwordFile))


read_rate_store = section(
    {
        "url": Field(text(store_fault), missing="the store, like redis://redis.rates.svc:6379/0"),
        "passwordFile": Field(text(_anything)),
    },
    _settings,
)
