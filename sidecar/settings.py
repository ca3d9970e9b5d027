"""What a sidecar's configuration says, once it has been read and found to be free of contradictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from mesh.policy.narrowing import Narrowing
from mesh.protocol.http1.target import Target
from sidecar.addresses import Address
from sidecar.app_probes import AppProbe
from sidecar.hidden.variables import HiddenVariable
from sidecar.limits import Limits


class Provider(StrEnum):
    """Where the SVID comes from."""

    NONE = "none"
    WORKLOAD_API = "workload-api"
    FILES = "files"
    BUILTIN = "builtin"


class InboundMode(StrEnum):
    """Which traffic a port of the application takes."""

    STRICT = "strict"
    """Mutual TLS of the mesh, and nothing else."""
    PERMISSIVE = "permissive"
    """Other traffic too, decided as that of unauthenticated callers."""


class Decisions(StrEnum):
    """Which decisions get a log line."""

    ALL = "all"
    REFUSED = "refused"
    NONE = "none"


class Denials(StrEnum):
    """How a refused tool, prompt or resource looks to whoever asked for it."""

    HIDDEN = "hidden"
    """Like one that does not exist."""
    FORBIDDEN = "forbidden"
    """As one that is forbidden."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Whom this sidecar stands beside; `labels` choose the policies."""

    namespace: str | None = None
    name: str = "agent"
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str | None = None
    pod_ip: str | None = None
    uid: str | None = None

    @property
    def label(self) -> str:
        """For logs: `namespace/name`."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """The control plane: where it is, the roots (PEM) that vouch for it, the token that proves us to it.

    `state`: the folder in which the last configuration is kept; None keeps none.
    """

    server: Target
    roots: str
    token: Path
    state: Path | None = None

    def below(self, folder: Path) -> ControlSettings:
        """Relative paths are relative to `folder`."""
        state = None if self.state is None else folder / self.state
        return ControlSettings(self.server, self.roots, folder / self.token, state)


@dataclass(frozen=True, slots=True)
class FilesSettings:
    """Files that somebody renews. `key` None: it stands in front of the chain, in `certificate`."""

    certificate: Path
    key: Path | None
    bundle: Path
    federated: Mapping[str, Path] = field(default_factory=dict)
    """Bundles of other trust domains, by name."""
    jwt_svids: Mapping[str, Path] = field(default_factory=dict)
    """JWT-SVIDs, by audience."""

    def below(self, folder: Path) -> FilesSettings:
        """Relative paths are relative to `folder`."""
        return FilesSettings(
            folder / self.certificate,
            None if self.key is None else folder / self.key,
            folder / self.bundle,
            {name: folder / path for name, path in self.federated.items()},
            {name: folder / path for name, path in self.jwt_svids.items()},
        )


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Where identity comes from; builtin: from the control plane.

    `spiffe_id`: which SVID to take if there are several, or which it must be.
    """

    provider: Provider = Provider.NONE
    socket: str | None = None
    spiffe_id: str | None = None
    files: FilesSettings | None = None

    def below(self, folder: Path) -> IdentitySettings:
        """Relative paths are relative to `folder`."""
        return replace(self, files=self.files and self.files.below(folder))


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Addresses; None switches a listener off, port 0 takes any."""

    forward: Address | None = ("127.0.0.1", 15002)
    inbound: Address | None = None
    telemetry: Address | None = ("127.0.0.1", 15020)
    redirect_outbound: Address | None = None
    """Where the kernel brings what the agent dials."""
    redirect_inbound: Address | None = None
    """Where the kernel brings what others dial in this pod."""


@dataclass(frozen=True, slots=True)
class InboundSettings:
    """What callers have to bring: `ports` are exceptions from `mode`, by the application's port."""

    mode: InboundMode = InboundMode.STRICT
    ports: Mapping[int, InboundMode] = field(default_factory=dict)

    def permissive(self, port: int) -> bool:
        """Whether a port takes other traffic than the mesh's."""
        return self.ports.get(port, self.mode) is InboundMode.PERMISSIVE


@dataclass(frozen=True, slots=True)
class ApplicationSettings:
    """Where inbound traffic goes."""

    host: str = "127.0.0.1"
    ports: tuple[int, ...] = ()
    probes: Mapping[str, AppProbe] = field(default_factory=dict)
    """What the kubelet asks of the application, and we in its place, by `container/probe`."""


class PrivateAddresses(StrEnum):
    """What becomes of destinations that are no Backend and lead to addresses that are not public."""

    REFUSE = "refuse"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class EgressSettings:
    """What `egress: allow` of a policy means here."""

    private_addresses: PrivateAddresses = PrivateAddresses.REFUSE


@dataclass(frozen=True, slots=True)
class RateStoreSettings:
    """Where limits are counted that several sidecars share: `redis://host:port/db`, or `rediss://` by TLS.

    `password_file` holds the password alone; it is read for each connection.
    """

    url: str
    password_file: Path | None = None

    def below(self, folder: Path) -> RateStoreSettings:
        """The same with its path relative to a folder."""
        file = self.password_file
        return self if file is None else replace(self, password_file=folder / file)


@dataclass(frozen=True, slots=True)
class SidecarConfig:
    """Everything that a sidecar's file says."""

    agent: AgentSettings
    identity: IdentitySettings
    listen: ListenSettings
    application: ApplicationSettings
    policies: tuple[Path, ...]
    connect: Mapping[str, str]
    limits: Limits
    decisions: Decisions
    authorities: Path | None = None
    """PEM file that replaces the system's roots for what is reached by the TLS of the web: Backends with tls
    Public, issuers, token endpoints."""
    inbound: InboundSettings = field(default_factory=InboundSettings)
    interception: Path | None = None
    """Folder for the files by which the application trusts the interception CA; None: no interception."""
    egress: EgressSettings = field(default_factory=EgressSettings)
    narrowing: Narrowing = field(default_factory=Narrowing)
    """What annotations take away from what policies grant."""
    control: ControlSettings | None = None
    """Where the configuration comes from while it runs; None: from the files of `policies`."""
    denials: Denials = Denials.HIDDEN
    credentials: Path | None = None
    """Folder of the Secrets that credentials of Backends name: a folder for each, a file for each key."""
    hidden_secrets: Mapping[str, HiddenVariable] = field(default_factory=dict)
    """What the agent holds placeholders for, by placeholder."""
    more_authorities: str = ""
    """Certificates (PEM) that are trusted besides those of `authorities`, or of the system."""
    rate_store: RateStoreSettings | None = None
    """Counts shared limits; None: each sidecar counts its own, as `failureMode` of the limit lets it."""
