"""Checks of the control plane's own Deployment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cli.check.installed import not_installed
from cli.check.objects import counted, inner, labels_of, name_of
from cli.check.result import Result, State, failed, judged, ok, skipped, warning
from cli.check.rollout import replicas_of
from cli.check.snapshot import Snapshot
from cli.selecting.labels import matches
from mesh.settings import installation
from mesh.settings.table import NAMESPACE_INJECTION, VERSION
from webhook.admission.settings_file import SettingsInvalid, parse_settings

VERSION_LABEL = "app.kubernetes.io/version"


def installed(snapshot: Snapshot, now: datetime) -> Result:
    """The Deployment is there."""
    if snapshot.deployment.unread:
        return skipped(f"it cannot be read: {snapshot.deployment.unread}")
    if not_installed(snapshot):
        return failed("Outrider is not installed", *_asking(snapshot))
    if snapshot.deployment.one is None:
        return failed(f"there is no Deployment {installation.WEBHOOK} in namespace {snapshot.namespace}")
    return ok(f"Deployment {installation.WEBHOOK} in namespace {snapshot.namespace}")


def replicas(snapshot: Snapshot, now: datetime) -> Result:
    """One replica that goes away must not stop opted-in pods from being created."""
    deployment = snapshot.deployment.one
    if deployment is None:
        return skipped("there is no Deployment that can be read")
    wanted = replicas_of(deployment)
    return ok(f"{wanted} replicas") if wanted >= 2 else warning(counted(wanted, "replica", "replicas"))


def disruption_budget(snapshot: Snapshot, now: datetime) -> Result:
    """Draining nodes must leave a replica."""
    deployment = snapshot.deployment.one
    if deployment is None or replicas_of(deployment) < 2:
        return skipped("there are not two replicas")
    if snapshot.disruption_budget.unread:
        return skipped(f"it cannot be read: {snapshot.disruption_budget.unread}")
    budget = snapshot.disruption_budget.one
    if budget is None:
        return warning("there is no PodDisruptionBudget")
    labels = inner(deployment, "spec", "template", "metadata", "labels") or {}
    if not matches(inner(budget, "spec", "selector"), labels):
        return warning(f"PodDisruptionBudget {name_of(budget)} does not select the control plane's pods")
    return ok(f"PodDisruptionBudget {name_of(budget)}")


def version(snapshot: Snapshot, now: datetime) -> Result:
    """This command and the control plane are of one version: both run the same injection."""
    deployment = snapshot.deployment.one
    if deployment is None:
        return skipped("there is no Deployment that can be read")
    theirs = labels_of(deployment).get(VERSION_LABEL)
    if theirs is None:
        return skipped(f"the Deployment has no label {VERSION_LABEL}")
    return (
        ok(VERSION)
        if theirs == VERSION
        else warning(f"the control plane is {theirs}, this command {VERSION}")
    )


def settings(snapshot: Snapshot, now: datetime) -> Result:
    """The platform's settings can be read."""
    if snapshot.settings.unread:
        return skipped(f"they cannot be read: {snapshot.settings.unread}")
    text = inner(snapshot.settings.one, "data", installation.SETTINGS_KEY)
    if not isinstance(text, str):
        return failed(
            f"there is no ConfigMap {installation.WEBHOOK_SETTINGS} with {installation.SETTINGS_KEY}"
        )
    try:
        parse_settings(text, installation.SETTINGS_KEY)
    except SettingsInvalid as error:
        return judged([str(one) for one in error.errors], "", State.FAILED)
    return ok(f"ConfigMap {installation.WEBHOOK_SETTINGS}")


def _asking(snapshot: Snapshot) -> Iterator[str]:
    """The namespaces that rely on what is not there."""
    names = [
        name_of(one)
        for one in snapshot.namespaces.items
        if labels_of(one).get(NAMESPACE_INJECTION.name) in ("enabled", "required")
    ]
    if names:
        asking = counted(len(names), "namespace asks", "namespaces ask")
        yield f"{asking} for sidecars, and new pods come up without: {', '.join(names)}"
