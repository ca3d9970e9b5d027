"""Checks of the certificate by which the API server knows the control plane, and of who renews it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from cli.check.installed import certificates_mode
from cli.check.objects import inner, moment
from cli.check.result import Result, failed, judged, ok, skipped, warning
from cli.check.snapshot import Snapshot
from cli.selecting.entries import Entry, entries
from mesh.settings import installation

_CREATE = (
    "Run `helm upgrade` soon, which creates it for the leader to fill: the leader must not create Secrets, and "
    "replicas that start meanwhile do not get ready."
)
CA, LEAF, KEY = "ca.crt", "tls.crt", "tls.key"
_LEFT = 5  # renewal is due at a third of the lifetime; with a fifth left it has failed for a while


def secret(snapshot: Snapshot, now: datetime) -> Result:
    """The Secret holds a CA, a certificate and its key."""
    if snapshot.secret.unread:
        return skipped(f"it cannot be read: {snapshot.secret.unread}")
    if snapshot.secret.one is None:
        absent = f"there is no Secret {installation.WEBHOOK_SECRET} in namespace {snapshot.namespace}"
        return failed(absent, hint=_CREATE if certificates_mode(snapshot) == "self" else "")
    missing = [key for key in (CA, LEAF, KEY) if not inner(snapshot.secret.one, "data", key)]
    return judged(
        [f"Secret {installation.WEBHOOK_SECRET} has no {key}" for key in missing],
        f"Secret {installation.WEBHOOK_SECRET}",
    )


def authority(snapshot: Snapshot, now: datetime) -> Result:
    """The CA is valid, and renewed in time."""
    return _lifetime(snapshot, CA, now)


def serving(snapshot: Snapshot, now: datetime) -> Result:
    """The serving certificate is valid, and renewed in time."""
    return _lifetime(snapshot, LEAF, now)


def chain(snapshot: Snapshot, now: datetime) -> Result:
    """The serving certificate is vouched for by every caBundle that the API server holds."""
    leaf = _certificate(snapshot, LEAF)
    if leaf is None:
        return skipped("there is no certificate that can be read")
    problems = []
    for entry in our_entries(snapshot):
        roots = _bundle(entry)
        if roots and not any(_issued(leaf, root) for root in roots):
            problems.append(f"caBundle of {entry.name} does not vouch for the serving certificate")
    return judged(problems, "it chains to every caBundle")


def names(snapshot: Snapshot, now: datetime) -> Result:
    """The certificate is for the name that the API server dials."""
    leaf = _certificate(snapshot, LEAF)
    if leaf is None:
        return skipped("there is no certificate that can be read")
    wanted = f"{installation.WEBHOOK}.{snapshot.namespace}.svc"
    try:
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        has = alternative.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        has = []
    return (
        ok(wanted) if wanted in has else failed(f"it is for {', '.join(has) or 'no name'}, not for {wanted}")
    )


def bundles(snapshot: Snapshot, now: datetime) -> Result:
    """Every entry has a caBundle: an empty one makes each call fail."""
    found = list(our_entries(snapshot))
    if not found:
        unread = snapshot.mutating.unread or snapshot.validating.unread
        return skipped(
            f"they cannot be read: {unread}" if unread else "there are no webhook configurations of ours"
        )
    problems = []
    for entry in found:
        roots = _bundle(entry)
        if roots is None:
            problems.append(f"caBundle of {entry.name} holds no certificates")
        elif not roots:
            problems.append(f"caBundle of {entry.name} is empty")
        elif all(root.not_valid_after_utc <= now for root in roots):
            problems.append(f"every certificate in the caBundle of {entry.name} has expired")
    return judged(problems, f"{len(found)} entries")


def leader(snapshot: Snapshot, now: datetime) -> Result:
    """Somebody renews: the Lease has a holder who was there just now."""
    if certificates_mode(snapshot) != "self":
        return skipped("certificates come from elsewhere, so that nobody leads")
    if snapshot.lease.unread:
        return skipped(f"the Lease cannot be read: {snapshot.lease.unread}")
    lease = snapshot.lease.one
    if lease is None:
        return failed(f"there is no Lease {installation.WEBHOOK} in namespace {snapshot.namespace}")
    holder, renewed = inner(lease, "spec", "holderIdentity"), moment(inner(lease, "spec", "renewTime"))
    if not holder or renewed is None:
        return failed("nobody holds the Lease")
    seconds = inner(lease, "spec", "leaseDurationSeconds") or 15
    ago = now - renewed
    if ago > timedelta(seconds=2 * seconds):
        return failed(f"{holder} renewed the Lease {_ago(ago)} ago, which holds for {seconds} seconds")
    return ok(f"{holder} leads")


def our_entries(snapshot: Snapshot) -> Iterator[Entry]:
    """The entries of both configurations of ours."""
    for part, name in (
        (snapshot.mutating, installation.INJECTOR),
        (snapshot.validating, installation.VALIDATOR),
    ):
        configuration = part.named(name)
        if configuration is not None:
            yield from entries([configuration])


def _lifetime(snapshot: Snapshot, key: str, now: datetime) -> Result:
    certificate = _certificate(snapshot, key)
    if certificate is None:
        return skipped("there is no certificate that can be read")
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        return failed(f"it is valid from {begins:%Y-%m-%d %H:%M} UTC only, which is yet to come")
    if now >= ends:
        return failed(f"it expired {_ago(now - ends)} ago")
    told = f"{_ago(ends - now)} left, until {ends:%Y-%m-%d %H:%M} UTC"
    return warning(told) if (ends - now) * _LEFT < ends - begins else ok(told)


def _certificate(snapshot: Snapshot, key: str) -> x509.Certificate | None:
    """The first certificate of a key of the Secret."""
    found = _certificates(inner(snapshot.secret.one, "data", key))
    return found[0] if found else None


def _bundle(entry: Entry) -> list[x509.Certificate] | None:
    """The certificates of a caBundle: none where it is empty, None where it cannot be read."""
    text = inner(entry.value, "clientConfig", "caBundle")
    return _certificates(text) if text else []


def _certificates(text: object) -> list[x509.Certificate] | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        return x509.load_pem_x509_certificates(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        return None


def _issued(leaf: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _ago(time: timedelta) -> str:
    if time >= timedelta(days=2):
        return f"{time.days} days"
    if time >= timedelta(hours=2):
        return f"{time // timedelta(hours=1)} hours"
    if time >= timedelta(minutes=2):
        return f"{time // timedelta(minutes=1)} minutes"
    return f"{time // timedelta(seconds=1)} seconds"
