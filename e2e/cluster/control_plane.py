"""etcd, kube-apiserver and kube-controller-manager as processes, with everything they need in one folder.

The API server listens on the one address by which pods know the machine. It can be killed and started again alone;
its port and its data stay. Nothing here outlives the block that started it.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from e2e.cluster.api import Api, ApiError
from e2e.cluster.binaries import Binaries
from e2e.cluster.certificates import Authority, Pair, signing_key
from e2e.cluster.network import Addresses
from e2e.spire.daemon import Daemon

START_SECONDS: Final = 60.0
SERVER_PORTS: Final = (20000, 32000)
CLUSTER_DOMAIN: Final = "cluster.local"
ISSUER: Final = f"https://kubernetes.default.svc.{CLUSTER_DOMAIN}"
ADMINISTRATORS: Final = "system:masters"
# Whoever kills a run with SIGKILL leaves nothing behind. It holds for the thread that starts a program.
DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL")
CONTROLLERS: Final = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
    "validatingadmissionpolicy-status-controller",
)
# Whole requests of what tests look at; the rest, without reads, is who did what.
AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "None", "resources": [{"group": "", "resources": ["events"]}]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {"level": "Metadata"},
    ],
}


@dataclass(slots=True)
class ControlPlane:
    """A running control plane."""

    folder: Path
    version: str
    addresses: Addresses
    authority: Authority
    server: str
    admin: Api
    kubeconfig: Path
    etcd: Daemon
    api_server: Daemon
    controller_manager: Daemon
    pairs: dict[str, Pair] = field(default_factory=dict)

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def audit(self, **wanted: Any) -> list[dict[str, Any]]:
        """Lines of the audit log whose top-level fields, or those of `objectRef`, have these values."""
        found = []
        for text in self.audit_log.read_text(encoding="utf-8").splitlines(keepends=True):
            if not text.endswith("\n"):
                break
            line = json.loads(text)
            fields = {**line.get("objectRef", {}), **line}
            if all(fields.get(name) == value for name, value in wanted.items()):
                found.append(line)
        return found

    def user(self, name: str, groups: Sequence[str] = ()) -> Api:
        """A user with a certificate, who may do what RBAC says."""
        pair = self.authority.issue(name, groups)
        return Api(self.server, self.authority.file, certificate=pair.certificate, key=pair.key)

    def restart_api_server(self) -> None:
        """Kill the API server as a crash would and start it again; returns when it serves.

        It ends with the thread that calls this: a test's own, not one that is over before the test.
        """
        self.api_server.kill()
        self.api_server.start()
        self.until_ready()

    def until_ready(self) -> None:
        """Until the API server says that it is ready. Raises DidNotStart with the log."""

        def look() -> bool | None:
            with contextlib.suppress(ApiError):
                return self.admin.text("GET", "/readyz") == "ok" or None
            return None

        self.api_server.until(look, "ready", START_SECONDS)

    def until_controlled(self) -> None:
        """Until the controllers work: the default namespace has its account. Raises DidNotStart with the log."""

        def look() -> bool | None:
            with contextlib.suppress(ApiError):
                self.admin.get("/api/v1/namespaces/default/serviceaccounts/default")
                return True
            return None

        self.controller_manager.until(look, "at work", START_SECONDS)

    def logs(self) -> str:
        """The end of every program's log, for a failure's text."""
        programs = {"etcd": self.etcd, "api": self.api_server, "controllers": self.controller_manager}
        return "\n".join(f"--- {name}\n{daemon.text()[-2000:]}" for name, daemon in programs.items())


@contextlib.contextmanager
def control_plane(binaries: Binaries, addresses: Addresses, folder: Path) -> Iterator[ControlPlane]:
    """A control plane that is ready, until the block ends. Raises DidNotStart."""
    data = folder / "etcd"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        built = _build(binaries, addresses, folder, data)
        stack.callback(built.admin.close)
        for daemon in (built.etcd, built.api_server):
            stack.enter_context(daemon)
        built.until_ready()
        stack.enter_context(built.controller_manager)
        built.until_controlled()
        yield built


def _build(binaries: Binaries, addresses: Addresses, folder: Path, data: Path) -> ControlPlane:
    address = addresses.machine[0]
    ports = _free_ports(address, 3)
    authority = Authority(folder / "pki")
    server = f"https://{address}:{ports[0]}"
    names = [f"kubernetes.default.svc.{CLUSTER_DOMAIN}", "kubernetes.default.svc", "kubernetes", "localhost"]
    pairs = {
        "server": authority.issue(
            "kube-apiserver", hosts=[address, addresses.api_service, "127.0.0.1", *names]
        ),
        "admin": authority.issue("kubernetes-admin", [ADMINISTRATORS]),
        "controllers": authority.issue("system:kube-controller-manager", [ADMINISTRATORS]),
        "kubelet-client": authority.issue("kube-apiserver-kubelet-client", [ADMINISTRATORS]),
        "front-proxy": authority.issue("front-proxy-client"),
    }
    admin = Api(server, authority.file, certificate=pairs["admin"].certificate, key=pairs["admin"].key)
    kubeconfig = write_kubeconfig(folder / "kubeconfig", server, authority.file, pairs["admin"])
    controllers = write_kubeconfig(folder / "controllers", server, authority.file, pairs["controllers"])
    tokens = signing_key(folder / "pki" / "service-accounts.key")
    etcd = [*DIES_WITH_US, *_etcd(binaries, data, ports[1:])]
    serve = [*DIES_WITH_US, *_api_server(binaries, folder, addresses, ports, pairs, tokens, authority.file)]
    control = [*DIES_WITH_US, *_controller_manager(binaries, controllers, tokens, authority.file)]
    return ControlPlane(
        folder,
        binaries.version,
        addresses,
        authority,
        server,
        admin,
        kubeconfig,
        Daemon(etcd, folder / "etcd.log"),
        Daemon(serve, folder / "kube-apiserver.log"),
        Daemon(control, folder / "kube-controller-manager.log"),
        pairs,
    )


def _etcd(binaries: Binaries, data: Path, ports: Sequence[int]) -> list[str | Path]:
    client, peer = (f"http://127.0.0.1:{port}" for port in ports)
    return [
        binaries.etcd,
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _api_server(
    binaries: Binaries,
    folder: Path,
    addresses: Addresses,
    ports: Sequence[int],
    pairs: dict[str, Pair],
    tokens: Path,
    authority: Path,
) -> list[str | Path]:
    policy = folder / "audit-policy.yaml"
    policy.write_text(yaml.safe_dump(AUDIT_POLICY), encoding="utf-8")
    flags = {
        "etcd-servers": f"http://127.0.0.1:{ports[1]}",
        "bind-address": addresses.machine[0],
        "advertise-address": addresses.machine[0],
        "secure-port": ports[0],
        "tls-cert-file": pairs["server"].certificate,
        "tls-private-key-file": pairs["server"].key,
        "client-ca-file": authority,
        "service-account-issuer": ISSUER,
        "service-account-key-file": tokens,
        "service-account-signing-key-file": tokens,
        "service-cluster-ip-range": ",".join(addresses.services),
        "authorization-mode": "Node,RBAC",
        "allow-privileged": "true",
        "enable-aggregator-routing": "true",
        "requestheader-client-ca-file": authority,
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": pairs["front-proxy"].certificate,
        "proxy-client-key-file": pairs["front-proxy"].key,
        "kubelet-certificate-authority": authority,
        "kubelet-client-certificate": pairs["kubelet-client"].certificate,
        "kubelet-client-key": pairs["kubelet-client"].key,
        "kubelet-preferred-address-types": "InternalIP",
        "audit-policy-file": policy,
        "audit-log-path": folder / "audit.log",
        "audit-log-mode": "blocking",
        "profiling": "false",
    }
    return [binaries.api_server, *(f"--{name}={value}" for name, value in flags.items())]


def _controller_manager(
    binaries: Binaries, kubeconfig: Path, tokens: Path, authority: Path
) -> list[str | Path]:
    flags = {
        "kubeconfig": kubeconfig,
        "service-account-private-key-file": tokens,
        "root-ca-file": authority,
        "controllers": ",".join(CONTROLLERS),
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
        "secure-port": 0,
        "kube-api-qps": 300,
        "kube-api-burst": 600,
        "profiling": "false",
    }
    return [binaries.controller_manager, *(f"--{name}={value}" for name, value in flags.items())]


def write_kubeconfig(path: Path, server: str, authority: Path, user: Pair) -> Path:
    """A kubeconfig for one user of one cluster; returns `path`."""
    cluster = {"server": server, "certificate-authority": str(authority)}
    credentials = {"client-certificate": str(user.certificate), "client-key": str(user.key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": cluster}],
        "users": [{"name": "e2e", "user": credentials}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        "current-context": "e2e",
    }
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    path.chmod(0o600)
    return path


def _free_ports(address: str, count: int) -> list[int]:
    """Ports that nobody had a moment ago: the first of `address`, the others of loopback.

    Below those that the kernel gives to clients: one that dials a server which is down might get its port.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            port = random.randrange(*SERVER_PORTS)
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((address if not ports else "127.0.0.1", port))
                ports.append(port)
    return ports
