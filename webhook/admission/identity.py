"""How the sidecar comes to its SVID: one volume that it alone mounts, and the variables that name what is in it.

The control plane's CA needs nothing of its own here: the sidecar reaches it as it reaches the control plane.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mesh.reasons import Reason
from mesh.settings import table
from mesh.settings.kinds import Setting
from webhook.admission.control_settings import ControlPlane
from webhook.admission.documents import Container, Pod, Volume
from webhook.admission.identity_settings import Files, Identity, IdentityProvider, IdentityVolume
from webhook.admission.outcome import Problem
from webhook.admission.secret_sources import exposures
from webhook.admission.shape import every_container

WORKLOAD_API_PATH = "/run/outrider/workload-api"
FILES_PATH = "/run/outrider/identity"
SPIFFE_CSI = "csi.spiffe.io"


def identity_volume(identity: Identity) -> Volume | None:
    """The volume that the identity comes by, if there is one."""
    provider = identity.chosen
    if provider is IdentityProvider.WORKLOAD_API:
        return _socket_volume(identity)
    if provider is IdentityProvider.FILES and identity.files is not None:
        return _files_volume(identity.files)
    return None


def identity_path(identity: Identity) -> str:
    """Where the sidecar mounts it."""
    return FILES_PATH if identity.chosen is IdentityProvider.FILES else WORKLOAD_API_PATH


def identity_variables(identity: Identity) -> dict[Setting, str]:
    """The variables of the sidecar that say where its identity comes from."""
    provider = identity.chosen
    values = {table.ENV_IDENTITY_PROVIDER: str(provider)}
    if provider is IdentityProvider.WORKLOAD_API:
        values[table.ENV_IDENTITY_SOCKET] = f"unix://{WORKLOAD_API_PATH}/{identity.socket}"
    elif provider is IdentityProvider.FILES and identity.files is not None:
        certificate, key, bundle = identity.files.names
        values[table.ENV_IDENTITY_FILES_CERTIFICATE] = f"{FILES_PATH}/{certificate}"
        values[table.ENV_IDENTITY_FILES_KEY] = f"{FILES_PATH}/{key}" if key else ""
        values[table.ENV_IDENTITY_FILES_BUNDLE] = f"{FILES_PATH}/{bundle}"
    return values


def _socket_volume(identity: Identity) -> Volume:
    if identity.volume is IdentityVolume.HOST_PATH:
        return {
            "name": table.IDENTITY_VOLUME,
            "hostPath": {"path": identity.host_path, "type": "Directory"},
        }
    return {"name": table.IDENTITY_VOLUME, "csi": {"driver": SPIFFE_CSI, "readOnly": True}}


def _files_volume(files: Files) -> Volume:
    if files.csi is not None:
        source: dict[str, Any] = {"driver": files.csi.driver, "readOnly": True}
        if files.csi.attributes:
            source["volumeAttributes"] = dict(files.csi.attributes)
        return {"name": table.IDENTITY_VOLUME, "csi": source}
    certificate, _, bundle = files.names
    if files.pod_certificate is None:
        return {"name": table.IDENTITY_VOLUME, "secret": {"secretName": files.secret}}
    signer, trust = files.pod_certificate.signer_name, files.pod_certificate.trust_bundle
    issued = {
        "signerName": signer,
        "keyType": files.pod_certificate.key_type,
        "credentialBundlePath": certificate,
    }
    which: dict[str, Any] = {"name": trust} if trust else {"signerName": signer, "labelSelector": {}}
    sources = [{"podCertificate": issued}, {"clusterTrustBundle": {**which, "path": bundle}}]
    return {"name": table.IDENTITY_VOLUME, "projected": {"sources": sources}}


def identity_exposed(pod: Pod, identity: Identity, control: ControlPlane) -> Iterator[Problem]:
    """Containers of a pod (from which our own additions have been removed) that get what the identity comes by."""
    volumes = pod["spec"].get("volumes") or ()
    means = {one["name"]: _means(one, identity, control) for one in volumes}
    secret = identity.files.secret if identity.files and identity.chosen is IdentityProvider.FILES else ""
    for container in every_container(pod):
        where = f"container {container['name']}"
        for mount in container.get("volumeMounts") or ():
            if what := means.get(mount.get("name") or ""):
                yield Problem(Reason.IDENTITY_EXPOSED, f"{where}, volume {mount['name']} holds {what}")
        for found in exposures(container, volumes, [secret] if secret else ()):
            yield Problem(Reason.IDENTITY_EXPOSED, f"{where}, {found}")


def _means(volume: Volume, identity: Identity, control: ControlPlane) -> str:
    """What in a projected volume would do as well as what the sidecar has, in words."""
    sources = (volume.get("projected") or {}).get("sources")
    for source in sources if isinstance(sources, list) else ():
        token, issued = _part(source, "serviceAccountToken"), _part(source, "podCertificate")
        if control.present and token.get("audience") == control.audience:
            return f"a token for the audience {control.audience}"
        if identity.chosen is IdentityProvider.FILES and identity.files and identity.files.pod_certificate:
            signer = identity.files.pod_certificate.signer_name
            if issued.get("signerName") == signer:
                return f"a certificate of the signer {signer}"
    return ""


def _part(source: Any, kind: str) -> dict[str, Any]:
    part = source.get(kind) if isinstance(source, dict) else None
    return part if isinstance(part, dict) else {}


def mounts_any(container: Container, volumes: set[str]) -> bool:
    """Does a container mount one of these volumes?"""
    return any(mount.get("name") in volumes for mount in container.get("volumeMounts") or ())


def needed_driver(identity: Identity) -> str:
    """The CSI driver that the nodes must have, or "" where the identity comes otherwise."""
    volume = identity_volume(identity) or {}
    return str((volume.get("csi") or {}).get("driver", ""))


def identity_drivers(identity: Identity) -> frozenset[str]:
    """The CSI drivers from which whoever mounts them has an identity."""
    files = identity.files if identity.chosen is IdentityProvider.FILES else None
    return frozenset({SPIFFE_CSI, *([files.csi.driver] if files is not None and files.csi else [])})
