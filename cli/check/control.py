"""Checks of what sidecars reach the control plane by: its Service, the keys of its CA, and the roots of these.

Of the Secret with the keys only the names of its keys are looked at, as its managed fields have them: what it
holds is never read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cli.check.installed import published_roots, settings_in
from cli.check.objects import counted, inner
from cli.check.result import Result, failed, ok, skipped, warning
from cli.check.snapshot import Snapshot
from cli.check.webhook_configurations import ready_addresses
from mesh.identity.certificate import load_certificate
from mesh.identity.errors import IdentityInvalid
from mesh.identity.pem import read_certificates
from mesh.settings.installation import CA_SECRET, CONTROL, ROOTS, ROOTS_KEY
from webhook.admission.settings import InjectionSettings

KEYRING = frozenset({"keyring.json"})
OWN = frozenset({"ca.crt", "tls.crt", "tls.key"})
"""Keys of the Secret: what the control plane writes, and what people do who bring an authority of their own."""
_SOON = timedelta(days=30)
_MADE_BY_HELM = "`helm upgrade` makes it again, empty, and the leader fills it."

Look = Callable[[Snapshot, InjectionSettings, datetime], Result]


def _controlled(look: Look) -> Callable[[Snapshot, datetime], Result]:
    """A check that only makes sense where sidecars have a control plane."""

    def run(snapshot: Snapshot, now: datetime) -> Result:
        settings = settings_in(snapshot)
        if settings is None:
            return skipped("the platform's settings cannot be read")
        if not settings.control_plane.present:
            return skipped("sidecars have no control plane (control.enabled is false)")
        return look(snapshot, settings, now)

    run.__doc__ = look.__doc__
    return run


@_controlled
def service(snapshot: Snapshot, settings: InjectionSettings, now: datetime) -> Result:
    """Sidecars find somebody at the control plane's URL."""
    url = urlsplit(settings.control_plane.url)
    if not f"{url.hostname}.".startswith(f"{CONTROL}.{snapshot.namespace}."):
        return skipped(f"sidecars reach it at {settings.control_plane.url}, which is not the chart's Service")
    if snapshot.control_service.unread:
        return skipped(f"Service {CONTROL} cannot be read: {snapshot.control_service.unread}")
    if snapshot.control_service.one is None:
        return failed(f"there is no Service {CONTROL} in namespace {snapshot.namespace}")
    ports = [one.get("port") for one in inner(snapshot.control_service.one, "spec", "ports") or ()]
    if (url.port or 443) not in ports:
        return failed(f"Service {CONTROL} has no port {url.port or 443}, which sidecars are told of")
    if snapshot.control_slices.unread:
        return skipped(f"EndpointSlices cannot be listed: {snapshot.control_slices.unread}")
    there = ready_addresses(snapshot.control_slices.items)
    if not there:
        return failed(f"no pod is ready behind Service {CONTROL}")
    return ok(f"{counted(len(there), 'address', 'addresses')} behind Service {CONTROL}")


@_controlled
def authority(snapshot: Snapshot, settings: InjectionSettings, now: datetime) -> Result:
    """The mesh's own CA has its keys."""
    part = snapshot.authority
    if part.unread:
        return skipped(f"Secret {CA_SECRET} cannot be read, of which only names would be: {part.unread}")
    if part.one is None:
        return failed(f"there is no Secret {CA_SECRET} in namespace {snapshot.namespace}", hint=_MADE_BY_HELM)
    told = [
        inner(entry, "fieldsV1", "f:data") for entry in inner(part.one, "metadata", "managedFields") or ()
    ]
    keys = {key.removeprefix("f:") for data in told if data for key in data if key.startswith("f:")}
    if not keys and not inner(part.one, "metadata", "managedFields"):
        return skipped(f"nothing says which keys Secret {CA_SECRET} has")
    if keys >= KEYRING:
        return ok(f"Secret {CA_SECRET} has {', '.join(KEYRING)}")
    if keys >= OWN:
        return ok(f"Secret {CA_SECRET} has an authority of your own")
    if keys & OWN:
        return failed(f"Secret {CA_SECRET} lacks {', '.join(sorted(OWN - keys))}")
    return failed(f"Secret {CA_SECRET} has no keys yet")


@_controlled
def roots(snapshot: Snapshot, settings: InjectionSettings, now: datetime) -> Result:
    """The roots that vouch for the control plane are published, and valid."""
    part = snapshot.roots
    where = f"ConfigMap {ROOTS} in namespace {snapshot.namespace}"
    if part.unread:
        return skipped(f"ConfigMap {ROOTS} cannot be read: {part.unread}")
    if part.one is None:
        return failed(f"there is no {where}", hint=_MADE_BY_HELM)
    text = published_roots(part.one)
    if not text:
        return failed(f"{where} has no key {ROOTS_KEY}")
    try:
        ends = [load_certificate(der).not_valid_after_utc for der in certificates(text)]
    except IdentityInvalid as malformed:
        return failed(f"{ROOTS_KEY} of {where} holds no certificates: {malformed}")
    latest = max(ends)
    if latest <= now:
        return failed(f"the last root expired at {latest:%Y-%m-%d %H:%M} UTC")
    told = f"{counted(len(ends), 'root', 'roots')}, until {latest:%Y-%m-%d}"
    return warning(f"{told}, and none follows") if latest - now < _SOON else ok(told)


def certificates(pem: str) -> tuple[bytes, ...]:
    """The certificates (DER) of a PEM text. Raises IdentityInvalid."""
    return tuple(read_certificates(pem.encode("utf-8", "surrogatepass")))
