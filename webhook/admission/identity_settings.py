"""Where sidecars get their SVID from: the part of the platform's settings called `identity`, and its reader.

    identity: {provider: workload-api, volume: csi, socket: spire-agent.sock}
    identity: {provider: builtin}                                         # the control plane's CA: controlPlane
    identity:
      provider: files
      files:
        csi: {driver: spiffe.csi.cert-manager.io, attributes: {…}}    # or one of the other two:
        podCertificate: {signerName: example.com/spiffe, keyType: ECDSAP256, trustBundle: NAME}
        secret: NAME
        certificate: tls.crt      # names of the files in the volume
        key: tls.key
        bundle: ca.crt

A section of a provider that is not chosen says nothing, so that one set of values can hold all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mesh.policy.errors import shown
from mesh.policy.fields import INVALID, Field, Invalid, Place, choice, text
from mesh.policy.yaml_tree import Node
from webhook.admission.settings_readers import NAME, absolute, file_name, filled, matching, section, strings


class IdentityProvider(StrEnum):
    """Who issues the SVID; the values are those of OUTRIDER_IDENTITY_PROVIDER."""

    WORKLOAD_API = "workload-api"
    BUILTIN = "builtin"
    FILES = "files"
    NONE = "none"  # no identity: no mutual TLS and no transparent capture


class IdentityVolume(StrEnum):
    """How the SPIFFE Workload API's socket reaches the sidecar."""

    CSI = "csi"  # the driver csi.spiffe.io: fits PodSecurity restricted
    HOST_PATH = "hostPath"  # the agent's folder on the node: needs PodSecurity privileged
    NONE = "none"  # no volume


@dataclass(frozen=True, slots=True)
class CsiVolume:
    """A CSI driver that writes key and certificates, such as spiffe.csi.cert-manager.io."""

    driver: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodCertificate:
    """Certificates of the kubelet (Kubernetes 1.35). The bundle is the ClusterTrustBundle `trust_bundle`; without
    a name it is every one of `signer_name`."""

    signer_name: str
    key_type: str = "ECDSAP256"
    trust_bundle: str = ""


@dataclass(frozen=True, slots=True)
class Files:
    """A volume that holds the SVID as files: exactly one of the first three, and the names in it.

    Names that are not given: of a PodCertificate what the kubelet is asked to write, key and chain in one file;
    of the others those of a Secret of type kubernetes.io/tls.
    """

    csi: CsiVolume | None = None
    pod_certificate: PodCertificate | None = None
    secret: str = ""
    certificate: str = ""
    key: str = ""
    bundle: str = ""

    @property
    def names(self) -> tuple[str, str, str]:
        """Of the chain, of the key ("" where it stands before the chain) and of the authorities."""
        if self.pod_certificate is not None:
            return self.certificate or "credential-bundle.pem", "", self.bundle or "trust-bundle.pem"
        return self.certificate or "tls.crt", self.key or "tls.key", self.bundle or "ca.crt"


@dataclass(frozen=True, slots=True)
class Identity:
    """Where the sidecar's SVID comes from.

    `socket` is the file name of the Workload API's socket inside the volume, `host_path` the folder on the
    node that holds it (hostPath only). Without a `provider` it is the Workload API, or nobody where `volume` is
    none.
    """

    volume: IdentityVolume = IdentityVolume.CSI
    socket: str = "spire-agent.sock"
    host_path: str = "/run/spire/agent-sockets"
    provider: IdentityProvider | None = None
    files: Files | None = None

    @property
    def chosen(self) -> IdentityProvider:
        """The provider in force."""
        if self.provider is not None:
            return self.provider
        return IdentityProvider.NONE if self.volume is IdentityVolume.NONE else IdentityProvider.WORKLOAD_API


_SIGNER = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_KEY_TYPES = ("ED25519", "ECDSAP256", "ECDSAP384", "ECDSAP521", "RSA3072", "RSA4096")
_FILE_KEYS = ("csi", "podCertificate", "secret")


def _key_type(value: str) -> str | None:
    return None if value in _KEY_TYPES else f"{shown(value)} is no key type; allowed: {', '.join(_KEY_TYPES)}"


_CSI = {
    "driver": Field(matching(NAME, "the name of a CSI driver"), missing="the name of the CSI driver"),
    "attributes": Field(strings),
}
_POD_CERTIFICATE = {
    "signerName": Field(matching(_SIGNER, "the name of a signer"), missing="who signs, as domain/name"),
    "keyType": Field(text(_key_type)),
    "trustBundle": Field(text(filled)),
}
_FILES = {
    "csi": Field(section(_CSI, CsiVolume)),
    "podCertificate": Field(section(_POD_CERTIFICATE, PodCertificate)),
    "secret": Field(matching(NAME, "the name of a Secret")),
    "certificate": Field(text(file_name)),
    "key": Field(text(file_name)),
    "bundle": Field(text(file_name)),
}
_IDENTITY = {
    "provider": Field(choice(IdentityProvider)),
    "volume": Field(choice(IdentityVolume)),
    "socket": Field(text(file_name)),
    "hostPath": Field(text(absolute)),
}


def _read_files(node: Node, place: Place) -> Files | Invalid:
    files: Files | Invalid = section(_FILES, Files)(node, place)
    if isinstance(files, Invalid):
        return files
    given = [one for one in (files.csi, files.pod_certificate, files.secret) if one]
    if len(given) != 1:
        return place.error(node, f"exactly one of {', '.join(_FILE_KEYS)} says where the files are")
    if files.pod_certificate is not None and files.key:
        return place.child("key").error(node, "the kubelet writes the key before the chain; leave it out")
    return files


def read_identity(node: Node, place: Place) -> Any:
    """The section, checked as a whole: `Identity`, or INVALID after what is wrong has been reported."""
    fields = {**_IDENTITY, "files": Field(_read_files)}
    identity: Identity | Invalid = section(fields, Identity)(node, place)
    if isinstance(identity, Invalid):
        return INVALID
    provider = identity.chosen
    if provider is IdentityProvider.WORKLOAD_API and identity.volume is IdentityVolume.NONE:
        message = "the provider workload-api needs its socket; allowed: csi, hostPath"
        return place.child("volume").error(node, message)
    if provider is IdentityProvider.FILES and identity.files is None:
        return place.child(provider).error(node, f"missing; the provider {provider} needs it")
    return identity
