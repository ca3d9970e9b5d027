"""What the platform says about injection: one frozen record, from a settings file or from its defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from mesh.settings.table import (
    ENV_EGRESS_PRIVATE_ADDRESSES,
    FORWARD_PORT,
    INBOUND_PORT,
    INBOUND_REDIRECT_PORT,
    OUTBOUND_REDIRECT_PORT,
    REDIRECT_BACKEND,
    REDIRECT_IPV6,
    REDIRECT_UDP,
    SIDECAR_UID,
    TELEMETRY_PORT,
)
from webhook.admission.control_settings import ControlPlane, Denials
from webhook.admission.identity_settings import Identity, IdentityProvider, IdentityVolume

__all__ = [
    "ControlPlane",
    "Denials",
    "Egress",
    "Identity",
    "IdentityProvider",
    "IdentityVolume",
    "InjectionSettings",
    "NativeSidecars",
    "Ports",
    "Redirection",
]


class NativeSidecars(StrEnum):
    """Whether the sidecar is a native one: an init container that goes on running (Kubernetes 1.29)."""

    AUTO = "auto"  # where API server and every kubelet have them
    ALWAYS = "always"
    NEVER = "never"  # the first of the ordinary containers, with what that lacks


@dataclass(frozen=True, slots=True)
class Ports:
    """The sidecar's ports; the defaults are those of the settings table."""

    forward: int = int(FORWARD_PORT.default)
    inbound: int = int(INBOUND_PORT.default)
    telemetry: int = int(TELEMETRY_PORT.default)
    outbound_redirect: int = int(OUTBOUND_REDIRECT_PORT.default)
    inbound_redirect: int = int(INBOUND_REDIRECT_PORT.default)

    @property
    def reserved(self) -> frozenset[int]:
        """Every port that an application container must leave alone, also where capture is explicit."""
        redirects = (self.outbound_redirect, self.inbound_redirect)
        return frozenset((self.forward, self.inbound, self.telemetry, *redirects))


@dataclass(frozen=True, slots=True)
class Redirection:
    """How transparent capture is set up; the values are those of OUTRIDER_REDIRECT_UDP, _IPV6 and _BACKEND.

    `nameservers` are the resolvers whose port 53 is left alone; empty: those that the pod has."""

    udp: str = REDIRECT_UDP.default
    ipv6: str = REDIRECT_IPV6.default
    backend: str = REDIRECT_BACKEND.default
    nameservers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Egress:
    """What `egress: allow` of a policy means; the value is that of OUTRIDER_EGRESS_PRIVATE_ADDRESSES."""

    private_addresses: str = ENV_EGRESS_PRIVATE_ADDRESSES.default


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """What the platform decides for every sidecar."""

    image: str = "outrider/sidecar:0.1.0"
    """The sidecar's image; pin it by digest in production."""

    image_pull_policy: str = "IfNotPresent"
    """Always, IfNotPresent or Never."""

    image_pull_secrets: tuple[str, ...] = ()
    """Names of pull secrets, which must exist in each namespace; appended to the pod's own."""

    uid: int = SIDECAR_UID
    """The sidecar's user and group; no application container may run as it."""

    ports: Ports = field(default_factory=Ports)

    listen_host: str = "*"
    """The address that the inbound and telemetry ports bind; `*` is every one, IPv4 and IPv6."""

    native_sidecars: NativeSidecars = NativeSidecars.AUTO

    identity: Identity = field(default_factory=Identity)

    control_plane: ControlPlane = field(default_factory=ControlPlane)

    policy_config_map: str = "outrider-policies"
    """Where there is no control plane: the ConfigMap, in the pod's own namespace, that holds its policies. A pod
    whose namespace has no such ConfigMap waits for it: without policies nothing would be allowed anyway. Empty
    where the image itself holds them."""

    denials: Denials = Denials.HIDDEN

    cluster_domain: str = "cluster.local"
    """The DNS domain of the cluster, for the API server's full name in NO_PROXY."""

    no_proxy: tuple[str, ...] = ()
    """More hosts that agents reach without the sidecar."""

    limits: dict[str, int | float] = field(default_factory=dict)
    """Limits of the sidecar by name, passed on as they are."""

    rate_store: str = ""
    """Redis or Valkey that counts shared rate limits, as OUTRIDER_RATE_STORE; empty: there is none."""

    defaults: dict[str, str] = field(default_factory=dict)
    """Values of annotations that hold where neither pod nor namespace say anything, by full name."""

    allow: frozenset[str] = frozenset()
    """What pods and namespaces may weaken: `permission.PERMISSIONS` has every word."""

    redirect: Redirection = field(default_factory=Redirection)

    egress: Egress = field(default_factory=Egress)

    authorities: str = field(default="", repr=False)
    """Certificates (PEM) that every sidecar trusts besides the public authorities: an operator's own."""

    ignored_namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease"})
    """Namespaces whose pods never get a sidecar, so that Outrider cannot stop the cluster from healing."""

    @property
    def native(self) -> bool:
        """Is the sidecar a native one? `auto` is until whoever can ask the cluster has resolved it."""
        return self.native_sidecars is not NativeSidecars.NEVER

    def for_cluster(self, *, native_sidecars: bool) -> InjectionSettings:
        """The settings with `auto` resolved: have API server and all kubelets native sidecars?"""
        if self.native_sidecars is not NativeSidecars.AUTO:
            return self
        return replace(
            self, native_sidecars=NativeSidecars.ALWAYS if native_sidecars else NativeSidecars.NEVER
        )

    def with_roots(self, roots: str) -> InjectionSettings:
        """The settings with the roots (PEM) that vouch for the control plane now."""
        return replace(self, control_plane=replace(self.control_plane, roots=roots))

    @property
    def mounted_policies(self) -> str:
        """The ConfigMap that the sidecar reads its policies from, or "" where they come from elsewhere."""
        return "" if self.control_plane.present else self.policy_config_map

    @property
    def proxy_url(self) -> str:
        """What the proxy variables of the application hold."""
        return f"http://127.0.0.1:{self.ports.forward}"
