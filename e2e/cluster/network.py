"""The cluster's network: a router in a namespace of its own, a link to each pod, and one to the machine.

Each pod has addresses of its own and sends everything to the router, as with the simplest network plugins. Virtual
addresses of Services are translated at the router, after the pod's own rules, as kube-proxy does on a node: a
redirection inside the pod sees the Service's address. The machine itself has one link, so that the API server
dials pods and is dialled by them; that link and everything else is removed at the end.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.namespaces import FILES, NAMESPACES, Failed, Network, Pod

COMMAND_SECONDS: Final = 60
SUBNETS: Final = range(100, 250)
POD_ADDRESSES: Final = range(16, 127 * 256)
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Addresses:
    """Which addresses a cluster has: 10.S.0.0/16 for both, the upper half of it for Services."""

    subnet: int

    @property
    def router(self) -> tuple[str, str]:
        return f"10.{self.subnet}.0.1", f"fd78:{self.subnet:x}::1"

    @property
    def machine(self) -> tuple[str, str]:
        return f"10.{self.subnet}.0.2", f"fd78:{self.subnet:x}::2"

    @property
    def all(self) -> tuple[str, str]:
        return f"10.{self.subnet}.0.0/16", f"fd78:{self.subnet:x}::/32"

    @property
    def services(self) -> tuple[str, str]:
        return f"10.{self.subnet}.128.0/17", f"fd78:{self.subnet:x}:1::/108"

    @property
    def api_service(self) -> str:
        """What the API server gives its own Service: the first of the range."""
        return f"10.{self.subnet}.128.1"

    def pod(self, number: int) -> tuple[str, str]:
        return f"10.{self.subnet}.{number >> 8}.{number & 255}", f"fd78:{self.subnet:x}::{number:x}"


class ClusterNetwork:
    """The router, and the pods that were joined to it."""

    def __init__(self, addresses: Addresses, router: Pod) -> None:
        self.addresses = addresses
        self.router = router
        self._free = list(reversed(POD_ADDRESSES))
        self._lock = threading.Lock()
        # What tests/captures know: a network of pods by name, and the namespace where their links end.
        self.captures = Network({}, router)

    def join(self, name: str) -> Pod:
        """A new pod's namespace, joined to the router. Raises Failed."""
        with self._lock:
            number = self._free.pop()
        four, six = self.addresses.pod(number)
        pod = Pod(name, f"{self.router.namespace}-{number}", four, six, f"pod{number}")
        ip(f"netns add {pod.namespace}")
        try:
            self._link(pod)
        except Failed:
            self.leave(pod)
            raise
        return pod

    def _link(self, pod: Pod) -> None:
        gateway4, gateway6 = self.addresses.router
        pod.inside(_no_duplicate_detection)
        ip(
            f"link add {pod.link} type veth peer name eth0 netns {pod.namespace}",
            f"link set {pod.link} up",
            f"addr add {gateway4}/32 dev {pod.link}",
            f"addr add {gateway6}/128 dev {pod.link} nodad",
            f"route add {pod.ipv4}/32 dev {pod.link}",
            f"route add {pod.ipv6}/128 dev {pod.link}",
            inside=self.router,
        )
        ip(
            "link set lo up",
            f"addr add {pod.ipv4}/32 dev eth0",
            f"addr add {pod.ipv6}/128 dev eth0 nodad",
            "link set eth0 up",
            f"route add {gateway4}/32 dev eth0 scope link",
            f"route add default via {gateway4} src {pod.ipv4}",
            f"route add {gateway6}/128 dev eth0",
            f"route add default via {gateway6} src {pod.ipv6}",
            inside=pod,
        )

    def leave(self, pod: Pod) -> None:
        """Remove a pod's namespace and link; its address is given to another one as late as possible."""
        with contextlib.suppress(Failed):
            ip(f"link delete {pod.link}", inside=self.router)
        with contextlib.suppress(Failed):
            ip(f"netns delete {pod.namespace}")
        number = int(pod.link.removeprefix("pod"))
        with self._lock:
            self._free.insert(0, number)

    def rules(self, text: str) -> None:
        """Load rules of nftables at the router, all or none. Raises Failed."""
        done = subprocess.run(
            self.router.command(["nft", "-f", "-"]), input=text, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise Failed(f"nft: {done.stderr}\n{text}")


@contextlib.contextmanager
def cluster_network() -> Iterator[ClusterNetwork]:
    """A network that is gone with the block, with every pod that is still in it."""
    _sweep()
    addresses = Addresses(_free_subnet())
    number = next(_numbers)
    router = Pod(
        "router", f"outrider-{os.getpid()}-k{number}", addresses.router[0], addresses.router[1], "host0"
    )
    link = f"or{os.getpid()}-{number}"
    ip(f"netns add {router.namespace}")
    try:
        router.inside(_forwarding)
        _join_machine(router, addresses, link)
        yield ClusterNetwork(addresses, router)
    finally:
        for name in sorted(NAMESPACES.glob(f"{router.namespace}*"), reverse=True):
            with contextlib.suppress(Failed):
                ip(f"netns delete {name.name}")
            with contextlib.suppress(OSError):
                (FILES / name.name).rmdir()
        # The machine's end goes with its peer, but a moment after the namespace has.
        with contextlib.suppress(Failed):
            ip(f"link delete {link}")


def _sweep() -> None:
    """Remove the namespaces of runs that were killed, and their links with them."""
    for path in NAMESPACES.glob("outrider-*-k*"):
        owner = path.name.split("-")[1]
        if not Path(f"/proc/{owner}").exists():
            with contextlib.suppress(Failed):
                ip(f"netns delete {path.name}")


def _join_machine(router: Pod, addresses: Addresses, link: str) -> None:
    (router4, router6), (own4, own6), (all4, all6) = addresses.router, addresses.machine, addresses.all
    ip(f"link add {link} type veth peer name host0 netns {router.namespace}")
    ip(
        "link set lo up",
        "link set host0 up",
        f"addr add {router4}/32 dev host0",
        f"addr add {router6}/128 dev host0 nodad",
        f"route add {own4}/32 dev host0",
        f"route add {own6}/128 dev host0",
        inside=router,
    )
    ip(
        f"addr add {own4}/32 dev {link}",
        f"addr add {own6}/128 dev {link} nodad",
        f"link set {link} up",
        f"route add {router4}/32 dev {link} scope link",
        f"route add {all4} via {router4} dev {link} src {own4}",
        f"route add {router6}/128 dev {link}",
        f"route add {all6} via {router6} dev {link} src {own6}",
    )


def _free_subnet() -> int:
    """A subnet that no address or route of this machine touches; random, as others choose at the same time."""
    used = subprocess.run(
        ["ip", "-4", "route", "show", "table", "all"], capture_output=True, text=True, check=False
    )
    candidates = list(SUBNETS)
    random.shuffle(candidates)
    for subnet in candidates:
        if f"10.{subnet}." not in used.stdout:
            return subnet
    raise Failed("every subnet 10.100 to 10.249 is in use")


def _no_duplicate_detection() -> None:
    for scope in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad").write_text("0", encoding="ascii")


def _forwarding() -> None:
    _no_duplicate_detection()
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1", encoding="ascii")
    for scope in ("all", "default"):
        Path(f"/proc/sys/net/ipv4/conf/{scope}/rp_filter").write_text("0", encoding="ascii")


def ip(*commands: str, inside: Pod | None = None) -> None:
    """Run several commands of ip(8) in one go, in a namespace or in the machine's. Raises Failed."""
    where = [] if inside is None else ["-netns", inside.namespace]
    done = subprocess.run(
        ["ip", *where, "-batch", "-"],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode:
        raise Failed(f"ip {'; '.join(commands)}: {done.stderr.strip()}")
